"""Proofs that get tighter, and where they are shown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from core.evaluation.curve import Proof
from dashboard.addresses.explorer import FAST, State
from dashboard.explorer.card import Card
from dashboard.server.background import Now
from dashboard.shared import proof_schedule, text
from dashboard.shared.proof_schedule import Step
from dashboard.shared.skeleton import Bar

SECONDS = 120.0
"""After so long no other radius is begun, so that one visitor does not occupy the server."""
# Chart: how long it stands before it is drawn again; the browser rebuilds it each time.
_STANDS = 2.0


def refine(cards: Sequence[Card], state: State, status: DeltaGenerator, chart: Callable[[], None]) -> None:
    """Prove more and more until all is in; every control interrupts it. chart: draws what is known."""
    total, end = proof_schedule.expected(len(cards), state), time.monotonic() + SECONDS
    drawn, old = -math.inf, True  # drawn first when there is something to wait for, or nothing more to come

    def draw() -> None:
        nonlocal drawn, old
        chart()
        drawn, old = time.monotonic(), False

    bar = Bar(status)
    for done, step in enumerate(proof_schedule.steps(cards, state, end)):
        card, share = step.card, min(1.0, done / total)
        seen: tuple[Proof, ...] = ()

        def show(now: Now, step: Step[Card] = step, share: float = share) -> None:
            nonlocal seen
            if drawn == -math.inf:
                draw()
            what = f"{step.card.name}: {text.METHOD_NAMES[step.method]}, {now.what}"
            bar.say(share, f"{what}. Any control cancels it.")
            if step.live and now.proofs != seen:
                seen = now.proofs
                step.card.draw(step.card.curve.add(seen))

        try:
            proofs = step.compute(show)
        except CoreError as error:
            status.error(str(error))
            _settle(cards)
            draw()
            return
        if step.sampled:
            card.sampled = proofs[0]
            card.draw(card.curve)
        else:
            card.add(proofs)
        old = True
        if -math.inf < drawn < time.monotonic() - _STANDS:
            draw()
    _settle(cards)
    if old:
        draw()
    late = state.method not in FAST and time.monotonic() > end
    said = f"{SECONDS:g} seconds are over: some radii were left out" if late else "Proofs complete"
    status.caption(f"{said}.")


def _settle(cards: Sequence[Card]) -> None:
    """Show all that is known."""
    for card in cards:
        card.settle()
