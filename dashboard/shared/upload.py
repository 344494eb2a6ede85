"""A picture of a visitor's own for models of any shape: the whole of it, made as large as their images."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.data.pictures import read_page
from core.errors import CoreError
from dashboard.addresses.kinds import Shape
from dashboard.shared import own_images, own_text
from dashboard.shared.controls import Controls


def offer(controls: Controls[Any], shape: Shape) -> None:
    """The control; a file that was just chosen is shown from the next run on."""
    key = controls.key("upload")
    with st.expander(own_text.UPLOAD):
        st.file_uploader(
            own_text.FILE,
            type=["image/png", "image/jpeg"],
            key=key,
            max_upload_size=own_text.MOST_MB,
            on_change=_take,
            args=(controls, shape),
        )
        if problem := st.session_state.pop(_problem(controls), None):
            st.error(problem)
        _, height, width = shape
        st.caption(own_text.whole(height, width))


def _take(controls: Controls[Any], shape: Shape) -> None:
    file = controls.get("upload")
    if file is None:
        return
    try:
        ready = read_page(file.getvalue()).fitted(shape, as_is=True)
    except CoreError as error:
        st.session_state[_problem(controls)] = str(error)
        return
    controls.set("own", own_images.add(ready))


def _problem(controls: Controls[Any]) -> str:
    return controls.key("upload problem")
