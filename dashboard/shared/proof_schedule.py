"""From fast to tight: which proof is computed next."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from core.evaluation.curve import Proof
from dashboard.addresses.explorer import FAST, State
from dashboard.server.background import Show
from dashboard.shared import tighter_bounds
from dashboard.shared.result import Known

H = TypeVar("H", bound=Known)


@dataclass(frozen=True)
class Step(Generic[H]):
    """One computation for one model. sampled: about the noise at large, not about the draws."""

    card: H
    method: str
    radii: tuple[float, ...]
    compute: Callable[[Show], tuple[Proof, ...]]
    live: bool = False
    sampled: bool = False


def steps(cards: Sequence[H], state: State, end: float) -> Iterator[Step[H]]:
    """Whole range by the fast method; then the cursor; then a few radii; then the cursor by the slowest.

    end  on the clock `time.monotonic`; no other radius is begun after it.
    """
    method = state.spread
    if method != "ibp":
        for card in cards:
            args = (card.model, state.digit, state.settings.proof, FAST[-1], state.grid)
            yield Step(card, FAST[-1], state.grid, partial(tighter_bounds.grid, *args))
    if method not in FAST:
        # First where there is hope: a proof that stays vacuous takes the longest.
        for card in sorted(cards, key=lambda card: card.curve.best(state.eps) is None):
            yield _point(card, state, method, state.eps)
    if state.states != "draws":
        used = tighter_bounds.sampled_method(state.method, state.states)
        for card in cards:
            args = (card.model, state.digit, state.settings.proof, used, state.states, state.eps)
            yield Step(card, used, (state.eps,), partial(tighter_bounds.statement, *args), sampled=True)
    if method not in FAST:
        yield from _radii(cards, state, method, end)
    if state.method != method:
        for card in cards:
            yield _point(card, state, state.method, state.eps)


def _radii(cards: Sequence[H], state: State, method: str, end: float) -> Iterator[Step[H]]:
    """Radii that settle the verdict, then some over the range, upwards until a proof is vacuous."""
    for card in cards:
        asked = None
        while (eps := card.curve.undecided(card.threshold, method)) is not None:
            if eps == asked or time.monotonic() > end:
                break
            yield _point(card, state, method, asked := eps)
    for eps in state.scale.tight:
        for card in cards:
            tried = {p.eps: p.strength for p in card.curve.proofs if p.method == method}
            hopeless = min((e for e, strength in tried.items() if strength == -math.inf), default=1e9)
            if eps <= state.most and eps not in tried and eps < hopeless and time.monotonic() < end:
                yield _point(card, state, method, eps)


def _point(card: H, state: State, method: str, eps: float) -> Step[H]:
    args = (card.model, state.digit, state.settings.proof, method, eps)
    return Step(card, method, (eps,), partial(tighter_bounds.point, *args), live=eps == state.eps)


def expected(cards: int, state: State) -> int:
    """About how many steps there will be."""
    radii = 0 if state.method in FAST else 1 + sum(eps <= state.most for eps in state.scale.tight)
    extra = (state.method != "ibp") + (state.states != "draws") + (state.method != state.spread)
    return max(1, cards * (radii + extra))
