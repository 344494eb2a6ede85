"""The words of the stage."""

from __future__ import annotations

from typing import Any

from core.certificates.methods import METHODS
from dashboard.addresses.explorer import State
from dashboard.shared import curves, figures, limits
from dashboard.shared.text import STATES_LABELS, help_on

KEYS = (
    ("\N{LEFTWARDS ARROW} \N{RIGHTWARDS ARROW}", "eps down, up by one step"),
    ("n", "next test image"),
    ("p", "previous test image"),
    ("m", "next model on the right"),
    ("Shift + m", "next model on the left"),
    ("?", "this list"),
    ("Esc", "close it"),
)
CAPTIONS = ("Input", "Attacked", "Change", "Decoded", "Decoded, attacked")
STATES = {
    "lower": {
        "holds": ("HOLDS", "At this eps it is proved that no attack gets below the alarm line."),
        "open": (
            "OPEN",
            "At this eps the attack tried did not get below the alarm line; no proof says that none can.",
        ),
        "broken": ("BROKEN", "At this eps an attack gets below the alarm line."),
    },
    "upper": {
        "holds": ("HOLDS", "At this eps it is proved that no attack lifts it to the alarm line."),
        "open": (
            "OPEN",
            "At this eps the attack tried did not lift it to the alarm line; no proof says that none can.",
        ),
        "broken": ("BROKEN", "At this eps an attack lifts it to the alarm line."),
    },
}
"""What a badge says of the eps in the hand."""
CHART = {
    "chart": "Line chart of the ELBO over eps",
    "reach": "up to",
    "alarm": "alarm",
    "below": "proved: below this frame from eps",
    "above": "proved: above this frame from eps",
    "nothing": "nothing proved from eps",
}
ROOM = {
    "guess": "guessed",
    "dark": "Any key or a click shows the screen again.",
    "full": "Full screen",
    "keys": (
        ("PageDown", "reveal the next step, then the next scene"),
        ("PageUp", "back by one"),
        ("b", "dark screen, and back"),
    ),
}
"""Before a room."""
LIMITS = {"linf": "each pixel changed by at most", "l2": "changed in total by at most"}
FAILED = "This model cannot be shown; the reason stands below."


def numbers(side: str) -> tuple[tuple[str, str], ...]:
    """What each of the four numbers is called, and what it means for a side."""
    words = help_on(side)
    return (
        ("Clean", f"{words['clean']}\n\n{words['elbo']}"),
        ("Attacked", words["attained"]),
        ("Proved", f"{words['proved']}\n\n{words['vacuous']}"),
        ("Open", words["open"]),
    )


def tour(side: str) -> dict[str, Any]:
    """What a first visitor is led to, by where it stands, and what is said of it."""
    push, past = ("down", "below") if side == "lower" else ("up", "above")
    card = ".cards section"
    steps = (
        (f"{card} .pictures", "An image, the image after an attack, what was changed, and what the model "
         "makes of both."),
        ("#eps", "eps is how much may change. Drag it: pictures, numbers and chart follow."),
        (f"{card} .numbers > div:nth-child(2)", f"The attack pushed the model's score, its ELBO, {push} "
         "to here."),
        (f"{card} .numbers > div:nth-child(3)", f"Proved: within eps no attack at all gets {past} this."),
        (f"{card} .badge", "HOLDS: proved at this eps. BROKEN: an attack crossed the alarm line. OPEN: "
         "neither; a better attack or a better proof may decide."),
        (".chart", "The same over all eps, for both models. Press or drag anywhere in it."),
    )  # fmt: skip
    return {"name": "Tour", "next": "Next", "done": "Done", "skip": "Skip", "steps": steps}


def magnified(most: float) -> str:
    """Caption of a perturbation whose largest change is drawn in full colour."""
    return f"{CAPTIONS[2]} ×{1 / most:.3g}" if most > 0 else f"{CAPTIONS[2]} (none)"


def alts(norm: str, coloured: bool = False) -> tuple[str, ...]:
    """The five pictures for those who cannot see them; {names} are filled in as eps moves."""
    key = "grey: unchanged, a colour: more of it" if coloured else "red: brighter, blue: darker"
    return (
        "The clean image: {clean}",
        f"The image after the attack, {LIMITS[norm]} {{eps}}: {{attained}}",
        f"What the attack changed at eps {{eps}}; {key}",
        "The image as the model decodes it",
        "The attacked image as the model decodes it, at eps {eps}",
    )


def _limits(state: State) -> list[str]:
    """Of what limits every model, if that is drawn: both grey."""
    if state.limits == "hide" or state.settings.side == "upper":
        return []
    s = state.settings
    drawn = limits.drawn(state.source, s.target, s.norm)
    return [f"{curves.STROKES_OF[limit]} {limits.NAMES[limit]}" for limit in drawn]


def legend(state: State) -> str:
    """All strokes and marks there can be."""
    used = METHODS[: METHODS.index(state.method) + 1]
    sampled = [] if state.states == "draws" else [STATES_LABELS[state.states].lower()]
    return figures.marks((), used, [f"◆ {name}" for name in sampled] + _limits(state))
