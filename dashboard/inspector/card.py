"""The relaxation of one unit, beside the chart of widths, and the clicks that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from core.inspection import LIKELIHOOD, METHODS
from dashboard.addresses.inspect import Look
from dashboard.inspector import compute as looking
from dashboard.inspector import curve, growth, text
from dashboard.inspector.bends import Bend, is_likelihood
from dashboard.inspector.compute import Lost, Seen, View
from dashboard.inspector.controls import Panel
from dashboard.inspector.lost import whole
from dashboard.shared.skeleton import chart
from dashboard.shared.text import METHOD_NAMES

OFFERED = 100
"""Units in the list, those that cost most; an address and a click reach all that are kept."""


def clicked(key: str, found: Callable[[Any], None]) -> Callable[[], None]:
    """A callback of a chart: gives what is told of the first point that was clicked, if any."""

    def respond() -> None:
        try:
            told = st.session_state[key]["selection"]["points"][0]["customdata"]
        except (KeyError, IndexError, TypeError):
            return
        found(told[0] if isinstance(told, list | tuple) else told)

    return respond


def show(panel: Panel, look: Look, view: View, names: Mapping[str, str]) -> None:
    """Which operation and unit, its picture, and what it costs the bound."""
    keys = {"": text.COSTLIEST, **{layer.key: names[layer.name] for layer in view.layers}}
    keys[LIKELIHOOD] = text.LABELS[LIKELIHOOD]
    bend = view.bend(look.layer)
    loss = loss_of(view.losses, look.lines)
    if bend is None or loss is None:
        panel.layer_choice(keys)
        st.markdown(text.NO_LINES)
        return
    row = min(look.draw, len(bend.places)) - 1
    at = bend.place(row, look.unit)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        panel.layer_choice(keys)
        panel.unit_choice(_offered(bend, loss.method, row, look.unit if at is not None else 0))
        panel.lines_choice([each.method for each in view.losses], loss.method)
    label = keys.get(bend.key, bend.op)
    unit = looking.unit(look.model, bend, loss.method, row, at or 0)
    if unit.endless:
        st.markdown(text.NO_LINES)
    else:
        across, up = text.axes(bend.name, bend.op, unit.number, is_likelihood(bend), len(unit.spans))
        chart(
            curve.figure(unit, across, up),
            "inspect-curve",
            curve.describe(unit, label, METHOD_NAMES[loss.method]),
        )
        st.html(curve.legend(unit))
    total = bend.by[loss.method].total
    st.caption(
        text.cost(
            unit.cost,
            total,
            whole(loss),
            label,
            METHOD_NAMES[loss.method],
            other=look.layer != bend.key,
            kept=at is not None,
            asked=look.unit,
        ),
        help=text.HELP["relaxation"],
    )


def loss_of(losses: Sequence[Lost], method: str) -> Lost | None:
    """The bound that is asked for, else the tightest one there is."""
    return next((loss for loss in losses if loss.method == method), losses[-1] if losses else None)


def _offered(bend: Bend, method: str, row: int, chosen: int) -> dict[int, str]:
    """Units to choose from, with what they cost: 0 for the costliest; and the one that is chosen."""
    cost = bend.by[method].cost[row]
    order = (-cost).argsort(kind="stable")[:OFFERED]
    number = {int(bend.places[row, at]) + 1: at for at in order}
    if chosen and chosen not in number:
        at = bend.place(row, chosen)
        if at is not None:
            number[chosen] = at
    named = {unit: text.unit(unit, bend.shape, float(cost[at])) for unit, at in number.items()}
    return {0: text.COSTLIEST, **named}


def steepest(panel: Panel, layers: Sequence[Seen], names: Mapping[str, str]) -> None:
    """Where intervals grow most, by each method; a click leads there."""
    found = {method: growth.steepest(layers, method) for method in METHODS}
    if not any(found.values()):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(text.GROWS, width="content", help=text.HELP["grows"])
        for method, most in found.items():
            if most is not None:
                st.button(
                    text.grows(METHOD_NAMES[method], names[most.layer.name], most.times),
                    on_click=partial(panel.look_at, most.layer.key),
                    key=f"inspect-grows-{method}",
                )
