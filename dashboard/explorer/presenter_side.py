"""One model's half of the presenter's page: pictures, numbers, verdict, in large type."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.evaluation.curve import Curve, Proof
from dashboard.shared import images, large_type
from dashboard.shared.display_size import ROOM
from dashboard.shared.result import Known, Result
from dashboard.shared.text import METHOD_NAMES, nats, proved_nats, signed


class Side(Known):
    """Drawn in the container that is current when it is made; again when a better proof is in."""

    def __init__(self, known: Known, eps: float) -> None:
        super().__init__(**vars(known))
        self._at = known.result.at(eps)
        self._verdict = st.empty()
        _pictures(known.result, self._at)
        self._numbers = st.empty()
        self.add(())

    def add(self, proofs: Sequence[Proof]) -> None:
        """Take in proofs, and say what they change."""
        self.curve = self.curve.add(proofs)
        with self._verdict:
            large_type.say(self.verdict(self.curve))
        with self._numbers.container(horizontal=True, gap="large"):
            _numbers(self.curve, self._at)


def _pictures(result: Result, i: int) -> None:
    shown = (
        ("Input", result.image, "The clean image"),
        ("Attacked", result.attacked[i], f"The image after the attack, eps {result.curve.eps[i]:g}"),
        ("Recon of attacked", result.recon_attacked[i], "The attacked image as the model decodes it"),
    )
    with st.container(horizontal=True, gap="small"):
        for caption, image, alt in shown:
            with st.container(width=ROOM.picture, gap=None):
                st.image(images.enlarged(image, 280), width=ROOM.picture, alt=alt)
                large_type.note(caption)


def _numbers(curve: Curve, i: int) -> None:
    attained, best = curve.attained[i].item(), curve.best(curve.eps[i].item())
    large_type.number("Clean", nats(curve.clean), "no attack")
    large_type.number("Attained", nats(attained), f"{signed(attained - curve.clean)} from clean")
    if best is None:
        large_type.number("Proved", "vacuous", "nothing is proved")
    else:
        by = f"of these draws, by {METHOD_NAMES[best.method]}"
        large_type.number("Proved", proved_nats(best.bound, side=curve.side), by)
