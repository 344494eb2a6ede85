"""What the page shows, as a value; read from and written to the URL. Nothing here trusts its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.inspection import METHODS
from dashboard.addresses import explorer
from dashboard.addresses.datasets import WISH, granted
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import fitted, index_setting, models_of, sourced
from dashboard.addresses.kinds import SHIPPED_IMAGES, Source
from dashboard.addresses.page import Page
from dashboard.addresses.settings import OneOf, Seen, Whole
from dashboard.shared.text import HELP, METHOD_NAMES

FIRST_CHOICE = {"mnist": "mnist-conv-standard", "fashion-mnist": "fashion-conv-standard"}
"""The model to open with, by data set."""
EPS = {"linf": 0.01, "l2": 0.1}
"""What the page opens with: small enough that CROWN still says something of a standard model."""
RADII = {
    "linf": (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3),
    "l2": (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0),
}
LINEAR = ("crown-ibp", "crown", "alpha-crown")
"""The bounds that lay lines, from fast to tight."""
MOST_DRAWS = 4
"""Each draw has intervals of its own from z on."""


@dataclass(frozen=True)
class Question:
    """What is computed depends on this, the model and the digit; part of the cache key."""

    eps: float = EPS["linf"]
    target: str = "likelihood"
    norm: str = "linf"
    draws: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Layout:
    """What of the page's settings depends on the model: latent dimensions, and layers by key, with the
    number of units of what is not linear there."""

    latent: int
    layers: tuple[str, ...]
    units: tuple[int, ...] = ()

    def units_of(self, layer: str) -> int:
        """Of "" as many as any has."""
        most = {"": max(self.units, default=0)}
        return (most | dict(zip(self.layers, self.units, strict=False))).get(layer, 0)


@dataclass(frozen=True)
class Look:
    """Everything that the URL can say.

    layer    key of the layer that is shown, "" for the one whose lines cost most.
    draw     of which noise draw, from 1.
    bounds   whose intervals are shown as pictures.
    unit     the unit whose relaxation is shown, from 1; 0 for the one that costs most. lines: of which
             bound.
    across, up  latent dimensions of the plane, from 1; 0 for those with the widest box.
    """

    model: str
    index: int = 0
    own: bytes = b""
    question: Question = Question()
    layer: str = ""
    draw: int = 1
    bounds: str = "crown"
    unit: int = 0
    lines: str = "alpha-crown"
    across: int = 0
    up: int = 0
    source: Source = SHIPPED_IMAGES

    @property
    def digit(self) -> Digit:
        return Digit(self.index, self.own, self.source)


def _layers(seen: Seen) -> tuple[str, ...]:
    return ("", *seen["layout"](seen["model"]).layers)


def _latent(seen: Seen) -> int:
    return seen["layout"](seen["model"]).latent


def _units(seen: Seen) -> int:
    return seen["layout"](seen["model"]).units_of(seen["layer"])


ASKED = explorer.PAGE.settings
PAGE = Page(
    Look,
    (
        # First: what makes sense for the others depends on these.
        ASKED["norm"],
        WISH,
        models_of("model", "Model", FIRST_CHOICE),
        granted("model"),
        replace(ASKED["eps"], default=lambda seen: EPS[seen["norm"]]),
        Whole(name="draws", label="Draws", low=1, high=MOST_DRAWS, default=1, help=HELP["draws"]),
        sourced("model"),
        index_setting(),
        ASKED["own"],
        fitted,
        *(ASKED[name] for name in ("target", "seed")),
        OneOf(
            name="layer",
            label="Layer",
            options=_layers,
            default="",
            used="the one that costs most",
            rule=lambda seen: f"the layers are {', '.join(_layers(seen)[1:])}.",
        ),
        Whole(name="draw", label="Noise draw", low=1, high=lambda seen: seen["draws"], default=1),
        OneOf(name="bounds", label="Bounds by", options=METHODS, default="crown", names=METHOD_NAMES),
        Whole(name="unit", label="Unit", low=0, high=_units, default=0),
        OneOf(name="lines", label="Lines of", options=LINEAR, default=LINEAR[-1], names=METHOD_NAMES),
        Whole(name="across", label="Across", low=0, high=_latent, default=0),
        Whole(name="up", label="Up", low=0, high=_latent, default=0),
    ),
)


def address(state: explorer.State, model: str, models: Sequence[str]) -> dict[str, str]:
    """This page's URL with one of the explorer's models, its digit and its question."""
    s = state.settings
    question = Question(state.eps, s.target, s.norm, min(s.draws, MOST_DRAWS), s.seed)
    look = Look(model, state.index, state.own, question, source=state.source)
    # Named even where it is the default: an address without settings opens a page where it was left.
    return {"model": model} | PAGE.address(look, models=models)


def explorer_address(look: Look, models: Sequence[str]) -> dict[str, str]:
    """The explorer's URL with this page's model on the right, its digit and its question."""
    q = look.question
    default = explorer.default_state(models, q.norm)
    seen = {"models": models, "asked": {"right": look.model}}
    left = explorer.first_left(seen)
    state = explorer.State(
        left,
        "" if explorer.opposite(left, models) == [""] else look.model,
        index=look.index,
        own=look.own,
        eps=q.eps,
        upto=default.upto,
        settings=explorer.Settings(target=q.target, norm=q.norm, draws=q.draws, seed=q.seed),
        source=look.source,
    )
    return {"right": look.model} | explorer.to_params(state, models)
