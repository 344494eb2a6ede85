"""The README's table of models, from the results of the evaluation: each under the threat that it was
trained for, at eps 0.1 where it was trained for none.

python -m benchmarks.table [assets/results/paper]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from core.results import CLOSED_FORM, Entry, Mean, Results
from core.results_files import RESULTS, read_results
from core.validate import TARGETS

USUAL_EPS = 0.1
COLUMNS = ("model", "target", "eps", "clean", "attacked", "proved", "constant decoder")


def rows(results: Results) -> Iterator[tuple[str, ...]]:
    """Means over all images, in nats: attacked by pgd, proved by crown-ibp."""
    for entry in results.entries:
        target, eps = entry.target or TARGETS[0], entry.eps or USUAL_EPS
        for question in TARGETS if entry.eps == 0 else (target,):
            yield entry.model, question, f"{eps:g}", *_values(results, entry, question, eps)


def _values(results: Results, entry: Entry, target: str, eps: float) -> list[str]:
    images = results.suite.images
    decoder, closed = results.decoder(entry.likelihood, target, images)
    lines = (
        results.curve(entry.model, target, "attacked", "pgd", images),
        results.curve(entry.model, target, "certified", "crown-ibp", images),
        results.line(decoder, target, "certified", CLOSED_FORM, closed),
    )
    clean = results.clean(entry.model, target, 0, images)
    return [_shown(clean), *(_shown(_at(line, eps)) for line in lines)]


def _at(line: Sequence[Mean], eps: float) -> Mean | None:
    return next((mean for mean in line if mean.eps == eps), None)


def _shown(mean: Mean | None) -> str:
    if mean is None:
        return ""
    return f"{mean.rounded():.1f}" if mean.vacuous == 0 else "vacuous"


if __name__ == "__main__":
    found = read_results(sys.argv[1] if len(sys.argv) > 1 else RESULTS)
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"|---|---|{'---:|' * (len(COLUMNS) - 2)}")
    for row in rows(found):
        print(f"| `{row[0]}` | {' | '.join(row[1:])} |")
