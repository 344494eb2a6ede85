"""The controls of this page, but for those beside the canvas."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.data.image_sets import ImageSet
from dashboard.addresses import sync
from dashboard.addresses.attack import PAGE, Hand
from dashboard.addresses.kinds import Source
from dashboard.attack_by_hand import painting
from dashboard.shared import image_picker, own_images
from dashboard.shared.pair_controls import PairControls
from dashboard.shared.text import HELP


class Panel(PairControls[Hand]):
    """The settings of the page."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__("attack", PAGE, "attack-", models=models, images=own_images.images())

    def write(self, state: Hand) -> None:
        """As for every page; the painting on the canvas gives way to the state's."""
        super().write(state)
        painting.forget()

    def sidebar(self, source: Source, found: ImageSet | None) -> None:
        """Everything but eps. found: the images to choose from, None where there are none."""
        with st.sidebar:
            self.dataset(source)
            if found is not None:
                image_picker.choose(self, found, source)
            self.pair()
            self.radio("target", help=HELP["target"])
            self.segments("norm", on_change=self.change_norm)
            self.select("attack", help=HELP["attack"])
            self.select("method", help=HELP["method"])
            self.threshold()
            self.more()
            self.foot()

    def keep(self, paint: str) -> None:
        """Have the address hold a painting, from the next time that it is written."""
        self.put("paint", paint)

    def replaced(self, state: Hand) -> dict[str, str]:
        """The URL of a state that the browser puts in place of its own, without a step of its history."""
        url = self.page.address(state, **self.there)
        sync.replaced(self.name, url)
        return url
