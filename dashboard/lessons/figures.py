"""The lessons' charts, from plain arrays. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dashboard.shared.chart_theme import INK, finished
from dashboard.shared.figures import COLOURS, GREY

STROKES = {"ibp": "solid", "crown": "dash"}


@dataclass(frozen=True)
class Row:
    """One line of the strip: what it is, and its ELBOs, nats."""

    name: str
    values: Sequence[float]
    colour: str = GREY
    symbol: str = "circle"


def kl_figure(kl: np.ndarray) -> go.Figure:
    """What each latent dimension costs, (k,) nats."""
    figure = go.Figure()
    figure.add_bar(
        x=np.arange(1, len(kl) + 1),
        y=kl,
        marker={"color": COLOURS[1]},
        hovertemplate="dimension %{x}: %{y:.2f} nats<extra></extra>",
    )
    x = {"title": "latent dimension", "dtick": max(1, len(kl) // 8)}
    return finished(figure, 260, x, {"title": "KL (nats)", "rangemode": "tozero"})


def map_figure(drop: np.ndarray) -> go.Figure:
    """How far the ELBO falls for each pixel alone, (H, W) nats, >= 0."""
    figure = go.Figure()
    figure.add_heatmap(
        z=drop,
        colorscale="Cividis",
        colorbar={
            "title": {"text": "drop (nats)", "side": "right", "font": {"color": INK}},
            "tickfont": {"color": INK},
            "thickness": 14,
        },
        hovertemplate="row %{y}, column %{x}: %{z:.2f} nats lower<extra></extra>",
    )
    x = {"visible": False, "constrain": "domain"}
    return finished(figure, 340, x, x | {"autorange": "reversed", "scaleanchor": "x"})


def steps_figure(right: np.ndarray, wrong: np.ndarray) -> go.Figure:
    """ELBO after each step, (T + 1,) nats."""
    figure = go.Figure()
    for name, values, colour, dash in (
        ("differentiated at x'", right, COLOURS[1], "solid"),
        ("clamp inside the graph", wrong, COLOURS[0], "dash"),
    ):
        figure.add_scatter(
            y=values,
            mode="lines",
            line={"color": colour, "width": 2.5, "dash": dash},
            hovertemplate=f"{name}, step %{{x}}: %{{y:.1f}} nats<extra></extra>",
        )
    x = {"title": "gradient step", "rangemode": "tozero"}
    return finished(figure, 340, x, {"title": "ELBO (nats)", "zeroline": False})


def widths_figure(widths: Mapping[tuple[str, str], Mapping[str, float]]) -> go.Figure:
    """Mean widths by (colour, method), each layer -> width; on a logarithmic axis, where 0 has no place."""
    figure = go.Figure()
    for (colour, method), layers in widths.items():
        figure.add_scatter(
            x=[short(name) for name in layers],
            y=[width if width > 0 else None for width in layers.values()],
            mode="lines+markers",
            line={"color": colour, "width": 2.5, "dash": STROKES[method]},
            marker={"size": 6, "symbol": "circle" if method == "ibp" else "square"},
            hovertemplate="%{x}: %{y:.3g} wide<extra></extra>",
        )
    y = {"title": "mean width of the intervals", "type": "log", "exponentformat": "power"}
    return finished(figure, 380, {"tickangle": -60}, y)


def short(layer: str) -> str:
    """A layer's name for an axis: "encoder 1 Linear" -> "enc 1 linear"."""
    part, *rest = layer.split(" ")
    return " ".join([part[:3] if rest else part, *(word.lower() for word in rest)])


def strip_figure(rows: Sequence[Row], bound: float) -> go.Figure:
    """ELBOs as points, one row a kind, the proved bound as a line through all of them."""
    figure = go.Figure()
    for row in rows:
        several = len(row.values) > 1
        figure.add_scatter(
            x=list(row.values),
            y=[row.name] * len(row.values),
            mode="markers",
            marker={
                "color": row.colour,
                "size": 14 if several else 12,
                "symbol": "line-ns-open" if several else row.symbol,
            },
            hovertemplate=f"{row.name}: %{{x:.1f}} nats<extra></extra>",
        )
    if np.isfinite(bound):
        figure.add_vline(x=bound, line={"color": COLOURS[1], "width": 2, "dash": "dash"})
        figure.add_annotation(x=bound, y=1, yref="paper", yanchor="bottom", text="proved", showarrow=False)
    x = {"title": "ELBO (nats)", "zeroline": False}
    return finished(figure, 90 + 38 * len(rows), x, {"autorange": "reversed", "automargin": True}, top=30)
