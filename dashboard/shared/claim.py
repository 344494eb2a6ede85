"""What numbers are of, in sentences: of figures and of tables that leave the page. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.addresses.digit import Digit, images
from dashboard.addresses.explorer import Settings
from dashboard.shared.text import (
    ATTACK_LABELS,
    DATASET_LABELS,
    EPS_AXIS,
    METHOD_NAMES,
    TARGET_LABELS,
    noise_draws,
)

ADVERSARY = {"lower": "The adversary lowers the ELBO.", "upper": "The adversary raises the ELBO."}
NORMS = {"linf": "the most each pixel may change (l_inf)", "l2": "the most the image may change (l_2)"}
_BOUND = {
    "lower": "no image within eps scores below this",
    "upper": "no image within eps scores above this",
}


def question(settings: Settings, method: str) -> str:
    """What a figure is about. method: the slowest of the proofs."""
    s = settings
    asked = f"{TARGET_LABELS[s.target]}; {EPS_AXIS[s.norm]}. {ADVERSARY[s.side]}"
    return f"{asked} Attack: {_attack(s)}; proofs up to {METHOD_NAMES[method]}; {mean(s.draws, s.seed)}."


def table(digits: Sequence[Digit], eps: float, settings: Settings, method: str) -> str:
    """What a table of clean, attacked and proved is about."""
    s, shown = settings, " and ".join(map(image, digits))
    asked = f"{TARGET_LABELS[s.target]}, eps {eps:.6g}: {NORMS[s.norm]}. {ADVERSARY[s.side]}"
    proved = f"Proved, up to {METHOD_NAMES[method]}: {_BOUND[s.side]}, on these draws."
    return f"ELBO in nats of {shown}, {mean(s.draws, s.seed)}. {asked} Attack: {_attack(s)}. {proved}"


def image(digit: Digit) -> str:
    """Which image, of which data: "MNIST test image 3, a 0"."""
    if digit.pixels:
        return "an image of one's own"
    named, number = images(digit.source).name_of(digit.index), f"test image {digit.index}"
    of = (
        f"{number} of {digit.source.model}"
        if digit.source.model
        else f"{DATASET_LABELS[digit.source.dataset]} {number}"
    )
    return f"{of}, {'a ' if named.isdigit() else ''}{named}" if named else of


def _attack(settings: Settings) -> str:
    return ATTACK_LABELS[settings.attack].split(":")[0]


def mean(draws: int, seed: int) -> str:
    """Over which noise draws."""
    return f"{'mean over ' if draws > 1 else ''}{noise_draws(draws)} (seed {seed})"
