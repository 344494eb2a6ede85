"""Where intervals grow most on their way through a network. No Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.inspector.compute import Seen


@dataclass(frozen=True)
class Growth:
    """A layer whose intervals are so many times as wide as those of what it takes; inf: without an end."""

    layer: Seen
    times: float


def growth(layer: Seen, method: str) -> float:
    """How many times as wide as what it takes; 0 where that is not known, or nothing moves."""
    wide, took = layer.widths[method], layer.took[method]
    return wide / took if 0 < took < math.inf else 0.0


def steepest(layers: Sequence[Seen], method: str) -> Growth | None:
    """The layer where they grow most; None where nothing grows. The pixels, which end at black and white,
    never do."""
    found = max(layers, key=lambda layer: growth(layer, method), default=None)
    if found is None or growth(found, method) <= 1:
        return None
    return Growth(found, growth(found, method))
