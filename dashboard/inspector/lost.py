"""Where a bound is lost, as bars. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dashboard.addresses.inspect import LINEAR
from dashboard.inspector.compute import Lost, View
from dashboard.inspector.text import NO_END, part_label, share
from dashboard.inspector.widths import add_part, stacked
from dashboard.shared.curves import PALETTE, coloured, wrapped
from dashboard.shared.text import METHOD_NAMES, nats, proved_nats

ROUNDING = 1e-6
"""Nats: what is less is what covers rounding."""
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
        rows, values = (
            [METHOD_NAMES[method] for method in found],
            [parts[index] for parts in found.values()],
        )
        add_part(figure, rows, values, name, colour, pattern, f"%{{y}}: {name} %{{x:,.2f}} nats")
    return stacked(figure, 140 + 34 * len(found), "attacked minus proved, term by term (nats)")


def describe_terms(view: View) -> str:
    rows = (
        f"{METHOD_NAMES[method]}: reconstruction term {recon:,.1f}, KL term {kl:,.1f} nats"
        for method, (recon, kl) in gaps(view).items()
    )
    return f"Bars of attacked minus proved by term. {'; '.join(rows)}."


def lost_figure(losses: Sequence[Lost], names: Mapping[str, str]) -> go.Figure:
    """The slack of each relaxation as a share of the whole, a bar a method."""
    figure = go.Figure()
    rows = [METHOD_NAMES[loss.method] for loss in losses]
    for index, part in enumerate(order(losses)):
        shares = [100 * max(0.0, loss.parts[part]) / whole(loss) for loss in losses]
        name, pattern = part_label(part, names), PATTERNS[index % len(PATTERNS)]
        said = [f"{name}: {share(loss.parts[part], whole(loss))} of the loss" for loss in losses]
        add_part(figure, rows, shares, name, _colour(index), pattern, "%{hovertext}", hovertext=said)
    title = "share of what the bound loses (%)"
    return stacked(figure, 70 + 34 * len(losses), title, legend=False, range=[0, 100])


def key(losses: Sequence[Lost], names: Mapping[str, str]) -> str:
    """What the colours mean, from left to right, as HTML: it wraps on a narrow screen."""
    parts = enumerate(order(losses))
    return wrapped([coloured(_colour(i), "\N{BLACK SQUARE}", part_label(part, names)) for i, part in parts])


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
        f"{nats(loss.elbo, 1)} (attack: {nats(attained, 1)}). Lost between the two: "
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
