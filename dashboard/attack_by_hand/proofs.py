"""Proofs that come in while somebody paints: on a thread of their own, as long as someone looks."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from core.errors import Cancelled, CoreError
from core.evaluation.curve import Curve
from dashboard.addresses.explorer import State
from dashboard.addresses.models import sentence, stamp
from dashboard.server.background import Now
from dashboard.shared import proof_schedule
from dashboard.shared.result import Known

PATIENCE = 10.0
"""Seconds after which proofs that nobody asked for any more are given up."""
_GLANCE = 0.4
"""Seconds that a page waits for proofs that are there already."""
_KEPT = "attack proofs"


@dataclass
class Coming:
    """Proofs of each model, those that are in; read by pages, written by one thread.

    doing  what is computed now, "" when all is done. error: why it ended before, "" if it did not.
    """

    sides: Sequence[Known]
    state: State
    doing: str = "about to start"
    error: str = ""
    asked: float = 0.0
    wanted: bool = True

    def __post_init__(self) -> None:
        self._cards = [replace(side, curve=side.result.curve) for side in self.sides]
        self.asked = time.monotonic()
        thread = threading.Thread(target=self._work, name="proofs", daemon=True)
        add_script_run_ctx(thread, get_script_run_ctx())  # images of one's own are cached in the session
        thread.start()
        thread.join(_GLANCE)

    def look(self) -> dict[str, Curve]:
        """The curves with all that is known by now; says that somebody still looks."""
        self.asked = time.monotonic()
        return {card.model: card.curve for card in self._cards}

    def _work(self) -> None:
        try:
            for step in proof_schedule.steps(self._cards, self.state, math.inf):
                card = step.card
                card.curve = card.curve.add(step.compute(partial(self._show, card.name)))
        except Cancelled:
            self.wanted = False
        except CoreError as error:
            self.error = sentence(error)
        self.doing = ""

    def _show(self, name: str, now: Now) -> None:
        if not self.wanted or time.monotonic() - self.asked > PATIENCE:
            raise Cancelled
        self.doing = f"{name}: {now.what}"


def coming(sides: Sequence[Known], state: State) -> Coming:
    """The proofs of a question, begun anew where it is another one, or where they were given up."""
    question = (
        *((side.model, stamp(side.model), side.threshold) for side in sides),
        (state.digit, state.settings.proof, state.grid, state.eps, state.method),
    )
    kept: tuple[object, Coming] | None = st.session_state.get(_KEPT)
    if kept is not None and kept[0] == question and kept[1].wanted:
        return kept[1]
    if kept is not None:
        kept[1].wanted = False
    made = Coming(sides, state)
    st.session_state[_KEPT] = (question, made)
    return made
