"""Lesson 6: what a certificate does not say."""

from __future__ import annotations

from core.inspection.lessons import MOVES
from dashboard.addresses.lessons import ROBUST, Place
from dashboard.lessons import compute, figures, text
from dashboard.lessons.board import Board, Chart, Number, captioned, filled, grey, tex
from dashboard.lessons.figures import Row
from dashboard.server.background import Show
from dashboard.shared.figures import COLOURS, GREY
from dashboard.shared.text import floor, minus, nats, proved_nats


def board(place: Place, show: Show) -> Board:
    found = compute.limits(ROBUST, place.digit, place.eps, place.move, show)
    around, eps, move = found.around, place.eps, MOVES[place.move]
    bound, other = around.proved.lower.item(), around.other.lower.item()
    below = int((around.singles < bound).sum())
    beaten = found.moved_elbo < bound
    rows = [
        Row("clean", [found.clean], COLOURS[1]),
        Row("attacked, these draws", [around.attacked.elbo.item()], COLOURS[1], "x"),
        Row("attacked, one other draw each", around.singles.tolist(), GREY),
        Row("moved", [found.moved_elbo], COLOURS[0], "square"),
        Row("all black", [found.black], COLOURS[0], "diamond"),
    ]
    verdict = "below what is proved: it is outside of the ball" if beaten else "still above what is proved"
    return Board(
        finding=f"{move.capitalize()}, the digit scores {nats(found.moved_elbo, 1)}, {verdict}. An "
        f"all-black image scores {nats(found.black, 1)}.",
        formulas=filled(
            text.LIMITS,
            eps=f"{eps:g}",
            draws=around.proved.draws,
            bound=tex(floor(bound, 1)),
            distance=tex(found.distance, 2),
            moved=tex(found.moved_elbo),
            sign="<" if beaten else r"\ge",
        ),
        numbers=(
            Number("These draws", proved_nats(bound, 1), f"mean over {around.proved.draws} draws"),
            *(
                Number(states.capitalize(), proved_nats(certificate.lower.item(), 1), _sure(states))
                for states, certificate in around.sampled.items()
            ),
            Number("Other target", proved_nats(other, 1), "reconstruction, these draws"),
        ),
        pictures=(
            grey(place.digit.image()[0, 0].numpy(), captioned("Clean", found.clean), "The clean digit"),
            grey(
                around.attacked.x_adv[0, 0].numpy(),
                captioned("Attacked", around.attacked.elbo.item()),
                f"The strongest attacked digit, inside the ball of eps {eps:g}",
            ),
            grey(found.moved[0, 0].numpy(), captioned("Moved", found.moved_elbo), f"The digit {move}"),
        ),
        charts=(
            Chart(
                "Inside and outside of what is proved",
                figures.strip_figure(rows, bound),
                f"Points of ELBO in nats beside the bound {proved_nats(bound, 1)} for these draws: clean "
                f"{nats(found.clean, 1)}, attacked {nats(around.attacked.elbo.item(), 1)}, attacked with "
                f"one other draw each {nats(around.singles.min().item(), 1)} to "
                f"{nats(around.singles.max().item(), 1)}, moved {nats(found.moved_elbo, 1)}, all black "
                f"{nats(found.black, 1)}.",
                f"With one other draw at a time the attacked image scores below the bound for these draws "
                f"{below} times of {len(around.singles)}: no contradiction, the bound is about other "
                "draws.",
            ),
        ),
        answer=f"> {minus(around.proved.statement())}",
    )


def _sure(states: str) -> str:
    what = "95 % of fresh draws" if states == "coverage" else "mean over all noise"
    return f"{what}, 99 % sure"
