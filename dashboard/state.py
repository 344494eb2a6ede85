"""What the page shows, as a value; read from and written to the URL. Nothing here trusts its input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

STEP = 0.01
GRID = tuple(round(STEP * i, 2) for i in range(31))
"""The radii of every curve; others are added to it one at a time."""

TARGETS = ("likelihood", "reconstruction")
ATTACKS = ("pgd", "fgsm")
RANGES = ("0.05", "0.15", "0.3")
"""How far the chart can go in eps."""
MOST_INDEX = 499
MOST_STEPS, MOST_RESTARTS, MOST_DRAWS, MOST_SEED = 200, 10, 64, 2**31 - 1
MOST_WORK = 20_000
"""Limit on draws x steps x restarts, so that one visitor cannot occupy the server for an hour."""
MOST_NATS = 100_000.0
FIRST_CHOICE = {"left": "mnist-mlp-standard", "right": "mnist-mlp-robust-0.1"}


@dataclass(frozen=True)
class Settings:
    """What a result depends on besides model, image and eps; part of the cache key."""

    target: str = "likelihood"
    attack: str = "pgd"
    steps: int = 40
    restarts: int = 1
    draws: int = 4
    seed: int = 0


@dataclass(frozen=True)
class State:
    """Everything that the URL can say. threshold None: each model's own; upto: one of RANGES."""

    left: str
    right: str
    index: int = 0
    eps: float = 0.1
    threshold: float | None = None
    upto: str = "0.15"
    settings: Settings = Settings()

    @property
    def grid(self) -> tuple[float, ...]:
        """The radii to compute: the grid and, if it is not on it, eps."""
        return GRID if self.eps in GRID else tuple(sorted({*GRID, self.eps}))

    @property
    def most(self) -> float:
        """The eps at which the chart ends; never short of the cursor."""
        return next((float(r) for r in RANGES if float(r) >= max(self.eps, float(self.upto))), self.eps)


@dataclass(frozen=True)
class Message:
    """A value that was refused, and what is used instead."""

    field: str
    text: str


def default_state(models: Sequence[str]) -> State:
    """The page as it opens; `models` are the names there are, at least one."""
    left = FIRST_CHOICE["left"] if FIRST_CHOICE["left"] in models else models[0]
    right = FIRST_CHOICE["right"] if FIRST_CHOICE["right"] in models else models[-1]
    return State(left, right)


def parse(params: Mapping[str, str], models: Sequence[str]) -> tuple[State, list[Message]]:
    """A valid state from text that anyone may have written, and what had to be refused."""
    default = default_state(models)
    messages: list[Message] = []

    def refuse(field: str, text: str, must: str, fallback: object) -> None:
        used = "each model's own" if fallback is None else fallback
        messages.append(
            Message(field, f"`{field}` in the address is {_quote(text)}; {must} Using {used} instead.")
        )

    def choice(field: str, options: Sequence[str], fallback: str, must: str) -> str:
        text = params.get(field)
        if text is None or text in options:
            return fallback if text is None else text
        refuse(field, text, must, fallback)
        return fallback

    def number(field: str, low: float, high: float, fallback: float | None) -> float | None:
        text = params.get(field)
        value = fallback if text is None else _number(text, low, high)
        if value is None and text is not None:
            refuse(field, text, f"it must be a number from {low:,g} to {high:,g}.", fallback)
            return fallback
        return value

    def whole(field: str, low: int, high: int, fallback: int) -> int:
        text = params.get(field)
        value = fallback if text is None else _number(text, low, high)
        if value is None or value != int(value):
            refuse(field, str(text), f"it must be a whole number from {low:,} to {high:,}.", fallback)
            return fallback
        return int(value)

    known = f"the models are {', '.join(models)}."
    base = default.settings
    eps = number("eps", 0, 1, default.eps)
    settings = Settings(
        target=choice("target", TARGETS, base.target, f"it must be {' or '.join(TARGETS)}."),
        attack=choice("attack", ATTACKS, base.attack, f"it must be {' or '.join(ATTACKS)}."),
        steps=whole("steps", 1, MOST_STEPS, base.steps),
        restarts=whole("restarts", 1, MOST_RESTARTS, base.restarts),
        draws=whole("draws", 1, MOST_DRAWS, base.draws),
        seed=whole("seed", 0, MOST_SEED, base.seed),
    )
    state = State(
        left=choice("left", models, default.left, known),
        right=choice("right", models, default.right, known),
        index=whole("index", 0, MOST_INDEX, default.index),
        eps=default.eps if eps is None else eps,
        threshold=number("threshold", -MOST_NATS, MOST_NATS, None),
        upto=choice("upto", RANGES, default.upto, f"it must be one of {', '.join(RANGES)}."),
        settings=_bounded(settings, messages),
    )
    return state, messages


def _bounded(settings: Settings, messages: list[Message]) -> Settings:
    """Settings that a server can carry out: fewer restarts if it is too much."""
    once = settings.draws * settings.steps
    if settings.attack == "fgsm" or once * settings.restarts <= MOST_WORK:
        return settings
    restarts = max(1, MOST_WORK // once)
    text = (
        f"{settings.draws} draws x {settings.steps} steps x {settings.restarts} restarts is more than "
        f"this page computes ({MOST_WORK:,}). Using {restarts} restarts."
    )
    messages.append(Message("restarts", text))
    return replace(settings, restarts=restarts)


def to_params(state: State, models: Sequence[str]) -> dict[str, str]:
    """The URL of a state: only what differs from the default. `parse` reads it back exactly."""
    mine, default = _flat(state), _flat(default_state(models))
    return {key: value for key, value in mine.items() if value != default.get(key)}


def _flat(state: State) -> dict[str, str]:
    values: dict[str, object] = {
        "left": state.left,
        "right": state.right,
        "index": state.index,
        "eps": state.eps,
        "threshold": state.threshold,
        "upto": state.upto,
        **vars(state.settings),
    }
    return {
        key: f"{value:.12g}" if isinstance(value, float) else str(value)
        for key, value in values.items()
        if value is not None
    }


def _number(text: str, low: float, high: float) -> float | None:
    """A finite number in [low, high], rounded to what the URL keeps, or None."""
    try:
        value = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        return None
    return float(f"{value:.12g}") + 0.0 if low <= value <= high else None


def _quote(text: str) -> str:
    """Text of unknown origin as a short piece of code: no markup, no line breaks."""
    shown = "".join(c for c in text[:41] if c.isprintable() and c != "`")
    return f"`{shown[:40]}…`" if len(text) > 40 else f"`{shown or ' '}`"
