"""The words of the page of comparisons. It must not need torch: the page says its first words from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dashboard.shared.text import nats, noise_draws

TITLE = "Compare"
SUBTITLE = "Which model loses least, and for which is that proved?"
PARTS = {"digit": "One image", "gallery": "Gallery"}
PARTS_HELP = (
    "One image under several models, or a gallery of images with a verdict each: the score when "
    "**attacked**, what is **proved** that none can go below, and what is **open** between."
)
MODELS_HELP = (
    "Two to six models. Only models with the same likelihood, for images of one kind, can be compared: "
    "the nats of pixels as probabilities and of pixels as real numbers have no common scale."
)
PIN_HELP = (
    "Pinned: the model that the others are held against. A second table shows their numbers minus those of "
    "the pinned one, and it orders the gallery when that shows all models."
)
ORDER = {1: "higher, proved", -1: "lower, proved", 0: "open"}
AGAINST_HELP = (
    "Numbers of each model minus those of the pinned one, in nats. Worst case: the lowest ELBO that any "
    "attack could reach, over these noise draws, lies between proved and attacked. Higher, proved: this "
    "model's proof is above what the attack attained on the pinned one, so no attack can turn the order. "
    "Lower, proved: the other way round. Open: the two ranges overlap. The difference of two proofs is no "
    "proof of a difference."
)
TABLE_HELP = (
    "Proved: the best bound that covers this eps, rounded down. Certified up to: the largest radius of the "
    "grid with a proof that the ELBO stays at or above the threshold. Broken from: the smallest radius at "
    "which the attack went below it. A dash: there is none on the grid. Way: how much of the way from the "
    "constant decoder, which gives the same pixels for every image, to the ceiling, above which nothing "
    "can be proved of any model, is proved."
)
LIMITS = "Limits of every model at this eps:"


def chosen(count: int) -> str:
    """Of a fold with the models to choose from."""
    return f"Models: {count} of up to 6"


TOO_FEW = "Choose a second model in the sidebar to compare."
NONE_CHOSEN = "No model is chosen: choose some in the sidebar."
STROKES = "┄┄ clean; ─── attacked; ╍╍ proved; ▒ open; ─ ─ ▪ alarm lines."
SHARE_STROKES = "─── not broken; ╍╍ certified; ▒ open."
SHARE_HELP = (
    "Of the images in the gallery, the share that is certified at each eps (dashed) and the share that the "
    "attack did not break (solid). What lies between is open: neither proved nor broken."
)
VERDICT_HELP = (
    "Certified: it is proved that no image within eps of this one has an ELBO below the threshold. "
    "Broken: the attack found one that has. Open: neither. Each is about this model and these noise draws."
)
VERDICTS = {"all": "All", "certified": "Certified", "open": "Open", "broken": "Broken"}
BADGES = {
    "certified": ":green-badge[:material/verified_user: certified]",
    "open": ":gray-badge[:material/help: open]",
    "broken": ":red-badge[:material/gpp_bad: broken]",
}
"""A verdict as a word, a symbol and a colour."""
SORTS = {
    "radius": "Certified radius, largest first",
    "weakest": "Certified radius, smallest first",
    "broken": "Broken first",
    "number": "Number",
    "class": "Class",
}
EVERY = "All compared"
GLOSSARY = ("elbo", "nats", "eps", "clean", "attained", "proved", "vacuous", "open", "threshold", "draws")
"""Definitions of dashboard.shared.text.HELP that this page repeats."""
THRESHOLD = {
    True: "Threshold: each model's own, below which about 5 % of clean test images score; an anomaly "
    "detector would reject them.",
    False: "Threshold: the one you set, for all models; an anomaly detector would reject what is below.",
}
NOTHING_PASSES = "No image passes the filter."
GO_ON = "Go on"
TO_EXPLORER = "This image in the explorer"


class _Digit(Protocol):
    @property
    def index(self) -> int: ...
    @property
    def pixels(self) -> bytes: ...


class _Images(Protocol):
    def name_of(self, index: int) -> str: ...


def digit(shown: _Digit, found: _Images) -> str:
    """Which image: "12 (a 3)"."""
    return "your own" if shown.pixels else numbered(shown.index, found.name_of(shown.index))


def minus(name: str) -> str:
    """What the numbers of the table against a pinned model are."""
    return f"Each model minus {name}; the difference of two proofs is no proof of a difference."


def heading(shown: _Digit, found: _Images, pinned: bool) -> str:
    """The same above its chart."""
    said = "Your own image" if shown.pixels else f"Image {digit(shown, found)}"
    return f"{said}, pinned" if pinned else said


def numbered(index: int, name: str) -> str:
    """An image by its number and its class, if it has one: "12 (a 3)", "4 (cat)"."""
    if not name:
        return str(index)
    return f"{index} (a {name})" if name.isdigit() else f"{index} ({name})"


def left_out(count: int) -> str:
    """Why some models are not on offer."""
    which = (
        "1 model has another likelihood or other images and is"
        if count == 1
        else f"{count} models have another likelihood or other images and are"
    )
    return f"{which} left out: their nats have no common scale with these."


def summary(name: str, counts: dict[str, int], eps: float, threshold: float, whole: int) -> str:
    """ "Of 100 images 61 certified, 32 open, 7 broken"."""
    total = sum(counts.values())
    of = f"{total} images" if total == whole else f"{total} images of {whole} so far"
    return (
        f"**{name}**: of {of}, **{counts['certified']} certified**, **{counts['open']} open**, "
        f"**{counts['broken']} broken** at eps {eps:.6g}, threshold {nats(threshold, 1)}."
    )


def under(lead: str | None) -> str:
    """What stands on the cards; lead: the model that orders them, if there are several."""
    said = "Under each verdict: certified up to this eps, broken from that one; a dash where there is none."
    return said if lead is None else f"{said} Ordered and filtered by {lead}."


def method(grid: Sequence[float], attack: str, draws: int) -> str:
    """How the radii of the gallery were found."""
    step, most = grid[1] - grid[0], grid[-1]
    return (
        f"Radii by bisection on the explorer's grid of eps, 0 to {most:g} in steps of {step:.2g}: proofs "
        f"by CROWN-IBP, attacks by {attack}, for {noise_draws(draws)}. Every radius has a proof, or an "
        "attacked image, of its own. The explorer proves more, by slower methods."
    )


def stopped(done: int, whole: int, seconds: float) -> str:
    return (
        f"{seconds:g} seconds are over: {done} of {whole} verdicts are in, and are kept. The rest is "
        "computed when you ask for it."
    )
