"""The files that a finished suite leaves, each replaced whole; the same bytes each time.

suite.json    what was computed: settings, sha256 of the weights, versions; which certificates were not
              computed; how many values break certified <= attacked <= clean (none should).
summary.csv   means in nats over the first `images` test images, with a 95 % bootstrap interval; -inf where
              `vacuous` images have no bound. Clean values are repeated at every target and eps. Constant
              decoders and ceilings, of each likelihood, stand first.
models.csv    one line a model; `constant` is the certified mean of the best constant decoder for the
              model's own eps and target.
samples/      <model>-prior.png, <model>-reconstructions.png, see core.evaluation.suite.grids.
rows/<model>.csv.gz   image by image, beside the logs; empty where not computed.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from core.data.files import write_bytes
from core.evaluation.suite.bootstrap import interval, resamples
from core.evaluation.suite.grids import write_grids
from core.evaluation.suite.log import Arrays
from core.evaluation.suite.plan import Data, Job, Plan, SuiteModel
from core.evaluation.suite.tables import Table, ceiling_tables, constant_tables, model_table, own_constant
from core.evaluation.suite.work import load_entry
from core.training.metrics import CERTIFIED, active_units
from core.vae.model_images import models_by_dataset

SUMMARY = (
    *("model", "target", "eps", "quantity", "method"),
    *("images", "draws", "mean", "low", "high", "vacuous"),
)
MODELS = (
    *("model", "arch", "likelihood", "latent", "recipe", "eps", "target", "kappa"),
    *("parameters", "active_units", "clean", "recon", "kl", "constant"),
)


def write_results(plan: Plan, finished: dict[Job, Arrays], data: Data, out: Path, results: Path) -> None:
    """Put the jobs of a plan, all of them finished, together. Raises OutputError."""
    x, y, levels = data
    tables = [model_table(plan, name, finished) for name in plan.entries]
    constants = constant_tables(plan, x, levels)
    labels = y.tolist()
    for table in (*constants, *tables):
        _write_rows(table, labels, out / "rows" / f"{table.name}.csv.gz")
    models = []
    for table, entry in zip(tables, plan.entries.values(), strict=True):
        vae = load_entry(entry)
        write_grids(vae, x, y, entry, plan.suite.steps, results / "samples")
        measured = {
            "parameters": sum(weight.numel() for weight in vae.parameters()),
            "active_units": active_units(vae, x[:CERTIFIED]),
            "constant": own_constant(entry, x, levels),
        }
        models.append(_model_row(table, entry) | measured)
    write_bytes(results / "models.csv", _csv(MODELS, ([row[key] for key in MODELS] for row in models)))
    summary = _summary(plan, [*constants, *ceiling_tables(plan, x), *tables])
    write_bytes(results / "summary.csv", _csv(SUMMARY, summary))
    # Last: where it is, all of the above is there too.
    record = json.dumps(_record(plan, tables), indent=2) + "\n"
    write_bytes(results / "suite.json", record.encode())


def _record(plan: Plan, tables: Sequence[Table]) -> dict[str, Any]:
    names = list(plan.entries)
    command = f"python -m core evaluate --suite {plan.suite.name} --samples {plan.images}"
    command += f" --dataset {plan.dataset}" if plan.dataset != "mnist" else ""
    command += f" --models {' '.join(names)}" if names != models_by_dataset().get(plan.dataset) else ""
    command += f" --device {plan.device}" if plan.device != "cpu" else ""
    return {
        "format": plan.header["format"],
        "command": command,
        "dataset": plan.dataset,
        "images": plan.images,
        "subset": plan.subset,
        "draws": plan.suite.draws,
        "seed": plan.suite.seed,
        "settings": asdict(plan.suite),
        "not_computed": [gap for table in tables for gap in table.gaps()],
        "violations": sum(table.violations() for table in tables),
        "weights": {entry.name: entry.digest for entry in plan.entries.values()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            **{name: version(name) for name in ("numpy", "pillow")},
        },
    }


def _summary(plan: Plan, tables: Iterable[Table]) -> Iterator[list[object]]:
    counts = {n: resamples(n, plan.suite.seed) for n in {plan.images, plan.subset}}
    for table in tables:
        for (target, eps), part in table.parts.items():
            # Clean on the subset too, so that a drop compares the same images.
            sizes = sorted(counts, reverse=True) if "clean" in part else ()
            columns = [("clean", part["clean"][:n]) for n in sizes]
            columns += [(name, values) for name, values in part.items() if name != "clean"]
            for name, values in columns:
                quantity, method, *_ = [*name.split("_"), ""]
                mean, (low, high) = fmean(values.tolist()), interval(values, counts[len(values)])
                vacuous = int((values == -torch.inf).sum())
                threat, stated = (table.name, target, eps), (len(values), plan.suite.draws)
                yield [*threat, quantity, method, *stated, mean, low, high, vacuous]


def _model_row(table: Table, entry: SuiteModel) -> dict[str, object]:
    training = entry.training
    return {
        "model": entry.name,
        **{key: entry.config[key] for key in ("arch", "likelihood", "latent")},
        **{key: training[key] for key in ("recipe", "eps", "target", "kappa")},
        **{key: fmean(values.tolist()) for key, values in table.terms.items()},
    }


def _write_rows(table: Table, labels: list[int], path: Path) -> None:
    def rows() -> Iterator[list[object]]:
        for (target, eps), part in table.parts.items():
            columns = [part[name].tolist() if name in part else [] for name in table.columns]
            padded = [column + [""] * (len(labels) - len(column)) for column in columns]
            for image, (label, *values) in enumerate(zip(labels, *padded, strict=True)):
                yield [image, label, target, eps, *values]

    text = _csv(["image", "label", "target", "eps", *table.columns], rows())
    write_bytes(path, gzip.compress(text, 6, mtime=0))


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue().encode()
