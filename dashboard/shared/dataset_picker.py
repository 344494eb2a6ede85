"""Which data set a page is about: its models and their images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.addresses.datasets import WISH
from dashboard.addresses.kinds import datasets
from dashboard.addresses.settings import given
from dashboard.addresses.sync import touch
from dashboard.shared.controls import Controls


def choose(
    controls: Controls[Any], now: str, names: tuple[str, ...], after: Callable[[], None] = touch
) -> None:
    """The control, where there are models of several data sets; what is chosen opens with its usual models.

    now    the data set that is shown, "" for none. names: of the settings that say which models.
    after  puts right what depends on the models.
    """
    offered = datasets(controls.there["models"])
    if len(offered) < 2:
        return

    def switch() -> None:
        seen = {**controls.there, WISH.name: controls.get(WISH.name), "asked": {}}
        for name in names:
            seen[name] = given(controls.page.settings[name].default, seen)
            controls.put(name, list(seen[name]) if isinstance(seen[name], tuple) else seen[name])
        controls.put("own", "")
        touch()
        after()

    controls.put(WISH.name, now or None)
    controls.segments(WISH.name, options=offered, on_change=switch)
