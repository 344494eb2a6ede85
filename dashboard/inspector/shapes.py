"""One layer's intervals: bars for vectors, heat maps for images and feature maps. No Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from core.inspection import METHODS
from dashboard.inspector.compute import Seen
from dashboard.inspector.text import number
from dashboard.inspector.widths import COLOURS, WHOLE, add_mark
from dashboard.shared.chart_theme import INK, finished
from dashboard.shared.figures import faint
from dashboard.shared.text import METHOD_NAMES

MOST_BARS = 40
SIDE = 168
"""Pixels of a heat map: two beside each other on a telephone."""
BARS = {"ibp": (0.85, 0.25), "crown": (0.45, 0.75)}
"""How wide and how opaque the bars of a method are."""
PANELS = ("lower", "clean", "attacked", "upper", "width")
SCALE = "Cividis"
"""Even to the eye and the same for the colour-blind."""
BEYOND = {"crown": 20.0, "ibp": 1.0}
"""Intervals that reach beyond the frame so far by so many times its height do not widen it."""


def widest(layer: Seen, row: int) -> np.ndarray:
    """The units to show, those with the widest intervals by CROWN first."""
    width = layer.upper["crown"][row] - layer.lower["crown"][row]
    return np.argsort(-width, kind="stable")[:MOST_BARS]


def bar_frame(layer: Seen, row: int, units: np.ndarray) -> tuple[float, float]:
    """The axis: all values seen, and the intervals that are not absurd beside them."""
    values = np.concatenate([layer.clean[row][None], layer.attacked[row][None], layer.sampled[:, row]])
    values = values[:, units]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    for method, times in BEYOND.items():
        reach = times * max(high - low, 1e-6)
        for end in (layer.lower[method][row][units], layer.upper[method][row][units]):
            near = end[(end > low - reach) & (end < high + reach)]
            # All or nothing: a frame that some bars leave and others do not would mislead.
            if len(near) == len(end):
                low, high = min(low, float(near.min())), max(high, float(near.max()))
    pad = 0.06 * max(high - low, 1e-6)
    return low - pad, high + pad


def leaving(layer: Seen, row: int, units: np.ndarray) -> dict[str, int]:
    """How many of the intervals shown leave the frame, by method."""
    low, high = bar_frame(layer, row, units)
    return {
        method: int(
            ((layer.lower[method][row][units] < low) | (layer.upper[method][row][units] > high)).sum()
        )
        for method in METHODS
    }


def bar_figure(layer: Seen, row: int) -> go.Figure:
    """Intervals of a vector's units, the widest first, with what was seen as points inside."""
    units = widest(layer, row)
    low, high = bar_frame(layer, row, units)
    far = high - low
    ticks = [str(unit + 1) for unit in units]
    figure = go.Figure()
    for method in METHODS:
        # Bars that leave the frame are cut a little outside of it: browsers do not draw infinite ones.
        bottom = np.clip(layer.lower[method][row][units], low - far, high + far)
        top = np.clip(layer.upper[method][row][units], low - far, high + far)
        wide, opaque = BARS[method]
        figure.add_bar(
            x=ticks,
            y=top - bottom,
            base=bottom,
            width=wide,
            name=METHOD_NAMES[method],
            marker={
                "color": faint(COLOURS[method], opaque),
                "line": {"color": COLOURS[method], "width": 1},
            },
            customdata=numbers(units),
            unselected=WHOLE,
            hovertext=[
                f"unit {unit + 1}, {METHOD_NAMES[method]}: {ends(layer, method, row, unit)}"
                for unit in units
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    _add_points(figure, layer, row, units, ticks)
    x = {"title": "unit, widest interval first", "type": "category"}
    y = {"title": "value", "range": [low, high], "zeroline": True}
    return finished(
        figure,
        400,
        x,
        y,
        legend={"y": -0.22},
        barmode="overlay",
        clickmode="event+select",
        hovermode="closest",
    )


def _add_points(figure: go.Figure, layer: Seen, row: int, units: np.ndarray, ticks: list[str]) -> None:
    count, told = len(layer.sampled), numbers(units)
    dots = {"color": "#8a8f98", "size": 4}
    figure.add_scatter(
        x=ticks * count,
        y=layer.sampled[:, row][:, units].ravel(),
        mode="markers",
        name="sampled",
        marker=dots,
        customdata=told * count,
        unselected=WHOLE,
        hoverinfo="skip",
    )
    for name, values in (("clean", layer.clean), ("attacked", layer.attacked)):
        said = f"unit %{{x}}, {name}: %{{y:.3g}}"
        add_mark(figure, name, ticks, values[row][units], 8, said, told=told)


def numbers(units: np.ndarray) -> list[int]:
    """What a click says: the number of a unit."""
    return [int(unit) + 1 for unit in units]


def ends(layer: Seen, method: str, row: int, unit: int) -> str:
    """An interval in words."""
    low, high = float(layer.lower[method][row][unit]), float(layer.upper[method][row][unit])
    return f"{number(low)} to {number(high)}"


def describe_bars(layer: Seen, row: int, label: str) -> str:
    """The chart for those who cannot see it: all units that are few, the five widest of many."""
    units = widest(layer, row)
    rows = (
        f"unit {unit + 1}: IBP {ends(layer, 'ibp', row, unit)}, CROWN {ends(layer, 'crown', row, unit)}, "
        f"clean {number(float(layer.clean[row][unit]))}, attacked "
        f"{number(float(layer.attacked[row][unit]))}"
        for unit in units[:5]
    )
    return f"Intervals of {len(units)} units of {label}, the widest first: {'; '.join(rows)}."


def maps(layer: Seen, method: str, row: int) -> dict[str, np.ndarray]:
    """What the heat maps show: one image each, feature maps side by side with gaps between them.

    What has no end, or overflowed, is a gap too.
    """
    found = {
        "lower": layer.lower[method][row],
        "clean": layer.clean[row],
        "attacked": layer.attacked[row],
        "upper": layer.upper[method][row],
    }
    found["width"] = found["upper"] - found["lower"]
    return {name: mosaic(np.where(np.isfinite(v), v, np.nan)) for name, v in found.items()}


def endless(layer: Seen, method: str, row: int) -> int:
    """How many units have no end on one side."""
    known = np.isfinite(layer.lower[method][row]) & np.isfinite(layer.upper[method][row])
    return int((~known).sum())


def mosaic(values: np.ndarray) -> np.ndarray:
    """C maps (C, H, W) in a grid about as high as wide, a gap of one cell between them."""
    count, height, width = values.shape
    if count == 1:
        return values[0]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan, dtype=values.dtype)
    for index, one in enumerate(values):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        grid[top : top + height, left : left + width] = one
    return grid


def spans(shown: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """The colour scales: one for all values, so that they can be compared, one from 0 for the width."""
    values = np.concatenate([v[np.isfinite(v)] for name, v in shown.items() if name != "width"])
    width = shown["width"][np.isfinite(shown["width"])]
    common = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if common[0] == common[1]:
        common = (common[0], common[0] + 1)
    own = (0.0, float(width.max()) if len(width) and width.max() > 0 else 1.0)
    return {name: own if name == "width" else common for name in shown}


def map_figure(
    values: np.ndarray, span: tuple[float, float], units: Mapping[int, tuple[int, int]] | None = None
) -> go.Figure:
    """One heat map with a colour bar below it. units: row and column of those that a click can name."""
    low, high = span
    figure = go.Figure(
        go.Heatmap(
            z=values,
            zmin=low,
            zmax=high,
            colorscale=SCALE,
            hovertemplate="row %{y}, column %{x}: %{z:.3g}<extra></extra>",
            hoverongaps=False,
            colorbar={
                "orientation": "h",
                "thickness": 8,
                "len": 1.0,
                "y": -0.02,
                "yanchor": "top",
                "tickvals": [low, high],
                "ticktext": [number(low), number(high)],
                "ticklabelposition": "outside",
                "ticks": "outside",
                "outlinewidth": 0,
                "tickfont": {"color": INK},
            },
        )
    )
    if units:
        _add_targets(figure, values, units)
    x = {"visible": False, "constrain": "domain"}
    y = {"visible": False, "autorange": "reversed", "scaleanchor": "x"}
    figure = finished(figure, SIDE + 40, x, y, width=SIDE)
    return figure.update_layout(margin={"l": 8, "r": 8, "t": 4, "b": 36})


def cells(shape: tuple[int, ...], wanted: np.ndarray) -> dict[int, tuple[int, int]]:
    """Number of a unit, from 1 -> its row and column in the mosaic of maps of that shape."""
    grid = mosaic(np.arange(1.0, np.prod(shape) + 1).reshape(shape))
    places = {
        int(grid[row, column]): (row, column) for row, column in np.argwhere(np.isfinite(grid)).tolist()
    }
    return {number: places[number] for number in numbers(wanted)}


def _add_targets(figure: go.Figure, values: np.ndarray, units: Mapping[int, tuple[int, int]]) -> None:
    """What a click on a heat map meets, as heat maps select nothing: squares that are not seen."""
    rows, columns = zip(*units.values(), strict=True)
    unseen = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x=columns,
        y=rows,
        mode="markers",
        customdata=[[number, float(values[place])] for number, place in units.items()],
        marker={"symbol": "square", "size": max(3.0, SIDE / values.shape[1]), "opacity": 0},
        selected=unseen,
        unselected=unseen,
        hovertemplate="row %{y}, column %{x}: %{customdata[1]:.3g}<extra></extra>",
        showlegend=False,
    )


def describe_map(name: str, values: np.ndarray, label: str) -> str:
    """A heat map for those who cannot see it."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return f"Heat map of {label}, {name}: nothing has an end."
    low, middle, high = float(finite.min()), float(finite.mean()), float(finite.max())
    return f"Heat map of {label}, {name}: from {number(low)} to {number(high)}, mean {number(middle)}."
