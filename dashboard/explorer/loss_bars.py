"""Where the ELBO was lost, as bars. No Streamlit in here."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.shared.chart_theme import finished
from dashboard.shared.figures import GREY, faint
from dashboard.shared.text import signed


@dataclass(frozen=True)
class Loss:
    """How far from clean an ELBO is, nats, negative is a loss: by term, or both terms together.

    attained  the axis follows what is attained, never a proof.
    """

    name: str
    colour: str
    recon: float = 0.0
    kl: float = 0.0
    both: float = 0.0
    attained: bool = False

    @property
    def total(self) -> float:
        return self.recon + self.kl + self.both


PARTS = (
    ("recon", "reconstruction term", 1.0, "square"),
    ("kl", "KL term", 0.4, "square"),
    ("both", "both terms, bounded together", 0.0, "square-open"),
)
"""Attribute of Loss, its name, how opaque its bars are, and the symbol of the legend."""


NOTE = "#e0e0e0"
# Characters in a line of a bar's label: on a phone the bars need the room. Pixels of a line, and around it.
LABEL, LINE, ROOM = 22, 16, 18


def frame(losses: Sequence[Loss]) -> float | None:
    """Where the axis ends if a proof would squash the bars of what is attained, left of 0 where they lost,
    right of it where they gained; else None."""
    end = 2.5 * max((loss.total for loss in losses if loss.attained), key=abs, default=0.0)
    return end if end and any(_beyond(loss, end) for loss in losses) else None


def _beyond(loss: Loss, end: float) -> bool:
    return loss.total < end if end < 0 else loss.total > end


def loss_figure(losses: Sequence[Loss]) -> go.Figure:
    """Changes from clean as stacked bars on one scale: full colour reconstruction term, faint KL term."""
    figure = go.Figure()
    lines = [textwrap.wrap(loss.name, LABEL) for loss in losses]
    labels = ["<br>".join(label) for label in lines]
    for part, name, alpha, symbol in PARTS:
        values = [getattr(loss, part) for loss in losses]
        if not any(values):
            continue
        colours = [loss.colour for loss in losses]
        outline = {"color": colours, "width": 2 if alpha == 0 else 1}
        figure.add_bar(
            y=labels,
            x=values,
            orientation="h",
            name=name,
            marker={"color": [faint(colour, alpha) for colour in colours], "line": outline},
            hovertemplate=[f"{name} {signed(v)} nats<extra></extra>" for v in values],
            showlegend=False,
        )
        _key(
            figure,
            name,
            mode="markers",
            marker={"color": faint(GREY, alpha or 1), "size": 11, "symbol": symbol},
        )
    end = frame(losses)
    for loss, label in zip(losses, labels, strict=True):
        if end is not None and _beyond(loss, end):
            # Cut off at the frame, so it says how long it is.
            said = f"{signed(loss.total)} nats"
            figure.add_annotation(
                x=end,
                y=label,
                text=f"\N{LEFTWARDS ARROW} {said}" if end < 0 else f"{said} \N{RIGHTWARDS ARROW}",
                showarrow=False,
                xanchor="left" if end < 0 else "right",
                bgcolor=NOTE,
                font={"color": "#000000"},
            )
    height = 110 + len(losses) * (ROOM + LINE * max(map(len, lines), default=1))
    span = None if end is None else sorted((end, -0.05 * end))
    x = {"title": "change from clean (nats)", "zeroline": True, "automargin": True, "range": span}
    y = {"autorange": "reversed", "automargin": True}
    legend = {"y": -0.55, "traceorder": "normal"}
    return finished(figure, height, x, y, top=5, legend=legend, barmode="relative", bargap=0.35)


def _key(figure: go.Figure, name: str, **style: object) -> None:
    """An entry of the legend, without data."""
    figure.add_scatter(x=[None], y=[None], name=name, hoverinfo="skip", **style)
