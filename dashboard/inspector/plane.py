"""Two latent dimensions: posteriors, the attack's path, the certified box. No Streamlit in here."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import plotly.graph_objects as go

from core.inspection import METHODS
from dashboard.inspector.compute import Posteriors, View
from dashboard.inspector.text import number
from dashboard.inspector.widths import COLOURS, STYLES, add_mark
from dashboard.shared.chart_theme import INK, finished
from dashboard.shared.curves import PALETTE
from dashboard.shared.figures import faint
from dashboard.shared.text import METHOD_NAMES

BEYOND = 0.6
"""A box that reaches so many times what the images span beyond it does not set the frame."""
HUES = ("#8a8f98", *PALETTE, "#A6761D", "#7570B3", "#66A61E")
"""A colour a class, of the ellipses; the class itself is written, to tell them apart without it."""
OWN, PATH = "#000000", PALETTE[4]
NARROW = 1e-9
"""A box that is no wider is one point, and rounding."""
_TURN = np.linspace(0, 2 * np.pi, 48)


@dataclass(frozen=True)
class Box:
    """Two sides of the certified box of mu: (low, high) across and up; infinite where there is no end."""

    method: str
    across: tuple[float, float]
    up: tuple[float, float]


def choose(view: View, others: Posteriors, across: int, up: int) -> tuple[int, int]:
    """The two dimensions, from 0: those asked for, from 1, or those with the widest box."""
    mu = view.layer("mu")
    for method in reversed(METHODS):
        width = mu.upper[method][0] - mu.lower[method][0]
        if np.isfinite(width).all() and width.max() > NARROW:
            break
    else:  # where no box tells them apart
        width = np.ptp(others.mu, axis=0)
    order = [int(i) for i in np.argsort(-width, kind="stable")]
    first = (
        across - 1 if 0 < across <= len(order) else next(i for i in order if i != up - 1 or len(order) == 1)
    )
    if 0 < up <= len(order):
        return first, up - 1
    return first, next((i for i in order if i != first), first)


def boxes(view: View, dims: tuple[int, int]) -> list[Box]:
    """What IBP and CROWN prove of mu."""
    mu, found = view.layer("mu"), []
    for method in METHODS:
        sides = [(float(mu.lower[method][0][i]), float(mu.upper[method][0][i])) for i in dims]
        found.append(Box(method, sides[0], sides[1]))
    return found


def frame(
    view: View, others: Posteriors, dims: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Both axes: all posteriors and the path, and the boxes that are not absurd beside them."""
    found = []
    for side, dim in enumerate(dims):
        spread = np.exp(view.logvar[0, dim] / 2)
        values = np.concatenate(
            [
                others.mu[:, dim] - others.std[:, dim],
                others.mu[:, dim] + others.std[:, dim],
                view.mu[:, dim],
                [view.mu[0, dim] - spread, view.mu[0, dim] + spread],
            ]
        )
        values = values[np.isfinite(values)]
        low, high = float(values.min()), float(values.max())
        reach = max(high - low, 1e-6)
        for box in boxes(view, dims):
            ends = (box.across, box.up)[side]
            if low - BEYOND * reach < ends[0] and ends[1] < high + BEYOND * reach:
                low, high = min(low, ends[0]), max(high, ends[1])
        pad = 0.06 * (high - low)
        found.append((low - pad, high + pad))
    return found[0], found[1]


def leaves(view: View, others: Posteriors, dims: tuple[int, int]) -> list[str]:
    """The boxes that do not fit, by method."""
    across, up = frame(view, others, dims)
    return [
        box.method
        for box in boxes(view, dims)
        if box.across[0] < across[0] or box.across[1] > across[1] or box.up[0] < up[0] or box.up[1] > up[1]
    ]


def plane_figure(view: View, others: Posteriors, dims: tuple[int, int]) -> go.Figure:
    """The latent plane."""
    figure, (across, up) = go.Figure(), frame(view, others, dims)
    _add_others(figure, others, dims)
    for box in boxes(view, dims):
        _add_box(figure, box, across, up)
    first, last = view.mu[0, dims], view.mu[view.best, dims]
    std = np.exp(view.logvar / 2)
    ink = {"color": faint(OWN, 1), "width": 2}
    # A light line below the dark one: the image's own ellipse shows on both themes.
    for stroke in ({"color": "#ffffff", "width": 4}, ink):
        x, y = ellipse(first, std[0, dims])
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line=stroke,
            name="this image's posterior",
            showlegend=stroke is ink,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=view.mu[: view.best + 1, dims[0]],
        y=view.mu[: view.best + 1, dims[1]],
        mode="lines+markers",
        name="the attack's path",
        line={"color": PATH, "width": 2},
        marker={"size": 5},
        hovertext=[f"step {i} of {view.best}" for i in range(view.best + 1)],
        hovertemplate="%{hovertext}: %{x:.3g}, %{y:.3g}<extra></extra>",
    )
    for name, (x, y) in (("clean", first), ("attacked", last)):
        add_mark(figure, name, [x], [y], 11, f"{name}: %{{x:.3g}}, %{{y:.3g}}", edge=1.5)
    right = {"title": f"mu {dims[0] + 1}", "range": across, "zeroline": False}
    top = {"title": f"mu {dims[1] + 1}", "range": up, "zeroline": False}
    return finished(figure, 520, right, top, legend={"y": -0.15}, hovermode="closest")


def _add_others(figure: go.Figure, others: Posteriors, dims: tuple[int, int]) -> None:
    for label in np.unique(others.labels):
        mine = np.flatnonzero(others.labels == label).tolist()
        rounds = [ellipse(others.mu[i, dims], others.std[i, dims]) for i in mine]
        gap = [np.nan]
        figure.add_scatter(
            x=np.concatenate([np.concatenate([x, gap]) for x, _ in rounds]),
            y=np.concatenate([np.concatenate([y, gap]) for _, y in rounds]),
            mode="lines",
            line={"color": faint(HUES[label % len(HUES)], 0.6), "width": 1},
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=others.mu[mine, dims[0]],
            y=others.mu[mine, dims[1]],
            mode="text",
            text=[f"<b>{escape(others.mark(i))}</b>" for i in mine],
            textfont={"color": INK, "size": 14},
            showlegend=False,
            hovertext=[escape(others.called(i)) for i in mine],
            hovertemplate="%{hovertext}: %{x:.3g}, %{y:.3g}<extra></extra>",
        )


def _add_box(figure: go.Figure, box: Box, across: tuple[float, float], up: tuple[float, float]) -> None:
    """A rectangle; sides that leave the frame are cut a little outside of it."""

    def held(value: float, span: tuple[float, float]) -> float:
        size = span[1] - span[0]
        return min(max(value, span[0] - size), span[1] + size)

    left, right = (held(v, across) for v in box.across)
    low, high = (held(v, up) for v in box.up)
    dash, _ = STYLES[box.method]
    figure.add_scatter(
        x=[left, right, right, left, left],
        y=[low, low, high, high, low],
        mode="lines",
        name=f"certified box, {METHOD_NAMES[box.method]}",
        line={"color": COLOURS[box.method], "dash": dash, "width": 2},
        fill="toself",
        fillcolor=faint(COLOURS[box.method], 0.07),
        hoverinfo="skip",
    )


def ellipse(center: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One standard deviation of a diagonal normal distribution."""
    return center[0] + std[0] * np.cos(_TURN), center[1] + std[1] * np.sin(_TURN)


def inside(others: Posteriors, box: Box, dims: tuple[int, int]) -> int:
    """How many of the other images' means lie in a box."""
    x, y = others.mu[:, dims[0]], others.mu[:, dims[1]]
    held = (x >= box.across[0]) & (x <= box.across[1]) & (y >= box.up[0]) & (y <= box.up[1])
    return int(held.sum())


def describe(view: View, others: Posteriors, dims: tuple[int, int]) -> str:
    """The plane for those who cannot see it."""
    first, last = view.mu[0, dims], view.mu[view.best, dims]
    said = [
        f"Latent dimensions {dims[0] + 1} and {dims[1] + 1}",
        f"mu of the clean image ({number(first[0])}, {number(first[1])})",
        f"of the attacked one ({number(last[0])}, {number(last[1])}), after {view.best} steps",
    ]
    for box in boxes(view, dims):
        sides = " by ".join(f"{number(low)} to {number(high)}" for low, high in (box.across, box.up))
        count = inside(others, box, dims)
        said.append(
            f"certified box by {METHOD_NAMES[box.method]}: {sides}, with {count} of {len(others.mu)} "
            "other images' means"
        )
    return f"{'; '.join(said)}."
