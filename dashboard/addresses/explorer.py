"""What the page shows, as a value; read from and written to the URL. Nothing here trusts its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from core.attacks import ATTACKS as ALL_ATTACKS
from core.bounds.ball import NORMS
from core.certificates.certificate import STATES
from core.certificates.methods import METHODS
from core.vae.model import VAE
from core.vae.threat import SIDES, Draws, Threat
from core.vae.validate import TARGETS
from dashboard.addresses.costs import dear
from dashboard.addresses.datasets import FIRST_CHOICE, PAIRS, WISH, granted, usual_of
from dashboard.addresses.digit import Digit, fits, last_index
from dashboard.addresses.kinds import (
    SHIPPED_IMAGES,
    Source,
    dataset_of,
    partners,
    source_of,
)
from dashboard.addresses.page import Page, Repair, flat
from dashboard.addresses.reader import Message
from dashboard.addresses.scales import SCALES, Scale
from dashboard.addresses.settings import Number, OneOf, OwnImage, Seen, Whole, given
from dashboard.shared import text
from dashboard.shared.text import (
    ATTACK_LABELS,
    HELP,
    LIMITS_LABELS,
    METHOD_LABELS,
    NORM_LABELS,
    SIDE_LABELS,
    STATES_LABELS,
    TARGET_LABELS,
    UNIT_LABELS,
)

ATTACKS = ("pgd", *(name for name in ALL_ATTACKS if name != "pgd"))
OFFERED = {"lower": ATTACKS, "upper": tuple(name for name in ATTACKS if ALL_ATTACKS[name].directed)}
"""Attacks by side; STATED: what can be proved."""
STATED = {"lower": STATES, "upper": STATES[:1]}
FAST = ("ibp", "crown-ibp")
"""Methods that are computed over the whole grid."""
SPREAD = "alpha-crown"
"""The slowest method that is computed at several radii; those after it at eps alone."""
MOST_STEPS, MOST_RESTARTS, MOST_DRAWS, MOST_SEED = 200, 10, 64, 2**31 - 1
MOST_WORK = 20_000
"""Limit on draws x steps x restarts, so that one visitor cannot occupy the server for an hour."""
GRADIENTS = {"strongest": 25}
"""Gradients of one step, where it is not 1: such an attack is slow."""
QUICK = "pgd"
"""What is shown until a slow attack is done."""
MOST_TIGHT_DRAWS = 16
"""The same for certificates: the methods after FAST take up to a second a draw."""
MOST_NATS = 100_000.0


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
    """Everything that the URL can say, and where the images come from.

    right      "" where no other model has images of the left one's shape and data set.
    own        pixels of a visitor's own image, shown in place of number `index`, see Digit.
    threshold  None: each model's own. upto: one of the scale's ranges.
    method     bounds are computed by this method and the faster ones before it.
    states     what is proved at eps: of these draws, or of the noise at large.
    limits     "show": the chart has the limits of every model, too. unit: of what is displayed; "nats" or
               "bits", per dimension.
    """

    left: str
    right: str
    index: int = 0
    own: bytes = b""
    eps: float = 0.05
    threshold: float | None = None
    upto: str = "0.15"
    method: str = "alpha-crown"
    states: str = "draws"
    limits: str = "hide"
    unit: str = "nats"
    settings: Settings = Settings()
    source: Source = SHIPPED_IMAGES

    @property
    def digit(self) -> Digit:
        return Digit(self.index, self.own, self.source)

    @property
    def sides(self) -> tuple[str, ...]:
        """The models, left and right; one where it stands alone."""
        return (self.left, self.right) if self.right else (self.left,)

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


def models_of(name: str, label: str, usual: Mapping[str, str]) -> OneOf:
    """A choice of a model that opens with the usual one of the data set that is wished for."""
    return OneOf(
        name=name,
        label=label,
        options=lambda seen: seen["models"],
        default=lambda seen: usual_of(seen, usual),
        rule=lambda seen: f"the models are {', '.join(seen['models'])}.",
        help=HELP["model"],
    )


class Partner(OneOf):
    """A model with images of the left one's shape and data set; none, whatever is asked for, where the left
    one stands alone."""

    def take(self, text: str | None, seen: Seen) -> tuple[Any, list[Message]]:
        alone = given(self.options, seen) == [""]
        return ("", []) if alone else super().take(text, seen)


def opposite(left: str, models: Sequence[str]) -> list[str]:
    """What may stand beside a model, on the right; "" where no other has its shape and data set."""
    found = partners(left, models)
    return found if set(found) > {left} else [""]


def first_left(seen: Seen) -> str:
    """What stands on the left where nobody says so: the usual one of the data set, or one that goes with
    the right one."""
    models, asked = seen["models"], seen.get("asked", {}).get("right")
    if asked not in models:
        return usual_of(seen, {dataset: pair["left"] for dataset, pair in PAIRS.items()})
    beside = partners(asked, models)
    usual = PAIRS.get(dataset_of(asked), FIRST_CHOICE)["left"]
    return usual if usual in beside else next((m for m in beside if m != asked), asked)


def first_right(seen: Seen) -> str:
    """What stands on the right where nobody says so: the usual one, or the last that goes with the left."""
    options = opposite(seen["left"], seen["models"])
    usual = PAIRS.get(dataset_of(seen["left"]), FIRST_CHOICE)["right"]
    others = [m for m in options if m != seen["left"]]
    return usual if usual in options else (others or options)[-1]


def sourced(*names: str) -> Repair:
    """Finds the images that models are shown with; names: of the settings that say which models."""

    def find(values: dict[str, Any]) -> list[Message]:
        chosen = (values[name] for name in names)
        models = [m for value in chosen for m in ((value,) if isinstance(value, str) else value)]
        values["source"] = source_of(models)
        return []

    return find


def fitted(values: dict[str, Any]) -> list[Message]:
    """Leave out an image of one's own of another shape than the models'."""
    if not values["own"] or fits(values["own"], values["source"]):
        return []
    values["own"] = b""
    size = " x ".join(map(str, values["source"].shape))
    return [Message("own", f"Your image is not {size}, as these models take it. Using one of theirs.")]


def index_setting() -> Whole:
    """The number of an image; it is read after the source."""
    high = lambda seen: last_index(seen.get("source", SHIPPED_IMAGES))  # noqa: E731
    return Whole(name="index", label="Test image number", low=0, high=high, default=0, help=HELP["index"])


USUAL = flat(State("", ""))
"""What the page opens with, where that depends on nothing."""


def _one_of(name: str, label: str, options: Sequence[str], names: Mapping[str, str]) -> OneOf:
    usual, help_ = USUAL[name], HELP[name]
    return OneOf(name=name, label=label, options=options, default=usual, names=names, help=help_)


def _whole(name: str, label: str, low: int, high: int) -> Whole:
    return Whole(name=name, label=label, low=low, high=high, default=USUAL[name], help=HELP[name])


def _scale(seen: Seen) -> Scale:
    return SCALES[seen["norm"]]


def _method(seen: Seen) -> str:
    """What is proved by where nobody says so: the usual method, a fast one where that is too slow."""
    return FAST[-1] if dear((seen["left"], seen["right"]), seen["draws"])[0] else USUAL["method"]


def bounded(values: dict[str, Any]) -> list[Message]:
    """Change what there is not, or what a server cannot carry out, to an attack and a statement that there
    are for the side, fewer steps or restarts, a faster method."""
    said: list[Message] = []

    def use(setting: str, value: object, why: str) -> None:
        values[setting] = value
        said.append(Message(setting, why))

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
    asked = values["method"]
    slow = asked not in FAST
    name, seconds, fewer = dear((values["left"], values["right"]), draws) if slow else ("", 0.0, draws)
    if name:
        use(
            "method",
            FAST[-1],
            f"{text.dear(name, draws, seconds, fewer, asked)} Using {FAST[-1]}.",
        )
    if values["method"] not in FAST and draws > MOST_TIGHT_DRAWS:
        use(
            "method",
            FAST[-1],
            f"{draws} draws are more than this page proves with {values['method']} (up to "
            f"{MOST_TIGHT_DRAWS}). Using {FAST[-1]}.",
        )
    return said


DISPLAYED = (("limits", "Limits of every model", LIMITS_LABELS), ("unit", "Unit", UNIT_LABELS))
"""What changes the display alone: name, label, and what the options are called."""
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
        WISH,
        replace(models_of("left", ":orange[●] Left model", {}), default=first_left),
        Partner(
            name="right",
            label=":blue[●] Right model",
            options=lambda seen: opposite(seen["left"], seen["models"]),
            default=first_right,
            rule=lambda seen: (
                f"the models for such images are {', '.join(opposite(seen['left'], seen['models']))}."
            ),
            help=HELP["model"],
        ),
        granted("left"),
        sourced("left", "right"),
        index_setting(),
        OwnImage(name="own"),
        fitted,
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
        replace(_one_of("method", "Proof", METHODS, METHOD_LABELS), default=_method),
        _one_of("states", "What is proved", STATES, STATES_LABELS),
        *(_one_of(name, label, tuple(names), names) for name, label, names in DISPLAYED),
        bounded,
    ),
)


def default_state(models: Sequence[str], norm: str = "linf") -> State:
    """The page as it opens, or for a norm; `models` are the names there are, at least one."""
    return PAGE.parse({"norm": norm}, models=models)[0]


def facing(url: Mapping[str, str], name: str, models: Sequence[str]) -> dict[str, str]:
    """An URL of the explorer with a model on the right, or alone: what it says of the left one and of the
    image is left out where these have another shape or data set."""
    usual = PAIRS.get(url.get(WISH.name, ""), FIRST_CHOICE)["left"]
    fits_ = url.get("left", usual) in partners(name, models)
    left_out = (WISH.name,) if fits_ else (WISH.name, "left", "index", "own")
    kept = {k: v for k, v in url.items() if k not in left_out}
    return kept | {"right": name}


def to_params(state: State, models: Sequence[str]) -> dict[str, str]:
    """The URL of a state: only what differs from the default. `parse` reads it back exactly."""
    return PAGE.address(state, models=models)
