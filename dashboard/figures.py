"""Plain results -> plotly figures. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dashboard.text import nats, signed

COLOURS = ("#D55E00", "#0072B2")
"""Okabe-Ito vermilion and blue, of the left and the right model."""
GREY = "#808080"


@dataclass(frozen=True)
class Line:
    """One model's curve. Arrays (E,); `proved` is -inf where the bound is vacuous."""

    name: str
    colour: str
    eps: np.ndarray
    clean: float
    attained: np.ndarray
    proved: np.ndarray
    threshold: float


def frame(lines: Sequence[Line], most: float) -> tuple[float, float]:
    """The y axis up to eps = most: it follows what is attained and the thresholds, never the proofs."""
    values = np.concatenate(
        [[line.clean, line.threshold, *line.attained[line.eps <= most]] for line in lines]
    )
    low, high = float(values.min()), float(values.max())
    pad = 0.07 * max(high - low, 10.0)
    return low - pad, high + pad


def curve_figure(lines: Sequence[Line], eps: float, most: float) -> go.Figure:
    """ELBO over eps in [0, most]: clean, attained, proved, the open gap, thresholds, eps as a cursor."""
    low, high = frame(lines, most)
    figure = go.Figure()
    for line in lines:
        _add_line(figure, line, low, high)
    _add_legend(figure, lines)
    _add_thresholds(figure, lines)
    _add_exits(figure, lines, low, most)
    figure.add_vline(x=eps, line={"color": GREY, "width": 1.5})
    figure.add_annotation(
        x=eps, y=1, yref="paper", yanchor="bottom", text=f"eps {eps:.6g}", showarrow=False
    )
    figure.update_layout(
        height=430,
        margin={"l": 10, "r": 10, "t": 28, "b": 10},
        hovermode="x unified",
        legend={
            "orientation": "h",
            "y": -0.18,
            "x": 0,
            "traceorder": "normal",
            "itemclick": False,
            "itemdoubleclick": False,
        },
        dragmode=False,
    )
    figure.update_xaxes(title="eps: the most each pixel may change", range=[0, most], fixedrange=True)
    figure.update_yaxes(title="ELBO (nats)", range=[low, high], fixedrange=True, zeroline=False)
    return figure


def _add_line(figure: go.Figure, line: Line, low: float, high: float) -> None:
    """The three values of one model. What leaves the frame is drawn leaving it."""
    proved = np.maximum(line.proved, low - 3 * (high - low))
    quiet = {"hoverinfo": "skip", "showlegend": False}
    ink = {"color": line.colour, "width": 2.5}
    clean = np.full_like(line.eps, line.clean)
    figure.add_scatter(x=line.eps, y=clean, mode="lines", line=ink | {"dash": "dot", "width": 1.5}, **quiet)
    figure.add_scatter(
        x=line.eps,
        y=line.attained,
        mode="lines+markers",
        line=ink,
        marker={"size": 6},
        showlegend=False,
        customdata=[hover(line, i) for i in range(len(line.eps))],
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure.add_scatter(
        x=line.eps,
        y=proved,
        mode="lines",
        line=ink | {"dash": "dash"},
        fill="tonexty",
        fillcolor=_faint(line.colour),
        **quiet,
    )


def _add_legend(figure: go.Figure, lines: Sequence[Line]) -> None:
    """Colours say which model, strokes say which value."""
    for line in lines:
        _key(
            figure, line.name, mode="markers", marker={"color": line.colour, "size": 11, "symbol": "square"}
        )
    grey = {"color": GREY, "width": 2.5}
    _key(figure, "clean", mode="lines", line=grey | {"dash": "dot", "width": 1.5})
    _key(figure, "attained", mode="lines+markers", line=grey, marker={"size": 6})
    _key(figure, "proved", mode="lines", line=grey | {"dash": "dash"})
    _key(
        figure, "open", mode="markers", marker={"color": _faint(GREY, 0.3), "size": 14, "symbol": "square"}
    )


def _key(figure: go.Figure, name: str, **style: object) -> None:
    figure.add_scatter(x=[None], y=[None], name=name, hoverinfo="skip", **style)


def _add_thresholds(figure: go.Figure, lines: Sequence[Line]) -> None:
    """One line a model, or a grey one if they are the same; labels on the far sides."""
    levels = {line.threshold: line.colour for line in lines}
    common, highest = len(levels) == 1, max(levels)
    for level, colour in levels.items():
        shown = GREY if common else colour
        figure.add_hline(
            y=level,
            line={"color": shown, "width": 1, "dash": "longdashdot"},
            annotation={"text": f"{_dot(shown)} threshold {nats(level)}", "font": {"size": 12}},
            annotation_position="top right" if level == highest and not common else "bottom right",
        )


def _add_exits(figure: go.Figure, lines: Sequence[Line], low: float, most: float) -> None:
    """Say where a proved bound leaves the frame, so that nobody takes the frame for the bound."""
    for row, line in enumerate(lines):
        text = leaves(line, low, most)
        if text is None:
            continue
        figure.add_annotation(
            x=0.03,
            y=0.02 + 0.07 * row,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            text=f"{_dot(line.colour)} {text}",
            showarrow=False,
            align="left",
            font={"size": 12},
        )


def leaves(line: Line, low: float, most: float) -> str | None:
    """From which eps the proved bound is below the frame, and from which it is vacuous."""
    inside = line.eps <= most
    below, vacuous = line.eps[inside & (line.proved < low)], line.eps[inside & np.isneginf(line.proved)]
    if len(below) == 0:
        return None
    if len(vacuous) == 0:
        return f"proved: below the frame from eps {below[0]:.6g}"
    if vacuous[0] == below[0]:
        return f"proved: vacuous from eps {vacuous[0]:.6g}"
    return f"proved: below the frame from eps {below[0]:.6g}, vacuous from {vacuous[0]:.6g}"


def hover(line: Line, i: int) -> str:
    """All that is known at one radius, in words."""
    gap = line.attained[i] - line.proved[i]
    known = f"clean {nats(line.clean)}, attained {nats(line.attained[i])}"
    if np.isinf(gap):
        return f"<b>{line.name}</b>: {known}, proved: vacuous"
    return f"<b>{line.name}</b>: {known},<br>proved at least {nats(line.proved[i])}, open gap {nats(gap)}"


def describe(lines: Sequence[Line], eps: float) -> str:
    """The chart for those who cannot see it."""
    at = [hover(line, int(np.abs(line.eps - eps).argmin())) for line in lines]
    plain = "; ".join(at).replace("<b>", "").replace("</b>", "").replace("<br>", " ")
    return f"Line chart of the ELBO in nats over eps. At eps {eps:.6g}: {plain}."


@dataclass(frozen=True)
class Loss:
    """How far below clean an ELBO is, by term: nats, negative is a loss."""

    name: str
    colour: str
    recon: float
    kl: float


def loss_figure(losses: Sequence[Loss]) -> go.Figure:
    """Drops from clean as stacked bars on one scale: full colour reconstruction term, faint KL term."""
    figure = go.Figure()
    names = [loss.name for loss in losses]
    for part, name, alpha in (("recon", "reconstruction term", 1.0), ("kl", "KL term", 0.4)):
        values = [getattr(loss, part) for loss in losses]
        figure.add_bar(
            y=names,
            x=values,
            orientation="h",
            name=name,
            marker={"color": [_faint(loss.colour, alpha) for loss in losses]},
            hovertemplate=[f"{name} {signed(v)} nats<extra></extra>" for v in values],
            showlegend=False,
        )
        square = {"color": _faint(GREY, alpha), "size": 11, "symbol": "square"}
        _key(figure, name, mode="markers", marker=square)
    figure.update_layout(
        barmode="relative",
        bargap=0.35,
        height=110 + 34 * len(losses),
        margin={"l": 10, "r": 10, "t": 5, "b": 10},
        legend={
            "orientation": "h",
            "y": -0.75,
            "x": 0,
            "traceorder": "normal",
            "itemclick": False,
            "itemdoubleclick": False,
        },
        dragmode=False,
    )
    figure.update_xaxes(title="change from clean (nats)", fixedrange=True, zeroline=True, automargin=True)
    figure.update_yaxes(autorange="reversed", fixedrange=True, automargin=True)
    return figure


def _dot(colour: str) -> str:
    """Colour beside the text, not on it: coloured text is hard to read on one of the two themes."""
    return f'<span style="color:{colour}">\N{BLACK SQUARE}</span>'


def _faint(colour: str, alpha: float = 0.15) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
