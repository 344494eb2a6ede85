"""The controls of this page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from core.data.image_sets import ImageSet
from dashboard.addresses.digit import last_index
from dashboard.addresses.inspect import PAGE, RADII, Look
from dashboard.addresses.kinds import Source, source_of
from dashboard.inspector import text
from dashboard.inspector.compute import layout
from dashboard.shared import compute, image_picker, own_images
from dashboard.shared.controls import Controls
from dashboard.shared.text import EPS_LABELS


class Panel(Controls[Look]):
    """The settings of the page."""

    def __init__(self, models: Sequence[str]) -> None:
        there = {"models": models, "layout": layout, "images": own_images.images()}
        super().__init__("inspect", PAGE, "inspect-", **there)

    def texts(self) -> dict[str, str]:
        """What the controls show, but for what the last model or question had and this one does not have:
        that is no mistake of the visitor's."""
        said, known = super().texts(), layout(self.get("model"))
        if said.get("layer") not in known.layers:
            said.pop("layer", None)
        for setting, most in (("draw", self.get("draws")), ("across", known.latent), ("up", known.latent)):
            if not said.get(setting, "").isdigit() or int(said[setting]) > most:
                said.pop(setting, None)
        return said

    def match(self) -> Source:
        """Put an image that the model has in the place of one that it has not; where they come from."""
        source = source_of((self.get("model"),))
        if self.get("index") > last_index(source):
            self.put("index", 0)
        if self.get("own") not in own_images.images(source.shape):
            self.put("own", "")
        return source

    def sidebar(self, found: ImageSet | None, source: Source) -> None:
        """Model, image and question. found: the images to choose from, None where there are none."""
        names, norm = compute.labels(tuple(self.there["models"])), self.get("norm")
        radii = sorted({*RADII[norm], float(self.get("eps"))})
        with st.sidebar:
            self.select("model", format_func=names.__getitem__, help=text.HELP["model"])
            if found is not None:
                image_picker.choose(self, found, source)
            self.slide("eps", label=EPS_LABELS[norm], options=radii, format_func=lambda eps: f"{eps:.6g}")
            self.radio("target")
            with st.expander("More settings"):
                self.segments("norm", on_change=self.change_norm)
                self.number("draws")
                self.number("seed")
            self.foot()

    def layer_choice(self, names: Mapping[str, str], look: Look, drawn: bool, pictured: bool) -> None:
        """Which layer, which draw if it has several, and by which method the bounds are if it is pictured.

        names  layers by key.
        """
        with st.container(horizontal=True, vertical_alignment="bottom"):
            self.select("layer", options=list(names), format_func=names.__getitem__, width=260)
            if pictured:
                self.segments("bounds", help=text.HELP["bounds"])
            if drawn and look.question.draws > 1:
                draws = list(range(1, look.question.draws + 1))
                self.segments("draw", options=draws, help=text.HELP["draw"])

    def plane_choice(self, latent: int, dims: tuple[int, int]) -> None:
        """The two dimensions of the latent plane."""
        numbers = list(range(latent + 1))
        with st.container(horizontal=True):
            for setting, dim in zip(("across", "up"), dims, strict=True):
                self.select(setting, options=numbers, format_func=partial(_dimension, dim=dim), width=200)


def _dimension(number: int, dim: int) -> str:
    return f"widest box (mu {dim + 1})" if number == 0 else f"mu {number}"
