"""The tables of docs/models.md, from the results of the evaluation.

python -m benchmarks.table              each model under the threat that it was trained for, at eps 0.1
                                        where it was trained for none
python -m benchmarks.table --picture    the paper's picture: what the strongest attack leaves of models
                                        that were trained for no radius, and of those that were
python -m benchmarks.table --tightest   the first table over the subset: what strongest attains, and
                                        what alpha-crown proves
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.evaluation.ceiling import share_of_way
from core.evaluation.results import CLOSED_FORM, TIGHTEST, Mean, ModelRow, Results
from core.evaluation.results_files import RESULTS, read_results
from core.vae.config import LIKELIHOODS
from core.vae.validate import TARGETS

USUAL_EPS = 0.1
COLUMNS = (
    "model",
    "target",
    "eps",
    "clean",
    "attacked",
    "proved",
    "constant decoder",
    "ceiling",
    "way",
    "by",
)
STRONG_EPS = (0.05, 0.1, 0.2)


def rows(results: Results) -> Iterator[tuple[str, ...]]:
    """Means over all images, in nats: attacked by pgd, proved by the tightest of the certificates computed;
    the limits of all models, how much of the way between them is proved, and by which certificate."""
    for entry in results.entries:
        target, eps = entry.target or TARGETS[0], entry.eps or USUAL_EPS
        for question in TARGETS if entry.eps == 0 else (target,):
            yield entry.model, question, f"{eps:g}", *_values(results, entry, question, eps)


def _values(results: Results, entry: ModelRow, target: str, eps: float) -> list[str]:
    images = results.suite.images
    decoder, closed = results.decoder(entry.likelihood, target, images)
    lines = (
        results.curve(entry.model, target, "attacked", "pgd", images),
        results.curve(entry.model, target, "certified", TIGHTEST, images),
        results.line(decoder, target, "certified", CLOSED_FORM, closed),
    )
    attacked, proved, worst = (_at(line, eps) for line in lines)
    top = _at(results.ceiling(entry.likelihood, target, images), eps)
    known = (results.clean(entry.model, target, 0, images), attacked, proved, worst, top)
    by = "" if proved is None or proved.vacuous != 0 else proved.method
    return [*map(_shown, known), _way(proved, worst, top), by]


def _way(proved: Mean | None, constant: Mean | None, ceiling: Mean | None) -> str:
    if proved is None or constant is None or ceiling is None or proved.vacuous != 0:
        return ""
    share = share_of_way(proved.mean, constant.mean, ceiling.mean)
    return f"{math.floor(100 * share)} %" if share >= 0 else "none"


def _at(line: Sequence[Mean], eps: float) -> Mean | None:
    return next((mean for mean in line if mean.eps == eps), None)


def _shown(mean: Mean | None) -> str:
    if mean is None:
        return ""
    return f"{mean.rounded():.1f}" if mean.vacuous == 0 else "vacuous"


def tightest(results: Results) -> Iterator[tuple[str, ...]]:
    """Means over the subset, in nats, of models that were trained for a radius: attacked by strongest,
    proved by alpha-crown."""
    images = results.suite.subset
    for entry in results.entries:
        if entry.eps > 0:
            asked = entry.model, entry.target
            attacked = results.curve(*asked, "attacked", "strongest", images)
            proved = results.curve(*asked, "certified", "alpha-crown", images)
            known = results.clean(*asked, 0, images), _at(attacked, entry.eps), _at(proved, entry.eps)
            yield *asked, f"{entry.eps:g}", *map(_shown, known)


def picture(results: Results) -> Iterator[tuple[str, ...]]:
    """Means over the subset with their 95 % intervals, attacked by strongest, in nats: for each likelihood
    and target the models trained for no radius, then those trained for the target."""
    for likelihood in LIKELIHOODS:
        for target in TARGETS:
            seen = [
                entry
                for entry in results.entries
                if entry.likelihood == likelihood and (entry.eps == 0 or entry.target == target)
            ]
            for entry in sorted(seen, key=lambda entry: entry.eps > 0):
                line = results.curve(entry.model, target, "attacked", "strongest", results.suite.subset)
                cells = (_with_interval(_at(line, eps)) for eps in STRONG_EPS)
                yield entry.model, target, *cells


def _with_interval(mean: Mean | None) -> str:
    return "" if mean is None else f"{mean.mean:.0f} [{mean.low:.0f}, {mean.high:.0f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, default=RESULTS)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--picture", action="store_true")
    which.add_argument("--tightest", action="store_true")
    options = parser.parse_args()
    found, columns, lines = read_results(options.results), COLUMNS, rows
    if options.picture:
        columns, lines = ("model", "target", *(f"eps {eps:g}" for eps in STRONG_EPS)), picture
    elif options.tightest:
        columns, lines = COLUMNS[:6], tightest
    print(f"| {' | '.join(columns)} |")
    print(f"|---|---|{'---:|' * (len(columns) - 2)}")
    for row in lines(found):
        print(f"| `{row[0]}` | {' | '.join(row[1:])} |")


if __name__ == "__main__":
    main()
