"""Which bounds take a model too long for a page: an estimate, made before anything is computed."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import core
from core.errors import CoreError
from core.inspection.work import crown_products
from dashboard.addresses import models

MOST = 2.1e11
"""Multiplications of a pass of CROWN that a page computes: the shipped convolutional models with 16 draws.
Of these a core of 2026 does 4 to 12 thousand million a second."""
SECOND = 8e9
"""About how many of them are a second."""


def dear(names: Iterable[str], draws: int) -> tuple[str, float, int]:
    """The first model for which a linear bound with so many draws is too much, about how many seconds it
    takes, and how many draws are not too much; ("", 0, draws) if there is none."""
    there = models.folders()
    for name in names:
        one, each = _products(there.get(name))
        if one + draws * each > MOST:
            return name, (one + draws * each) / SECOND, max(0, int((MOST - one) / each))
    return "", 0.0, draws


def _products(folder: Path | None) -> tuple[float, float]:
    """Those of the encoder, and of each draw; none of a model that cannot be read."""
    if folder is None:
        return 0.0, 0.0
    try:
        changed = max(path.stat().st_mtime_ns for path in folder.iterdir())
        return _of(folder, changed)
    except (CoreError, OSError):
        return 0.0, 0.0


@functools.lru_cache(128)
def _of(folder: Path, changed: int) -> tuple[float, float]:
    vae = core.load_model(folder)
    one = crown_products(vae, 1)
    each = crown_products(vae, 2) - one
    return one - each, each
