"""Proofs that come in while somebody paints: on a thread of their own, as long as someone looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from core.errors import Cancelled, CoreError
from core.evaluation.curve import Curve, Proof
from dashboard.addresses.explorer import FAST, State
from dashboard.addresses.models import sentence, stamp
from dashboard.server.background import Now
from dashboard.shared import tighter_bounds
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
        self.curves = {side.model: side.result.curve for side in self.sides}
        self._names = {side.model: side.name for side in self.sides}
        self.asked = time.monotonic()
        thread = threading.Thread(target=self._work, name="proofs", daemon=True)
        add_script_run_ctx(thread, get_script_run_ctx())  # images of one's own are cached in the session
        thread.start()
        thread.join(_GLANCE)

    def look(self) -> dict[str, Curve]:
        """The curves with all that is known by now; says that somebody still looks."""
        self.asked = time.monotonic()
        return dict(self.curves)

    def _work(self) -> None:
        try:
            for model, method, radii in self._steps():
                self._prove(model, method, radii)
        except Cancelled:
            self.wanted = False
        except CoreError as error:
            self.error = sentence(error)
        self.doing = ""

    def _prove(self, model: str, method: str, radii: tuple[float, ...]) -> None:
        """Radii that are several are asked of a fast method at once."""

        def show(now: Now) -> None:
            if not self.wanted or time.monotonic() - self.asked > PATIENCE:
                raise Cancelled
            self.doing = f"{self._names[model]}: {now.what}"

        settings, digit = self.state.settings.proof, self.state.digit
        if method in FAST:
            found = tighter_bounds.grid(model, digit, settings, method, radii, show)
        else:
            found = tighter_bounds.point(model, digit, settings, method, radii[0], show)
        self._add(model, found)

    def _add(self, model: str, found: tuple[Proof, ...]) -> None:
        self.curves[model] = self.curves[model].add(found)

    def _steps(self) -> Iterator[tuple[str, str, tuple[float, ...]]]:
        """The whole range by the fast method, eps by the usual one, radii that settle the verdict, and at
        last eps by the slowest that is asked for."""
        state, method = self.state, self.state.spread
        if method != "ibp":
            yield from ((side.model, FAST[-1], state.grid) for side in self.sides)
        if method not in FAST:
            yield from ((side.model, method, (state.eps,)) for side in self.sides)
            for side in self.sides:
                asked = None
                while (eps := self.curves[side.model].undecided(side.threshold, method)) is not None:
                    if eps == asked:
                        break
                    asked = eps
                    yield side.model, method, (eps,)
        if state.method != method:
            yield from ((side.model, state.method, (state.eps,)) for side in self.sides)


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
