"""What the page of results shows, as a value; read from and written to the URL. Nothing here trusts its
input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.evaluation.results import STANDARD, ModelRow, Results
from core.vae.validate import TARGETS
from dashboard.addresses.explorer import FIRST_CHOICE, Settings, State, default_state, to_params
from dashboard.addresses.reader import Message, Reader

EVERY = "all"
MOST_MODELS = 6
"""Curves that can be told apart in one chart."""
AXES = ("near", "all")
USUAL_EPS = 0.1


@dataclass(frozen=True)
class Choice:
    """Everything that the URL can say.

    likelihood  one: ELBOs of different likelihoods have no common axis.
    arch        EVERY, or one. recipes: of the models on offer; none chosen means all.
    models      whose curves are drawn, in this order. sample: whose pictures are shown, "" for nobody's.
    eps         of the comparison of clean and proved. upto: where the curves end.
    axis        "near": down to somewhat below the constant decoder; "all": down to all that is attained.
    """

    likelihood: str
    target: str
    arch: str
    recipes: tuple[str, ...]
    models: tuple[str, ...]
    attack: str
    certificate: str
    eps: float
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


def options(results: Results) -> dict[str, tuple[str, ...]]:
    """What the single choices choose from."""
    targets = {mean.target for mean in results.means}
    return {
        "likelihood": tuple(dict.fromkeys(entry.likelihood for entry in results.entries)),
        "target": tuple(target for target in TARGETS if target in targets),
        "attack": results.methods("attacked"),
        "certificate": results.methods("certified"),
        "axis": AXES,
    }


def _tightest(results: Results) -> str | None:
    """The tightest certificate that was computed over all images."""
    everywhere = {mean.method for mean in results.means if mean.images == results.suite.images}
    return next((m for m in reversed(results.methods("certified")) if m in everywhere), None)


def kinds(results: Results, likelihood: str, attribute: str) -> tuple[str, ...]:
    """The architectures ("arch") or recipes ("kind") of the models of a likelihood."""
    mine = (entry for entry in results.entries if entry.likelihood == likelihood)
    return tuple(dict.fromkeys(getattr(entry, attribute) for entry in mine))


def radii(results: Results) -> tuple[float, ...]:
    """The eps to choose from: 0, where nothing happens, only if there is no other."""
    return tuple(eps for eps in results.radii if eps > 0) or results.radii


def parse(params: Mapping[str, str], results: Results) -> tuple[Choice, list[Message]]:
    """A valid choice from text that anyone may have written, and what had to be refused."""
    reader, single, grid = Reader(params), options(results), radii(results)

    def one(field: str, usual: str | None = None) -> str:
        return reader.one_of(field, single[field], usual or next(iter(single[field]), ""))

    # First: which models there are depends on these.
    likelihood = one("likelihood")
    arch = reader.one_of("arch", (EVERY, *kinds(results, likelihood, "arch")), EVERY)
    known = kinds(results, likelihood, "kind")
    must = f"it must be some of {', '.join(known)}."
    recipes = reader.several("recipes", known, len(known), (), must, nothing="all")
    names = offered(results, likelihood, arch, recipes)
    must = f"it must be up to {MOST_MODELS} names of models that pass the filters, separated by commas."
    opens = usual(results, names)
    models = reader.several("models", names, MOST_MODELS, opens, must)
    first = next((name for name in opens if results.entry(name).robust), next(iter(opens), ""))
    best = USUAL_EPS if USUAL_EPS in grid else grid[-1]
    choice = Choice(
        likelihood=likelihood,
        target=one("target"),
        arch=arch,
        recipes=recipes,
        models=models,
        attack=one("attack"),
        certificate=one("certificate", _tightest(results)),
        eps=reader.among("eps", grid, best),
        upto=reader.among("upto", grid, best),
        axis=one("axis"),
        sample=reader.choice("sample", names, first, "it must be a model that passes the filters."),
    )
    return choice, reader.messages


def to_url(choice: Choice, results: Results) -> dict[str, str]:
    """The URL of a choice: only what differs from the default. `parse` reads it back exactly."""
    mine = {field: _flat(value) for field, value in vars(choice).items()}
    # What is default depends on the filters.
    filters = {field: mine[field] for field in ("likelihood", "arch", "recipes")}
    default = vars(parse(filters, results)[0])
    first = vars(parse({}, results)[0])
    return {
        field: text
        for field, text in mine.items()
        if text != _flat((first if field in filters else default)[field])
    }


def _flat(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def explorer_address(
    results: Results, shipped: Sequence[str], model: str, eps: float, target: str
) -> dict[str, str] | None:
    """The explorer's URL that shows a model beside the standard one; None if the model is not shipped."""
    if model not in shipped:
        return None
    mine = results.entry(model)
    same = [e for e in results.entries if e.likelihood == mine.likelihood and e.model in shipped]
    # The explorer's own first choices first, then models of the same architecture.
    same.sort(key=lambda e: (e.model not in FIRST_CHOICE.values(), e.arch != mine.arch))
    left = next((e.model for e in same if e.kind == STANDARD), model)
    right = model if model != left else next((e.model for e in same if e.robust), model)
    state = State(left, right, eps=eps, upto=default_state(shipped).upto, settings=Settings(target=target))
    explicit = {"left": left, "right": right, "eps": f"{eps:.12g}", "target": target}
    return explicit | to_params(state, shipped)
