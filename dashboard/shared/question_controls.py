"""Controls of the pages that attack and prove: threshold, exact eps, the attack's numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import streamlit as st

from dashboard.addresses.page import flat
from dashboard.addresses.scales import SCALES, Scale
from dashboard.addresses.sync import touch
from dashboard.shared.controls import Controls
from dashboard.shared.text import EPS_LABELS, HELP

OWN = "5 % quantile of each model"
USUAL_THRESHOLD = -150.0
"""What is to be changed where a threshold for all models is asked for, nats."""

S = TypeVar("S")


class QuestionControls(Controls[S]):
    """The settings of a page with a threshold: each model's own, or one for all."""

    common = "The same for all"

    @property
    def scale(self) -> Scale:
        return SCALES[self.get("norm")]

    def texts(self) -> dict[str, str]:
        said = super().texts()
        if self.get("kind") != self.common:
            said.pop("threshold", None)
        return said

    def write(self, state: S) -> None:
        super().write(state)
        threshold = flat(state)["threshold"]
        self.put("kind", OWN if threshold is None else self.common)
        self.put("threshold", USUAL_THRESHOLD if threshold is None else threshold)

    def threshold(self, words: Mapping[str, str] = HELP) -> None:
        """Above what an ELBO is to stay."""
        kinds = (OWN, self.common)
        st.radio("Threshold", kinds, key=self.key("kind"), help=words["threshold"], on_change=touch)
        if self.get("kind") == self.common:
            self.number("threshold", step=10.0, format="%.6g")

    def more(self) -> None:
        """What is changed less often."""
        one_step = self.get("attack") == "fgsm"
        with st.expander("More settings"):
            self.put("eps_box", float(self.get("eps")))
            self.number(
                "eps",
                label=f"Exact eps (0 to {self.scale.most:g})",
                step=self.scale.step / 10,
                format="%.6g",
                key=self.key("eps_box"),
                on_change=self.take_eps,
                args=(lambda: self.get("eps_box"),),
            )
            self.number("draws")
            self.number("steps", disabled=one_step)
            self.number("restarts", disabled=one_step)
            self.number("seed")

    def eps_slider(self) -> None:
        """eps on the grid; a value off the grid comes from the URL or from the number box."""
        self.put("slider", min(float(self.get("eps")), self.scale.grid[-1]))
        st.slider(
            EPS_LABELS[self.get("norm")],
            0.0,
            self.scale.grid[-1],
            step=self.scale.step,
            format="%.6g",
            key=self.key("slider"),
            help=HELP["eps"],
            on_change=self.take_eps,
            args=(lambda: round(self.get("slider"), 2),),
        )

    def take_eps(self, value: Callable[[], float]) -> None:
        self.set("eps", value())
