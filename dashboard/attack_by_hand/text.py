"""The words of this page."""

from __future__ import annotations

from dashboard.shared.text import METHOD_NAMES, QUANTITY_NAMES, bare, nats, proved_nats

TITLE = "Attack it yourself"
SUBTITLE = "Paint within eps and push the models' score (ELBO) down: an attack attains, it proves nothing."
ONLY_LOWER = "Here the score is pushed down, and proofs are of these draws; the explorer has the rest."
TO_EXPLORER = "Over all eps: the explorer"
PROOFS_IN = "All proofs are in."
MINE = "┈✖┈\u00a0your\u00a0best"
COLOURED = "The brush paints all colours alike."
LONG = "This painting is too long for an address: the link holds all but the painting."
BADGES = {False: "above the alarm line", True: "below the alarm line"}
"""Whether a painted image is below it."""
KEYS = (
    ("b, d, e", "lighter, darker, erase"),
    ("[ ]", "smaller, larger brush"),
    ("z", "undo"),
    ("arrows", "move the cell"),
    ("space", "paint it"),
    ("+ or =, \N{MINUS SIGN}", "a tenth of eps lighter, darker"),
    ("Shift", "with these: 5 by 5 pixels"),
)
WORDS = {
    "canvas": "The image under attack. Arrow keys move a cell, space paints it, plus and minus change it.",
    "tools": "Brush",
    "tool": {"lighter": "Lighter", "darker": "Darker", "erase": "Erase"},
    "size": "Size",
    "fill": {"ink": "Fill all ink", "paper": "Fill the background"},
    "undo": "Undo",
    "start": "Start from",
    "clean": "the clean image",
    "keys": "Keys",
    "marks": "Show changes",
    "goals": "Goals",
    "try": "Try",
    "give_up": "I give up",
    "eps": "eps",
    "budget": {
        "linf": "{full} of {all} pixels at the limit; largest change {most} of {eps}",
        "l2": "{used} of {eps} used",
    },
    "list": KEYS,
}
"""What stands on the canvas's part of the page; {names} are filled in by the browser."""


def machine_name(attack: str) -> str:
    """What an attack is called on the ruler and in a sentence."""
    return "Strongest" if attack == "strongest" else QUANTITY_NAMES[attack]


def start(attack: str, model: str) -> str:
    """What a painting may start from."""
    return f"{machine_name(attack)} on {model}"


def push(model: str, threshold: float, eps: float) -> str:
    return f"Push {model} below its alarm line, {nats(threshold)}, at eps {eps:g}."


def push_proved(model: str, threshold: float, eps: float) -> str:
    return f"The same, {model} below {nats(threshold)}, at eps {eps:g}."


def near(model: str, machine: str, eps: float, most: float) -> str:
    return f"Come within {most:g} nat of {machine} on {model}, at eps {eps:g} or more."


def below_already(model: str) -> str:
    return f"{model} has this image below its alarm line as it is: nothing to push."


def never_broken(model: str) -> str:
    return f"No attack gets {model} below its alarm line here: try to be the first."


def nothing_proved(model: str, proving: bool) -> str:
    if proving:
        return f"What is impossible on {model}: proofs are still coming in."
    return f"Nothing is proved to stay above {model}'s alarm line here, so nothing is impossible."


def proved(eps: float, bound: float, method: str, threshold: float) -> str:
    """Why a goal cannot be reached."""
    return (
        f"You cannot: it is proved. Every image within eps {eps:g} of this one scores at least "
        f"{proved_nats(bound, 1)} ({METHOD_NAMES[method]}); the alarm line is {nats(threshold)}."
    )


def standing(
    score: float, attained: float, went_on: float | None, bound: float | None, machine: str
) -> str:
    """Where a painted image is, beside the machine's and the proof."""
    ahead = attained - score
    if ahead >= 0.05:
        said = f"You beat {machine} by {nats(ahead, 1)}."
        if went_on is not None:
            said += f" From your image PGD gets to {bare(went_on)}."
    else:
        said = f"{bare(max(0.0, -ahead))} above {machine}."
    if bound is None:
        return f"{said} Nothing is proved here."
    if score < bound:
        return f"{said} Below what is proved: see below."
    return f"{said} The proof ends {bare(score - bound)} below you."


def why(model: str) -> str:
    """Where it is shown why nobody gets below a proof."""
    return f"Why? Inside {model}"


def spoken(name: str, score: float, said: str) -> str:
    """The same for those who cannot see the ruler."""
    return f"{name}: {nats(score, 1)}. {said}"


def contradiction(model: str, score: float, eps: float, bound: float, method: str, confirmed: bool) -> str:
    """What was found of an image that seems to be below a proof."""
    begun = (
        f"{model}: your image scores {score:.4f} nats, and {METHOD_NAMES[method]} says that no image "
        f"within eps {eps:g} is below {bound:.4f}."
    )
    if confirmed:
        return (
            f"{begun} Scored again on the server, in float64, on the same draws: it stands. The proof is "
            "false. That is a fault of this program: please report it with the file."
        )
    return f"{begun} Scored again as a certificate states it, rounded to hundredths: no contradiction."


COUNTEREXAMPLE = "Counterexample (JSON)"
COUNTEREXAMPLE_HELP = (
    "The image, the draws, the model's fingerprint and the certificate that it contradicts. "
    "`python -m core verify --counterexample FILE` scores it again."
)
