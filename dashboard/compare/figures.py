"""The charts of the page of comparisons, from plain values. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import starmap
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard.compare.compute import Entry
from dashboard.shared.chart_theme import finished
from dashboard.shared.curves import GLYPHS, PALETTE, SYMBOLS, coloured, wrapped
from dashboard.shared.figures import GREY, QUIET, Line, add_line, cursor_note, faint, leaves
from dashboard.shared.lines import line_of

_MARKS = 0.05
"""Every how much of the chart's width a marker is drawn."""


@dataclass(frozen=True)
class Share:
    """A model's images over the radii eps: which share is certified, which is not broken; in [0, 1]."""

    name: str
    place: int
    eps: Sequence[float]
    certified: Sequence[float]
    unbroken: Sequence[float]


def line(entry: Entry) -> Line:
    """What the explorer draws of a model, in the colour that it has here."""
    return line_of(entry.curve, entry.name, PALETTE[entry.place], entry.threshold)


def curve_figure(
    lines: Sequence[Line], eps: float, most: float, span: tuple[float, float], axis: str
) -> go.Figure:
    """ELBO over eps in [0, most] of up to six models; span: the y axis, common to charts side by side."""
    low, high = span
    figure = go.Figure()
    for shown in lines:
        _add(figure, shown, most, low - 3 * (high - low))
    levels = {shown.threshold: shown.colour for shown in lines}
    for level, colour in levels.items():
        ink = {"color": GREY if len(levels) == 1 else colour, "width": 1, "dash": "longdashdot"}
        figure.add_hline(y=level, line=ink)
    return _framed(figure, eps, most, axis, 380, {"title": "ELBO (nats)", "range": [low, high]})


def _add(figure: go.Figure, shown: Line, most: float, floor: float) -> None:
    """One model's lines, and marks on what is proved. What leaves the frame is drawn leaving it."""
    symbol, proved = SYMBOLS[PALETTE.index(shown.colour)], np.maximum(shown.proved, floor)
    add_line(figure, shown, proved, widths=(1, 2), alpha=0.08, size=8, symbol=symbol)
    # Markers where they can be told apart: each model's begin somewhere else.
    step = max(1, round(_MARKS * most / (shown.eps[1] - shown.eps[0]))) if len(shown.eps) > 1 else 1
    mark = {"size": 7, "symbol": f"{symbol}-open", "color": shown.colour}
    figure.add_scatter(x=shown.eps[::step], y=proved[::step], mode="markers", marker=mark, **QUIET)


def share_figure(shares: Sequence[Share], eps: float, most: float, axis: str) -> go.Figure:
    """Share of images over eps in [0, most]: certified and not broken, the open ones between."""
    figure = go.Figure()
    for share in shares:
        colour, symbol = PALETTE[share.place], SYMBOLS[share.place]
        said = [share_words(share, i) for i in range(len(share.eps))]
        # What is broken is broken at every larger eps; what is certified, at every smaller one.
        figure.add_scatter(
            x=list(share.eps),
            y=list(share.unbroken),
            mode="lines+markers",
            line={"color": colour, "width": 2.5, "shape": "hv"},
            marker={"size": 6, "symbol": symbol},
            customdata=said,
            hovertemplate="%{customdata}<extra></extra>",
        )
        figure.add_scatter(
            x=list(share.eps),
            y=list(share.certified),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": "dash", "shape": "vh"},
            marker={"size": 6, "symbol": f"{symbol}-open"},
            fill="tonexty",
            fillcolor=faint(colour, 0.1),
            hoverinfo="skip",
        )
    y = {"title": "share of images", "range": [-0.03, 1.05], "tickformat": ".0%"}
    return _framed(figure, eps, most, axis, 300, y)


def _framed(
    figure: go.Figure, eps: float, most: float, axis: str, height: int, y: Mapping[str, Any]
) -> go.Figure:
    """What both charts have in common; eps as a cursor."""
    figure.add_vline(x=eps, line={"color": GREY, "width": 1.5})
    figure.add_annotation(cursor_note(eps, most))
    x = {"title": axis, "range": [0, most]}
    return finished(figure, height, x, {"zeroline": False, **y}, top=28, hovermode="x unified")


def legend(lines: Sequence[Line], low: float, most: float) -> str:
    """Which colour and symbol is which model, and what left the frame, as HTML: it wraps."""
    parts = []
    for shown in lines:
        note = leaves(shown, low, most)
        said = f" ({escape(note)})" if note else ""
        parts.append(_named(PALETTE.index(shown.colour), shown.name) + said)
    return wrapped(parts)


def names(places: Sequence[tuple[int, str]]) -> str:
    """Which colour and symbol is which model, as HTML."""
    return wrapped(list(starmap(_named, places)))


def _named(place: int, name: str) -> str:
    return coloured(PALETTE[place], GLYPHS[place], name)


def share_words(share: Share, i: int) -> str:
    """The shares at one radius, in words."""
    open_ = share.unbroken[i] - share.certified[i]
    return (
        f"{share.name}: {share.certified[i]:.0%} certified, {open_:.0%} open, "
        f"{1 - share.unbroken[i]:.0%} broken"
    )


def describe_shares(shares: Sequence[Share], eps: float) -> str:
    """The chart for those who cannot see it."""
    said = "; ".join(
        share_words(share, int(np.abs(np.array(share.eps) - eps).argmin())) for share in shares
    )
    return f"Line chart of the share of images over eps. At eps {eps:.6g}: {said}."
