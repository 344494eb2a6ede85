"""Lesson 4: intervals layer by layer, where they explode, and what linear bounds gain."""

from __future__ import annotations

from dashboard.addresses.lessons import ROBUST, STANDARD, Place
from dashboard.lessons import compute, figures, text
from dashboard.lessons.board import Board, Chart, Number, filled, tex
from dashboard.server.background import Show
from dashboard.shared.figures import COLOURS
from dashboard.shared.text import METHOD_NAMES, proved_nats

FIRST = "encoder 1 Linear"


def board(place: Place, show: Show) -> Board:
    models = dict(zip((STANDARD, ROBUST), COLOURS, strict=True))
    found = {name: compute.explosion(name, place.digit, place.eps, show) for name in models}
    lines = {
        (colour, method): found[name][method].widths
        for name, colour in models.items()
        for method in compute.METHODS
    }
    standard, robust = found[STANDARD]["ibp"].widths, found[ROBUST]["ibp"].widths
    crown, last = found[STANDARD]["crown"].widths, list(standard)[-1]
    gain = standard[last] / crown[last] if crown[last] > 0 else 1.0
    numbers = [
        Number(f"{title}, {METHOD_NAMES[method]}", proved_nats(found[name][method].bound, 1), "proved")
        for name, title in ((STANDARD, "Standard"), (ROBUST, "Robust"))
        for method in compute.METHODS
    ]
    said = "; ".join(
        f"{title} model by {METHOD_NAMES[method]}: z {_width(found[name][method].widths['z'])}, "
        f"last layer {_width(found[name][method].widths[last])}"
        for name, title in ((STANDARD, "standard"), (ROBUST, "robust"))
        for method in compute.METHODS
    )
    return Board(
        finding=f"At the last layer the standard model's intervals are {_width(standard[last])} wide, the "
        f"robust one's {_width(robust[last])}. CROWN makes those of the standard model {gain:,.1f} times "
        "narrower.",
        formulas=filled(
            text.EXPLOSION,
            x=tex(standard["input"], 3),
            standard=tex(standard[FIRST], 3),
            robust=tex(robust[FIRST], 3),
            standard_z=tex(standard["z"] / standard["input"], 0),
            robust_z=tex(robust["z"] / robust["input"], 2),
        ),
        numbers=tuple(numbers),
        pictures=(),
        charts=(
            Chart(
                f"Mean width of the intervals, layer by layer, at eps {place.eps:g}",
                figures.widths_figure(lines),
                f"Line chart of mean interval widths by layer on a logarithmic axis. {said}.",
                ":orange[●] standard\u2003 :blue[●] robust\u2003 ── IBP, circles\u2003 ╍╍ CROWN, squares",
            ),
        ),
    )


def _width(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
