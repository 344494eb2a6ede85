"""Check certified <= attacked <= clean in every row of an evaluation.

python -m core evaluate --data data --samples 1000 --eps 0.005 0.02 0.05 0.1 0.2 --out rows.csv
python -m benchmarks.chain rows.csv
"""

from __future__ import annotations

import csv
import sys
from collections import Counter


def main(path: str) -> int:
    rows: Counter[str] = Counter()
    vacuous: Counter[str] = Counter()
    broken: list[dict[str, str]] = []
    closest: dict[str, float] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            model = row["model"]
            certified, attacked, clean = (float(row[key]) for key in ("certified", "attacked", "clean"))
            rows[model] += 1
            vacuous[model] += certified == float("-inf")
            closest[model] = min(closest.get(model, float("inf")), attacked - certified)
            if not certified <= attacked <= clean:  # True for NaN too
                broken.append(row)
    print(f"{'model':<28} {'rows':>7} {'vacuous':>8} {'smallest attacked - certified':>30}")
    for model, count in rows.items():
        print(f"{model:<28} {count:>7} {vacuous[model]:>8} {closest[model]:>25.3g} nats")
    print(f"{sum(rows.values())} rows, {len(broken)} violations")
    for row in broken[:20]:
        print(row)
    return 1 if broken else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
