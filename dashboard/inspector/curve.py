"""One unit's relaxation: its function, the interval, the lines below and above. No Streamlit in here."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard.inspector.bends import Unit
from dashboard.inspector.text import number
from dashboard.inspector.widths import COLOURS, add_mark
from dashboard.shared.chart_theme import INK, finished
from dashboard.shared.curves import coloured, wrapped
from dashboard.shared.figures import GREY, faint

HEIGHT = 320
LINE, LOSS = COLOURS["crown"], "#CC79A7"
SIDES = ("below", "above")
SCALE = "Cividis"


def figure(unit: Unit, across: str, up: str) -> go.Figure:
    """The curve of a unit of one input, or the map of one of two; across, up: what is on the axes."""
    return _map(unit, across, up) if len(unit.spans) > 1 else _curve(unit, across, up)


def line_at(plane: np.ndarray, *values: Any) -> Any:
    """A line, or a plane, at values of its inputs."""
    return sum(slope * value for slope, value in zip(plane[:-1], values, strict=True)) + plane[-1]


def gap(unit: Unit, *values: Any, gives: Any) -> Any:
    """How far the line in use is from the function."""
    away = gives - line_at(unit.used, *values)
    return away if unit.positive or unit.above is None else -away


def _curve(unit: Unit, across: str, up: str) -> go.Figure:
    found, (low, high), x = go.Figure(), unit.spans[0], unit.grids[0]
    inside = (x >= low) & (x <= high)
    found.add_vrect(x0=low, x1=high, fillcolor=faint(LINE, 0.08), line_width=0, layer="below")
    found.add_scatter(
        x=x,
        y=unit.values,
        mode="lines",
        name="function",
        line={"color": GREY, "width": 3},
        hoverinfo="skip",
    )
    ends = np.array([low, high])
    heights = [unit.values[inside]]
    for side, plane in zip(SIDES, (unit.below, unit.above), strict=True):
        if plane is None:
            continue
        used = plane is unit.used
        heights.append(line_at(plane, ends))
        found.add_scatter(
            x=ends,
            y=heights[-1],
            mode="lines",
            name=f"line {side}{', in use' if used and unit.above is not None else ''}",
            line={"color": LINE, "width": 2.5 if used else 1.2, "dash": "solid" if used else "dash"},
            hovertemplate=f"line {side}: %{{x:.4g}}, %{{y:.4g}}<extra></extra>",
        )
    found.add_scatter(
        x=[unit.worst[0]] * 2,
        y=[unit.given, line_at(unit.used, *unit.worst)],
        mode="lines",
        name="lost where the bound is lowest",
        line={"color": LOSS, "width": 4},
        hovertemplate="where the bound is lowest: %{x:.4g}, %{y:.4g}<extra></extra>",
    )
    found.add_scatter(
        x=unit.seen[2:, 0],
        y=unit.gives[2:],
        mode="markers",
        name="other images",
        marker={"color": "#8a8f98", "size": 5},
        hovertemplate="an image of the ball: %{x:.4g}, %{y:.4g}<extra></extra>",
    )
    for place, name in enumerate(("clean", "attacked")):
        add_mark(
            found, name, [unit.seen[place, 0]], [unit.gives[place]], 9, f"{name}: %{{x:.4g}}, %{{y:.4g}}"
        )
    shown = np.concatenate(heights)
    shown = shown[np.isfinite(shown)]
    pad = 0.08 * (np.ptp(shown) if len(shown) else 0.0) or 1e-6
    y_range = [shown.min() - pad, shown.max() + pad] if len(shown) else None
    across_ = {"title": across, "range": [x[0], x[-1]], "zeroline": True, "nticks": 6}
    up_ = {"title": up, "zeroline": True, "nticks": 6} | ({"range": y_range} if y_range else {})
    return finished(found, HEIGHT, across_, up_, top=8, hovermode="closest")


def _map(unit: Unit, across: str, up: str) -> go.Figure:
    first, second = unit.grids
    left = gap(unit, first[:, None], second[None], gives=unit.values)
    found = go.Figure()
    side = SIDES[not (unit.positive or unit.above is None)]
    found.add_heatmap(
        x=first,
        y=second,
        z=np.where(np.isfinite(left), left, np.nan).T,
        colorscale=SCALE,
        colorbar={
            "title": {"text": f"plane {side} by", "font": {"color": INK}, "side": "right"},
            "tickfont": {"color": INK},
            "thickness": 10,
            "nticks": 5,
        },
        hovertemplate="%{x:.4g}, %{y:.4g}: plane " + side + " by %{z:.4g}<extra></extra>",
    )
    found.add_scatter(
        x=unit.seen[2:, 0],
        y=unit.seen[2:, 1],
        mode="markers",
        name="other images",
        marker={"color": "#ffffff", "size": 4, "line": {"color": "#000000", "width": 0.5}},
        hovertemplate="an image of the ball: %{x:.4g}, %{y:.4g}<extra></extra>",
    )
    for place, name in enumerate(("clean", "attacked")):
        seen = unit.seen[place]
        add_mark(found, name, [seen[0]], [seen[1]], 9, f"{name}: %{{x:.4g}}, %{{y:.4g}}")
    found.add_scatter(
        x=unit.worst[:1],
        y=unit.worst[1:],
        mode="markers",
        name="where the bound is lowest",
        marker={"symbol": "diamond", "color": LOSS, "size": 10, "line": {"color": "#000000", "width": 1}},
        hovertemplate="where the bound is lowest: %{x:.4g}, %{y:.4g}<extra></extra>",
    )
    axes = ({"title": across, "nticks": 6}, {"title": up, "nticks": 6})
    return finished(found, HEIGHT, *axes, top=8, hovermode="closest")


def legend(unit: Unit) -> str:
    """What lines and marks mean, as HTML: it wraps on a narrow screen."""
    ink = "currentColor"
    marks = [coloured(ink, "○", "clean"), coloured(ink, "✕", "attacked"), coloured(GREY, "•", "others")]
    if len(unit.spans) > 1:
        return wrapped([coloured(LOSS, "◆", "bound lowest"), *marks])
    lines = [coloured(GREY, "━", "unit"), coloured(LINE, "━", "line in use")]
    if unit.above is not None:
        lines.append(coloured(LINE, "╌", "the other"))
    return wrapped([*lines, coloured(LOSS, "┃", "lost"), *marks])


def describe(unit: Unit, label: str, method: str) -> str:
    """The chart for those who cannot see it."""
    spans = " and ".join(f"{number(float(low))} to {number(float(high))}" for low, high in unit.spans)
    lines = [
        f"{side} it lies {_formula(plane)}"
        for side, plane in zip(SIDES, (unit.below, unit.above), strict=True)
        if plane is not None
    ]
    clean, attacked = (
        f"{' and '.join(number(float(v)) for v in unit.seen[i])} to {number(float(unit.gives[i]))}"
        for i in range(2)
    )
    return (
        f"Relaxation of unit {unit.number} of {label} by {method}: it takes {spans}; {'; '.join(lines)}; "
        f"the clean image takes it from {clean}, the attacked one from {attacked}. It costs "
        f"{number(unit.cost)} nats."
    )


def _formula(plane: np.ndarray) -> str:
    """A line in words."""
    slopes = " plus ".join(
        f"{number(float(slope))} times input {i + 1}"
        if len(plane) > 2
        else f"{number(float(slope))} times it"
        for i, slope in enumerate(plane[:-1])
    )
    return f"{slopes} plus {number(float(plane[-1]))}"
