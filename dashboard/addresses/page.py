"""The settings of a page as one value: read from an address, and written to one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Generic, TypeVar, get_type_hints

from dashboard.addresses.reader import Message
from dashboard.addresses.settings import Setting, Wish, as_text, given

S = TypeVar("S")

Repair = Callable[[dict[str, Any]], list[Message]]
"""Changes values that do not go together, and says so."""


@dataclass(frozen=True)
class Page(Generic[S]):
    """A page's settings.

    state  a frozen dataclass. Its fields, and those of dataclasses in it, are named as the settings are.
    steps  the settings in the order in which they are read, which later ones may depend on, and repairs
           between them. fixed: fields that no address sets; as `default`, values or functions of what there
           is.
    """

    state: type[S]
    steps: tuple[Setting | Repair, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings by name."""
        return {step.name: step for step in self.steps if isinstance(step, Setting)}

    @property
    def held(self) -> dict[str, Setting]:
        """Those of them that a state holds: all but wishes."""
        return {name: known for name, known in self.settings.items() if not isinstance(known, Wish)}

    def parse(self, params: Mapping[str, str], **there: Any) -> tuple[S, list[Message]]:
        """A valid state from text that anyone may have written, and what had to be refused.

        there  what the settings choose from, by the names that their descriptions ask for; "asked" is what
               the text says of all of them.
        """
        there = {"asked": params, **there}
        values = {name: given(value, there) for name, value in self.fixed.items()}
        messages: list[Message] = []
        for step in self.steps:
            if isinstance(step, Setting):
                values[step.name], refused = step.take(params.get(step.name), there | values)
                messages += refused
            else:
                messages += step(values)
        return _made(self.state, values), messages

    def texts(self, state: S) -> dict[str, str | None]:
        """All settings of a state as an address writes them; None for what it leaves out."""
        values = flat(state)
        return {name: as_text(values[name]) for name in self.held}

    def address(self, state: S, **there: Any) -> dict[str, str]:
        """The URL of a state: only what differs from the default. `parse` reads it back exactly."""
        values, seen, said = flat(state), dict(there), dict[str, str]()
        for name, setting in self.held.items():
            text = as_text(values[name])
            if text is not None and text != as_text(given(setting.default, seen)):
                said[name] = text
            seen[name] = values[name]
        # The first setting first, for others depend on it, then as they stand in the state.
        return {name: said[name] for name in (next(iter(self.held)), *values) if name in said}


def flat(state: Any) -> dict[str, Any]:
    """The fields of a dataclass, and of those in it, by name."""
    found: dict[str, Any] = {}
    for name in _parts(type(state)):
        value = getattr(state, name)
        found |= flat(value) if is_dataclass(value) else {name: value}
    return found


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    """The dataclass that has these values, see `flat`."""
    return kind(
        **{
            name: values[name] if part is None else _made(part, values)
            for name, part in _parts(kind).items()
        }
    )


@functools.cache
def _parts(kind: Any) -> dict[str, Any]:
    """The names of a dataclass's fields; with each the dataclass that it is, if it is one."""
    hints = get_type_hints(kind)
    return {
        part.name: hints[part.name] if is_dataclass(hints[part.name]) else None for part in fields(kind)
    }
