"""The curves over eps, from plain arrays. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard.shared.chart_theme import finished
from dashboard.shared.lines import Line
from dashboard.shared.text import HUES, METHOD_NAMES, bare, nats, proved_nats

COLOURS = ("#D55E00", "#0072B2")
"""Okabe-Ito vermilion and blue, of the left and the right model."""
GREY = "#808080"


STROKES = {"ibp": "solid", "crown-ibp": "dashdot"}
"""Methods that are computed over the whole range, and how their thin lines are drawn."""
SYMBOLS = {
    "crown": "triangle-up-open",
    "alpha-crown": "square-open",
    "quadratic": "hexagon-open",
    "bab": "star-open",
}
"""Methods that are computed here and there, and what marks them."""
GLYPHS = {"ibp": "──", "crown-ibp": "─·─", "crown": "△", "alpha-crown": "□", "quadratic": "⬡", "bab": "☆"}
"""The same for the legend."""


def frame(lines: Sequence[Line], most: float) -> tuple[float, float]:
    """The y axis up to eps = most: it follows what is attained and the thresholds, never the proofs."""
    values = np.concatenate(
        [[line.clean, line.threshold, *line.attained[line.eps <= most]] for line in lines]
    )
    low, high = float(values.min()), float(values.max())
    pad = 0.07 * max(high - low, 10.0)
    return low - pad, high + pad


def curve_figure(lines: Sequence[Line], eps: float, most: float, axis: str) -> go.Figure:
    """ELBO over eps in [0, most]: clean, attained, proved, the open gap, thresholds, eps as a cursor."""
    low, high = frame(lines, most)
    figure = go.Figure()
    for line in lines:
        add_line(figure, line, _nearer(line.proved, low, high))
        _add_methods(figure, line, low, high, most)
    return finished(
        figure,
        410,
        {"title": axis, "range": [0, most]},
        {"title": "ELBO (nats)", "range": [low, high], "zeroline": False},
        top=28,
        hovermode="x unified",
        # The cursor is the first shape and the first annotation, where stage/frontend/cursor.js finds it.
        shapes=[_cursor(eps), *(_threshold(*level) for level in _levels(lines))],
        annotations=[
            cursor_note(eps, most),
            *(_threshold_note(*level) for level in _levels(lines)),
            *_exits(lines, low, high, most),
        ],
    )


def _cursor(eps: float) -> dict[str, Any]:
    ink = {"color": GREY, "width": 1.5}
    return {"type": "line", "x0": eps, "x1": eps, "y0": 0, "y1": 1, "yref": "y domain", "line": ink}


def cursor_note(eps: float, most: float) -> dict[str, Any]:
    """What the cursor says, inside of the chart wherever it is."""
    return {
        "x": eps,
        "y": 1,
        "yref": "paper",
        "xanchor": "right" if eps > 0.9 * most else "left" if eps < 0.1 * most else "center",
        "yanchor": "bottom",
        "text": f"eps {eps:.6g}",
        "showarrow": False,
    }


EXITS = 0.15
"""Where notes of bounds that leave the frame begin, as a share of the chart's width."""
QUIET = {"hoverinfo": "skip"}
"""Of what says nothing under a pointer: the line of what is attained says it all."""


def add_line(
    figure: go.Figure,
    line: Line,
    proved: np.ndarray,
    widths: tuple[float, float] = (1.5, 2.5),
    alpha: float = 0.15,
    **marker: Any,
) -> None:
    """Draw clean, attained and proved of one model.

    proved  brought near the frame: what leaves it is drawn leaving it. widths: of clean and of proved.
    alpha   of the area that is open. marker: of what is attained.
    """
    ink = {"color": line.colour, "width": 2.5}
    dots, dashes = ({"dash": dash, "width": w} for dash, w in zip(("dot", "dash"), widths, strict=True))
    clean = np.full_like(line.eps, line.clean)
    figure.add_scatter(x=line.eps, y=clean, mode="lines", line=ink | dots, **QUIET)
    figure.add_scatter(
        x=line.eps,
        y=line.attained,
        mode="lines+markers",
        line=ink,
        marker={"size": 6} | marker,
        customdata=[hover(line, i) for i in range(len(line.eps))],
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure.add_scatter(
        x=line.eps,
        y=proved,
        mode="lines",
        line=ink | dashes,
        fill="tonexty",
        fillcolor=faint(line.colour, alpha),
        **QUIET,
    )


def _nearer(bounds: np.ndarray, low: float, high: float) -> np.ndarray:
    """Bounds far beyond the frame, brought near enough to be drawn: the line still leaves it steeply."""
    far = 3 * (high - low)
    return np.clip(bounds, low - far, high + far)


def _add_methods(figure: go.Figure, line: Line, low: float, high: float, most: float) -> None:
    """Which method gave which bound: thin lines over the range, marks where a slow one was computed."""
    whole = QUIET | {"cliponaxis": False}
    for method, (eps, bounds) in line.by_method.items():
        if method in STROKES:
            ink = {"color": line.colour, "width": 1, "dash": STROKES[method]}
            figure.add_scatter(x=eps, y=_nearer(bounds, low, high), mode="lines", line=ink, **QUIET)
        else:
            inside = (bounds >= low) & (bounds <= high) & (eps <= most)
            mark = {"color": line.colour, "size": 9, "symbol": SYMBOLS[method]}
            figure.add_scatter(x=eps[inside], y=bounds[inside], mode="markers", marker=mark, **whole)
    if line.sampled is not None and low <= line.sampled[1] <= high:
        mark = {"color": line.colour, "size": 12, "symbol": "diamond"}
        at, bound, _ = line.sampled
        figure.add_scatter(x=[at], y=[bound], mode="markers", marker=mark, **whole)


def legend(lines: Sequence[Line]) -> str:
    """What strokes and marks mean, as Markdown: it wraps on a narrow screen, where a plotly legend covers
    the chart."""
    parts = [f":{HUES[line.colour]}[■] {line.name}" for line in lines]
    methods = dict.fromkeys(method for line in lines for method in line.by_method)
    sampled = dict.fromkeys(line.sampled[2] for line in lines if line.sampled is not None)
    return marks(parts, methods, (f"◆ {name}" for name in sampled))


def marks(first: Iterable[str], methods: Iterable[str], last: Iterable[str]) -> str:
    """Strokes and marks between what comes first and last."""
    parts = [*first, "┄┄ clean", "─●─ attacked", "╍╍ proved", "▒ open"]
    parts += [f"{GLYPHS[method]} {METHOD_NAMES[method]}" for method in methods]
    parts += last
    return "\u2003 ".join(part.replace(" ", "\u00a0") for part in parts)


def _levels(lines: Sequence[Line]) -> list[tuple[float, str, bool]]:
    """The thresholds: level, colour, whether the label is above the line. One a model, or a grey one if
    they are the same; labels on the far sides."""
    levels = {line.threshold: line.colour for line in lines}
    if len(levels) == 1:
        return [(next(iter(levels)), GREY, False)]
    return [(level, colour, level == max(levels)) for level, colour in levels.items()]


def _threshold(level: float, colour: str, above: bool) -> dict[str, Any]:
    ink = {"color": colour, "width": 1, "dash": "longdashdot"}
    return {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": level, "y1": level, "line": ink}


def _threshold_note(level: float, colour: str, above: bool) -> dict[str, Any]:
    return {
        "x": 1,
        "y": level,
        "xref": "x domain",
        "xanchor": "right",
        "yanchor": "bottom" if above else "top",
        "text": f"{_dot(colour)} alarm {bare(level, 0)}",
        "showarrow": False,
        "font": {"size": 12},
    }


def _exits(lines: Sequence[Line], low: float, high: float, most: float) -> Iterator[dict[str, Any]]:
    """Say where a proved bound leaves the frame, so that nobody takes the frame for the bound."""
    for row, line in enumerate(lines):
        text = leaves(line, low if line.side == "lower" else high, most)
        if text is None:
            continue
        at = 0.02 + 0.11 * row
        yield {
            "x": EXITS,
            "y": at if line.side == "lower" else 1 - at,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "left",
            "yanchor": "bottom" if line.side == "lower" else "top",
            "text": f"{_dot(line.colour)} {text.replace(', ', ',<br>')}",
            "showarrow": False,
            "align": "left",
            "font": {"size": 12},
        }


def leaves(line: Line, edge: float, most: float) -> str | None:
    """From which eps the proved bound is beyond the frame's edge, lower or upper, and from which it is
    vacuous."""
    where, beyond = ("below", line.proved < edge) if line.side == "lower" else ("above", line.proved > edge)
    inside = line.eps <= most
    outside, vacuous = line.eps[inside & beyond], line.eps[inside & np.isinf(line.proved)]
    if len(outside) == 0:
        return None
    if len(vacuous) == 0:
        return f"proved: {where} the frame from eps {outside[0]:.6g}"
    if vacuous[0] == outside[0]:
        return f"nothing proved from eps {vacuous[0]:.6g}"
    return f"proved: {where} the frame from eps {outside[0]:.6g}, nothing from {vacuous[0]:.6g}"


def hover(line: Line, i: int) -> str:
    """All that is known at one radius, in words."""
    gap = abs(line.attained[i] - line.proved[i])
    known = f"clean {nats(line.clean, 1)}, attacked {nats(line.attained[i], 1)}"
    if np.isinf(gap):
        return f"<b>{line.name}</b>: {known}, proved: nothing"
    most = "at least" if line.side == "lower" else "at most"
    bound = f"proved {most} {proved_nats(line.proved[i], 1, line.side)} by {METHOD_NAMES[line.how[i]]}"
    return f"<b>{line.name}</b>: {known},<br>{bound}, open {nats(gap, 1)}{_sampled(line, line.eps[i])}"


def _sampled(line: Line, eps: float) -> str:
    if line.sampled is None or abs(line.sampled[0] - eps) > 1e-12:
        return ""
    return f",<br>{line.sampled[2]}: {proved_nats(line.sampled[1], 1)}"


def describe(lines: Sequence[Line], eps: float) -> str:
    """The chart for those who cannot see it."""
    at = [hover(line, int(np.abs(line.eps - eps).argmin())) for line in lines]
    plain = "; ".join(at).replace("<b>", "").replace("</b>", "").replace("<br>", " ")
    return f"Line chart of the ELBO in nats over eps. At eps {eps:.6g}: {plain}."


def _dot(colour: str) -> str:
    """Colour beside the text, not on it: coloured text is hard to read on one of the two themes."""
    return f'<span style="color:{colour}">\N{BLACK SQUARE}</span>'


def faint(colour: str, alpha: float) -> str:
    """A colour that lets others through."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
