"""What the page of comparisons shows, as a value; read from and written to the URL. Nothing here trusts its
input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import CoreError
from core.evaluation.verdicts import BROKEN, CERTIFIED, OPEN
from dashboard.addresses import explorer
from dashboard.addresses.datasets import FIRST_CHOICE, PAIRS, WISH, granted
from dashboard.addresses.digit import Digit, images, last_index
from dashboard.addresses.explorer import FAST, State, default_state, fitted, index_setting, sourced
from dashboard.addresses.kinds import Source, dataset_of
from dashboard.addresses.page import Page
from dashboard.addresses.reader import Message, refusal, to_number
from dashboard.addresses.results import MOST_MODELS
from dashboard.addresses.settings import OneOf, Seen, Setting, Several, Whole, given

USUAL = {
    "mnist": (*FIRST_CHOICE.values(), "mnist-conv-robust-0.1", "mnist-conv-adversarial-0.1"),
    "fashion-mnist": (
        *PAIRS["fashion-mnist"].values(),
        "fashion-conv-robust-0.05",
        "fashion-conv-robust-0.01",
    ),
}
"""The models to open with, those that are there, by data set."""
PROOF = FAST[-1]
"""What bounds are computed by on this page: fast enough for a whole grid of many images."""
OPENS = {"linf": {"eps": 0.04, "upto": "0.05"}, "l2": {"eps": 0.2, "upto": "0.3"}}
"""The eps and the chart to open with, by norm: about where verdicts change."""
PARTS = ("digit", "gallery")
EVERY = "all"
SORTS = ("radius", "weakest", "broken", "number", "class")
VERDICTS = (EVERY, CERTIFIED, OPEN, BROKEN)
COUNTS = (25, 50, 100, 200)
USUAL_COUNT = 50
PER_PAGE = 24
MOST_PAGES = -(-COUNTS[-1] // PER_PAGE)


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
        pinned = () if self.against is None else (Digit(self.against, source=self.asked.source),)
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


def alike(kinds: Mapping[str, object], models: Sequence[str]) -> tuple[str, ...]:
    """The models that have a common scale with the first of these; kinds: of each model."""
    return tuple(m for m in kinds if not models or kinds[m] == kinds[models[0]])


def usual(kinds: Mapping[str, object], dataset: str = "mnist") -> tuple[str, ...]:
    """The models to open with: the usual ones of a data set, or the first ones that have a common scale."""
    known = tuple(m for m in USUAL.get(dataset, ()) if m in kinds)
    known = tuple(m for m in known if m in alike(kinds, known))
    if len(known) > 1:
        return known
    names = [m for m in kinds if dataset_of(m) == dataset] or list(kinds)
    return alike(kinds, names[:1])[:MOST_MODELS]


def _opens_with(models: Sequence[str]) -> str:
    """Whose verdicts to open with: the explorer's robust model, or the last one."""
    robust = (pair["right"] for pair in PAIRS.values())
    return next((name for name in robust if name in models), next(reversed(models), EVERY))


class Comparable(Several):
    """Models, as far as they can be compared with the first."""

    def take(self, text: str | None, seen: Seen) -> tuple[tuple[str, ...], list[Message]]:
        models, messages = super().take(text, seen)
        same = tuple(m for m in models if m in alike(seen["kinds"], models))
        if same != models:
            must = (
                "different likelihoods, or shapes of images, have no common scale, two data sets no image."
            )
            messages.append(refusal(self.name, ",".join(models), must, ", ".join(same)))
        return same, messages


def class_count(source: Source) -> int:
    """How many classes the images of a source have; the ten of the digits where they cannot be read."""
    try:
        return len(images(source).classes)
    except CoreError:
        return 10


class Against(Whole):
    """The number of a digit, or none."""

    def must(self, text: str, seen: Seen) -> str:
        high = given(self.high, seen)
        if to_number(text, self.low, high) is None:
            return f"it must be a number from {self.low} to {high}."
        return f"it must be a whole number up to {high}."


def _open(name: str) -> Setting:
    """A setting of the explorer that opens with something else here."""
    asked = ASKED[name]
    return replace(asked, default=lambda seen: OPENS[seen["norm"]][name], instead=asked.default)


ASKED = explorer.PAGE.settings
PAGE = Page(
    Comparison,
    (
        ASKED["norm"],
        _open("eps"),
        *(ASKED[name] for name in ("target", "attack", "steps", "restarts", "draws", "seed")),
        WISH,
        Comparable(
            name="models",
            label=f"Models (up to {MOST_MODELS})",
            options=lambda seen: seen["models"],
            most=MOST_MODELS,
            default=lambda seen: usual(seen["kinds"], seen.get("dataset") or "mnist"),
            rule=f"it must be up to {MOST_MODELS} of the models, separated by commas.",
        ),
        granted("models"),
        sourced("models"),
        index_setting(),
        ASKED["own"],
        fitted,
        ASKED["threshold"],
        _open("upto"),
        explorer.bounded,
        OneOf(
            name="of",
            label="Verdicts of",
            options=lambda seen: (EVERY, *seen["models"]),
            default=lambda seen: _opens_with(seen["models"]),
            rule="it must be all, or one of the models compared.",
        ),
        OneOf(name="part", label="Show", options=PARTS, default=PARTS[0]),
        OneOf(
            name="pin",
            label="Pinned model",
            options=lambda seen: ("", *seen["models"]),
            default="",
            rule="it must be one of the models compared.",
            used="none",
        ),
        Against(
            name="against", low=0, high=lambda seen: last_index(seen["source"]), default=None, used="none"
        ),
        OneOf(name="count", label="Images", options=COUNTS, default=USUAL_COUNT),
        Several(
            name="classes",
            label="Classes (none chosen: all)",
            options=lambda seen: tuple(map(str, range(class_count(seen["source"])))),
            default=(),
            rule=lambda seen: f"it must be some of 0 to {class_count(seen['source']) - 1}.",
            nothing="all",
        ),
        OneOf(name="sort", label="Order", options=SORTS, default=SORTS[0]),
        OneOf(name="verdict", label="Verdict", options=VERDICTS, default=EVERY),
        Whole(name="page", low=1, high=MOST_PAGES, default=1),
    ),
    # The explorer's two models play no part here; proofs are by one fast method.
    {
        **{name: ASKED[name].default for name in ("left", "states", "side", "limits", "unit")},
        "right": "",
        "method": PROOF,
    },
)


def explorer_address(
    comparison: Comparison, model: str, digit: Digit, models: Sequence[str]
) -> dict[str, str]:
    """The explorer's URL that shows one model and digit, beside another of the models compared."""
    others = [m for m in (comparison.pin, *comparison.models) if m not in ("", model)]
    left, plain = next(iter(others), model), default_state(models)
    question = replace(comparison.asked, index=digit.index, own=digit.pixels, method=plain.method)
    state = replace(question, left=left, right=model)
    return {"left": left, "right": model, "index": str(digit.index)} | explorer.to_params(state, models)


def address(state: State, kinds: Mapping[str, object]) -> dict[str, str]:
    """This page's URL with the explorer's digit and question, for its two models and the usual ones."""
    first = tuple(dict.fromkeys(state.sides))
    same = alike(kinds, first)
    # Where the usual ones have another scale, any that have this one.
    others = tuple(m for m in usual(kinds, state.source.dataset) if m in same) or same
    models = tuple(m for m in dict.fromkeys((*first, *others)) if m in same)
    there = {"kinds": kinds, "models": tuple(kinds)}
    opened, shown = PAGE.parse({}, **there)[0], models[:MOST_MODELS]
    return PAGE.address(replace(opened, asked=state, models=shown, of=_opens_with(shown)), **there)
