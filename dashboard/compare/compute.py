"""Thin adapters around core for the page of comparisons, with caches. What is shown of one digit comes from
the explorer's."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import streamlit as st

import core
from core.evaluation.curve import Curve
from core.evaluation.verdicts import Finding, find_verdicts
from dashboard.addresses.compare import PROOF, Comparison
from dashboard.addresses.digit import Digit, images
from dashboard.addresses.explorer import Settings
from dashboard.addresses.kinds import Source
from dashboard.addresses.models import stamped
from dashboard.server.background import Now, Show, Tell, run
from dashboard.shared import limits, tighter_bounds
from dashboard.shared.compute import Result, explore, model, usual_threshold
from dashboard.shared.limits import Limits

CHUNK = 16
"""Images whose verdicts are searched together; a chunk that is done is kept."""


@dataclass(frozen=True)
class Entry:
    """One model and one digit: what is attained and proved over the grid.

    place  of the model among those compared: its colour and symbol. name: what people call it.
    limits  what limits every model with this likelihood on this digit, at eps.
    """

    model: str
    name: str
    place: int
    digit: Digit
    result: Result
    curve: Curve
    threshold: float
    limits: Limits | None = None


def threshold(comparison: Comparison, name: str) -> float:
    """The one that is asked for, or the model's own; nats."""
    asked = comparison.asked.threshold
    return usual_threshold(name, comparison.asked.source) if asked is None else asked


def entry(comparison: Comparison, name: str, label: str, digit: Digit, show: Show) -> Entry:
    """Attack and prove one model on one digit; shares its caches with the explorer. Raises CoreError."""
    asked = comparison.asked
    result = explore(name, digit, asked.settings, asked.grid, show)
    proofs = tighter_bounds.grid(name, digit, asked.settings.proof, PROOF, asked.grid, show)
    place = comparison.models.index(name)
    curve = result.curve.add(proofs)
    known = limits.of(name, digit, asked.settings.proof, (asked.eps,))
    return Entry(name, label, place, digit, result, curve, threshold(comparison, name), known)


def chosen(comparison: Comparison) -> tuple[int, ...]:
    """The images of the gallery, by number."""
    labels, wanted = images(comparison.asked.source).y.tolist(), comparison.classes
    found = (i for i, label in enumerate(labels) if not wanted or str(label) in wanted)
    return tuple(islice(found, comparison.count))


def chunks(comparison: Comparison) -> list[tuple[int, ...]]:
    """The same, in the portions in which they are computed."""
    indices = chosen(comparison)
    return [indices[start : start + CHUNK] for start in range(0, len(indices), CHUNK)]


def findings(comparison: Comparison, name: str, chunk: tuple[int, ...], show: Show) -> tuple[Finding, ...]:
    """What is found of these digits; from the cache if it was done before. Raises CoreError."""
    asked, level = comparison.asked, threshold(comparison, name)
    return _findings(name, asked.source, chunk, asked.settings, asked.grid, level, show)


@stamped(st.cache_data(max_entries=1024, show_spinner=False))
def _findings(
    name: str,
    source: Source,
    indices: tuple[int, ...],
    settings: Settings,
    grid: tuple[float, ...],
    level: float,
    _show: Show,
) -> tuple[Finding, ...]:
    vae, s = model(name), settings
    x = images(source).x[list(indices)]
    noise = core.sample_noise(vae, draws=s.draws, seed=s.seed)

    def work(tell: Tell) -> tuple[Finding, ...]:
        return find_verdicts(
            vae,
            x,
            noise,
            grid,
            threshold=level,
            target=s.target,
            norm=s.norm,
            method=s.attack,
            steps=s.steps,
            restarts=s.restarts,
            seed=s.seed,
            certificate=PROOF,
            progress=lambda done, total: tell(
                Now(done / total, f"images {indices[0]} to {indices[-1]}, {done / total:.0%}")
            ),
        )

    return run(work, _show, model=name)
