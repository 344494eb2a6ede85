"""Width per layer, and what decides the ReLUs, as charts. No Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.inspection import METHODS
from dashboard.inspector.compute import Seen
from dashboard.inspector.text import REACHED, number, share, wide
from dashboard.shared.chart_theme import ABOVE, finished
from dashboard.shared.curves import PALETTE
from dashboard.shared.figures import GREY, faint
from dashboard.shared.text import METHOD_NAMES

COLOURS = {"ibp": PALETTE[0], "crown": PALETTE[1], REACHED: PALETTE[2]}
STYLES = {"ibp": ("dash", "square-open"), "crown": ("solid", "diamond"), REACHED: ("dot", "circle")}
SIZES = {"ibp": 13, "crown": 8, REACHED: 7}
"""The first line is seen around the second where they are the same."""
NAMES = {method: METHOD_NAMES[method] for method in METHODS} | {REACHED: "reached by images"}
MARKS = {"clean": ("circle", "#ffffff"), "attacked": ("x", "#ffd400")}
LINES = (*METHODS, REACHED)
WHOLE = {"marker": {"opacity": 1}}
"""Of points that are not clicked: they stay as they are."""
EXPLODES = 1e6
"""So many times as wide as what images reach anywhere is beyond the frame."""
STATES = (
    ("active", "stable active", PALETTE[1], ""),
    ("dead", "dead", "#999999", "x"),
    ("open", "unstable", PALETTE[4], "/"),
)
"""Attribute of Units, its name, colour, pattern."""


def widths(layer: Seen) -> dict[str, float]:
    """Mean widths of a layer by line."""
    return {**layer.widths, REACHED: layer.reached}


def frame(layers: Sequence[Seen]) -> tuple[float, float] | None:
    """The widths that the axis spans; None where nothing moves, or nothing has an end."""
    shown = [widths(layer) for layer in layers]
    reached = [row[REACHED] for row in shown if 0 < row[REACHED] < math.inf]
    # At eps 0 there is nothing but what rounding is allowed.
    calm = reached or [row["crown"] for row in shown if 0 < row["crown"] < math.inf]
    if not calm:
        return None
    low, most = max(min(calm), max(calm) * 1e-9), EXPLODES * max(calm)
    high = max(max(calm), *(w for row in shown for w in row.values() if w <= most))
    return low / 2, high * 2


def width_figure(layers: Sequence[Seen], names: Mapping[str, str], chosen: str = "") -> go.Figure:
    """Mean width per layer, logarithmic; what explodes is marked at the frame, without a number.

    chosen: the key of a layer that is marked. A click says the key of a layer."""
    figure, span = go.Figure(), frame(layers)
    ticks = [names[layer.name] for layer in layers]
    low, high = span or (0.1, 1.0)
    for line in LINES:
        values = [widths(layer)[line] for layer in layers]
        dash, symbol = STYLES[line]
        inside = [value <= high for value in values]
        figure.add_scatter(
            x=ticks,
            y=[min(v, high) if v >= low else None for v in values],
            mode="lines+markers",
            name=NAMES[line],
            line={"color": COLOURS[line], "dash": dash, "width": 2.5},
            marker={
                "symbol": [symbol if known else "arrow-up" for known in inside],
                "size": [SIZES[line] if known else 13 for known in inside],
                "line": {"width": 2},
            },
            cliponaxis=False,
            customdata=[layer.key for layer in layers],
            unselected=WHOLE,
            hovertext=[f"{NAMES[line]}: {said(v, high)}" for v in values],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    burst = [layer for layer in layers if widths(layer)["ibp"] > high]
    if burst:
        figure.add_annotation(
            x=names[burst[0].name],
            y=1,
            yref="paper",
            text=f"{NAMES['ibp']} explodes \N{RIGHTWARDS ARROW}",
            showarrow=False,
            yanchor="bottom",
            xanchor="left",
            yshift=6,
        )
    places = [place for place, layer in enumerate(layers) if layer.key == chosen]
    if chosen and not places:  # the likelihood scores what the decoder gives
        places = [place for place, layer in enumerate(layers) if layer.kind == "natural"]
    for place in places:
        band = {"fillcolor": faint(GREY, 0.18), "line_width": 0, "layer": "below"}
        figure.add_vrect(x0=place - 0.5, x1=place + 0.5, **band)
    x = {"tickangle": -45, "categoryorder": "array", "categoryarray": ticks}
    y = {
        "title": "mean width",
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "exponentformat": "power",
        "dtick": 1 if high / low < 1e7 else 2,
        "zeroline": False,
    }
    return finished(
        figure, 400, x, y, top=30, legend={"y": -0.45}, hovermode="x unified", clickmode="event+select"
    )


def add_mark(
    figure: go.Figure,
    name: str,
    x: Sequence[Any],
    y: Any,
    size: float,
    hover: str,
    edge: float = 1,
    told: Any = None,
) -> None:
    """Values of the clean image, or of the attacked one, as points. told: what a click says of each."""
    symbol, colour = MARKS[name]
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name=name,
        marker={
            "symbol": symbol,
            "color": colour,
            "size": size,
            "line": {"color": "#000000", "width": edge},
        },
        customdata=told,
        unselected=WHOLE,
        hovertemplate=f"{hover}<extra></extra>",
    )


def said(value: float, high: float = math.inf) -> str:
    """A width in words."""
    return "explodes" if value > high or math.isinf(value) else number(value)


def describe(layers: Sequence[Seen], names: Mapping[str, str]) -> str:
    """The chart for those who cannot see it."""
    high = (frame(layers) or (0.1, 1.0))[1]
    rows = (
        f"{names[layer.name]}: "
        + ", ".join(f"{NAMES[line]} {said(widths(layer)[line], high)}" for line in LINES)
        for layer in layers
    )
    return f"Line chart of the mean width of each layer's intervals, logarithmic. {'; '.join(rows)}."


def open_share(layers: Sequence[Seen], method: str) -> str:
    """Unstable ReLUs of all layers, in percent."""
    found = [layer.units[method] for layer in layers if layer.kind == "relu"]
    return share(sum(units.open for units in found), sum(units.total for units in found))


def unit_figure(layers: Sequence[Seen], names: Mapping[str, str]) -> go.Figure:
    """ReLUs by what is known of them, a bar a layer and method."""
    figure = go.Figure()
    rows = [(layer, method) for layer in layers if layer.kind == "relu" for method in METHODS]
    ticks = [f"{names[layer.name]}, {METHOD_NAMES[method]}" for layer, method in rows]
    for attribute, name, colour, pattern in STATES:
        shares = [
            100 * getattr(layer.units[method], attribute) / layer.units[method].total
            for layer, method in rows
        ]
        add_part(figure, ticks, shares, name, colour, pattern, f"%{{y}}: {name} %{{x:.1f}} %")
    return stacked(figure, 90 + 24 * len(rows), "share of the units (%)", gap=0.25, range=[0, 100])


def add_part(
    figure: go.Figure,
    rows: Sequence[str],
    values: Sequence[float],
    name: str,
    colour: str,
    pattern: str,
    hover: str,
    **more: Any,
) -> None:
    """One part of each bar."""
    figure.add_bar(
        y=rows,
        x=values,
        orientation="h",
        name=name,
        marker={"color": colour, "pattern": hatched(pattern)},
        hovertemplate=f"{hover}<extra></extra>",
        **more,
    )


def stacked(
    figure: go.Figure, height: int, title: str, gap: float = 0.3, legend: bool = True, **x: Any
) -> go.Figure:
    """Bars one below the other, their parts in a row."""
    y = {"autorange": "reversed", "automargin": True}
    above = ABOVE if legend else None
    return finished(
        figure, height, {"title": title} | x, y, top=5, legend=above, barmode="stack", bargap=gap
    )


def hatched(shape: str) -> dict[str, object]:
    """A second cue beside the colour, over it."""
    return {"shape": shape, "fillmode": "overlay", "fgcolor": "#ffffff", "fgopacity": 0.7, "size": 6}


def describe_units(layers: Sequence[Seen], names: Mapping[str, str]) -> str:
    """The same for those who cannot see it."""
    said_ = []
    for layer in layers:
        for method, units in layer.units.items():
            shares = ", ".join(
                f"{share(getattr(units, attribute), units.total)} {name}" for attribute, name, *_ in STATES
            )
            said_.append(f"{names[layer.name]} by {METHOD_NAMES[method]}: {shares}")
    return f"Bars of what is known of the ReLUs. {'; '.join(said_)}."


def sentence(layer: Seen, label: str) -> str:
    """How wide one layer's intervals are."""
    by = " and ".join(f"{wide(layer.widths[method])} by {METHOD_NAMES[method]}" for method in METHODS)
    return (
        f"{label}: intervals are on average {by}; the images tried moved a unit by {number(layer.reached)}."
    )
