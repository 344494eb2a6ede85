"""What a page shows of models and images, as Python that computes the same numbers without it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.evaluation.curve import Proof
from core.vae.checkpoint import list_models
from core.vae.threat import SIDES
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import Settings, State
from dashboard.addresses.kinds import Source
from dashboard.shared.result import Known

PYTHON = "The same numbers in Python"


def offer(script: str, place: DeltaGenerator | None = None) -> None:
    """The script, to open and copy."""
    with (place or st).expander(PYTHON):
        st.code(script, language="python")


def of_pair(cards: Sequence[Known], state: State) -> str:
    """A script that prints clean, attacked and proved of each model at eps, nats. Not for an image of one's
    own, which no other program has."""
    s = state.settings
    lines = ["import core", "", *images(state.source), image(state.digit), *question(s, state.grid)]
    for card in cards:
        best = card.curve.best(state.eps)
        lines += ["", *curve(card.model, card.name, s), *known_at(state.eps), *_proof(best, s.side)]
    return written(lines)


def images(source: Source) -> list[str]:
    """Where the images come from."""
    if source.model:
        return [f"images = core.load_images({source.model!r}).x"]
    return [f'images = core.load_samples("{source.dataset}")[0]']


def image(digit: Digit) -> str:
    """Which of them; not for one of a visitor's own."""
    return f"x = images[{digit.index} : {digit.index + 1}]"


def question(s: Settings, grid: Sequence[float]) -> list[str]:
    """What is asked, at which radii."""
    return [f"asked = dict(target={s.target!r}, norm={s.norm!r}, side={s.side!r})", f"grid = {list(grid)}"]


def model(name: str, label: str, draws: int, seed: int) -> list[str]:
    """A model and its noise. label: what people call it."""
    what = label if name in list_models() else "put the path of this model's folder here"
    return [
        f"vae = core.load_model({name!r})  # {what}",
        f"noise = core.sample_noise(vae, draws={draws}, seed={seed})",
    ]


def attack(s: Settings) -> str:
    """How the attacked image is searched for."""
    return f"method={s.attack!r}, steps={s.steps}, restarts={s.restarts}, seed={s.seed}"


def curve(name: str, label: str, s: Settings) -> list[str]:
    """A model, and what an attack does to it at each radius."""
    found = f"curve = core.elbo_curve(vae, x, noise, grid, **asked, {attack(s)})"
    return [*model(name, label, s.draws, s.seed), found]


def known_at(eps: float) -> list[str]:
    """What the curve says at a radius."""
    at = f"curve.attained[grid.index({eps!r})].item()"
    return ['print("clean", curve.clean)', f'print("attacked", {at})']


def written(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _proof(best: Proof | None, side: str) -> list[str]:
    """What is proved, by the method that proves most."""
    if best is None:
        return ["# Nothing is proved at this eps."]
    steps = f", iterations={best.iterations}" if best.iterations else ""  # some methods take none
    asked = f"eps={best.eps!r}, method={best.method!r}{steps}"
    bound = "lower" if side == SIDES[0] else "upper"
    return [
        f"proved = core.certify(vae, x, noise, **asked, {asked})",
        f'print("proved", proved.{bound}.item())',
        "print(proved.statement(0))",
    ]
