"""What the stage asks of the server, which anyone may have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.addresses.digit import MOST_INDEX
from dashboard.addresses.present import ALL
from dashboard.addresses.reader import to_number
from dashboard.addresses.scales import Scale
from dashboard.addresses.scenes import SCENES


@dataclass(frozen=True)
class Ask:
    """serial counts what a page has asked. None: no change."""

    serial: int = 0
    eps: float | None = None
    index: int | None = None
    left: str | None = None
    right: str | None = None
    upto: str | None = None
    step: int | None = None
    scene: int | None = None


def read_ask(value: object, models: Sequence[str], scale: Scale) -> Ask:
    """What is valid of it; the rest is left out."""
    asked = {str(key): value[key] for key in value} if isinstance(value, dict) else {}
    serial, index = _whole(asked.get("serial"), 2**53), _whole(asked.get("index"), MOST_INDEX)
    eps, sides = asked.get("eps"), [asked.get(side) for side in ("left", "right")]
    return Ask(
        serial or 0,
        to_number(repr(eps), 0, scale.most) if isinstance(eps, int | float) else None,
        index,
        *(side if isinstance(side, str) and side in models else None for side in sides),
        upto=upto if (upto := asked.get("upto")) in scale.ranges else None,
        step=_whole(asked.get("step"), ALL),
        scene=_whole(asked.get("scene"), len(SCENES)),
    )


def _whole(value: object, most: int) -> int | None:
    return value if type(value) is int and 0 <= value <= most else None
