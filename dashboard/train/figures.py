"""The chart of a training, from plain numbers. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard.shared.chart_theme import finished
from dashboard.shared.curves import BELOW
from dashboard.shared.figures import COLOURS, GREY, QUIET, faint
from dashboard.train import text
from dashboard.train.compute import Limits, Snapshot

HEIGHT = 260


def frame(shots: Sequence[Snapshot], limits: Limits) -> tuple[float, float]:
    """The y axis: it follows what is attained, never the proofs, and ends somewhat below the constant
    decoder: models of the first epochs lie far below it."""
    constant = limits.constant
    high = max([shot.clean for shot in shots] + [constant + 100, limits.ceiling])
    low = min([shot.attained for shot in shots] + [constant])
    low = max(low, constant - BELOW * (high - constant))
    pad = 0.05 * (high - low)
    return low - pad, high + pad


def epochs_figure(shots: Sequence[Snapshot], epochs: int, limits: Limits, chosen: int) -> go.Figure:
    """Mean ELBOs over the epochs so far, of `epochs`: clean, attained, proved, the open gap; the constant
    decoder's worst case and the ceiling; and the epoch that is shown as a cursor."""
    low, high = frame(shots, limits)
    figure, at = go.Figure(), [shot.epoch for shot in shots]
    grey = {"color": GREY, "width": 2}
    for value, dash in ((limits.constant, "solid"), (limits.ceiling, "longdash")):
        figure.add_scatter(x=[0, epochs], y=[value] * 2, mode="lines", line=grey | {"dash": dash}, **QUIET)
    ink = {"color": COLOURS[1], "width": 2.5}
    dotted = ink | {"dash": "dot", "width": 2}
    figure.add_scatter(x=at, y=[shot.clean for shot in shots], mode="lines", line=dotted, **QUIET)
    figure.add_scatter(
        x=at,
        y=[shot.attained for shot in shots],
        mode="lines+markers",
        line=ink,
        marker={"size": 6},
        customdata=[described(shot, limits).replace(", ", ",<br>") for shot in shots],
        hovertemplate="%{customdata}<extra></extra>",
    )
    # What leaves the frame is drawn leaving it.
    proved = np.clip([shot.proved for shot in shots], low - 3 * (high - low), high)
    figure.add_scatter(
        x=at,
        y=proved.tolist(),
        mode="lines",
        line=ink | {"dash": "dash"},
        fill="tonexty",
        fillcolor=faint(COLOURS[1], 0.15),
        **QUIET,
    )
    cursor = {"type": "line", "x0": chosen, "x1": chosen, "y0": 0, "y1": 1, "yref": "y domain"}
    pad = 0.02 * epochs
    return finished(
        figure,
        HEIGHT,
        {"title": "epoch", "range": [-pad, epochs + pad], "zeroline": False},
        {"title": "mean ELBO (nats)", "range": [low, high], "zeroline": False},
        hovermode="closest",
        shapes=[cursor | {"line": {"color": GREY, "width": 1.5}}],
    )


def described(shot: Snapshot, limits: Limits) -> str:
    """An epoch in words."""
    return text.described(shot.epoch, shot.clean, shot.attained, shot.proved, limits.constant)


def way(chosen: Snapshot | None, limits: Limits) -> str:
    """How much of what is possible is proved, in words."""
    share = None if chosen is None else limits.share(chosen.proved)
    return text.way(share, limits.constant, limits.ceiling)


def describe(shots: Sequence[Snapshot], chosen: Snapshot | None, limits: Limits) -> str:
    """The chart for those who cannot see it."""
    if chosen is None:
        return f"Line chart of the mean ELBO over epochs, yet without any. {way(None, limits)}"
    said = f"At {described(chosen, limits)}. {way(chosen, limits)}"
    return f"Line chart of the mean ELBO over {len(shots) - 1} epochs. {said}"
