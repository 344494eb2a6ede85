"""What was computed, as one table a model; those of the constant decoder and the ceiling, too."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np
from torch import Tensor

from core.evaluation.ceiling import CEILING, highest_worst
from core.evaluation.evaluate import CONSTANT
from core.evaluation.suite.log import Arrays
from core.evaluation.suite.plan import COLUMNS, Job, Plan, SuiteModel
from core.training.baseline import fit_constant_decoder
from core.vae.likelihood import make_likelihood
from core.vae.threat import Threat

# Clean values of other batches than an attack's can differ in the last bits.
_TOLERANCE = 1e-9
_HIGHEST = "ceiling_closed-form"
_THREATENED = ("full", "subset", "own")


@dataclass(frozen=True)
class Table:
    """A model's values, each (n,) nats of the first n images, by (target, eps) and column.

    columns  "clean", "attacked_<method>", "certified_<method>", see COLUMNS; at eps 0 there is clean only.
             Of a ceiling "ceiling_<method>".
    terms    clean, recon and kl.
    """

    name: str
    columns: tuple[str, ...]
    parts: dict[tuple[str, float], Arrays]
    terms: Arrays

    def gaps(self) -> list[dict[str, object]]:
        """The certificates that were vacuous, and not computed: model, target, method, and at which eps."""
        gaps: list[dict[str, object]] = []
        targets = dict.fromkeys(target for target, _ in self.parts)
        tried = [column for column in self.columns if column not in COLUMNS["own"]]
        for target, column in product(targets, tried):
            at = [eps for (t, eps), part in self.parts.items() if t == target and column not in part]
            if missing := [eps for eps in at if eps > 0]:
                method = column.removeprefix("certified_")
                gaps.append({"model": self.name, "target": target, "method": method, "eps": missing})
        return gaps

    def violations(self) -> int:
        """How often certified <= attacked <= clean does not hold."""
        count = 0
        for part in self.parts.values():
            attacked = [column for name, column in part.items() if name.startswith("attacked")]
            certified = [column for name, column in part.items() if name.startswith("certified")]
            pairs = [(a, part["clean"] + _TOLERANCE) for a in attacked] + list(product(certified, attacked))
            for lower, upper in pairs:
                both = min(len(lower), len(upper))
                count += int((~(lower[:both] <= upper[:both])).sum())
        return count


def model_table(plan: Plan, name: str, finished: dict[Job, Arrays]) -> Table:
    """All values of a model; every one of its jobs is finished."""
    suite = plan.suite
    terms = _columns(plan, finished, name, "", 0.0, "clean")
    clean = {"clean": terms["clean"]}
    parts: dict[tuple[str, float], Arrays] = {}
    for target in suite.targets:
        parts[target, 0.0] = clean
        for eps in suite.eps:
            kinds = [_columns(plan, finished, name, target, eps, kind) for kind in _THREATENED]
            parts[target, eps] = clean | kinds[0] | kinds[1] | kinds[2]
    return Table(
        name, ("clean", *(column for kind in _THREATENED for column in COLUMNS[kind])), parts, terms
    )


def _columns(
    plan: Plan, finished: dict[Job, Arrays], name: str, target: str, eps: float, kind: str
) -> Arrays:
    """The blocks one after the other. A column that a block lacks was not computed."""
    blocks = [finished[job] for job in plan.jobs if job[:4] == (name, target, eps, kind)]
    columns = [c for c in COLUMNS[kind] if blocks and all(c in block for block in blocks)]
    return {c: np.concatenate([block[c] for block in blocks]) for c in columns}


def constant_tables(plan: Plan, x: Tensor, levels: Tensor) -> list[Table]:
    """The best constant decoders for each target and eps, one table a likelihood among the models."""
    columns = ("clean", "attacked_closed-form", "certified_closed-form")
    return [
        Table(
            f"{CONSTANT}-{name}",
            columns,
            {asked: _constant(*kind, x, levels, asked[1], asked[0]) for asked in _asked(plan)},
            {},
        )
        for name, kind in _kinds(plan).items()
    ]


def ceiling_tables(plan: Plan, x: Tensor) -> list[Table]:
    """What no model is above for each target and eps, one table a likelihood that has a ceiling."""
    tables = []
    for name, kind in _kinds(plan).items():
        likelihood = make_likelihood(*kind)
        highest = {
            (target, eps): highest_worst(likelihood, x, Threat(eps, target)).numpy()
            for target, eps in _asked(plan)
        }
        if all(np.isfinite(values).all() for values in highest.values()):
            parts = {asked: {_HIGHEST: values} for asked, values in highest.items()}
            tables.append(Table(f"{CEILING}-{name}", (_HIGHEST,), parts, {}))
    return tables


def _asked(plan: Plan) -> list[tuple[str, float]]:
    return list(product(plan.suite.targets, (0.0, *plan.suite.eps)))


def _kinds(plan: Plan) -> dict[str, tuple[str, float]]:
    """The likelihoods among the models, by the names of their limits; with sigma where there are two of a
    name."""
    kinds = list(dict.fromkeys(_kind(entry) for entry in plan.entries.values()))
    names = [name for name, _ in kinds]
    return {name if names.count(name) == 1 else f"{name}-{sigma:g}": (name, sigma) for name, sigma in kinds}


def own_constant(entry: SuiteModel, x: Tensor, levels: Tensor) -> float:
    """Mean certified ELBO of the constant decoder that was fitted for a model's own eps and target."""
    part = _constant(*_kind(entry), x, levels, entry.training["eps"], entry.training["target"])
    return fmean(part.get("certified_closed-form", part["clean"]).tolist())


def _kind(entry: SuiteModel) -> tuple[str, float]:
    """Likelihood and its sigma, 0 where it has none."""
    likelihood = entry.config["likelihood"]
    return likelihood, entry.config["sigma"] if likelihood == "gaussian" else 0.0


def _constant(likelihood: str, sigma: float, x: Tensor, levels: Tensor, eps: float, target: str) -> Arrays:
    """Attack and certificate are one: the worst case in closed form."""
    constant = fit_constant_decoder(levels, make_likelihood(likelihood, sigma), eps, target)
    part = {"clean": constant.elbo(x.double()).numpy()}
    if eps > 0:
        worst = constant.lower(x.double(), eps, target).numpy()
        part |= {"attacked_closed-form": worst, "certified_closed-form": worst}
    return part
