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
from dashboard.shared import compute, dataset_picker, image_picker, own_images
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
        if said.get("layer") not in ("", *known.layers):
            said.pop("layer", None)
        limits = {
            "draw": self.get("draws"),
            "across": known.latent,
            "up": known.latent,
            "unit": known.units_of(said.get("layer", "")),
        }
        for setting, most in limits.items():
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
            dataset_picker.choose(self, source.dataset, ("model",))
            self.select("model", format_func=names.__getitem__, help=text.HELP["model"])
            if found is not None:
                image_picker.choose(self, found, source)
            self.slide("eps", label=EPS_LABELS[norm], options=radii, format_func=lambda eps: f"{eps:.6g}")
            with st.expander("More settings"):
                self.radio("target")
                self.segments("norm", on_change=self.change_norm)
                self.number("draws")
                self.number("seed")
            self.foot()

    def layer_choice(self, names: Mapping[str, str]) -> None:
        """Which layer; names: by key."""
        self.select(
            "layer",
            options=list(names),
            format_func=names.__getitem__,
            on_change=self.set,
            args=("unit", 0),
            width=144,
        )

    def unit_choice(self, names: Mapping[int, str]) -> None:
        """Which of its units; names: by number. One that is not among them is forgotten."""
        if self.get("unit") not in names:
            self.put("unit", 0)
        self.select("unit", options=list(names), format_func=names.__getitem__, width=116)

    def lines_choice(self, methods: Sequence[str], shown: str) -> None:
        """Of which bound; one that has no end here gives way to the one that is shown."""
        if self.get("lines") not in methods:
            self.put("lines", shown)
        self.select("lines", options=list(methods), width=136)

    def look_at(self, layer: str) -> None:
        """Show a layer and what costs most there."""
        self.put("unit", 0)
        self.set("layer", layer)

    def inside_choice(self, look: Look, drawn: bool, pictured: bool) -> None:
        """Which draw if the layer has several, and by which method the bounds are if it is pictured."""
        with st.container(horizontal=True, vertical_alignment="bottom"):
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
