"""What the page of comparisons shows, as a value; read from and written to the URL. Nothing here trusts its
input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.evaluation.verdicts import BROKEN, CERTIFIED, OPEN
from dashboard.addresses import explorer
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import FAST, FIRST_CHOICE, MOST_INDEX, NOTHING, State, default_state
from dashboard.addresses.reader import Message, Reader
from dashboard.addresses.results import MOST_MODELS

USUAL = (*FIRST_CHOICE.values(), "mnist-conv-robust-0.1", "mnist-conv-adversarial-0.1")
"""The models to open with, those that are there."""
PROOF = FAST[-1]
"""What bounds are computed by on this page: fast enough for a whole grid of many images."""
OPENS = {"linf": {"eps": "0.04", "upto": "0.05"}, "l2": {"eps": "0.2", "upto": "0.3"}}
"""The eps and the chart to open with, by norm: about where verdicts change."""
PARTS = ("digit", "gallery")
EVERY = "all"
SORTS = ("radius", "weakest", "broken", "number", "class")
VERDICTS = (EVERY, CERTIFIED, OPEN, BROKEN)
COUNTS = (25, 50, 100, 200)
USUAL_COUNT = 50
CLASSES = tuple(map(str, range(10)))
PER_PAGE = 24
MOST_PAGES = -(-COUNTS[-1] // PER_PAGE)
SHARED = (
    *("index", "own", "eps", "threshold", "upto", "target", "attack", "norm"),
    *("steps", "restarts", "draws", "seed"),
)
"""Fields of the explorer's address that mean the same here."""


@dataclass(frozen=True)
class Comparison:
    """Everything that the URL can say.

    asked     digit, eps, threshold, chart and attack, as in the explorer; its two models play no part.
    part      one of PARTS: one digit, or the gallery of many.
    models    up to MOST_MODELS whose ELBOs have a common scale, in this order.
    pin       the model that the others are held against, "" for none.
    against   number of the digit that is held beside the digit asked about, None for none.
    of        whose verdicts the gallery shows: one of the models, or EVERY.
    count     how many digits the gallery has: the first ones of these classes, of all if there are none.
    sort      order of the gallery. verdict: which of them are shown. page: from 1.
    """

    asked: State
    part: str
    models: tuple[str, ...]
    pin: str
    against: int | None
    of: str
    count: int
    classes: tuple[str, ...]
    sort: str
    verdict: str
    page: int

    @property
    def digits(self) -> tuple[Digit, ...]:
        """The one that is held against, if any, then the one that is asked about."""
        pinned = () if self.against is None else (Digit(self.against),)
        return tuple(dict.fromkeys((*pinned, self.asked.digit)))

    @property
    def judged(self) -> tuple[str, ...]:
        """The models whose verdicts the gallery shows."""
        return self.models if self.of == EVERY else (self.of,)

    @property
    def lead(self) -> str:
        """The one of them that orders and filters the gallery."""
        if self.of != EVERY:
            return self.of
        return self.pin or _opens_with(self.models)


def alike(kinds: Mapping[str, str], models: Sequence[str]) -> tuple[str, ...]:
    """The models that have a common scale with the first of these; kinds: model -> likelihood."""
    return tuple(m for m in kinds if not models or kinds[m] == kinds[models[0]])


def usual(kinds: Mapping[str, str]) -> tuple[str, ...]:
    """The models to open with: the usual ones, or the first ones that have a common scale."""
    known = tuple(m for m in USUAL if m in kinds)
    known = tuple(m for m in known if m in alike(kinds, known))
    return known if len(known) > 1 else alike(kinds, tuple(kinds)[:1])[:MOST_MODELS]


def parse(
    params: Mapping[str, str], kinds: Mapping[str, str], own: Mapping[str, bytes] = NOTHING
) -> tuple[Comparison, list[Message]]:
    """A valid comparison from text that anyone may have written, and what had to be refused.

    kinds  the likelihood of each model there is, at least one. own: as in the explorer.
    """
    opens = OPENS.get(params.get("norm", "linf"), OPENS["linf"])
    shared = {key: params[key] for key in SHARED if key in params}
    asked, messages = explorer.parse(opens | shared | {"method": PROOF}, tuple(kinds), own)
    reader = Reader(params)
    models = _models(reader, kinds)
    of = reader.choice(
        "of", (EVERY, *models), _opens_with(models), "it must be all, or one of the models compared."
    )
    comparison = Comparison(
        asked=asked,
        part=reader.one_of("part", PARTS, PARTS[0]),
        models=models,
        pin=reader.choice("pin", ("", *models), "", "it must be one of the models compared.", "none"),
        against=_against(reader),
        of=of,
        count=int(reader.choice("count", tuple(map(str, COUNTS)), str(USUAL_COUNT), _counts())),
        classes=reader.several("classes", CLASSES, len(CLASSES), (), "it must be some of 0 to 9.", "all"),
        sort=reader.one_of("sort", SORTS, SORTS[0]),
        verdict=reader.one_of("verdict", VERDICTS, EVERY),
        page=reader.whole("page", 1, MOST_PAGES, 1),
    )
    return comparison, [*messages, *reader.messages]


def _models(reader: Reader, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """The models that are asked for, as far as they can be compared with the first."""
    must = f"it must be up to {MOST_MODELS} of the models, separated by commas."
    models = reader.several("models", tuple(kinds), MOST_MODELS, usual(kinds), must)
    same = tuple(m for m in models if m in alike(kinds, models))
    if same != models:
        must = "models with different likelihoods have no common scale."
        reader.refuse("models", ",".join(models), must, ", ".join(same))
    return same


def _opens_with(models: Sequence[str]) -> str:
    """Whose verdicts to open with: the explorer's robust model, or the last one."""
    robust = FIRST_CHOICE["right"]
    return robust if robust in models else next(reversed(models), EVERY)


def _counts() -> str:
    return f"it must be one of {', '.join(map(str, COUNTS))}."


def _against(reader: Reader) -> int | None:
    value = reader.number("against", 0, MOST_INDEX, None, "none")
    if value is not None and value != int(value):
        reader.refuse("against", str(value), f"it must be a whole number up to {MOST_INDEX}.", "none")
        return None
    return None if value is None else int(value)


def to_url(comparison: Comparison, kinds: Mapping[str, str]) -> dict[str, str]:
    """The URL of a comparison: only what differs from the default. `parse` reads it back exactly."""
    asked = comparison.asked
    opens = OPENS[asked.settings.norm]
    rest = {
        k: v for k, v in explorer.to_params(asked, tuple(kinds)).items() if k in SHARED and k not in opens
    }
    place = {"eps": f"{asked.eps:.12g}", "upto": asked.upto}
    shared = rest | {key: value for key, value in place.items() if value != opens[key]}
    mine, default = _flat(comparison), _flat(parse({}, kinds)[0])
    default["of"] = _opens_with(comparison.models)
    return shared | {key: value for key, value in mine.items() if value != default.get(key)}


def _flat(comparison: Comparison) -> dict[str, str]:
    values = {key: value for key, value in vars(comparison).items() if key != "asked" and value is not None}
    return {
        key: ",".join(value) if isinstance(value, tuple) else str(value) for key, value in values.items()
    }


def explorer_address(
    comparison: Comparison, model: str, digit: Digit, models: Sequence[str]
) -> dict[str, str]:
    """The explorer's URL that shows one model and digit, beside another of the models compared."""
    others = [m for m in (comparison.pin, *comparison.models) if m not in ("", model)]
    left, plain = next(iter(others), model), default_state(models)
    question = replace(comparison.asked, index=digit.index, own=digit.pixels, method=plain.method)
    state = replace(question, left=left, right=model)
    return {"left": left, "right": model, "index": str(digit.index)} | explorer.to_params(state, models)


def address(state: State, kinds: Mapping[str, str]) -> dict[str, str]:
    """This page's URL with the explorer's digit and question, for its two models and the usual ones."""
    first = tuple(dict.fromkeys((state.left, state.right)))
    same = alike(kinds, first)
    # Where the usual ones have another scale, any that have this one.
    others = tuple(m for m in usual(kinds) if m in same) or same
    models = tuple(m for m in dict.fromkeys((*first, *others)) if m in same)
    comparison = replace(parse({}, kinds)[0], asked=state, models=models[:MOST_MODELS])
    return to_url(replace(comparison, of=_opens_with(comparison.models)), kinds)
