"""What the page shows, as a value; read from and written to the URL. Nothing here trusts its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.attacks import ATTACKS as ALL_ATTACKS
from core.bounds.ball import NORMS
from core.certificates.certificate import STATES
from core.certificates.methods import METHODS
from core.vae.threat import SIDES
from core.vae.validate import TARGETS
from dashboard.addresses.digit import Digit, own_name
from dashboard.addresses.reader import Message, Reader


@dataclass(frozen=True)
class Scale:
    """The radii of one norm.

    grid    radii of every curve; others are added to it one at a time. tight: those of them that slow
            certificates are computed at; what is proved there holds at every smaller radius.
    ranges  how far the chart can go, as in the URL.
    most    the largest radius there is. eps, upto: what the page opens with.
    """

    step: float
    ranges: tuple[str, ...]
    most: float
    eps: float
    upto: str

    @property
    def grid(self) -> tuple[float, ...]:
        return tuple(round(self.step * i, 2) for i in range(31))

    @property
    def tight(self) -> tuple[float, ...]:
        return tuple(self.grid[i] for i in (1, 2, 3, 5, 7, 10, 12, 15, 20, 25, 30))


SCALES = {
    "linf": Scale(0.01, ("0.05", "0.15", "0.3"), 1.0, 0.1, "0.15"),
    # No two of the images, 28 x 28, are farther apart than 28.
    "l2": Scale(0.02, ("0.1", "0.3", "0.6"), 28.0, 0.2, "0.3"),
}
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
NOTHING: Mapping[str, bytes] = {}
FIRST_CHOICE = {"left": "mnist-mlp-standard", "right": "mnist-mlp-robust-0.1"}


@dataclass(frozen=True)
class Settings:
    """What an attack depends on besides model, image and eps; part of the cache key."""

    target: str = "likelihood"
    attack: str = "pgd"
    norm: str = "linf"
    steps: int = 40
    restarts: int = 1
    draws: int = 4
    seed: int = 0
    side: str = "lower"


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


def default_state(models: Sequence[str], norm: str = "linf") -> State:
    """The page as it opens, or for a norm; `models` are the names there are, at least one."""
    left = FIRST_CHOICE["left"] if FIRST_CHOICE["left"] in models else models[0]
    right = FIRST_CHOICE["right"] if FIRST_CHOICE["right"] in models else models[-1]
    scale = SCALES[norm]
    return State(left, right, eps=scale.eps, upto=scale.upto, settings=Settings(norm=norm))


def parse(
    params: Mapping[str, str], models: Sequence[str], own: Mapping[str, bytes] = NOTHING
) -> tuple[State, list[Message]]:
    """A valid state from text that anyone may have written, and what had to be refused.

    own  the visitor's own images of this session, by name.
    """
    reader = Reader(params)
    known = f"the models are {', '.join(models)}."
    # First: what makes sense for eps depends on it.
    norm = reader.one_of("norm", NORMS, "linf")
    default, scale = default_state(models, norm), SCALES[norm]
    base = default.settings
    eps = reader.number("eps", 0, scale.most, default.eps)
    settings = Settings(
        target=reader.one_of("target", TARGETS, base.target),
        attack=reader.one_of("attack", ATTACKS, base.attack),
        norm=norm,
        steps=reader.whole("steps", 1, MOST_STEPS, base.steps),
        restarts=reader.whole("restarts", 1, MOST_RESTARTS, base.restarts),
        draws=reader.whole("draws", 1, MOST_DRAWS, base.draws),
        seed=reader.whole("seed", 0, MOST_SEED, base.seed),
        side=reader.one_of("side", SIDES, base.side),
    )
    state = State(
        left=reader.choice("left", models, default.left, known),
        right=reader.choice("right", models, default.right, known),
        index=reader.whole("index", 0, MOST_INDEX, default.index),
        own=own.get(_own(reader, own), b""),
        eps=default.eps if eps is None else eps,
        threshold=reader.number("threshold", -MOST_NATS, MOST_NATS, None, "each model's own"),
        upto=reader.one_of("upto", scale.ranges, default.upto),
        method=reader.one_of("method", METHODS, default.method),
        states=reader.one_of("states", STATES, default.states),
        settings=settings,
    )
    return _bounded(state, reader.messages), reader.messages


def _own(reader: Reader, own: Mapping[str, bytes]) -> str:
    must = "images of one's own are kept only in the browser session in which they were made."
    return reader.choice("own", ("", *own), "", must, "a shipped digit")


def _bounded(state: State, messages: list[Message]) -> State:
    """A state that there is, and that a server can carry out: fewer steps or restarts, a faster method if
    it is too much."""
    state = _sided(state, messages)
    s, gradients = state.settings, GRADIENTS.get(state.settings.attack, 1)
    if s.attack != "fgsm" and s.draws * s.steps * s.restarts * gradients > MOST_WORK:
        steps = min(s.steps, MOST_WORK // (s.draws * gradients))
        restarts = min(s.restarts, MOST_WORK // (s.draws * gradients * steps))
        each = f" x {gradients} gradients" if gradients > 1 else ""
        text = (
            f"{s.draws} draws x {s.steps} steps x {s.restarts} restarts{each} is more than this page "
            f"computes ({MOST_WORK:,}). Using {steps} steps and {restarts} restarts."
        )
        messages.append(Message("restarts", text))
        state = replace(state, settings=replace(s, steps=steps, restarts=restarts))
    if state.method not in FAST and s.draws > MOST_TIGHT_DRAWS:
        text = (
            f"{s.draws} draws are more than this page proves with {state.method} (up to "
            f"{MOST_TIGHT_DRAWS}). Using {FAST[-1]}."
        )
        messages.append(Message("method", text))
        state = replace(state, method=FAST[-1])
    return state


def _sided(state: State, messages: list[Message]) -> State:
    """An attack and a statement that there are for the side."""
    s, side = state.settings, state.settings.side
    if s.attack not in OFFERED[side]:
        text = f"Attack {s.attack} cannot raise the ELBO. Using {OFFERED[side][0]}."
        messages.append(Message("attack", text))
        state = replace(state, settings=replace(s, attack=OFFERED[side][0]))
    if state.states not in STATED[side]:
        text = f"Upper bounds hold for the draws, not for the {state.states}. Using {STATED[side][0]}."
        messages.append(Message("states", text))
        state = replace(state, states=STATED[side][0])
    return state


def to_params(state: State, models: Sequence[str]) -> dict[str, str]:
    """The URL of a state: only what differs from the default. `parse` reads it back exactly."""
    mine, default = _flat(state), _flat(default_state(models, state.settings.norm))
    norm = {} if state.settings.norm == "linf" else {"norm": state.settings.norm}
    return norm | {key: value for key, value in mine.items() if value != default.get(key)}


def _flat(state: State) -> dict[str, str]:
    values: dict[str, object] = {
        "left": state.left,
        "right": state.right,
        "index": state.index,
        "own": own_name(state.own) if state.own else None,
        "eps": state.eps,
        "threshold": state.threshold,
        "upto": state.upto,
        "method": state.method,
        "states": state.states,
        **vars(state.settings),
    }
    return {
        key: f"{value:.12g}" if isinstance(value, float) else str(value)
        for key, value in values.items()
        if value is not None
    }
