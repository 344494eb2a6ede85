"""The controls of the explorer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

from core.data.image_sets import ImageSet
from dashboard.addresses import sync
from dashboard.addresses.explorer import OFFERED, PAGE, STATED, USUAL, State, opposite
from dashboard.addresses.kinds import Source
from dashboard.addresses.settings import given
from dashboard.addresses.sync import touch
from dashboard.explorer.stage import view as stage
from dashboard.explorer.stage.event import Ask
from dashboard.shared import image_picker, own_images
from dashboard.shared.pair_controls import PairControls
from dashboard.shared.text import help_on

S = TypeVar("S")


class StageControls(PairControls[S]):
    """The settings of a page with the stage, which changes some of them."""

    def answer(self) -> None:
        """The stage asks for something: take it over."""
        asked = stage.asked(self.there["models"], self.scale)
        if asked.right is None or asked.right in opposite(self.get("left"), self.there["models"]):
            self.take(asked)

    def take(self, asked: Ask) -> None:
        """Change what is asked for."""
        for name in ("eps", "index", "left", "right"):
            if (value := getattr(asked, name)) is not None:
                self.set(name, value)
        if asked.left is not None:
            self.match()  # it may be of another data set
        if asked.index is not None:
            self.put("own", "")
        if asked.upto is not None:
            self.set("upto", asked.upto)
            self.put("eps", min(self.get("eps"), float(asked.upto)))


class Panel(StageControls[State]):
    """The settings of the page; the keys of its controls are the settings' names."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(sync.EXPLORER, PAGE, "", models=models, images=own_images.images())

    def sidebar(self, source: Source, found: ImageSet | None) -> None:
        """Everything but eps. found: the images to choose from, None where there are none."""
        with st.sidebar:
            self.dataset(source)
            if found is not None:
                image_picker.choose(self, found, source)
            self.pair()
            changed = self._changed()
            # By its key it stays open when its name changes.
            with st.expander(f"Settings: {', '.join(changed)}" if changed else "Settings", key="settings"):
                self.segments("side", on_change=self._change_side)
                side = self.get("side")
                words = help_on(side)
                self.radio("target", help=words["target"])
                self.segments("norm", on_change=self.change_norm)
                self.select("attack", options=OFFERED[side], help=words["attack"])
                self.select("method", help=words["method"])
                self.select("states", options=STATED[side], help=words["states"])
                self.threshold(words)
                self.radio("limits", help=words["limits"], disabled=side == "upper")
                self.segments("unit", help=words["unit"])
                self.more()
            self.foot()

    def _changed(self) -> list[str]:
        """What differs from what the page opens with, in short."""
        names = self.page.settings
        said = [
            str((names[name].names or {}).get(value := self.get(name), value)).split(":")[0]
            for name in ("side", "target", "norm", "attack", "method", "states", "limits", "unit")
            if self.get(name) != given(names[name].default, self.seen)
        ]
        for name in ("draws", "steps", "restarts", "seed"):
            if self.get(name) != USUAL[name]:
                said.append(f"{name} {self.get(name)}")
        if self.get("kind") == self.common:
            said.append(f"threshold {self.get('threshold'):g}")
        return said

    def _change_side(self) -> None:
        """What there is for one side only goes back to what there is for both."""
        side = self.get("side")
        for name, offered in (("attack", OFFERED), ("states", STATED)):
            if self.get(name) not in offered[side]:
                self.put(name, offered[side][0])
        touch()
