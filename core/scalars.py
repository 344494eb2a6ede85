"""Numbers as Python has them: what is written to files and compared has one type, whoever gave it."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable


def whole(value: object) -> int | None:
    """A whole number as an int: Python's own, numpy's, or the one in a tensor or array without dimensions.
    None for anything else; True and 1.0 are none."""
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")) or getattr(value, "ndim", 0):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def real(value: object) -> float | None:
    """A number, Python's or numpy's, as an int or float. None for anything else; True is none."""
    if (number := whole(value)) is not None:
        return number
    return float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else None


def make_plain(values: object, name: str, kind: Callable[[object], float | None]) -> None:
    """Replace a field of a frozen dataclass by the same number as Python has it, if it is of that kind."""
    if (number := kind(getattr(values, name))) is not None:
        object.__setattr__(values, name, number)
