"""The controls of the page of results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from core.evaluation.results import Results
from dashboard.addresses.results import PAGE, Choice, offered
from dashboard.shared import compute
from dashboard.shared.controls import Controls
from dashboard.shared.text import recipe_label


class Filters(Controls[Choice]):
    """The settings of the page, about results that can change while it is open: `every`, by data set."""

    def __init__(self, every: Mapping[str, Results]) -> None:
        super().__init__("results", PAGE, "results-", every=every)

    @property
    def _results(self) -> Results:
        """Those that are shown."""
        return self.there["every"][self.get("dataset")]

    @property
    def _names(self) -> dict[str, str]:
        return compute.evaluated(self._results)

    def sidebar(self) -> None:
        """Which models, which question, which methods."""
        short = {model: name.replace("reconstruction", "recon") for model, name in self._names.items()}
        with st.sidebar:
            if len(self.there["every"]) > 1:
                self.segments("dataset", on_change=self._other_models)
            self.radio("target")
            self.segments("likelihood", on_change=self._refilter)
            self.segments("arch", on_change=self._refilter)
            self.pills("recipes", on_change=self._refilter, format_func=recipe_label)
            self.pills("models", format_func=short.__getitem__)
            for setting, quantity in (("attack", "attacked"), ("certificate", "certified")):
                if self._results.methods(quantity):
                    self.select(setting)
            self.foot()

    def table_choice(self) -> None:
        """Which eps the table is about, and its order."""
        with st.container(horizontal=True, gap="medium", key="results-table-choice"):
            self.segments("eps")
            self.select("order", width=170)

    def curve_range(self) -> None:
        """How far the curves go, to the right and down."""
        with st.container(horizontal=True, gap="medium"):
            self.segments("upto")
            self.segments("axis")

    def sample_choice(self) -> None:
        """Whose pictures are shown."""
        self.select("sample", format_func=self._names.__getitem__)

    def _other_models(self) -> None:
        """Those of another data set: the question stays."""
        asked = ("dataset", "target", "attack", "certificate", "eps", "order", "upto", "axis")
        said = {setting: text for setting, text in self.texts().items() if setting in asked}
        self.go(self.page.parse(said, **self.there)[0])

    def _refilter(self) -> None:
        """Other models are on offer: those that are shown stay if they can, else the usual ones come."""
        old = self.texts()
        rest = {setting: text for setting, text in old.items() if setting not in ("models", "sample")}
        choice, _ = self.page.parse(rest, **self.there)
        names = offered(self._results, choice.likelihood, choice.arch, choice.recipes)
        kept = tuple(name for name in old["models"].split(",") if name in names)
        sample = old["sample"] if old.get("sample") in names else choice.sample
        self.go(replace(choice, models=kept or choice.models, sample=sample))
