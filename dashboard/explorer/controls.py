"""The controls of the explorer."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.data.image_sets import ImageSet
from dashboard.addresses import sync
from dashboard.addresses.explorer import OFFERED, PAGE, STATED, State, opposite
from dashboard.addresses.kinds import Source
from dashboard.addresses.sync import touch
from dashboard.explorer.stage import view as stage
from dashboard.shared import image_picker, own_images
from dashboard.shared.pair_controls import PairControls
from dashboard.shared.text import help_on


class Panel(PairControls[State]):
    """The settings of the page; the keys of its controls are the settings' names."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(sync.EXPLORER, PAGE, "", models=models, images=own_images.images())

    def sidebar(self, source: Source, found: ImageSet | None) -> None:
        """Everything but eps. found: the images to choose from, None where there are none."""
        with st.sidebar:
            if found is not None:
                image_picker.choose(self, found, source)
            self.pair()
            self.segments("side", on_change=self._change_side)
            side = self.get("side")
            words = help_on(side)
            self.radio("target", help=words["target"])
            self.segments("norm", on_change=self.change_norm)
            self.select("attack", options=OFFERED[side], help=words["attack"])
            self.select("method", help=words["method"])
            self.select("states", options=STATED[side], help=words["states"])
            self.threshold(words)
            self.more()
            self.foot()

    def answer(self) -> None:
        """The stage asks for something: take it over."""
        asked = stage.asked(self.there["models"], self.scale.most)
        if asked.right is not None and asked.right not in opposite(self.get("left"), self.there["models"]):
            return
        for name in ("eps", "index", "left", "right"):
            if (value := getattr(asked, name)) is not None:
                self.set(name, value)
        if asked.index is not None:
            self.put("own", "")

    def _change_side(self) -> None:
        """What there is for one side only goes back to what there is for both."""
        side = self.get("side")
        for name, offered in (("attack", OFFERED), ("states", STATED)):
            if self.get(name) not in offered[side]:
                self.put(name, offered[side][0])
        touch()
