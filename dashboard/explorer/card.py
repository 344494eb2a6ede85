"""One model's half of the page: drawn at once, and in part again whenever a better proof arrives."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from core.evaluation.curve import Curve, Proof
from dashboard.addresses.explorer import State
from dashboard.explorer import loss_bars, panels, seen_proofs
from dashboard.server.background import Show
from dashboard.shared import compute, limits, text
from dashboard.shared.file_names import file_name, of_image, of_question
from dashboard.shared.result import Known

# Proofs from the cache arrive at once: they are not drawn one by one.
_STANDS = 0.2


class Card(Known):
    """show: draws verdict, numbers and line at every radius. What is below the stage is drawn in the
    container that is current when it is asked for."""

    def __init__(
        self, known: Known, show: Callable[[Curve, float, Proof | None], None], state: State
    ) -> None:
        super().__init__(**vars(known))
        seen = seen_proofs.recall(self.model, state.digit, state.settings.proof, state.method)
        self.curve = self.curve.add(seen)
        self._state, self._show = state, show
        self._at, self._drawn, self._files = self.result.at(state.eps), 0.0, itertools.count()
        self._shown: tuple[Curve | None, Proof | None] = (None, None)
        self._statement: DeltaGenerator | None = None
        self._methods: DeltaGenerator | None = None
        self.draw(self.curve)

    def state_exactly(self) -> None:
        """From now on the exact statement is shown, with its certificate."""
        self._statement, self._share, self._file, self._opinion = (st.empty() for _ in range(4))
        self._say(self.curve)

    def table(self) -> None:
        """From now on the bound of each method is shown."""
        self._methods = st.empty()
        self._say(self.curve)

    def add(self, proofs: Sequence[Proof]) -> None:
        """Take in proofs on the draws, and show what they change, soon."""
        known = {(proof.method, proof.eps): proof.strength for proof in self.curve.proofs}
        # What proves no more than is known is no news.
        proofs = [
            proof
            for proof in proofs
            if (at := (proof.method, proof.eps)) not in known or known[at] < proof.strength
        ]
        if not proofs:
            return
        self.curve = self.curve.add(proofs)
        seen_proofs.remember(self.model, self._state.digit, self._state.settings.proof, proofs)
        if time.monotonic() - self._drawn > _STANDS:
            self.settle()

    def settle(self) -> None:
        """Show all that is known, if it is not shown."""
        if self._shown[0] is not self.curve or self._shown[1] is not self.sampled:
            self.draw(self.curve)

    def draw(self, curve: Curve) -> None:
        """Show what a curve says."""
        self._drawn, self._shown = time.monotonic(), (curve, self.sampled)
        self._show(curve, self.threshold, self.sampled)
        self._say(curve)

    def _say(self, curve: Curve) -> None:
        """What is open below the stage."""
        if self._statement is not None:
            panels.statement(self._statement, self.name, curve, self._at, self.sampled, self._state.states)
            self._way(curve)
            self._offer(curve.best(curve.eps[self._at].item()))
        if self._methods is not None:
            name = f":{text.HUES[self.colour]}[{self.name}]"
            panels.methods(self._methods, name, curve, self._at, self._state.method)

    def _way(self, curve: Curve) -> None:
        """How far the model is on the way between what limits every model."""
        state = self._state
        try:
            known = limits.of(self.model, state.digit, state.settings.proof, (state.eps,))
        except CoreError as error:
            self._share.error(text.plain(str(error)))
            return
        if known is not None:
            best = curve.best(curve.eps[self._at].item())
            proved = -math.inf if best is None else best.bound
            self._share.caption(limits.in_words(known, state.eps, proved, curve.attained[self._at].item()))

    def _offer(self, proof: Proof | None) -> None:
        """The best proof as a file; nothing where none says anything."""
        if proof is None:
            self._file.empty()
            self._opinion.empty()
            return
        state = self._state
        make = partial(compute.claim, self.model, state.digit, state.settings.proof, proof)
        # Drawn again in the same run, a button needs a key of its own.
        key = f"certificate-{self.colour}-{next(self._files)}"
        asked = of_question(state.settings.proof, proof.eps)
        file = file_name("json", "certificate", *of_image(state.digit), self.model, *asked, proof.method)
        panels.certificate(self._file, make, file, key, partial(self._ask, proof))
        if not self._asked_of(proof):
            self._opinion.empty()

    def _ask(self, proof: Proof) -> None:
        """Remember that this proof is to be checked: a click, then the page runs again."""
        st.session_state[self._asking] = self._question(proof)

    def _asked_of(self, proof: Proof) -> bool:
        return st.session_state.get(self._asking) == self._question(proof)

    @property
    def _asking(self) -> str:
        return f"check-{self.colour}"

    def _question(self, proof: Proof) -> tuple[object, ...]:
        state = self._state
        return self.model, state.digit, state.settings, proof.eps, proof.method, proof.bound

    @property
    def awaits_opinion(self) -> bool:
        """Whether somebody asked for a second opinion on the best proof, as it stands."""
        if self._statement is None:
            return False
        best = self.curve.best(self.curve.eps[self._at].item())
        return best is not None and self._asked_of(best)

    def judge(self, show: Show) -> None:
        """Show what the second program says of the best proof."""
        best, state = self.curve.best(self.curve.eps[self._at].item()), self._state
        assert best is not None
        try:
            certificate = compute.claim(self.model, state.digit, state.settings.proof, best)
            panels.opinion(self._opinion, compute.opinion(self.model, state.digit, certificate, show))
        except CoreError as error:
            self._opinion.error(text.plain(str(error)))

    @property
    def losses(self) -> list[loss_bars.Loss]:
        return panels.losses(self, self._at)
