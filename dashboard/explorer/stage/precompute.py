"""Computes what the explorer opens with: `python -m dashboard.explorer.stage.precompute`, some minutes.

To be run again when one of the first two models, the first image or the default settings change; a test
says so, and until then the page computes it as it does any other view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import core
from core.evaluation.curve import Proof
from dashboard.addresses.explorer import default_state
from dashboard.server.background import Now
from dashboard.shared import compute, first_view, proof_schedule
from dashboard.shared.result import Known

COMMAND = "python -m dashboard.explorer.stage.precompute"


def compute_view() -> first_view.View:
    """What the page computes by default, to the end."""
    state = default_state(core.list_models())
    view = first_view.View(state.index, state.settings, {}, {})
    sheets: list[Known] = []
    for model in state.sides:
        sheets.append(compute.known(model, "", "", state, _say))
        view.results[model] = sheets[-1].result
    for step in proof_schedule.steps(sheets, state, math.inf):
        print(f"{step.card.model}: {step.method}, {len(step.radii)} radii, from {step.radii[0]:g}")
        proofs: Sequence[Proof] = step.compute(_say)
        view.bounds[step.card.model, step.method, step.radii] = tuple(proofs)
        step.card.curve = step.card.curve.add(proofs)
    return view


def _say(now: Now) -> None:
    """Nothing: a step takes seconds."""


def main() -> None:
    # What is there would be read instead of computed.
    for name in (first_view.WORDS, first_view.ARRAYS):
        (first_view.FOLDER / name).unlink(missing_ok=True)
    first_view.write(compute_view(), first_view.FOLDER, COMMAND)
    print(f"{first_view.FOLDER / first_view.WORDS} and {first_view.ARRAYS} are written.")


if __name__ == "__main__":
    main()
