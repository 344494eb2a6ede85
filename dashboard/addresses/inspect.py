"""What the page shows, as a value; read from and written to the URL. Nothing here trusts its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.bounds.ball import NORMS
from core.inspection import METHODS
from core.vae.validate import TARGETS
from dashboard.addresses import explorer
from dashboard.addresses.digit import Digit, own_name
from dashboard.addresses.explorer import MOST_INDEX, MOST_SEED, NOTHING, SCALES
from dashboard.addresses.reader import Message, Reader

FIRST_CHOICE = "mnist-conv-standard"
EPS = {"linf": 0.01, "l2": 0.1}
"""What the page opens with: small enough that CROWN still says something of a standard model."""
RADII = {
    "linf": (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3),
    "l2": (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0),
}
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
    """What of the page's settings depends on the model: latent dimensions, and layers by key."""

    latent: int
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """Everything that the URL can say.

    layer    key of the layer that is shown; draw: of which noise draw, from 1.
    bounds   whose intervals are shown as pictures.
    across, up  latent dimensions of the plane, from 1; 0 for those with the widest box.
    """

    model: str
    index: int = 0
    own: bytes = b""
    question: Question = Question()
    layer: str = "mu"
    draw: int = 1
    bounds: str = "crown"
    across: int = 0
    up: int = 0

    @property
    def digit(self) -> Digit:
        return Digit(self.index, self.own)

    @property
    def radii(self) -> tuple[float, ...]:
        """The eps to choose from."""
        return tuple(sorted({*RADII[self.question.norm], self.question.eps}))


def default_look(models: Sequence[str], norm: str = "linf") -> Look:
    """The page as it opens; `models` are the names there are, at least one."""
    model = FIRST_CHOICE if FIRST_CHOICE in models else models[0]
    return Look(model, question=Question(eps=EPS[norm], norm=norm))


def parse(
    params: Mapping[str, str],
    models: Sequence[str],
    layout: Callable[[str], Layout],
    own: Mapping[str, bytes] = NOTHING,
) -> tuple[Look, list[Message]]:
    """A valid state from text that anyone may have written, and what had to be refused."""
    reader = Reader(params)
    # First: what makes sense for the others depends on these.
    norm = reader.one_of("norm", NORMS, "linf")
    default = default_look(models, norm)
    model = reader.choice("model", models, default.model, f"the models are {', '.join(models)}.")
    known, base = layout(model), default.question
    eps = reader.number("eps", 0, SCALES[norm].most, base.eps)
    draws = reader.whole("draws", 1, MOST_DRAWS, base.draws)
    mine = "images of one's own are kept only in the browser session in which they were made."
    layers = known.layers or (default.layer,)
    look = Look(
        model=model,
        index=reader.whole("index", 0, MOST_INDEX, default.index),
        own=own.get(reader.choice("own", ("", *own), "", mine, "a shipped digit"), b""),
        question=Question(
            eps=base.eps if eps is None else eps,
            target=reader.one_of("target", TARGETS, base.target),
            norm=norm,
            draws=draws,
            seed=reader.whole("seed", 0, MOST_SEED, base.seed),
        ),
        layer=reader.choice("layer", layers, default.layer, f"the layers are {', '.join(layers)}."),
        draw=reader.whole("draw", 1, draws, default.draw),
        bounds=reader.one_of("bounds", METHODS, default.bounds),
        across=reader.whole("across", 0, known.latent, default.across),
        up=reader.whole("up", 0, known.latent, default.up),
    )
    return look, reader.messages


def to_params(look: Look, models: Sequence[str]) -> dict[str, str]:
    """The URL of a state: only what differs from the default. `parse` reads it back exactly."""
    norm = look.question.norm
    mine, default = _flat(look), _flat(default_look(models, norm))
    said = {} if norm == "linf" else {"norm": norm}
    return said | {key: value for key, value in mine.items() if value != default.get(key)}


def address(state: explorer.State, model: str, models: Sequence[str]) -> dict[str, str]:
    """This page's URL with one of the explorer's models, its digit and its question."""
    s = state.settings
    question = Question(state.eps, s.target, s.norm, min(s.draws, MOST_DRAWS), s.seed)
    look = Look(model, state.index, state.own, question)
    # Named even where it is the default: an address without settings opens a page where it was left.
    return {"model": model} | to_params(look, models)


def explorer_address(look: Look, models: Sequence[str]) -> dict[str, str]:
    """The explorer's URL with this page's model on the right, its digit and its question."""
    q = look.question
    default = explorer.default_state(models, q.norm)
    state = explorer.State(
        default.left,
        look.model,
        index=look.index,
        own=look.own,
        eps=q.eps,
        upto=default.upto,
        settings=explorer.Settings(target=q.target, norm=q.norm, draws=q.draws, seed=q.seed),
    )
    return {"right": look.model} | explorer.to_params(state, models)


def _flat(look: Look) -> dict[str, str]:
    values: dict[str, object] = {
        "model": look.model,
        "index": look.index,
        **vars(look.question),
        "layer": look.layer,
        "draw": look.draw,
        "bounds": look.bounds,
        "across": look.across,
        "up": look.up,
    }
    if look.own:
        values["own"] = own_name(look.own)
    return {
        key: f"{value:.12g}" if isinstance(value, float) else str(value) for key, value in values.items()
    }
