"""Plain results -> plotly figures. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dashboard.text import nats, signed

COLOURS = ("#D55E00", "#0072B2")
"""Okabe-Ito vermilion and blue, of the left and the right model."""


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


def frame(lines: Sequence[Line]) -> tuple[float, float]:
    """The y axis: it follows what is attained and the thresholds, never the proved bounds."""
    values = np.concatenate([[line.clean, line.threshold, *line.attained] for line in lines])
    low, high = float(values.min()), float(values.max())
    pad = 0.06 * max(high - low, 10.0)
    return low - pad, high + pad


def curve_figure(lines: Sequence[Line], eps: float) -> go.Figure:
    """ELBO over eps: clean, attained, proved, the open gap, thresholds, and eps as a cursor."""
    low, high = frame(lines)
    figure = go.Figure()
    for line in lines:
        _add_line(figure, line, low, high)
    _add_thresholds(figure, lines)
    figure.add_vline(x=eps, line={"color": "#808080", "width": 1.5})
    figure.add_annotation(x=eps, y=1, yref="paper", yanchor="bottom", text=f"eps {eps:g}", showarrow=False)
    right = max(float(line.eps.max()) for line in lines)
    figure.update_layout(
        height=460,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.2, "x": 0, "groupclick": "togglegroup"},
        dragmode=False,
    )
    figure.update_xaxes(title="eps, the most each pixel may change", range=[0, right], fixedrange=True)
    figure.update_yaxes(title="ELBO (nats)", range=[low, high], fixedrange=True, zeroline=False)
    return figure


def _add_line(figure: go.Figure, line: Line, low: float, high: float) -> None:
    """The three values of one model. What leaves the frame is drawn leaving it."""
    below = low - (high - low)
    proved = np.maximum(line.proved, below)
    group = {"legendgroup": line.name, "legendgrouptitle_text": line.name}
    ink = {"color": line.colour, "width": 2}
    figure.add_scatter(
        x=line.eps,
        y=np.full_like(line.eps, line.clean),
        mode="lines",
        line=ink | {"dash": "dot", "width": 1.5},
        name="clean",
        hoverinfo="skip",
        **group,
    )
    figure.add_scatter(
        x=line.eps,
        y=line.attained,
        mode="lines+markers",
        line=ink,
        marker={"size": 5},
        name="attained",
        customdata=[hover(line, i) for i in range(len(line.eps))],
        hovertemplate="%{customdata}<extra></extra>",
        **group,
    )
    figure.add_scatter(
        x=line.eps,
        y=np.maximum(proved, low),
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=_faint(line.colour),
        name="open",
        hoverinfo="skip",
        **group,
    )
    figure.add_scatter(
        x=line.eps,
        y=proved,
        mode="lines",
        line=ink | {"dash": "dash"},
        name="proved",
        hoverinfo="skip",
        **group,
    )


def _add_thresholds(figure: go.Figure, lines: Sequence[Line]) -> None:
    common = len({line.threshold for line in lines}) == 1
    for line in lines[:1] if common else lines:
        name = "threshold" if common else f"threshold, {line.name}"
        figure.add_hline(
            y=line.threshold,
            line={"color": "#808080" if common else line.colour, "width": 1, "dash": "longdashdot"},
            annotation={"text": f"{name} {nats(line.threshold)}", "font": {"size": 11}},
            annotation_position="bottom right",
        )


def hover(line: Line, i: int) -> str:
    """All that is known at one radius, in words."""
    gap = line.attained[i] - line.proved[i]
    proved = "proved: vacuous" if np.isinf(gap) else f"proved at least {nats(line.proved[i])}"
    left = "" if np.isinf(gap) else f", open gap {nats(gap)}"
    return (
        f"<b>{line.name}</b>: clean {nats(line.clean)}, attained {nats(line.attained[i])}, {proved}{left}"
    )


def describe(lines: Sequence[Line], eps: float) -> str:
    """The chart for those who cannot see it."""
    at = [hover(line, int(np.abs(line.eps - eps).argmin())) for line in lines]
    plain = "; ".join(text.replace("<b>", "").replace("</b>", "") for text in at)
    return f"Line chart of the ELBO in nats over eps. At eps {eps:g}: {plain}."


@dataclass(frozen=True)
class Loss:
    """Where a drop from clean came from, nats, both parts at most 0 or little above."""

    name: str
    recon: float
    kl: float


def loss_figure(losses: Sequence[Loss], colour: str) -> go.Figure:
    """Drops from clean as stacked bars: reconstruction term and KL term."""
    figure = go.Figure()
    names = [loss.name for loss in losses]
    for part, shade in (("recon", colour), ("kl", _faint(colour, 0.45))):
        values = [getattr(loss, part) for loss in losses]
        figure.add_bar(
            y=names,
            x=values,
            orientation="h",
            name="reconstruction term" if part == "recon" else "KL term",
            marker={"color": shade},
            hovertemplate=[f"{signed(v)} nats<extra></extra>" for v in values],
        )
    figure.update_layout(
        barmode="relative",
        height=150,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "y": 1.35, "x": 0},
        dragmode=False,
    )
    figure.update_xaxes(title="change from clean (nats)", fixedrange=True, zeroline=True)
    figure.update_yaxes(autorange="reversed", fixedrange=True)
    return figure


def _faint(colour: str, alpha: float = 0.15) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
