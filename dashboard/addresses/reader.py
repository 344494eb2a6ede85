"""Text of an address that anyone may have written: numbers in it, and how it is quoted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A value that was refused, and what is used instead."""

    field: str
    text: str


class Reader:
    """Takes values out of an address. `messages` says what had to be refused."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self._params = params
        self.messages: list[Message] = []

    def text(self, field: str) -> str | None:
        return self._params.get(field)

    def refuse(self, field: str, text: str, must: str, used: object) -> None:
        said = f"`{field}` in the address is {quote(text)}; {must} Using {used} instead."
        self.messages.append(Message(field, said))

    def choice(self, field: str, options: Sequence[str], fallback: str, must: str, used: str = "") -> str:
        """One of the options. used: what the message calls the fallback."""
        text = self.text(field)
        if text is None or text in options:
            return fallback if text is None else text
        self.refuse(field, text, must, used or fallback)
        return fallback

    def one_of(self, field: str, options: Sequence[str], fallback: str) -> str:
        """One of a few options, which the message lists."""
        return self.choice(field, options, fallback, f"it must be one of {', '.join(options)}.")

    def number(
        self, field: str, low: float, high: float, fallback: float | None, used: str = ""
    ) -> float | None:
        """A number from low to high. used: what the message calls the fallback."""
        text = self.text(field)
        value = fallback if text is None else to_number(text, low, high)
        if value is None and text is not None:
            must = f"it must be a number from {low:,g} to {high:,g}."
            self.refuse(field, text, must, used or fallback)
            return fallback
        return value

    def whole(self, field: str, low: int, high: int, fallback: int) -> int:
        text = self.text(field)
        value = fallback if text is None else to_number(text, low, high)
        if value is None or value != int(value):
            self.refuse(field, str(text), f"it must be a whole number from {low:,} to {high:,}.", fallback)
            return fallback
        return int(value)

    def among(self, field: str, numbers: Sequence[float], fallback: float) -> float:
        """One of a few numbers in [0, 1], however it is written."""
        text = self.text(field)
        value = fallback if text is None else to_number(text, 0, 1)
        if text is None or value is None or value not in numbers:
            if text is not None:
                listed = ", ".join(f"{number:g}" for number in numbers)
                self.refuse(field, text, f"it must be one of {listed}.", f"{fallback:g}")
            return fallback
        return value

    def several(
        self,
        field: str,
        options: Sequence[str],
        most: int,
        fallback: tuple[str, ...],
        must: str,
        nothing: str = "none",
    ) -> tuple[str, ...]:
        """Up to `most` of the options, separated by commas; those that are none are left out.

        nothing  what the message calls an empty choice.
        """
        text = self.text(field)
        if text is None:
            return fallback
        asked = tuple(dict.fromkeys(text.split(","))) if text else ()
        known = tuple(part for part in asked if part in options)[:most]
        if known != asked:
            known = known or fallback
            self.refuse(field, text, must, ", ".join(known) or nothing)
        return known


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
