"""Which data set a page is about: its models and their images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.addresses.explorer import WISH
from dashboard.addresses.settings import given
from dashboard.addresses.sync import touch
from dashboard.shared.controls import Controls


def choose(controls: Controls[Any], now: str, names: tuple[str, ...]) -> None:
    """The control, where there are models of several data sets; what is chosen opens with its usual models.

    now    the data set of the models that are shown, "" for none. names: of the settings that say which.
    """
    options = given(WISH.options, controls.there)
    if len(options) < 2:
        return
    controls.put(WISH.name, now or None)
    controls.segments(WISH.name, on_change=_switch(controls, names))


def _switch(controls: Controls[Any], names: tuple[str, ...]) -> Callable[[], None]:
    def switch() -> None:
        wished = controls.get(WISH.name)
        seen = {**controls.there, WISH.name: wished, "asked": {}}
        for name in names:
            value = given(controls.page.settings[name].default, seen)
            seen[name] = value
            controls.put(name, list(value) if isinstance(value, tuple) else value)
        controls.put("own", "")
        touch()

    return switch
