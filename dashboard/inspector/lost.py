"""Where a bound is lost, as bars. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from dashboard.inspector.compute import Lost, View
from dashboard.inspector.text import NO_END, part_label, share
from dashboard.inspector.widths import hatched
from dashboard.shared.chart_theme import legible
from dashboard.shared.curves import PALETTE, wrapped
from dashboard.shared.text import METHOD_NAMES, proved_nats, signed

ROUNDING = 1e-6
"""Nats: what is less is what covers rounding."""
LINEAR = ("crown-ibp", "crown", "alpha-crown")
TERMS = (
    ("reconstruction term", PALETTE[1], ""),
    ("KL term", PALETTE[4], "/"),
)
COLOURS = (*PALETTE, "#999999")
PATTERNS = ("", "/", "x", ".", "\\", "-", "|", "+", "")
SMALL = 0.005
"""A part of the whole that is left out of the words, not out of the bars."""


def gaps(view: View) -> dict[str, tuple[float, float]]:
    """Method -> how far its bound on each term is from what is attained, nats, both at least 0.

    Vacuous bounds are left out: their bars would say nothing.
    """
    at = view.attained
    return {
        method: (at.recon - terms.recon, terms.kl - at.kl)
        for method, terms in view.separate.items()
        if not view.vacuous[method]
    }


def terms_figure(view: View) -> go.Figure:
    """Attained minus proved, term by term, over the intervals of each method."""
    found = gaps(view)
    figure = go.Figure()
    for index, (name, colour, pattern) in enumerate(TERMS):
        _bar(
            figure,
            [METHOD_NAMES[method] for method in found],
            [parts[index] for parts in found.values()],
            name,
            colour,
            pattern,
        )
    return _laid_out(figure, len(found), "attained minus proved, term by term (nats)")


def describe_terms(view: View) -> str:
    rows = (
        f"{METHOD_NAMES[method]}: reconstruction term {recon:,.1f}, KL term {kl:,.1f} nats"
        for method, (recon, kl) in gaps(view).items()
    )
    return f"Bars of attained minus proved by term. {'; '.join(rows)}."


def lost_figure(losses: Sequence[Lost], names: Mapping[str, str]) -> go.Figure:
    """The slack of each relaxation as a share of the whole, a bar a method."""
    figure = go.Figure()
    rows = [METHOD_NAMES[loss.method] for loss in losses]
    for index, part in enumerate(order(losses)):
        shares = [100 * max(0.0, loss.parts[part]) / whole(loss) for loss in losses]
        figure.add_bar(
            y=rows,
            x=shares,
            orientation="h",
            name=part_label(part, names),
            marker=_style(_colour(index), PATTERNS[index % len(PATTERNS)]),
            hovertext=[
                f"{part_label(part, names)}: {share(loss.parts[part], whole(loss))} of the loss"
                for loss in losses
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    figure = _laid_out(figure, len(losses), "share of what the bound loses (%)", 0)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=[0, 100])
    return legible(figure)


def key(losses: Sequence[Lost], names: Mapping[str, str]) -> str:
    """What the colours mean, from left to right, as HTML: it wraps on a narrow screen."""
    return wrapped([_entry(index, part_label(part, names)) for index, part in enumerate(order(losses))])


def _entry(index: int, label: str) -> str:
    return f'<span style="color:{_colour(index)}">\N{BLACK SQUARE}</span>&nbsp;{escape(label)}'


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def order(losses: Sequence[Lost]) -> list[str]:
    """The parts in the order of the way back through the network."""
    return list(losses[0].parts) if losses else []


def whole(loss: Lost) -> float:
    """What a bound loses, nats; never 0."""
    return max(sum(max(0.0, part) for part in loss.parts.values()), 1e-12)


def sentence(loss: Lost, names: Mapping[str, str], attained: float) -> str:
    """One linear bound: what it says, what is true where it is lowest, and the parts that matter."""
    total = loss.elbo - loss.proved
    parts = sorted(loss.parts.items(), key=lambda item: -item[1])
    said = ", ".join(
        f"{share(value, whole(loss))} {part_label(part, names)}"
        for part, value in parts[:3]
        if value > SMALL * whole(loss)
    )
    proved = "a vacuous bound" if loss.vacuous else f"{proved_nats(loss.proved, 1)} are proved"
    return (
        f"**{METHOD_NAMES[loss.method]}**: {proved}; at its own worst image the ELBO is "
        f"{_nats(loss.elbo)} (attack: {_nats(attained)}). Lost between the two: "
        f"{'too much to count' if loss.vacuous else f'{total:,.2f} nats'}{', ' + said if said else ''}."
    )


def missing(losses: Sequence[Lost]) -> list[str]:
    """The linear bounds that have nothing to divide."""
    found = {loss.method for loss in losses}
    return [f"**{METHOD_NAMES[method]}**: {NO_END}" for method in LINEAR if method not in found]


def describe_lost(losses: Sequence[Lost], names: Mapping[str, str]) -> str:
    rows = (
        f"{METHOD_NAMES[loss.method]}: "
        + ", ".join(
            f"{part_label(part, names)} {share(value, whole(loss))}" for part, value in loss.parts.items()
        )
        for loss in losses
    )
    return f"Bars of what linear bounds lose, in shares by relaxation. {'; '.join(rows)}."


def _nats(value: float) -> str:
    return f"{signed(value, 1).replace('+', '')} nats"


def _bar(
    figure: go.Figure, rows: Sequence[str], values: Sequence[float], name: str, colour: str, pattern: str
) -> None:
    figure.add_bar(
        y=rows,
        x=values,
        orientation="h",
        name=name,
        marker=_style(colour, pattern),
        hovertemplate=f"%{{y}}: {name} %{{x:,.2f}} nats<extra></extra>",
    )


def _style(colour: str, pattern: str) -> dict[str, object]:
    return {"color": colour, "pattern": hatched(pattern)}


def _laid_out(figure: go.Figure, rows: int, axis: str, room: int = 70) -> go.Figure:
    figure.update_layout(
        barmode="stack",
        bargap=0.3,
        height=room + 70 + 34 * rows,
        margin={"l": 10, "r": 10, "t": 5, "b": 10},
        dragmode=False,
        showlegend=True,
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "traceorder": "normal",
            "itemclick": False,
            "itemdoubleclick": False,
        },
    )
    figure.update_xaxes(title=axis, fixedrange=True)
    figure.update_yaxes(autorange="reversed", fixedrange=True, automargin=True)
    return legible(figure)
