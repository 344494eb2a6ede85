"""Text of an address that anyone may have written: numbers in it, and how it is quoted."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A value that was refused, and what is used instead."""

    field: str
    text: str


def refusal(field: str, text: str, must: str, used: str) -> Message:
    """The message says what a value has to be and what is used in its place."""
    return Message(field, f"`{field}` in the address is {quote(text)}; {must} Using {used} instead.")


def to_number(text: str, low: float, high: float) -> float | None:
    """A finite number in [low, high], rounded to what the URL keeps, or None."""
    try:
        value = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        return None
    return float(f"{value:.12g}") + 0.0 if low <= value <= high else None


def quote(text: str) -> str:
    """Text of unknown origin as a short piece of code: no markup, no line breaks."""
    shown = "".join(c for c in text[:41] if c.isprintable() and c != "`")
    return f"`{shown[:40]}…`" if len(text) > 40 else f"`{shown or ' '}`"
