"""The controls of the page of comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.data.image_sets import ImageSet
from core.vae.model_images import SHIPPED
from dashboard.addresses.compare import COUNTS, EVERY, PAGE, PARTS, Comparison, alike
from dashboard.addresses.kinds import Kind, datasets
from dashboard.addresses.results import MOST_MODELS
from dashboard.compare import text
from dashboard.shared import compute, dataset_picker, image_picker, own_images
from dashboard.shared.question_controls import QuestionControls
from dashboard.shared.text import LIKELIHOOD_LABELS

SHARES = (0.25, 0.5, 0.25)
"""Of the width: which part, eps, and the chart's range."""


class Panel(QuestionControls[Comparison]):
    """The settings of the page. kinds: of each model there is."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        there = {"kinds": kinds, "models": tuple(kinds), "images": own_images.images()}
        super().__init__("compare", PAGE, "compare-", **there)

    def top(self) -> None:
        """What is compared, at which eps, and how far the chart goes."""
        with st.container(key="compare-top"):
            part, eps, upto = st.columns(SHARES, gap="medium", vertical_alignment="bottom")
            with part:
                self.segments("part", format_func=text.PARTS.__getitem__, help=text.PARTS_HELP)
            with eps:
                self.eps_slider()
            with upto:
                self.segments("upto")

    def sidebar(self, comparison: Comparison, found: ImageSet | None) -> None:
        """Everything but eps and what only one part has. found: the images to choose from."""
        with st.sidebar:
            dataset_picker.choose(self, comparison.asked.source.dataset, ("models",), self._other_images)
            if comparison.part == PARTS[0] and found is not None:
                image_picker.choose(self, found, comparison.asked.source)
                self._pins(comparison)
            chosen = text.chosen(len(comparison.models))
            # By their keys they stay open when what they show changes.
            with st.expander(chosen, key=self.key("choice"), expanded=len(comparison.models) < 2):
                self._models(comparison)
            with st.expander("Settings", key=self.key("settings")):
                self.radio("target")
                self.segments("norm", on_change=self.change_norm)
                self.select("attack")
                self.threshold()
                self.more()
            self.foot()

    def pin_model(self, comparison: Comparison, names: Mapping[str, str]) -> None:
        """Which model the others are held against."""
        labels = {"": "None", **names}
        options = ("", *comparison.models)
        self.select("pin", options=options, format_func=labels.__getitem__, help=text.PIN_HELP, width=320)

    def gallery(self, comparison: Comparison, names: Mapping[str, str], classes: Sequence[str]) -> None:
        """Which digits, whose verdicts, in which order."""
        whose = {EVERY: text.EVERY, **names}
        counts = {count: f"the first {count}" for count in COUNTS}
        back = self.turn_back
        with st.container(horizontal=True, vertical_alignment="bottom"):
            options = (*comparison.models, EVERY)
            self.select("of", options=options, format_func=whose.__getitem__, on_change=back, width=250)
            self.select("count", format_func=counts.__getitem__, on_change=back, width=250)
            self.select("sort", format_func=text.SORTS.__getitem__, on_change=back, width=250)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            verdict = text.VERDICTS.__getitem__
            self.segments("verdict", format_func=verdict, help=text.VERDICT_HELP, on_change=back)
            if classes:
                called = {str(place): name for place, name in enumerate(classes)}
                self.pills(
                    "classes",
                    options=list(called),
                    format_func=called.__getitem__,
                    wrap=True,
                    on_change=back,
                )

    def turn(self, page: int, count: int) -> None:
        """Which page of the gallery, if there is more than one."""
        if count < 2:
            return
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="center"):
            self._turn("previous", page - 1, page == 1)
            st.markdown(f"Page {page} of {count}", width="content")
            self._turn("next", page + 1, page == count)

    def _turn(self, which: str, page: int, off: bool) -> None:
        label, key = f"{which.capitalize()} page", self.key(which)
        st.button(label, on_click=self.set, args=("page", page), disabled=off, key=key)

    def turn_back(self) -> None:
        """Other digits, or another order: from the first page."""
        self.set("page", 1)

    def _pins(self, comparison: Comparison) -> None:
        """Which digit is held beside the one that is chosen."""
        index = comparison.asked.index
        with st.container(horizontal=True):
            if comparison.against != index and not self.get("own"):
                st.button(
                    "Pin this image",
                    on_click=self.set,
                    args=("against", index),
                    icon=":material/keep:",
                    help="The image stays, and the one that you choose next is held beside it.",
                )
            if comparison.against is not None:
                st.button("Unpin", on_click=self.set, args=("against", None), icon=":material/keep_off:")

    def _models(self, comparison: Comparison) -> None:
        names, kinds = compute.labels(tuple(self._kinds)), self._kinds
        offered = alike(kinds, comparison.models)
        self.pills(
            "models",
            options=offered,
            format_func=names.__getitem__,
            help=text.MODELS_HELP,
            on_change=self._change_models,
        )
        # To another data set leads a control of its own, where there is one.
        sets, now = datasets(tuple(kinds)), comparison.asked.source.dataset
        apart = {other for other in sets if other != now and len(sets) > 1}
        others = {
            kind: model
            for model, kind in kinds.items()
            if model not in offered and kind.dataset not in apart
        }
        if others:
            st.caption(text.left_out(len(kinds) - len(offered)))
        for kind, model in others.items():
            st.button(
                _instead(kind),
                on_click=self._switch,
                args=(alike(kinds, (model,))[:MOST_MODELS],),
                type="tertiary",
            )

    def _change_models(self) -> None:
        """A model that is not compared is neither pinned nor judged."""
        models = self.get("models")
        if self.get("pin") not in models:
            self.put("pin", "")
        if self.get("of") not in models:
            self.put("of", EVERY if len(models) != 1 else models[0])
        self.turn_back()

    def _other_images(self) -> None:
        """Classes and the image that is held beside are of those that were shown."""
        self.put("classes", [])
        self.put("against", None)
        self._change_models()

    def _switch(self, models: Sequence[str]) -> None:
        self.put("models", list(models))
        self._change_models()


def _instead(kind: Kind) -> str:
    """Of a button that changes to models of another kind."""
    likelihood = LIKELIHOOD_LABELS.get(kind.likelihood, "the other")
    shape = "" if kind.shape == SHIPPED else f" {' x '.join(map(str, kind.shape))}"
    return f"Compare {likelihood}{shape or ' models'} instead"
