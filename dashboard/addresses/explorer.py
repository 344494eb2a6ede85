"""What the page shows, as a value; read from and written to the URL. Nothing here trusts its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.attacks import ATTACKS as ALL_ATTACKS
from core.bounds.ball import NORMS
from core.certificates.certificate import STATES
from core.certificates.methods import METHODS
from core.vae.model import VAE
from core.vae.threat import SIDES, Draws, Threat
from core.vae.validate import TARGETS
from dashboard.addresses.digit import Digit
from dashboard.addresses.page import Page, flat
from dashboard.addresses.reader import Message
from dashboard.addresses.scales import SCALES, Scale
from dashboard.addresses.settings import Number, OneOf, OwnImage, Seen, Whole
from dashboard.shared.text import (
    ATTACK_LABELS,
    HELP,
    METHOD_LABELS,
    NORM_LABELS,
    SIDE_LABELS,
    STATES_LABELS,
    TARGET_LABELS,
)

ATTACKS = ("pgd", *(name for name in ALL_ATTACKS if name != "pgd"))
OFFERED = {"lower": ATTACKS, "upper": tuple(name for name in ATTACKS if ALL_ATTACKS[name].directed)}
"""Attacks by side; STATED: what can be proved."""
STATED = {"lower": STATES, "upper": STATES[:1]}
FAST = ("ibp", "crown-ibp")
"""Methods that are computed over the whole grid."""
SPREAD = "alpha-crown"
"""The slowest method that is computed at several radii; those after it at eps alone."""
MOST_INDEX = 499
MOST_STEPS, MOST_RESTARTS, MOST_DRAWS, MOST_SEED = 200, 10, 64, 2**31 - 1
MOST_WORK = 20_000
"""Limit on draws x steps x restarts, so that one visitor cannot occupy the server for an hour."""
GRADIENTS = {"strongest": 25}
"""Gradients of one step, where it is not 1."""
MOST_TIGHT_DRAWS = 16
"""The same for certificates: the methods after FAST take up to a second a draw."""
MOST_NATS = 100_000.0
FIRST_CHOICE = {"left": "mnist-mlp-standard", "right": "mnist-mlp-robust-0.1"}


@dataclass(frozen=True)
class ProofSettings:
    """What a proof depends on besides model, image, radius and method; part of its cache key."""

    target: str = "likelihood"
    norm: str = "linf"
    draws: int = 4
    seed: int = 0
    side: str = "lower"

    def threat(self, eps: float | Tensor) -> Threat:
        """What the adversary may do within a radius."""
        return Threat(eps, self.target, self.norm, self.side)

    def noise(self, vae: VAE) -> Tensor:
        """The draws (S, k)."""
        return Draws(self.draws, self.seed).noise(vae)


@dataclass(frozen=True)
class Settings:
    """What an attack depends on besides model, image and eps; part of its cache key."""

    target: str = "likelihood"
    attack: str = "pgd"
    norm: str = "linf"
    steps: int = 40
    restarts: int = 1
    draws: int = 4
    seed: int = 0
    side: str = "lower"

    @property
    def proof(self) -> ProofSettings:
        """Those that a proof depends on: not the attack's."""
        return ProofSettings(self.target, self.norm, self.draws, self.seed, self.side)


@dataclass(frozen=True)
class State:
    """Everything that the URL can say.

    own        pixels of a visitor's own image, shown in place of number `index`, see Digit.
    threshold  None: each model's own. upto: one of the scale's ranges.
    method     bounds are computed by this method and the faster ones before it.
    states     what is proved at eps: of these draws, or of the noise at large.
    """

    left: str
    right: str
    index: int = 0
    own: bytes = b""
    eps: float = 0.1
    threshold: float | None = None
    upto: str = "0.15"
    method: str = "alpha-crown"
    states: str = "draws"
    settings: Settings = Settings()

    @property
    def digit(self) -> Digit:
        return Digit(self.index, self.own)

    @property
    def scale(self) -> Scale:
        return SCALES[self.settings.norm]

    @property
    def grid(self) -> tuple[float, ...]:
        """The radii to compute: the grid and, if it is not on it, eps."""
        grid = self.scale.grid
        return grid if self.eps in grid else tuple(sorted({*grid, self.eps}))

    @property
    def spread(self) -> str:
        """The method for radii other than eps."""
        return METHODS[min(METHODS.index(self.method), METHODS.index(SPREAD))]

    @property
    def most(self) -> float:
        """The eps at which the chart ends; never short of the cursor."""
        least = max(self.eps, float(self.upto))
        return next((float(r) for r in self.scale.ranges if float(r) >= least), self.eps)


def models_of(name: str, label: str, first: str, else_: int) -> OneOf:
    """A choice of a model that opens with the first choice, or with the one at a position."""
    return OneOf(
        name=name,
        label=label,
        options=lambda seen: seen["models"],
        default=lambda seen: first if first in seen["models"] else seen["models"][else_],
        rule=lambda seen: f"the models are {', '.join(seen['models'])}.",
        help=HELP["model"],
    )


USUAL = flat(State("", ""))
"""What the page opens with, where that depends on nothing."""


def _one_of(name: str, label: str, options: Sequence[str], names: Mapping[str, str]) -> OneOf:
    usual, help_ = USUAL[name], HELP[name]
    return OneOf(name=name, label=label, options=options, default=usual, names=names, help=help_)


def _whole(name: str, label: str, low: int, high: int) -> Whole:
    return Whole(name=name, label=label, low=low, high=high, default=USUAL[name], help=HELP[name])


def _scale(seen: Seen) -> Scale:
    return SCALES[seen["norm"]]


def bounded(values: dict[str, Any]) -> list[Message]:
    """Change what there is not, or what a server cannot carry out, to an attack and a statement that there
    are for the side, fewer steps or restarts, a faster method."""
    said: list[Message] = []

    def use(setting: str, value: object, text: str) -> None:
        values[setting] = value
        said.append(Message(setting, text))

    side, attack, states = values["side"], values["attack"], values["states"]
    if attack not in OFFERED[side]:
        use("attack", OFFERED[side][0], f"Attack {attack} cannot raise the ELBO. Using {OFFERED[side][0]}.")
    if states not in STATED[side]:
        usual = STATED[side][0]
        use("states", usual, f"Upper bounds hold for the draws, not for the {states}. Using {usual}.")
    draws, steps, restarts = (values[name] for name in ("draws", "steps", "restarts"))
    gradients = GRADIENTS.get(values["attack"], 1)
    if values["attack"] != "fgsm" and draws * steps * restarts * gradients > MOST_WORK:
        fewer = min(steps, MOST_WORK // (draws * gradients))
        again = min(restarts, MOST_WORK // (draws * gradients * fewer))
        each = f" x {gradients} gradients" if gradients > 1 else ""
        values["steps"] = fewer
        use(
            "restarts",
            again,
            f"{draws} draws x {steps} steps x {restarts} restarts{each} is more than this page computes "
            f"({MOST_WORK:,}). Using {fewer} steps and {again} restarts.",
        )
    if values["method"] not in FAST and draws > MOST_TIGHT_DRAWS:
        use(
            "method",
            FAST[-1],
            f"{draws} draws are more than this page proves with {values['method']} (up to "
            f"{MOST_TIGHT_DRAWS}). Using {FAST[-1]}.",
        )
    return said


PAGE = Page(
    State,
    (
        # First: what makes sense for eps depends on it.
        _one_of("norm", "Change that is limited", NORMS, NORM_LABELS),
        Number(
            name="eps",
            low=0.0,
            high=lambda seen: _scale(seen).most,
            default=lambda seen: _scale(seen).eps,
            help=HELP["eps"],
        ),
        _one_of("target", "Question", TARGETS, TARGET_LABELS),
        _one_of("attack", "Attack", ATTACKS, ATTACK_LABELS),
        _whole("steps", "Steps of the attack", 1, MOST_STEPS),
        _whole("restarts", "Restarts of the attack", 1, MOST_RESTARTS),
        _whole("draws", "Draws", 1, MOST_DRAWS),
        _whole("seed", "Seed", 0, MOST_SEED),
        _one_of("side", "What the adversary does to the ELBO", SIDES, SIDE_LABELS),
        models_of("left", ":orange[●] Left model", FIRST_CHOICE["left"], 0),
        models_of("right", ":blue[●] Right model", FIRST_CHOICE["right"], -1),
        _whole("index", "Test image number", 0, MOST_INDEX),
        OwnImage(name="own"),
        Number(
            name="threshold",
            label="Threshold in nats",
            low=-MOST_NATS,
            high=MOST_NATS,
            default=None,
            used="each model's own",
            help=HELP["nats"],
        ),
        OneOf(
            name="upto",
            label="Chart up to eps",
            options=lambda seen: _scale(seen).ranges,
            default=lambda seen: _scale(seen).upto,
            help=HELP["upto"],
        ),
        _one_of("method", "Proof", METHODS, METHOD_LABELS),
        _one_of("states", "What is proved", STATES, STATES_LABELS),
        bounded,
    ),
)


def default_state(models: Sequence[str], norm: str = "linf") -> State:
    """The page as it opens, or for a norm; `models` are the names there are, at least one."""
    return PAGE.parse({"norm": norm}, models=models)[0]


def to_params(state: State, models: Sequence[str]) -> dict[str, str]:
    """The URL of a state: only what differs from the default. `parse` reads it back exactly."""
    return PAGE.address(state, models=models)
