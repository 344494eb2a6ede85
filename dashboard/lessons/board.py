"""What a lesson puts on screen, as a value. No Streamlit in here."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.errors import CoreError
from dashboard.shared import images
from dashboard.shared.text import nats


@dataclass(frozen=True)
class Picture:
    """A PNG, the words below it, and the words for those who cannot see it."""

    png: bytes
    caption: str
    alt: str


@dataclass(frozen=True)
class Chart:
    """legend: Markdown, below the figure, where it can wrap."""

    title: str
    figure: go.Figure
    alt: str
    legend: str = ""


@dataclass(frozen=True)
class Number:
    """A large number with its label and a note."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Board:
    """All that a lesson computed.

    finding   one sentence that says what is seen. formulas: LaTeX with this digit's numbers put in.
    answer    what only the numbers can add to the lesson's answer.
    problem   what could not be shown, and why.
    """

    finding: str
    formulas: tuple[str, ...]
    numbers: tuple[Number, ...]
    pictures: tuple[Picture, ...]
    charts: tuple[Chart, ...]
    answer: str = ""
    problem: CoreError | None = None


def grey(image: np.ndarray, caption: str, alt: str) -> Picture:
    """A picture of an image (H, W) in [0, 1]."""
    return Picture(images.grey(image), caption, alt)


def tex(value: float, digits: int = 1) -> str:
    """A number for a formula; a vacuous bound is the word."""
    return r"\text{vacuous}" if math.isinf(value) else f"{value:,.{digits}f}".replace(",", r"{,}")


def filled(templates: Sequence[str], **values: object) -> tuple[str, ...]:
    """Formulas with their <names> replaced. Raises KeyError for a name without a value."""
    return tuple(re.sub("<([a-z_]+)>", lambda name: str(values[name[1]]), formula) for formula in templates)


def captioned(what: str, value: float) -> str:
    return f"{what}: {nats(value)}"
