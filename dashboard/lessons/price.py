"""Lesson 5: what robust training costs, and the decoder that is certified without being of any use."""

from __future__ import annotations

import math

from core.errors import CoreError, DataError
from core.evaluation.ceiling import share_of_way
from core.evaluation.results_files import MNIST
from core.vae.checkpoint import load_config
from dashboard.addresses.lessons import ROBUST, SETTINGS, STANDARD, Place
from dashboard.addresses.results import PAGE, radii
from dashboard.lessons import compute, text
from dashboard.lessons.board import Board, Chart, Number, captioned, filled, grey, tex
from dashboard.server.background import Show
from dashboard.shared import compute as pages
from dashboard.shared import curves, pareto, result_rows
from dashboard.shared.text import floor, nats, of_images, proved_nats


def board(place: Place, show: Show) -> Board:
    eps, digit = place.eps, place.digit
    clean = {name: compute.score(name, digit, show).total.item() for name in (STANDARD, ROBUST)}
    proved = {name: compute.explosion(name, digit, eps, show)["ibp"].bound for name in clean}
    constant, worst = compute.constant_scores(ROBUST, digit, eps)
    top, kappa = compute.ceiling(ROBUST, digit, eps), _kappa()
    worth = floor(proved[ROBUST] - worst, 1)
    than = f"{nats(abs(worth), 1)} {'above' if worth >= 0 else 'below'} the constant decoder"
    than = f"{than}{_way(share_of_way(proved[ROBUST], worst, top))}" if math.isfinite(worth) else "vacuous"
    charts, problem = (), None
    try:
        charts = (_chart(eps),)
    except CoreError as error:
        problem = error
    return Board(
        finding=f"On this digit the robust model gives up {nats(clean[STANDARD] - clean[ROBUST])} of clean "
        f"ELBO. What IBP proves at eps {eps:g} is {than}.",
        formulas=filled(
            text.PRICE,
            kappa=tex(kappa, 2),
            rest=tex(1 - kappa, 2),
            clean=tex(clean[ROBUST]),
            proved=tex(floor(proved[ROBUST], 1)),
            both=tex(floor(kappa * clean[ROBUST] + (1 - kappa) * proved[ROBUST], 1)),
            constant=tex(floor(worst, 1)),
            ceiling=tex(top),
        ),
        numbers=(
            *(
                Number(f"{title}, clean", nats(score, 1), f"proved: {proved_nats(bound, 1)}")
                for title, score, bound in (
                    ("Standard", clean[STANDARD], proved[STANDARD]),
                    ("Robust", clean[ROBUST], proved[ROBUST]),
                    ("Constant", constant, worst),
                )
            ),
        ),
        pictures=(
            grey(digit.image()[0, 0].numpy(), "The digit", "The clean digit"),
            *(
                grey(
                    compute.parts(name, digit, show).means.mean(0).numpy(),
                    captioned(f"{title} recon", clean[name]),
                    f"What the {title.lower()} model reconstructs",
                )
                for name, title in ((STANDARD, "Standard"), (ROBUST, "Robust"))
            ),
            grey(
                compute.constant(ROBUST, eps)[1].numpy(),
                captioned("Constant", constant),
                f"The one picture that the constant decoder for eps {eps:g} draws for every digit",
            ),
        ),
        charts=charts,
        problem=problem,
    )


def _way(share: float) -> str:
    """How much of the way to the ceiling that is."""
    return f", {math.floor(100 * share)} % of the way from there to the ceiling" if share > 0 else ""


def _kappa() -> float:
    """Weight of the clean ELBO in the robust model's training. Raises DataError where nothing says it."""
    try:
        return float(load_config(ROBUST)["training"]["kappa"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"The configuration of {ROBUST} does not say how it was trained.") from error


def _chart(eps: float) -> Chart:
    """All models over the test images. Raises DataError if there are no results for eps."""
    results = pages.results()
    if eps not in radii(results):
        raise DataError(f"The evaluation of all models has no eps {eps:g}; look at another one.")
    asked = {"eps": f"{eps:g}", "target": SETTINGS.target, "models": f"{STANDARD},{ROBUST}"}
    choice, _ = PAGE.parse(asked, every={MNIST: results})
    lines = result_rows.points(results, choice, pages.evaluated(results))
    attacked, certified = result_rows.sizes(results, choice)
    over = of_images(certified or attacked or 0, results.suite.images)
    coloured = [line for line in lines if line.place is not None]
    legend = "\u2003 ".join(
        f"{curves.GLYPHS[line.place or 0]} {line.name}".replace(" ", "\u00a0") for line in coloured
    )
    return Chart(
        f"All models at eps {eps:g}, means over {over}",
        pareto.pareto_figure(lines, eps),
        pareto.describe(lines, eps),
        f"{legend}\u2003 {text.FRONTIER}",
    )
