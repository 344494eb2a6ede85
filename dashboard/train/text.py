"""The words of this page. Without core: they are shown before it is there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dashboard.shared.text import CONSTANT, nats, proved_nats

TITLE = "Train it in the lecture"
SUBTITLE = "What is attacked and what is proved, epoch by epoch."
FEW = (
    "A small model learns from **400 of the 500 test images** of this site, and the other 100 judge it: "
    "this shows how training works, not how good it gets."
)
TRAIN, CANCEL = "Train", "Cancel"
READY = "Press Train: half a second an epoch on a free core."
EPOCH = "Epoch shown"
EPOCH_WORD = "Epoch 0: the model before its first step. Pictures and numbers are of the epoch shown."
OTHER = "The settings have changed since: press Train for them."
ROWS = ("Images that judge", "Reconstructed", "Attacked", "Reconstructed when attacked")
EMPTY_ROW = "Pictures come with the training."
FAILED = "The training broke off. Change a setting, or press Train again."
OPEN, DOWNLOAD = "Open in the explorer", "Download the model"
KEPT = (
    "The model of the last epoch. The explorer lists it in this browser session only, until many others "
    "have come since; test images 0, 5, 10, ... are those that it has not seen. The archive holds a folder "
    "for `python -m core`."
)
CEILING_WORD = (
    "Ceiling: no model of these images is above it. The adversary makes each pixel as grey as the ball "
    "allows, and then even the best guess of the image says no more."
)
CONSTANT_WORD = (
    "Constant decoder: the best decoder that ignores its latent code, for the images to learn from; its "
    "worst case over the ball, on those that judge. A model has to be proved above it, or robust means "
    "nothing."
)
NUMBERS = ("Clean", "Attacked", "Proved", "Constant")
GLOSSARY = ("elbo", "nats", "eps", "clean", "attained", "proved", "vacuous", "open", "reconstruction")
ENDS = "A training goes on while this page is open, and ends about a minute after it is left."
LEGEND = (
    "┄┄ clean\u2003 ─●─ attacked\u2003 ╍╍ proved\u2003 ▒ open\u2003 ── constant decoder, worst case\u2003 "
    "╌╌ ceiling"
)
LEGEND = "\u2003 ".join(part.replace(" ", "\u00a0") for part in LEGEND.split("\u2003 "))


def numbers(values: Mapping[str, str]) -> str:
    """Numbers with their names as HTML, in one row on a phone, too."""
    size = "font-size:clamp(0.85rem, 3.4vw, 1.25rem);font-weight:600"
    style = "line-height:20px;white-space:nowrap;font-variant-numeric:tabular-nums"
    cells = "".join(
        f'<div style="{style}">{name}<br><span style="{size}">{value}</span></div>'
        for name, value in values.items()
    )
    row = "display:flex;justify-content:space-between;gap:0.5rem;max-width:56rem;height:40px"
    return f'<div style="{row}">{cells}</div>'


def waiting(before: int) -> str:
    """How many others come first."""
    if before == 1:
        return "Waiting: 1 lecture is before you."
    return f"Waiting: {before} lectures are before you."


def training(epoch: int, epochs: int, what: str) -> str:
    """What is being done."""
    return f"Epoch {epoch} of {epochs}: {what}" if what else f"Epoch {epoch} of {epochs}"


def done(epoch: int, epochs: int, cancelled: bool) -> str:
    """How a training ended."""
    if cancelled:
        return f"Cancelled after epoch {epoch} of {epochs}."
    return f"Done: {epochs} epochs."


def described(epoch: int, clean: float, attained: float, proved: float, constant: float) -> str:
    """An epoch in words."""
    return (
        f"epoch {epoch}: clean {nats(clean, 1)}, attacked {nats(attained, 1)}, proved "
        f"{proved_nats(proved, 1)}; {CONSTANT.lower()} {nats(constant, 1)}"
    )


def way(share: float | None, constant: float, ceiling: float) -> str:
    """How much of what is possible is proved, to be said aloud. share: of the way, None before there is a
    model."""
    floor, top = nats(constant, 1), nats(ceiling, 1)
    between = (
        f"from the constant decoder ({floor}) to the ceiling ({top}), above which nothing can be proved of "
        "any model"
    )
    if share is None:
        return f"What a robust model can win: the way {between}."
    if not share > 0:
        return f"Nothing is proved of the way {between}."
    return f"{math.floor(100 * share)} % is proved of the way {between}."


def row_alt(row: str, epoch: int, classes: Sequence[str]) -> str:
    """A row of pictures for those who cannot see it."""
    return f"{row}, epoch {epoch}: {', '.join(classes)}"
