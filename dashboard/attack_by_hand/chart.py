"""The chart: what is attained and proved, and the best by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from streamlit.delta_generator import DeltaGenerator

from dashboard.addresses.explorer import State
from dashboard.attack_by_hand import text
from dashboard.shared import figures, skeleton
from dashboard.shared.result import Known
from dashboard.shared.text import EPS_AXIS, nats

HEIGHT = 300
"""Pixels."""
Points = Sequence[tuple[float, float]]
"""(eps, nats), ascending."""


def figure(sides: Sequence[Known], mine: Mapping[str, Points], state: State) -> go.Figure:
    """The explorer's curves, and each model's best by hand."""
    drawn = figures.curve_figure(
        [side.line() for side in sides], state.eps, state.most, EPS_AXIS[state.settings.norm]
    )
    for side in sides:
        if points := mine[side.model]:
            eps, found = zip(*points, strict=True)
            mark = {"symbol": "x", "size": 10, "color": side.colour, "line": {"width": 1, "color": "white"}}
            drawn.add_scatter(
                x=eps,
                y=found,
                mode="lines+markers",
                line={"color": side.colour, "width": 1.5, "dash": "dot"},
                marker=mark,
                hovertemplate=f"<b>{side.name}</b>: your best %{{y:.1f}} nats<extra></extra>",
            )
    drawn.update_layout(height=HEIGHT)
    # A narrow chart: notes that leave the frame begin at its edge.
    drawn.update_annotations(font_size=10)
    drawn.update_annotations(x=0.02, selector={"x": figures.EXITS})
    return drawn


def describe(sides: Sequence[Known], mine: Mapping[str, Points], eps: float) -> str:
    """The chart for those who cannot see it."""
    said = figures.describe([side.line() for side in sides], eps)
    best = [
        f"your best on {side.name}: " + ", ".join(f"{nats(value, 1)} at eps {at:g}" for at, value in points)
        for side in sides
        if (points := mine[side.model])
    ]
    return f"{said} {'; '.join(best) or 'nothing by hand yet'}."


def draw(
    place: DeltaGenerator,
    legend: DeltaGenerator,
    sides: Sequence[Known],
    mine: Mapping[str, Points],
    state: State,
) -> None:
    """Draw it, and what its strokes mean, in place of what was there."""
    skeleton.chart(
        figure(sides, mine, state), "attack-curve", describe(sides, mine, state.eps), place, width="stretch"
    )
    legend.caption(f"{figures.legend([side.line() for side in sides])}\u2003 {text.MINE}")
