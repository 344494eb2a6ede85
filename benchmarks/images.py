"""Which of the shipped test images a benchmark looks at."""

from __future__ import annotations

from collections import Counter

from torch import Tensor

import core


def spread(count: int) -> tuple[list[int], Tensor]:
    """`count` shipped digits, and their numbers: the first 0, 1, ... 9, then the second of each class.

    100 images are ten of each class, and the first images of a longer list are those of a shorter one.
    """
    x, y = core.load_samples("mnist")
    seen: Counter[int] = Counter()
    ranks: list[tuple[int, int, int]] = []
    for index, label in enumerate(y.tolist()):
        ranks.append((seen[label], label, index))
        seen[label] += 1
    numbers = [index for _, _, index in sorted(ranks)[:count]]
    return numbers, x[numbers]
