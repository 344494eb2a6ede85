"""The presenter's few controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from dashboard.addresses.explorer import MOST_INDEX, PAGE, State
from dashboard.present import text
from dashboard.shared import compute, own_images
from dashboard.shared.question_controls import QuestionControls


class Panel(QuestionControls[State]):
    """The explorer's settings, of which few are changed here."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__("present", PAGE, "present-", models=models, images=own_images.images())

    def row(self, state: State) -> None:
        """The digit before and after, eps, both models."""
        names = compute.labels(tuple(self.there["models"]))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for label, by, icon in ((text.BEFORE, -1, "back"), (text.AFTER, 1, "forward")):
                there = replace(state, index=(state.index + by) % (MOST_INDEX + 1), own=b"")
                st.button(label, on_click=self.go, args=(there,), icon=f":material/arrow_{icon}:")
            with st.container(width=320):
                self.eps_slider()
            for side, label in (("left", text.LEFT), ("right", text.RIGHT)):
                with st.container(width=240):
                    self.select(side, label=label, format_func=names.__getitem__, help=None)
