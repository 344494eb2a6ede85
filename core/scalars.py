"""Numbers as Python has them: what is written to files and compared has one type, whoever gave it."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable, Sequence
from dataclasses import field, fields
from typing import Any

from core.errors import ConfigError

LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127
"""No weight, and no option of a layer, is larger: torch raises where it has to make one of it."""


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


def setting(
    default: Any,
    help: str,
    choices: Sequence[str] = (),
    limits: tuple[Callable[[object], float | None], float, float] | None = None,
    **more: Any,
) -> Any:
    """Describe a field of a frozen dataclass: its default, its help, and the values that it takes.

    choices or limits  words; or the kind of number, `whole` or `real`, with the least and the largest.
    more               what the dataclass itself wants to know of it, in the field's metadata.
    """
    metadata = {"help": help, "choices": tuple(choices), "limits": limits, **more}
    return field(default=default, metadata=metadata)


def check_settings(values: Any) -> None:
    """Make every number of a dataclass plain. Raises ConfigError for a value that it does not take."""
    for known in fields(values):
        name, choices, limits = known.name, known.metadata.get("choices"), known.metadata.get("limits")
        if choices and (value := getattr(values, name)) not in choices:
            raise ConfigError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
        if limits:
            kind, low, high = limits
            make_plain(values, name, kind)
            value = getattr(values, name)
            if kind(value) is None or not low <= value <= high:  # False for NaN too
                what = "whole number" if kind is whole else "number"
                raise ConfigError(f"{name} is {value!r}; it must be a {what} in {low:g}..{high:g}.")
