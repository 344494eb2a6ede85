"""The page: one model, one image, every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from core.errors import CoreError
from core.inspection import METHODS
from dashboard.addresses.costs import dear
from dashboard.addresses.inspect import Look, explorer_address
from dashboard.addresses.models import sentence
from dashboard.inspector import card, lost, plane, shapes, take_away, text, widths
from dashboard.inspector import compute as looking
from dashboard.inspector.compute import Seen, View
from dashboard.inspector.controls import Panel
from dashboard.shared import compute, destinations, links, skeleton
from dashboard.shared.skeleton import chart, progress, warn
from dashboard.shared.text import METHOD_NAMES, plain
from dashboard.shared.text import dear as dear_text

SHARES = (0.58, 0.42)
"""Of the width: all layers, and one unit."""


def show() -> None:
    models = skeleton.models()
    panel = Panel(models)
    panel.restore()
    panel.match()
    look, messages = panel.open()
    found = skeleton.images(look.source)
    panel.sidebar(found, look.source)
    warn(messages)
    if found is None:
        skeleton.say_no_images(look.source)
        return
    name = compute.labels(tuple(models))[look.model]
    slow, seconds, fewer = dear((look.model,), look.question.draws)
    if slow:
        st.info(dear_text(slow, look.question.draws, seconds, fewer, METHODS[-1]))
        return
    status = st.empty()
    try:
        view = looking.inspect(look.model, look.digit, look.question, progress(status, name))
    except CoreError as error:
        status.empty()
        st.error(plain(sentence(error)))
        return
    status.empty()
    _draw(panel, look, view, name)
    links.link(destinations.EXPLORER, destinations.TO_EXPLORER, explorer_address(look, models))


def _draw(panel: Panel, look: Look, view: View, name: str) -> None:
    ops = {str(layer.name): layer.op for layer in view.layers}
    names = text.labels([(layer.name, layer.kind) for layer in view.layers], ops)
    shown = next(layer for layer in reversed(view.layers) if layer.kind == "natural")
    loss = card.loss_of(view.losses, look.lines)
    if not look.layer:
        look = replace(look, layer=view.costliest(loss.method if loss else ""))
    what = "a pixel's logit" if view.layers[-1].kind == "pixels" else "a pixel's mean"
    said = text.headline(look.question.eps, what, shown.widths, shown.reached)
    st.markdown(f"{name}: {said}")
    left, right = st.columns(SHARES, gap="medium")
    with left:
        _widths(panel, look, view, names)
    with right:
        card.show(panel, look, view, names)
    _layer(panel, look, view, names)
    _units(view, names)
    _plane(panel, look, view)
    _lost(view, names)
    take_away.show(view, look, names, name)
    with st.expander(text.HOW):
        st.markdown(f"{text.INTRO}\n\n{text.HELP['widths']}")


def _widths(panel: Panel, look: Look, view: View, names: Mapping[str, str]) -> None:
    key = "inspect-widths"
    chart(
        widths.width_figure(view.layers, names, look.layer),
        key,
        widths.describe(view.layers, names),
        on_select=card.clicked(key, panel.look_at),
        selection_mode="points",
    )
    card.steepest(panel, view.layers, names)


def _layer(panel: Panel, look: Look, view: View, names: Mapping[str, str]) -> None:
    layer = view.layer(look.layer)
    label, row = names[layer.name], min(look.draw, len(layer.clean)) - 1
    help_ = text.HELP["layer" if layer.flat else "pictures"]
    st.header(f"{label} from inside", anchor=False, help=help_)
    panel.inside_choice(look, len(layer.clean) > 1, not layer.flat)
    st.markdown(f"{text.ABOUT[layer.kind]} {widths.sentence(layer, label)}")
    if layer.flat:
        _bars(panel, view, layer, row, label)
    else:
        _maps(panel, view, layer, row, label, look.bounds)


def _bars(panel: Panel, view: View, layer: Seen, row: int, label: str) -> None:
    key, bend, more = "inspect-bars", view.bend(layer.key), dict[str, Any]()
    if bend is not None and bend.count == layer.clean.shape[1]:
        more = {"on_select": card.clicked(key, partial(panel.set, "unit")), "selection_mode": "points"}
    chart(shapes.bar_figure(layer, row), key, shapes.describe_bars(layer, row, label), **more)
    units = shapes.widest(layer, row)
    st.caption(text.bars(len(units), layer.clean.shape[1], shapes.leaving(layer, row, units)))


def _maps(panel: Panel, view: View, layer: Seen, row: int, label: str, method: str) -> None:
    shown, bend, units = shapes.maps(layer, method, row), view.bend(layer.key), None
    scales = shapes.spans(shown)
    if bend is not None and bend.count == layer.clean[row].size:
        units = shapes.cells(layer.clean[row].shape, bend.places[min(row, len(bend.places) - 1)])
    with st.container(horizontal=True, gap="small"):
        for name in shapes.PANELS:
            with st.container(width=shapes.SIDE, gap=None):
                st.caption(text.panel(name, METHOD_NAMES[method]))
                key, more = f"inspect-map-{name}", dict[str, Any]()
                if units:
                    more = {
                        "on_select": card.clicked(key, partial(panel.set, "unit")),
                        "selection_mode": "points",
                    }
                chart(
                    shapes.map_figure(shown[name], scales[name], units),
                    key,
                    shapes.describe_map(text.panel(name, METHOD_NAMES[method]), shown[name], label),
                    width="content",
                    **more,
                )
    st.caption(text.maps(len(layer.clean[row]), shapes.endless(layer, method, row)))


def _units(view: View, names: Mapping[str, str]) -> None:
    st.header("Which ReLUs are decided", anchor=False, help=text.HELP["units"])
    if not any(layer.kind == "relu" for layer in view.layers):
        st.markdown(text.NO_UNITS)
        return
    open_ = {method: widths.open_share(view.layers, method) for method in METHODS}
    st.markdown(f"{text.decided(open_)} {text.UNITS}")
    chart(
        widths.unit_figure(view.layers, names),
        "inspect-units",
        widths.describe_units(view.layers, names),
    )


def _plane(panel: Panel, look: Look, view: View) -> None:
    st.header("The latent plane", anchor=False, help=text.HELP["plane"])
    others = looking.posteriors(look.model, look.source)
    dims = plane.choose(view, others, look.across, look.up)
    st.markdown(text.plane(view.best, plane.leaves(view, others, dims)))
    panel.plane_choice(others.mu.shape[1], dims)
    chart(
        plane.plane_figure(view, others, dims),
        "inspect-plane",
        plane.describe(view, others, dims),
    )


def _lost(view: View, names: Mapping[str, str]) -> None:
    st.header("Where the bound is lost", anchor=False)
    proved = {method: terms.total for method, terms in view.separate.items()}
    st.caption(text.elbos(view.clean.total, view.attained.total, proved, view.vacuous))
    st.markdown("### Term by term", help=text.HELP["terms"])
    st.markdown(text.terms(view.vacuous))
    gaps = lost.gaps(view)
    if gaps and max(map(sum, gaps.values())) < lost.ROUNDING:
        st.markdown(text.NOTHING)
        return
    if gaps:
        chart(lost.terms_figure(view), "inspect-terms", lost.describe_terms(view))
    st.markdown("### Relaxation by relaxation", help=text.HELP["lost"])
    if view.losses:
        chart(
            lost.lost_figure(view.losses, names),
            "inspect-lost",
            lost.describe_lost(view.losses, names),
        )
        st.html(lost.key(view.losses, names))
    attained = view.attained.total
    said = [lost.sentence(loss, names, attained) for loss in view.losses]
    st.markdown("\n".join(f"- {sentence}" for sentence in [*said, *lost.missing(view.losses)]))
