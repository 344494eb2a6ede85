"""The page: an image of one's own, or a model."""

from __future__ import annotations

import streamlit as st

from dashboard.addresses import sync
from dashboard.own import image_view, model_view
from dashboard.shared import own_text as text

IMAGE, MODEL = "image", "model"
_CHOSEN, _LAST = "bring", "brought last"


def show() -> None:
    sync.arrive("own")
    session, words = st.session_state, {IMAGE: text.AN_IMAGE, MODEL: text.A_MODEL}
    if _CHOSEN not in session:  # a link says what, else it is as it was left
        asked = st.query_params.get(_CHOSEN)
        session[_CHOSEN] = asked if asked in words else session.get(_LAST, IMAGE)
    session[_LAST] = st.segmented_control(
        text.WHICH,
        list(words),
        required=True,
        format_func=words.__getitem__,
        key=_CHOSEN,
        label_visibility="collapsed",
    )
    (model_view if session[_LAST] == MODEL else image_view).show()
