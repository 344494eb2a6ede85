"""Lesson 2: what one pixel can do, and what all of them can do together."""

from __future__ import annotations

from dashboard.addresses.lessons import STANDARD, Place
from dashboard.lessons import compute, figures, text
from dashboard.lessons.board import Board, Chart, Number, Picture, captioned, filled, grey, tex
from dashboard.server.background import Show
from dashboard.shared import images
from dashboard.shared.text import nats, signed


def board(place: Place, show: Show) -> Board:
    found = compute.pixels(STANDARD, place.digit, place.eps, show)
    one, clean, eps = found.one, found.one.clean, place.eps
    drop = (clean - one.lowest).numpy()
    best, attained = float(drop.max()), found.fgsm.elbo.item()
    row, column = divmod(int(drop.argmax()), drop.shape[1])
    image, attacked = place.digit.image()[0, 0].numpy(), found.fgsm.x_adv[0, 0].numpy()
    return Board(
        finding=f"The worst single pixel costs {nats(best, 1)}; all {drop.size} together, each by at most "
        f"{eps:g}, cost {nats(clean - attained)}.",
        formulas=filled(
            text.PIXELS,
            best=tex(best),
            promised=tex(found.promised),
            attained=tex(clean - attained),
        ),
        numbers=(
            Number("Clean", nats(clean, 1), "no attack"),
            Number("One pixel", nats(clean - best, 1), f"{signed(-best, 1)} from clean"),
            Number("All pixels, FGSM", nats(attained, 1), f"{signed(attained - clean, 1)} from clean"),
        ),
        pictures=(
            grey(image, captioned("Clean", clean), "The clean digit"),
            grey(
                attacked, captioned("FGSM", attained), f"The digit after one step of {eps:g} in each pixel"
            ),
            Picture(
                images.diverging(attacked - image, eps),
                f"Change ×{1 / eps:g}",
                "What FGSM changed; red: brighter, blue: darker, white: unchanged",
            ),
        ),
        charts=(
            Chart(
                "What each pixel can do alone",
                figures.map_figure(drop),
                f"Heat map of the drop of the ELBO when one pixel alone is moved by at most {eps:g}. The "
                f"largest is {nats(best, 2)}, in row {row}, column {column}; the mean over all pixels is "
                f"{nats(float(drop.mean()), 2)}.",
                "Each of the 784 cells is a computation of its own: that pixel moved by eps, down and up, "
                "the lower ELBO of the two.",
            ),
        ),
    )
