"""The words of this page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dashboard.shared.text import METHOD_NAMES, nats, proved_nats

if TYPE_CHECKING:  # these words are shown before core is there
    from core.certificates.elbo_bounds.layer_bounds import LayerName

TITLE = "Inspect"
SUBTITLE = "Where a bound loses its grip."
INTRO = (
    "While the adversary chooses an image within eps, every number in the network moves. A bound does not "
    "try all images: it gives each number an **interval** that it cannot leave. Where these are much wider "
    "than what any image reaches, the proof loses. Sums cost it nothing; wherever something is not linear, "
    "the bound goes on with straight **lines** below and above it, and what these leave open adds up to "
    "what it loses."
)
HELP = {
    "widths": "Width of an interval: upper end minus lower end, here the mean over the units of a layer "
    "(and over the noise draws from z on). Reached: how far the values of the clean image, the attacked "
    "one and 16 other images of the ball lie apart; no true interval can be narrower. The distance "
    "between the lines is what the bound gives away. Explodes: more than a million times as wide as what "
    "images reach anywhere in the network, or without an end.",
    "grows": "How many times as wide the intervals of a layer are, on average, as those of what it takes: "
    "of all layers, the one where that is most. A click shows the lines that are laid there, or, as sums "
    "lose nothing by themselves, at what comes next.",
    "relaxation": "Thick grey: what the unit does. Blue: the lines that the bound puts in its place, over "
    "the shaded interval; the solid one is in use. Of units that take two values the colour shows how far "
    "the plane in use is off. Pink: what is lost at the image where the bound is lowest; times the weight "
    "that the bound gives the unit, that is its cost in nats. The costs of all units, and what covers "
    "rounding, add up to all that the bound loses.",
    "layer": "Bars: the interval of a unit, wide and pale by IBP, narrow and dark by CROWN. Points: "
    "values of images that the adversary may choose. All of them lie inside, always: that is the proof's "
    "promise.",
    "pictures": "Lower and upper end of the interval of each pixel, or of each unit of each feature map, "
    "and between them two values that really occur. Width: upper minus lower; bright is where the bound "
    "knows least. A click on a pixel shows its relaxation, where it has one.",
    "units": "A ReLU passes on what is positive and turns the rest into 0. Stable active: positive for "
    "every image of the ball, a straight line. Dead: never positive, a constant. Unstable: could be "
    "either; only there a bound has to approximate, so the fewer the better.",
    "plane": "The latent code has more dimensions than two; these two are shown, the ones with the "
    "widest certified box unless you choose others. A posterior is a small normal distribution: the dot "
    "is its mean mu, the ellipse one standard deviation. The box holds mu for every image of the ball. "
    "If it reaches other images, the bound cannot exclude that this one is taken for one of them.",
    "terms": "The ELBO is a reconstruction term minus a KL term. Bounded one by one, each at its own "
    "worst image: no image need be the worst for both. Bars: how far each term's bound is from what the "
    "attack attained. The two bars add up to attacked minus proved.",
    "lost": "A linear bound (the CROWN family) replaces each curved piece of the ELBO by a straight line "
    "below it. We go to the image where that straight bound is lowest and compare: what is the ELBO "
    "there, and what does the bound say? The difference is exactly the sum of what each line loses. "
    "In an l_2 ball, for the likelihood, certificates know more of the ball than lines do, and prove more.",
    "model": "Robust models are trained on the proved bound: their intervals stay narrow. Those of "
    "standard models explode.",
    "draw": "From z on each noise draw has intervals of its own.",
    "bounds": "IBP carries one interval from layer to layer. CROWN tightens it by straight lines through "
    "all layers before, so that errors can cancel. CROWN's intervals lie inside IBP's.",
}
LABELS = {
    "input": "Input",
    "mu": "mu",
    "logvar": "logvar",
    "z": "z",
    "pixels": "Pixels",
    "likelihood": "Likelihood",
}
ABOUT = {
    "input": "The image itself: each pixel may move by eps, but not beyond 0 and 1.",
    "affine": "Sums of what came before, with weights: before the ReLU, or another curve.",
    "curve": "After an operation that is no straight line, as a SiLU or a product: bounds lay lines below "
    "and above it.",
    "relu": "After the ReLU: what was negative is 0.",
    "mu": "The mean of the posterior, one number a latent dimension.",
    "logvar": "The logarithm of the posterior's variance: low means that the encoder is sure.",
    "z": "The latent code that is decoded: mu + exp(logvar / 2) times the noise.",
    "natural": "What the decoder says of each pixel: the higher, the brighter.",
    "pixels": "The decoded image: the mean of each pixel, from 0 to 1.",
}
"""By the kind of a layer."""
REACHED = "reached"
SHORT = {"affine": "", "relu": " ReLU"}
TAKE = "The widths as a table"
PARTS = {
    "likelihood": "likelihood: planes below log p",
    "code": "code: exp(logvar / 2) and KL",
    "rounding": "rounding",
}


def labels(layers: Sequence[tuple[LayerName, str]], ops: Mapping[str, str] | None = None) -> dict[str, str]:
    """Names of layers (name, kind) for people, by name: "Encoder 2 ReLU". ops: what curves do, by name."""
    counts, bent, named = dict[str, int](), dict[str, int](), dict[str, str]()
    for name, kind in layers:
        if kind == "affine":
            counts[name.part] = counts.get(name.part, 0) + 1
            bent.clear()
        if kind == "natural":
            named[name] = "Logits" if layers[-1][1] == "pixels" else "Pixel means"
        else:
            short = f" {(ops or {}).get(name, '')}" if kind == "curve" else SHORT.get(kind, "")
            label = LABELS.get(kind) or f"{name.part.title()} {counts.get(name.part, 0)}{short}"
            bent[label] = bent.get(label, 0) + 1  # the same twice in a row
            named[name] = label if bent[label] == 1 else f"{label} ({bent[label]})"
    return named


def part_label(part: str, names: Mapping[str, str]) -> str:
    """A relaxation: a layer by the name that the other charts give it."""
    return PARTS.get(part) or names.get(part, part)


def number(value: float) -> str:
    """In few digits, a true minus; "no end" for what has none."""
    if not math.isfinite(value):
        return "no end"
    shown = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return shown.replace("-", "\N{MINUS SIGN}").replace("e+", "e")


def wide(value: float) -> str:
    """A width in a sentence."""
    if not math.isfinite(value):
        return "endless"
    return f"{number(value)} wide" if value < 1e6 else "more than a million wide"


def share(part: float, whole: float) -> str:
    """In percent."""
    return f"{100 * part / whole:.0f} %" if whole > 0 else "0 %"


def allowed(value: float) -> str:
    """A width alone."""
    return "more than a million" if 1e6 <= value < math.inf else number(value)


def headline(eps: float, what: str, widths: Mapping[str, float], reached: float) -> str:
    """What the page has to say, in a sentence."""
    if eps == 0:
        return "At eps 0 nothing moves. What is left of the intervals covers rounding."
    return (
        f"IBP allows {what} **{allowed(widths['ibp'])}**, CROWN **{allowed(widths['crown'])}**; images "
        f"really moved it **{number(reached)}**."
    )


HOW = "How to read this page"
GROWS = "Grows most"
COSTLIEST = "costliest"
NO_LINES = "No line can be laid here: an interval has no end, and the bound says nothing."


def grows(method: str, label: str, times: float) -> str:
    """Where intervals grow most."""
    return f"{method}: {label}, {'no end' if math.isinf(times) else f'×{number(times)}'}"


def unit(place: int, shape: Sequence[int], cost: float) -> str:
    """A unit in a list: where it is, from 1, and what it costs."""
    where = str(place)
    if len(shape) == 3:
        rest, column = divmod(place - 1, shape[2])
        channel, line = divmod(rest, shape[1])
        where = f"{'' if shape[0] == 1 else f'map {channel + 1}, '}row {line + 1}, column {column + 1}"
    return f"{where}: {number(max(0.0, cost))} nats"


def axes(name: str, op: str, place: int, scored: bool, inputs: int) -> tuple[str, str]:
    """What is on the axes of a relaxation."""
    if name == "mu":
        return f"mu {place}", "its part of the ELBO (nats)"
    if name == "logvar":
        return f"logvar {place}", "its part of the ELBO (nats)"
    if scored:
        return ("scored pixel", "decoder's output") if inputs == 2 else ("decoder's output", "log p (nats)")
    return ("first value", "second value") if inputs == 2 else ("takes", f"gives ({op})")


def cost(
    nats_: float,
    layer: float,
    whole: float,
    label: str,
    method: str,
    other: bool,
    kept: bool,
    asked: int,
) -> str:
    """What one unit costs a bound, and all units of its layer. other: no line is laid at the layer that was
    chosen, and what comes next is shown; kept: whether the unit that was asked for is."""
    said = f"Costs {method} **{number(max(0.0, nats_))} nats**; all of {label}: {number(max(0.0, layer))}, "
    said += f"{share(layer, whole)} of its loss."
    if other:
        said = f"Nothing is lost before {label}. {said}"
    return said if kept else f"Unit {asked} is not among the costliest: the first of these is shown. {said}"


def decided(open_: Mapping[str, str]) -> str:
    """How many ReLUs are not."""
    return f"Unstable: **{open_['ibp']} by IBP, {open_['crown']} by CROWN**."


def elbos(clean: float, attained: float, proved: Mapping[str, float], vacuous: Mapping[str, bool]) -> str:
    """What is attained and what is proved, in nats."""
    bounds = ", ".join(
        f"{'vacuous' if vacuous[method] else proved_nats(value, 1)} by {METHOD_NAMES[method]}"
        for method, value in proved.items()
    )
    return (
        f"ELBO: clean {nats(clean, 1)}, attacked {nats(attained, 1)}. Proved from these intervals, the two "
        f"terms one by one: {bounds}."
    )


NOTHING = "Nothing is lost here but what covers rounding."
UNITS = (
    "A ReLU that is never positive, or always, is a straight line, and a bound goes through it without "
    "loss. The unstable ones cost."
)
NO_UNITS = (
    "This network has no ReLUs: its curves are bounded by lines wherever they are, and none is decided."
)
NO_END = "vacuous; its bound has no end, and nothing can be divided."
PANELS = {"lower": "lower end", "clean": "clean", "attacked": "attacked", "upper": "upper end"}


def panel(name: str, method: str) -> str:
    """The title of a heat map."""
    return (
        "width"
        if name == "width"
        else PANELS[name] + (f" ({method})" if name in ("lower", "upper") else "")
    )


def bars(shown: int, units: int, leaving: Mapping[str, int]) -> str:
    """What the bars are, and what of them is not in the frame."""
    said = f"The {shown} widest of {units:,} units." if shown < units else f"All {units} units."
    gone = [f"{count} by {METHOD_NAMES[method]}" for method, count in leaving.items() if count]
    if gone:
        said += f" The frame follows what images reach: intervals that leave it: {', '.join(gone)}."
    return f"{said} Grey dots: 16 other images of the ball."


def maps(count: int, endless: int) -> str:
    """What the heat maps are."""
    said = f"{count} feature maps side by side. " if count > 1 else ""
    said += "One colour scale for the four pictures of values, one of its own for the width."
    return f"{said} Blank: {endless:,} units whose interval has no end." if endless else said


def plane(steps: int, leaving: Sequence[str]) -> str:
    """What happens in the latent plane."""
    moved = (
        f"In {steps} step{'s' if steps > 1 else ''} the attack moves the mean of this image's posterior "
        "along the line with dots."
        if steps
        else "The attack gained nothing: the image stays where it is."
    )
    said = f"{moved} Classes, or numbers, stand where the encoder puts other images, each with its ellipse."
    if leaving:
        boxes = " and ".join(METHOD_NAMES[method] for method in leaving)
        said += f" **The box by {boxes} is larger than the frame.**"
    return said


def terms(vacuous: Mapping[str, bool]) -> str:
    """What the bars of the two terms are, and which are missing."""
    said = (
        "Each term at its own worst, over the intervals of each method, against what the attack attained."
    )
    gone = " and ".join(METHOD_NAMES[method] for method, nothing in vacuous.items() if nothing)
    return f"{said} **{gone}: vacuous, no bar.**" if gone else said
