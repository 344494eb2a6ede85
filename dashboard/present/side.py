"""One model's half of the presenter's page: pictures, numbers, verdict, in large type."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.evaluation.curve import Curve, Proof
from dashboard.addresses.explorer import State
from dashboard.present.text import DRAWS
from dashboard.shared import figures, images, large_type, text
from dashboard.shared.compute import Result
from dashboard.shared.display_size import ROOM
from dashboard.shared.lines import line_of
from dashboard.shared.text import METHOD_NAMES, nats, proved_nats, signed


class Side:
    """Drawn in the container that is current when it is made; again when a better proof is in."""

    def __init__(
        self, model: str, name: str, colour: str, state: State, result: Result, threshold: float
    ) -> None:
        self.model, self.name, self.colour, self.threshold = model, name, colour, threshold
        self.curve: Curve = result.curve
        self._state, self._at = state, result.at(state.eps)
        self._verdict = st.empty()
        _pictures(result, self._at)
        self._numbers = st.empty()
        self.add(())

    def add(self, proofs: Sequence[Proof]) -> None:
        """Take in proofs, and say what they change."""
        self.curve = self.curve.add(proofs)
        hue, verdict = text.HUES[self.colour], self.curve.verdict(self.threshold).sentence()
        with self._verdict:
            large_type.say(f":{hue}[{self.name}]: {text.minus(verdict)}")
        with self._numbers.container(horizontal=True, gap="large"):
            _numbers(self.curve, self._at)

    @property
    def statement(self) -> str:
        """What the best certificate says, or why there is none."""
        best = self.curve.best(self._state.eps)
        tried = [proof for proof in self.curve.proofs if proof.eps == self._state.eps]
        return text.minus((best or tried[-1]).statement)

    @property
    def line(self) -> figures.Line:
        """Which method gave which bound is for the explorer: here the best of them is enough."""
        return line_of(self.curve, self.name, self.colour, self.threshold)


def _pictures(result: Result, i: int) -> None:
    shown = (
        ("Input", result.image, "The clean digit"),
        ("Attacked", result.attacked[i], f"The digit after the attack, eps {result.curve.eps[i]:g}"),
        ("Recon of attacked", result.recon_attacked[i], "The attacked digit as the model decodes it"),
    )
    with st.container(horizontal=True, gap="small"):
        for caption, image, alt in shown:
            with st.container(width=ROOM.picture, gap=None):
                st.image(images.grey(image), width=ROOM.picture, alt=alt)
                large_type.note(caption)


def _numbers(curve: Curve, i: int) -> None:
    attained, best = curve.attained[i].item(), curve.best(curve.eps[i].item())
    large_type.number("Clean", nats(curve.clean), "no attack")
    large_type.number("Attained", nats(attained), f"{signed(attained - curve.clean)} from clean")
    if best is None:
        large_type.number("Proved", "vacuous", "nothing is proved")
    else:
        by = f"{DRAWS}, by {METHOD_NAMES[best.method]}"
        large_type.number("Proved", proved_nats(best.bound, side=curve.side), by)
