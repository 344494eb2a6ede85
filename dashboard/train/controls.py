"""The controls of this page."""

from __future__ import annotations

import streamlit as st

from core.data.samples import list_samples
from dashboard.addresses.train import PAGE, Lecture
from dashboard.shared.controls import Controls
from dashboard.train import text


class Panel(Controls[Lecture]):
    """The settings of the page."""

    def __init__(self) -> None:
        super().__init__("train", PAGE, "train-")

    def sidebar(self) -> None:
        """What is trained."""
        with st.sidebar:
            if len(list_samples()) > 1:
                self.segments("dataset")
            self.select("recipe")
            self.slide("eps", format_func=lambda eps: f"{eps:g}")
            self.number("epochs")
            self.segments("width")
            self.number("seed")
            self.foot()
            st.caption(text.ENDS)
