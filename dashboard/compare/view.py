"""The page: two to six models on one digit or two, or on many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from core.errors import CoreError
from dashboard.addresses.compare import PARTS, Comparison, explorer_address
from dashboard.addresses.models import available
from dashboard.compare import controls, text
from dashboard.compare.digit_part import show_digits
from dashboard.compare.gallery import show_gallery
from dashboard.shared import compute, destinations
from dashboard.shared.text import HELP


def show() -> None:
    models = available()
    if not models:
        st.error("There is no model in assets/models. Restore that folder, or train a model.")
        return
    try:
        labels = compute.samples()[1].tolist()
    except CoreError as error:
        st.error(str(error))
        return
    kinds = compute.kinds(models)
    messages = controls.restore(kinds)
    comparison, late = controls.read(kinds)
    controls.part()
    controls.sidebar(comparison, kinds, labels)
    controls.publish(comparison, kinds)
    for message in {m.text: m for m in (*messages, *late)}.values():
        st.warning(message.text)
    if not comparison.models:
        st.info(text.NONE_CHOSEN)
        return
    if len(comparison.models) == 1:
        st.info(text.TOO_FEW)
    names = compute.labels(tuple(models))
    st.caption(text.THRESHOLD[comparison.asked.threshold is None])
    controls.eps_slider()
    if comparison.part == PARTS[0]:
        show_digits(comparison, names, labels)
        _to_explorer(comparison, models)
    else:
        show_gallery(comparison, names, labels, models)
    with st.expander("Words on this page"):
        st.markdown("\n".join([f"- {text.VERDICT_HELP}", *(f"- {HELP[word]}" for word in text.GLOSSARY)]))


def _to_explorer(comparison: Comparison, models: Sequence[str]) -> None:
    """The first two models, or the pinned one and the first other, as the explorer shows them."""
    pinned = comparison.pin or comparison.models[0]
    other = next((model for model in comparison.models if model != pinned), pinned)
    url = explorer_address(replace(comparison, pin=pinned), other, comparison.asked.digit, models)
    st.page_link(
        destinations.EXPLORER, label=text.TO_EXPLORER, icon=":material/arrow_forward:", query_params=url
    )
