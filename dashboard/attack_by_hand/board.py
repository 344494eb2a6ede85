"""What moves while somebody paints: it runs again for each look at the canvas, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError, InputError
from dashboard.addresses import paint
from dashboard.addresses.attack import Hand
from dashboard.attack_by_hand import best, canvas, chart, scores, text
from dashboard.attack_by_hand.best import Found, Radii
from dashboard.attack_by_hand.contradiction import Contradiction, examine
from dashboard.attack_by_hand.controls import Panel
from dashboard.attack_by_hand.goals import goals
from dashboard.attack_by_hand.message import CLEAN, FROM_MACHINE, read_message
from dashboard.attack_by_hand.painting import Painting
from dashboard.attack_by_hand.proofs import Coming
from dashboard.attack_by_hand.ruler import Ruler, beats, contradicts, ruler
from dashboard.server.background import Now
from dashboard.shared.result import Known
from dashboard.shared.text import plain

_AGAIN = 0.8
"""Seconds between two looks at the proofs that come in."""
_SEEN = "attack contradictions"
MOST_SEEN = 4


@dataclass
class Board:
    """One question, what is painted, and what is known of it."""

    panel: Panel
    hand: Hand
    painting: Painting
    sides: Sequence[Known]
    coming: Coming

    def __post_init__(self) -> None:
        self._drawn: object = None
        self._starts = list(self._offered())
        self._proving = bool(self.coming.doing)

    def show(self) -> None:
        """Draw it, and again whenever the canvas or the proofs have news."""
        # While proofs come in it looks for them by itself.
        again = st.fragment(self._run, run_every=_AGAIN if self._proving else None)
        again()

    @property
    def _eps(self) -> float:
        return self.hand.asked.eps

    @property
    def _machine(self) -> str:
        return text.machine_name(self.hand.asked.settings.attack)

    def _run(self) -> None:
        asked = self.hand.asked
        sent = canvas.show(asked, self.painting, self.sides, self._starts)
        refused = self._take(sent)
        curves = self.coming.look()
        for side in self.sides:
            side.curve = curves[side.model]
        found = self._scored()
        rulers = {i: self._ruler(side, found[side.model]) for i, side in enumerate(self.sides)}
        known = self._found()
        canvas.answer(
            self.painting,
            self._eps,
            rulers,
            goals(self.sides, known, self._machine, bool(self.coming.doing)),
            " ".join(text.spoken(s.name, found[s.model], rulers[i].said) for i, s in enumerate(self.sides)),
            self._status(),
            self._link(),
        )
        for said in filter(None, (refused, self.coming.error)):
            st.error(plain(said))
        self._contradictions(found)
        changed = self._drawn is not None and self._drawn != self._news()
        if self.painting.done and (changed or (self._proving and not self.coming.doing)):
            st.rerun()  # with another chart, or without looking for proofs by itself

    def _take(self, sent: object) -> str:
        """Take over what the canvas sent; why not, if it cannot be."""
        asked = self.hand.asked
        try:
            message = read_message(sent, asked.source.shape, asked.scale.most)
        except InputError as error:
            return str(error)
        if message is None or not self.painting.take(message):
            return ""
        written = paint.encode(self.painting.levels) if message.done else self.hand.paint
        self.panel.keep(written)
        self.hand = replace(self.hand, paint=written)
        if message.eps is not None and message.eps != asked.eps:
            self.panel.set("eps", message.eps)
            st.rerun()
        return ""

    def _status(self) -> str:
        """What is being proved, and whether a link holds the painting."""
        asked, levels = self.hand.asked, self.painting.levels
        said = f"{self.coming.doing}." if self.coming.doing else text.PROOFS_IN
        long = self.painting.done and levels.any() and not self.hand.paint
        coloured = text.COLOURED if asked.source.shape[0] > 1 else ""
        return " ".join(filter(None, (said, text.LONG if long else "", coloured)))

    def _link(self) -> Mapping[str, str] | None:
        """The URL that the browser is to show once the hand rests; None while it paints."""
        return self.panel.replaced(self.hand) if self.painting.done else None

    def _scored(self) -> dict[str, float]:
        """What the models say of the painting, nats; the best is remembered, the beaten machine goes on."""
        asked, found = self.hand.asked, dict[str, float]()
        proof = asked.settings.proof
        point = scores.painted(asked.digit.image(), self.painting.levels, proof.threat(self._eps))
        by_hand = self.painting.origin == CLEAN and bool(self.painting.levels.any())
        for side in self.sides:
            score = found[side.model] = scores.score(side.model, asked.digit, proof, point)
            new = Found(hand=score if by_hand else None)
            attained = side.curve.attained[side.result.at(self._eps)].item()
            went_on = best.known(side.model, asked.digit, proof).get(self._eps, Found()).machine
            if self.painting.done and beats(score, attained) and (went_on is None or score < went_on):
                args = side.model, asked.digit, asked.settings, self._eps, point, _unseen
                with suppress(CoreError):  # it goes on another time
                    new = replace(new, machine=scores.go_on(*args))
            if new != Found():
                best.remember(side.model, asked.digit, proof, self._eps, new)
        return found

    def _found(self) -> dict[str, Radii]:
        asked = self.hand.asked
        return {s.model: best.known(s.model, asked.digit, asked.settings.proof) for s in self.sides}

    def _ruler(self, side: Known, score: float) -> Ruler:
        asked = self.hand.asked
        found = best.known(side.model, asked.digit, asked.settings.proof).get(self._eps, Found())
        return ruler(side, self._eps, score, self._machine, found.machine)

    def chart(self, place: DeltaGenerator, legend: DeltaGenerator) -> None:
        """Draw the chart. What runs again must not: what it drew goes when it runs without drawing it."""
        self._drawn = self._news()
        mine = {model: best.curve(radii) for model, radii in self._found().items()}
        chart.draw(place, legend, self.sides, mine, self.hand.asked)

    def _news(self) -> object:
        """Changes when the chart does."""
        mine = [best.curve(radii) for radii in self._found().values()]
        return mine, [len(side.curve.proofs) for side in self.sides]

    def _contradictions(self, found: Mapping[str, float]) -> None:
        """Whatever was below a proof, with its file; it stays on the page as long as the session lasts."""
        asked = self.hand.asked
        seen: dict[object, Contradiction] = st.session_state.setdefault(_SEEN, {})
        for side in self.sides:
            proof = side.curve.best(self._eps)
            if proof is None or not contradicts(found[side.model], proof):
                continue
            about = side.model, asked.digit, canvas.digest(self.painting.levels), proof.eps, proof.bound
            if about not in seen and len(seen) < MOST_SEEN:
                args = asked.settings.proof, self._eps, self.painting.levels, proof
                seen[about] = examine(side.model, side.name, asked.digit, *args)
        for number, each in enumerate(seen.values()):
            st.error(plain(each.said))
            if each.file:
                st.download_button(
                    text.COUNTEREXAMPLE,
                    each.file,
                    each.name,
                    "application/json",
                    key=f"counterexample-{number}",
                    help=text.COUNTEREXAMPLE_HELP,
                    on_click="ignore",
                    icon=":material/download:",
                )

    def _offered(self) -> Iterator[Mapping[str, Any]]:
        """What a painting may start from besides the clean image."""
        asked = self.hand.asked
        x, proof = asked.digit.image(), asked.settings.proof
        for side in self.sides:
            try:
                first = scores.first_step(side.model, asked.digit, proof, self._eps, _unseen)
            except CoreError:  # one start less
                continue
            machine = scores.as_levels(x, side.curve.x_adv[side.result.at(self._eps)][None])
            for attack, levels in {scores.FIRST: first, asked.settings.attack: machine}.items():
                label = text.start(attack, side.name)
                yield {"label": label, "origin": FROM_MACHINE, "levels": canvas.levels_text(levels)}


def _unseen(now: Now) -> None:
    """Progress of what takes less than a second."""
