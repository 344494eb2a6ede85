"""The page: two to six models on one digit or two, or on many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from dashboard.addresses.compare import PARTS, Comparison, explorer_address
from dashboard.addresses.kinds import kinds
from dashboard.compare import text
from dashboard.compare.controls import Panel
from dashboard.compare.digit_part import show_digits
from dashboard.compare.gallery import show_gallery
from dashboard.shared import compute, destinations, links, skeleton
from dashboard.shared.skeleton import glossary, warn
from dashboard.shared.text import HELP


def show() -> None:
    models = skeleton.models()
    panel = Panel(kinds(models))
    comparison, messages = panel.open()
    found = skeleton.images(comparison.asked.source)
    panel.sidebar(comparison, found)
    panel.top()
    warn(messages)
    if found is None:
        skeleton.say_no_images(comparison.asked.source)
        return
    if not comparison.models:
        st.info(text.NONE_CHOSEN)
        return
    if len(comparison.models) == 1:
        st.info(text.TOO_FEW)
    names = compute.labels(tuple(models))
    if comparison.part == PARTS[0]:
        show_digits(panel, comparison, names, found)
        _to_explorer(comparison, models)
    else:
        show_gallery(panel, comparison, names, found, models)
    st.caption(text.THRESHOLD[comparison.asked.threshold is None])
    glossary(HELP, text.GLOSSARY, first=[text.VERDICT_HELP])


def _to_explorer(comparison: Comparison, models: Sequence[str]) -> None:
    """The first two models, or the pinned one and the first other, as the explorer shows them."""
    pinned = comparison.pin or comparison.models[0]
    other = next((model for model in comparison.models if model != pinned), pinned)
    url = explorer_address(replace(comparison, pin=pinned), other, comparison.asked.digit, models)
    links.link(destinations.EXPLORER, text.TO_EXPLORER, url)
