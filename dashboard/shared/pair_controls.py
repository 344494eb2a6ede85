"""Controls of the pages that hold two models against each other on one image."""

from __future__ import annotations

from typing import TypeVar

import streamlit as st

from dashboard.addresses.digit import last_index
from dashboard.addresses.explorer import first_right, opposite
from dashboard.addresses.kinds import Source, source_of
from dashboard.shared import compute, dataset_picker, own_images
from dashboard.shared.question_controls import QuestionControls
from dashboard.shared.text import ALONE

S = TypeVar("S")


class PairControls(QuestionControls[S]):
    """The settings of a page with a left and a right model."""

    common = "The same for both"

    def match(self) -> Source:
        """Put in the place of what the left model has not, a right one and an image, what it has; where the
        images come from."""
        models, left = self.there["models"], self.get("left")
        if self.get("right") not in opposite(left, models):
            self.put("right", first_right({"left": left, "models": models}))
        source = source_of((left, self.get("right")))
        if self.get("index") > last_index(source):
            self.put("index", 0)
        if self.get("own") not in own_images.images(source.shape):
            self.put("own", "")
        return source

    def dataset(self, source: Source) -> None:
        """Which data set, where there are models of several."""
        dataset_picker.choose(self, source.dataset, ("left", "right"))

    def pair(self) -> None:
        """Which two models."""
        models = self.there["models"]
        names = {**compute.labels(tuple(models)), "": "None"}
        self.select("left", format_func=names.__getitem__)
        beside = opposite(self.get("left"), models)
        alone = beside == [""]
        self.select("right", options=beside, format_func=names.__getitem__, disabled=alone)
        if alone:
            st.caption(ALONE)
