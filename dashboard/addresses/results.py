"""What the page of results shows, as a value; read from and written to the URL. Nothing here trusts its
input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.evaluation.results import STANDARD, TIGHTEST, ModelRow, Results
from core.vae.validate import TARGETS
from dashboard.addresses.datasets import PAIRS
from dashboard.addresses.explorer import Settings, State, default_state, to_params
from dashboard.addresses.page import Page
from dashboard.addresses.settings import Among, OneOf, Seen, Several
from dashboard.shared.text import (
    ARCH_LABELS,
    ATTACK_LABELS,
    AXIS_LABELS,
    DATASET_LABELS,
    HELP,
    LIKELIHOOD_LABELS,
    METHOD_NAMES,
    RESULTS_HELP,
    TARGET_LABELS,
    TIGHTEST_LABEL,
)

EVERY = "all"
MOST_MODELS = 6
"""Curves that can be told apart in one chart."""
AXES = ("near", "all")
ORDERS = {"proved": "Proved, best first", "attacked": "Attacked", "clean": "Clean", "name": "Name"}
USUAL_EPS = 0.1


@dataclass(frozen=True)
class Choice:
    """Everything that the URL can say.

    dataset     whose evaluation it is.
    likelihood  one: ELBOs of different likelihoods have no common axis.
    arch        EVERY, or one. recipes: of the models on offer; none chosen means all.
    models      whose curves are drawn, in this order. sample: whose pictures are shown, "" for nobody's.
    eps         of the table, and of clean against proved. order: of the table. upto: where the curves end.
    axis        "near": down to somewhat below the constant decoder; "all": down to all that is attained.
    """

    dataset: str
    likelihood: str
    target: str
    arch: str
    recipes: tuple[str, ...]
    models: tuple[str, ...]
    attack: str
    certificate: str
    eps: float
    order: str
    upto: float
    axis: str
    sample: str


def offered(results: Results, likelihood: str, arch: str, recipes: Sequence[str]) -> tuple[str, ...]:
    """Models that pass the filters."""
    return tuple(
        entry.model
        for entry in results.entries
        if entry.likelihood == likelihood
        and arch in (EVERY, entry.arch)
        and (not recipes or entry.kind in recipes)
    )


def usual(results: Results, names: Sequence[str]) -> tuple[str, ...]:
    """The models to open with: a standard one, one robust for each target, one trained against attacks."""
    entries = [results.entry(name) for name in names]
    # The largest eps first, convolutional before fully connected, the paper's recipe before others.
    entries.sort(key=lambda entry: (-entry.eps, entry.arch != "conv", entry.recipe != "ibp"))
    wanted: tuple[Callable[[ModelRow], bool], ...] = (
        lambda entry: entry.kind == STANDARD,
        lambda entry: entry.robust and entry.target == TARGETS[0],
        lambda entry: entry.robust and entry.target == TARGETS[1],
        lambda entry: entry.kind == "adversarial",
    )
    found = (next(filter(wish, entries), None) for wish in wanted)
    return tuple(entry.model for entry in found if entry is not None) or tuple(names[:MOST_MODELS])


def kinds(results: Results, likelihood: str, attribute: str) -> tuple[str, ...]:
    """The architectures ("arch") or recipes ("kind") of the models of a likelihood."""
    mine = (entry for entry in results.entries if entry.likelihood == likelihood)
    return tuple(dict.fromkeys(getattr(entry, attribute) for entry in mine))


def radii(results: Results) -> tuple[float, ...]:
    """The eps to choose from: 0, where nothing happens, only if there is no other."""
    return tuple(eps for eps in results.radii if eps > 0) or results.radii


def _results(seen: Seen) -> Results:
    """The evaluation that is shown."""
    return seen["every"][seen["dataset"]]


def _targets(seen: Seen) -> tuple[str, ...]:
    known = {mean.target for mean in _results(seen).means}
    return tuple(target for target in TARGETS if target in known)


def _recipes(seen: Seen) -> tuple[str, ...]:
    return kinds(_results(seen), seen["likelihood"], "kind")


def _passing(seen: Seen) -> tuple[str, ...]:
    return offered(_results(seen), seen["likelihood"], seen["arch"], seen["recipes"])


def _usual(seen: Seen) -> tuple[str, ...]:
    return usual(_results(seen), _passing(seen))


def _first(seen: Seen) -> str:
    """The model whose pictures the page opens with: a robust one if it can be."""
    opens = _usual(seen)
    robust = (name for name in opens if _results(seen).entry(name).robust)
    return next(robust, next(iter(opens), ""))


def _proofs(seen: Seen) -> tuple[str, ...]:
    """The certificates that were computed, after what the tightest of them proves."""
    methods = _results(seen).methods("certified")
    return (TIGHTEST, *methods) if methods else ()


def _best(seen: Seen) -> float:
    grid = radii(_results(seen))
    return USUAL_EPS if USUAL_EPS in grid else grid[-1]


def _one_of(name: str, label: str, options: Callable[[Seen], Sequence[str]], **more: Any) -> OneOf:
    """A choice that opens with the first of its options."""
    usual = {"default": lambda seen: next(iter(options(seen)), ""), "help": RESULTS_HELP.get(name)}
    return OneOf(name=name, label=label, options=options, **usual | more)


def _radius(name: str, label: str) -> Among:
    grid = {"options": lambda seen: radii(_results(seen)), "default": _best}
    return Among(name=name, label=label, help=HELP[name], **grid)


PAGE = Page(
    Choice,
    # First the data set, then the filters: which models there are depends on them.
    (
        _one_of("dataset", "Data set", lambda seen: tuple(seen["every"]), names=DATASET_LABELS),
        _one_of(
            "likelihood",
            "Likelihood",
            lambda seen: tuple(dict.fromkeys(entry.likelihood for entry in _results(seen).entries)),
            names=LIKELIHOOD_LABELS,
        ),
        _one_of(
            "arch",
            "Architecture",
            lambda seen: (EVERY, *kinds(_results(seen), seen["likelihood"], "arch")),
            names=ARCH_LABELS,
        ),
        Several(
            name="recipes",
            label="Recipes",
            options=_recipes,
            default=(),
            rule=lambda seen: f"it must be some of {', '.join(_recipes(seen))}.",
            nothing="all",
            help=RESULTS_HELP["recipe"],
        ),
        Several(
            name="models",
            label=f"Models with curves (up to {MOST_MODELS})",
            options=_passing,
            most=MOST_MODELS,
            default=_usual,
            rule=f"it must be up to {MOST_MODELS} names of models that pass the filters, "
            "separated by commas.",
            help=RESULTS_HELP["models"],
        ),
        _one_of("target", "Question", _targets, names=TARGET_LABELS, help=HELP["target"]),
        _one_of("attack", "Attack", lambda seen: _results(seen).methods("attacked"), names=ATTACK_LABELS),
        _one_of(
            "certificate",
            "Proof",
            _proofs,
            names=METHOD_NAMES | {TIGHTEST: TIGHTEST_LABEL},
        ),
        _radius("eps", "eps"),
        _one_of("order", "Order", lambda seen: tuple(ORDERS), names=ORDERS),
        _radius("upto", "Chart up to eps"),
        _one_of("axis", "Axis", lambda seen: AXES, names=AXIS_LABELS),
        OneOf(
            name="sample",
            label="Model",
            options=_passing,
            default=_first,
            rule="it must be a model that passes the filters.",
        ),
    ),
)


def explorer_address(
    results: Results, shipped: Sequence[str], model: str, eps: float, target: str
) -> dict[str, str] | None:
    """The explorer's URL that shows a model beside the standard one; None if the model is not shipped."""
    if model not in shipped:
        return None
    mine = results.entry(model)
    same = [e for e in results.entries if e.likelihood == mine.likelihood and e.model in shipped]
    first = {model for pair in PAIRS.values() for model in pair.values()}
    # The explorer's own first choices first, then models of the same architecture.
    same.sort(key=lambda e: (e.model not in first, e.arch != mine.arch))
    left = next((e.model for e in same if e.kind == STANDARD), model)
    right = model if model != left else next((e.model for e in same if e.robust), model)
    state = State(left, right, eps=eps, upto=default_state(shipped).upto, settings=Settings(target=target))
    explicit = {"left": left, "right": right, "eps": f"{eps:.12g}", "target": target}
    return explicit | to_params(state, shipped)
