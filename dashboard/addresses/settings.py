"""Kinds of settings. A setting is described once: what an address may say of it, what a page opens with,
and what its control is called. Addresses, controls and hostile inputs are made from the descriptions.
Nothing here trusts its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.addresses.digit import own_name
from dashboard.addresses.reader import Message, refusal, to_number

Seen = Mapping[str, Any]
"""What there is (models, images of one's own, results), and the settings that were read before, by name."""


def given(value: Any, seen: Seen) -> Any:
    """A value, or what a function makes of what is seen."""
    return value(seen) if callable(value) else value


def as_text(value: Any) -> str | None:
    """A value as the address writes it; None for what it leaves out."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    if isinstance(value, bytes):
        return own_name(value) if value else None
    if isinstance(value, float):
        return f"{value:.12g}"
    return None if value is None else str(int(value) if isinstance(value, bool) else value)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of a page; its kinds say how they `read` text and what it `must` be.

    name     in the address, in the session and of the field of the state.
    default  what the page opens with; it may be a function of what is seen, as all ranges may.
    instead  what is used in place of a value that is refused, where it is not the default. used: what a
             message calls it, where that is not the value.
    label, help, names, options  of its control: what it is called, and what it chooses from is called.
    """

    name: str
    default: Any
    instead: Any = None
    used: str = ""
    label: str = ""
    help: str | None = None
    names: Mapping[Any, str] | None = None
    options: Any = ()

    def take(self, text: str | None, seen: Seen) -> tuple[Any, list[Message]]:
        """The value that a text stands for, else the default; and what had to be refused."""
        if text is None:
            return given(self.default, seen), []
        value = self.read(text, seen)
        if value is not None:
            return value, []
        value = given(self.default if self.instead is None else self.instead, seen)
        used = self.used or str(as_text(value))
        return value, [refusal(self.name, text, self.must(text, seen), used)]

    def read(self, text: str, seen: Seen) -> Any:
        """The value that a text stands for, None if there is none."""
        raise NotImplementedError

    def must(self, text: str, seen: Seen) -> str:
        """The end of a sentence says what the text should have been."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class OneOf(Setting):
    """One of some options, as the address writes them. rule: what it must be, if that is not the list."""

    rule: Any = ""

    def read(self, text: str, seen: Seen) -> Any:
        return next((option for option in given(self.options, seen) if as_text(option) == text), None)

    def must(self, text: str, seen: Seen) -> str:
        listed = ", ".join(str(as_text(option)) for option in given(self.options, seen))
        return given(self.rule, seen) or f"it must be one of {listed}."


@dataclass(frozen=True, kw_only=True)
class Wish(OneOf):
    """What an address may ask for in place of other settings, which open with what goes with it: no part of
    a state, nor of an address that a page writes."""


@dataclass(frozen=True, kw_only=True)
class Among(OneOf):
    """One of a few numbers in [0, 1], however it is written."""

    def read(self, text: str, seen: Seen) -> float | None:
        value = to_number(text, 0, 1)
        return value if value in given(self.options, seen) else None


@dataclass(frozen=True, kw_only=True)
class Number(Setting):
    """A number from low to high."""

    low: float
    high: Any

    def read(self, text: str, seen: Seen) -> float | None:
        return to_number(text, self.low, given(self.high, seen))

    def must(self, text: str, seen: Seen) -> str:
        return f"it must be a number from {self.low:,g} to {given(self.high, seen):,g}."


@dataclass(frozen=True, kw_only=True)
class Whole(Number):
    """A whole number from low to high."""

    def read(self, text: str, seen: Seen) -> int | None:
        value = super().read(text, seen)
        return int(value) if value is not None and value == int(value) else None

    def must(self, text: str, seen: Seen) -> str:
        return f"it must be a whole number from {self.low:,} to {given(self.high, seen):,}."


@dataclass(frozen=True, kw_only=True)
class Several(Setting):
    """Up to `most` of the options, separated by commas; those that are none are left out."""

    rule: Any
    most: int | None = None
    nothing: str = "none"
    """What a message calls an empty choice."""

    def take(self, text: str | None, seen: Seen) -> tuple[tuple[str, ...], list[Message]]:
        if text is None:
            return given(self.default, seen), []
        asked = tuple(dict.fromkeys(text.split(","))) if text else ()
        known = tuple(part for part in asked if part in given(self.options, seen))[: self.most]
        if known == asked:
            return known, []
        known = known or given(self.default, seen)
        used = ", ".join(known) or self.nothing
        return known, [refusal(self.name, text, given(self.rule, seen), used)]


@dataclass(frozen=True, kw_only=True)
class OwnImage(Setting):
    """An image of a visitor's own, by its name; its pixels, none for a shipped image.

    `seen["images"]` are those there are."""

    default: bytes = b""
    used: str = "a shipped image"

    def read(self, text: str, seen: Seen) -> bytes | None:
        return ({"": b""} | dict(seen["images"])).get(text)

    def must(self, text: str, seen: Seen) -> str:
        return "images of one's own are kept only in the browser in which they were made."
