"""A lesson starts at its top: Streamlit leaves the page where it was scrolled to."""

from __future__ import annotations

from pathlib import Path

from streamlit.components.v2 import component

from dashboard.shared.frontend import source
from dashboard.shared.unseen import unseen

_top = component("elbo_lesson_top", js=source(Path(__file__).parent, "top.js"))


def start(lesson: int) -> None:
    """Have the browser go to the top where this lesson is not the one that it showed."""
    with unseen():
        _top(key="lesson-top", data={"lesson": lesson})
