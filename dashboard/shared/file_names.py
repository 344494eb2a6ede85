"""Names of files that say what is in them: of safe characters, and of bounded length. No Streamlit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings, Settings

MOST = 150
"""Characters of a name, its ending included."""
_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


def file_name(ending: str, *parts: str) -> str:
    """The parts that are not empty, joined, and the ending ("" for none). What is too long is cut, and ends
    with a few digits of the whole, so that two names stay two."""
    safe = (_UNSAFE.sub("-", part).strip("-.") for part in parts)
    name, end = "-".join(part for part in safe if part), f".{ending}" if ending else ""
    if len(name) + len(end) > MOST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: MOST - len(end) - 9].rstrip('-.')}-{digest}"
    return name + end


def of_image(digit: Digit) -> tuple[str, ...]:
    """Data set, or whose images they are, and which one."""
    return digit.source.model or digit.source.dataset, f"image-{digit.name}"


def of_question(s: Settings | ProofSettings, eps: float | None = None) -> tuple[str, ...]:
    """What was asked, and by which attack, if it is about one. eps: None for many."""
    side = "raised" if s.side == "upper" else ""
    radius = "" if eps is None else f"eps-{eps:g}"
    return s.target, s.norm, side, radius, s.attack if isinstance(s, Settings) else ""


def of_models(models: Iterable[str]) -> str:
    """The models, in their order."""
    return "-and-".join(models)
