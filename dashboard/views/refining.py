"""From fast to tight: which proof is computed next, and where it is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from streamlit.delta_generator import DeltaGenerator

from core.curve import Proof
from core.errors import CoreError
from dashboard import text, tighten
from dashboard.jobs import Now, Show
from dashboard.state import FAST, State
from dashboard.views.card import Card

SECONDS = 120.0
"""After so long no other radius is begun, so that one visitor does not occupy the server."""
# Chart: how long it stands before it is drawn again; the browser rebuilds it each time.
_STANDS = 2.0


@dataclass(frozen=True)
class Step:
    """One computation for one card. sampled: about the noise at large, not about the draws."""

    card: Card
    method: str
    compute: Callable[[Show], tuple[Proof, ...]]
    live: bool = False
    sampled: bool = False


def refine(cards: Sequence[Card], state: State, status: DeltaGenerator, chart: Callable[[], None]) -> None:
    """Prove more and more until all is in; every control of the page interrupts it."""
    total, drawn = _expected(len(cards), state), time.monotonic()
    end, old = drawn + SECONDS, False
    for done, step in enumerate(_steps(cards, state, end)):
        card, share = step.card, min(1.0, done / total)
        seen: tuple[Proof, ...] = ()

        def show(now: Now, step: Step = step, share: float = share) -> None:
            nonlocal seen
            what = f"{step.card.name}: {text.METHOD_NAMES[step.method]}, {now.what}"
            status.progress(share, f"{what}. Any control cancels it.")
            if step.live and now.proofs != seen:
                seen = now.proofs
                step.card.draw(step.card.curve.add(seen))

        try:
            proofs = step.compute(show)
        except CoreError as error:
            status.error(str(error))
            return
        if step.sampled:
            card.sampled = proofs[0]
            card.draw(card.curve)
        else:
            card.add(proofs)
        if old := time.monotonic() - drawn < _STANDS:
            continue
        chart()
        drawn = time.monotonic()
    if old:
        chart()
    late = state.method not in FAST and time.monotonic() > end
    said = f"{SECONDS:g} seconds are over: some radii were left out" if late else "All proofs are in"
    status.progress(1.0, f"{said}, up to {text.METHOD_NAMES[state.method]}.")


def _steps(cards: Sequence[Card], state: State, end: float) -> Iterator[Step]:
    """Whole range by the fast method; then the cursor; then a few radii; then the cursor by the slowest."""
    method = state.spread
    if method != "ibp":
        for card in cards:
            args = (card.model, state.digit, state.settings, FAST[-1], state.grid)
            yield Step(card, FAST[-1], partial(tighten.grid, *args))
    if method not in FAST:
        # First where there is hope: a proof that stays vacuous takes the longest.
        for card in sorted(cards, key=lambda card: card.curve.best(state.eps) is None):
            yield _point(card, state, method, state.eps)
    if state.states != "draws":
        used = tighten.sampled_method(state.method, state.states)
        for card in cards:
            args = (card.model, state.digit, state.settings, used, state.states, state.eps)
            yield Step(card, used, partial(tighten.statement, *args), sampled=True)
    if method not in FAST:
        yield from _radii(cards, state, method, end)
    if state.method != method:
        for card in cards:
            yield _point(card, state, state.method, state.eps)


def _radii(cards: Sequence[Card], state: State, method: str, end: float) -> Iterator[Step]:
    """Radii that settle the verdict, then some over the range, upwards until a proof is vacuous."""
    for card in cards:
        asked = None
        while (eps := card.curve.undecided(card.threshold, method)) is not None:
            if eps == asked or time.monotonic() > end:
                break
            yield _point(card, state, method, asked := eps)
    for eps in state.scale.tight:
        for card in cards:
            tried = {p.eps: p.lower for p in card.curve.proofs if p.method == method}
            hopeless = min((e for e, lower in tried.items() if lower == float("-inf")), default=1e9)
            if eps <= state.most and eps not in tried and eps < hopeless and time.monotonic() < end:
                yield _point(card, state, method, eps)


def _point(card: Card, state: State, method: str, eps: float) -> Step:
    args = (card.model, state.digit, state.settings, method, eps)
    return Step(card, method, partial(tighten.point, *args), live=eps == state.eps)


def _expected(cards: int, state: State) -> int:
    """About how many steps there will be."""
    radii = 0 if state.method in FAST else 1 + sum(eps <= state.most for eps in state.scale.tight)
    extra = (state.method != "ibp") + (state.states != "draws") + (state.method != state.spread)
    return max(1, cards * (radii + extra))
