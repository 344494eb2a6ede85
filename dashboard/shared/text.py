"""The words of the page: names and definitions, in one place so that they stay the same everywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

TITLE = "ELBO under attack"
SUBTITLE = "Drag eps: attacks push the score (ELBO) down, proofs say how far at most."


def head(title: str, subtitle: str) -> str:
    """A page's title that leaves the screen to what it is about, as HTML."""
    return f'<div class="elbo-head"><h1>{title}</h1><span>{subtitle}</span></div>'


HEAD = head(TITLE, SUBTITLE)
"""The explorer's."""
_ALARM = {
    True: "The alarm line is each model's own threshold: about 5 % of clean test images score below it, "
    "and an anomaly detector would reject them.",
    False: "The alarm line is the threshold that you set for both models: an anomaly detector would reject "
    "what is below.",
}


def alarm(own: bool, side: str) -> str:
    """What the alarm line is. own: each model has its own."""
    upwards = " The adversary makes what would be rejected look normal." if side == "upper" else ""
    return _ALARM[own] + upwards


LOWER_ONLY = (
    "Attack it yourself, Inspect, Compare, Results and Lessons are about an adversary that lowers the ELBO."
)
INCOMPARABLE = (
    "These two models have different likelihoods, pixels as probabilities and as real numbers: the "
    "nats of one cannot be compared with those of the other. Look at each against its own threshold."
)
ALONE = "No other model here takes images of this shape and data set, so this one stands alone."
MODELS_MISSING = "There is no model in assets/models. Restore that folder, or train a model."
FIRST = "First the attacks, then the proofs."
MEANWHILE = "PGD's image until then, seldom beaten by more than a nat or two at small eps"
RESULTS_TITLE = "Results"
RESULTS_SUBTITLE = (
    "The mean ELBO of many test images: <b>attacked</b>, <b>proved</b> against any attack within eps, and "
    "what is <b>open</b> between."
)
GLOSSARY = (
    "elbo",
    "nats",
    "eps",
    "clean",
    "attained",
    "proved",
    "vacuous",
    "open",
    "threshold",
    "draws",
    "limits",
    "perturbation",
    "reconstruction",
)
CHECK = "Check with a second program"
OPINIONS = (
    "Checked by a second program.",
    "A second program does not confirm it.",
    "A second program could not read it.",
    "The second program does not cover this certificate; that says nothing for or against it.",
)
"""Before the words of the second program, by its exit code."""
HELP = {
    "elbo": "ELBO: evidence lower bound, the score a variational auto-encoder gives an image. It is the "
    "reconstruction term minus the KL term; higher means the model finds the image more likely.",
    "nats": "Nats: units of log-likelihood (natural logarithm). 1 nat less: e = 2.7 times less likely; "
    "100 nats less, 10^43 times.",
    "clean": "Clean: the ELBO of the image as it is, without an attack, in nats.",
    "attained": "Attacked: the lowest ELBO that the attack reached with a change of at most eps. "
    "It is a fact: the attacked image is shown. Below it: the change from clean.",
    "proved": "Proved: a certificate shows that no image within eps has an ELBO below this, whatever the "
    "attack. It is the best bound that has come in yet; the method below it found it.",
    "certificate": "Certificate: this statement with the image (yours, if it is your own), the noise and a "
    "fingerprint of the model. "
    "`python -m core verify FILE` computes the bound again and says whether it holds.",
    "check": "Checked by a second program: a file of its own, without torch and without any code of this "
    "site, computes the bound again from the certificate and the model. It covers the first four methods.",
    "vacuous": "Vacuous: the proof fails to say anything. The bound is below what the worst imaginable "
    "reconstruction would score.",
    "open": "Open: attacked minus proved. The true worst case lies somewhere in between; a stronger "
    "attack or a tighter proof would narrow it.",
    "upto": "Zoom: the chart shows eps from 0 to this value, and to the cursor if that is further.",
    "eps": "eps: how much the adversary may change. Largest change (l_inf): each pixel by at most eps. "
    "Pixels (of colour images each colour) run from 0 to 1: 0.1 is a tenth of that. Total change (l_2): "
    "the square root of the sum of all squared changes is at most eps. Pixels stay between 0 and 1.",
    "norm": "How the change is measured. Largest change of a pixel (l_inf): many pixels may move a little. "
    "Total change (l_2): a few pixels may move a lot, or many by very little.",
    "method": "How far to go for a proof. Each method is at least as tight as the ones before it, and "
    "slower; the page shows the fast ones first. IBP: each layer is bounded by an interval, the paper's "
    "method. CROWN-IBP: straight lines below and above each layer, laid over those intervals, so that "
    "errors can cancel. CROWN: the intervals themselves are tightened in the same way. alpha-CROWN: the "
    "slopes of the lines are optimised. Quadratic: parabolas in place of lines, which follow the curvature "
    "that lines lose. Branch and bound: the problem is cut into smaller ones. The last two are computed at "
    "the chosen eps only.",
    "states": "These draws: the proof is about the mean over the very draws shown, exactly. Expectation: "
    "about the mean over all noise, with 99 % confidence over 16,384 draws. Coverage: a fresh draw keeps "
    "the bound with 95 % probability, with the same confidence. The last two are computed at the chosen "
    "eps only, by one method fixed beforehand (expectation: CROWN-IBP at most), and are drawn as a "
    "diamond. Choose the seed before you look.",
    "methods": "What each method proves at this eps. A bound proved at a larger eps counts too. A dash: "
    "not there yet, or not to be had here. Open is attacked minus proved.",
    "threshold": "Threshold: an anomaly detector calls an image abnormal when its ELBO is below this. "
    "A usual choice is the 5 % quantile, here rounded down to whole nats: of clean test images, about 5 % "
    "lie below it. The question is then whether an attack can push this image under it.",
    "draws": "Draws: the ELBO is a mean over random draws of the latent code. The same draws are used for "
    "clean, attacked and proved values, and the proof holds for exactly these draws.",
    "seed": "Seed of the random draws and of the attack's random starts.",
    "side": "Whether the adversary lowers the ELBO, so that an image is rejected, or raises it, so that an "
    "outlier looks normal. What is proved is the limit on its way: a lower or an upper bound.",
    "target": "Likelihood of the attacked image: the adversary lowers the score of the image it hands in "
    "(the question of the paper). Reconstruction of the clean image: the score asks how well the clean "
    "image is recovered from the attacked one.",
    "attack": "How the attacked image is searched for. PGD: many small steps downhill; as good as the "
    "strongest within a nat or two at small eps, in a tenth of the time. Strongest: many starts, the best "
    "go on; 25 times the work. Latent, targeted and damage go for the code or the decoded image, not "
    "for the ELBO. Random search is there to be beaten.",
    "steps": "Gradient steps of one run of the attack. More steps: a stronger attack, more time.",
    "restarts": "How often the attack starts again, after the first time from random points. The best "
    "counts.",
    "index": "Position in the test set, of which the first 500 images are shipped, or among the images "
    "that were saved with the model.",
    "dataset": "Models of a data set are shown with its test images: MNIST, handwritten digits, or "
    "Fashion-MNIST, clothes.",
    "model": "Standard models are trained on the plain ELBO; robust ones on the proved bound at the eps "
    "in their name, adversarial ones on attacked images, noise on random changes. Any two can be "
    "compared, but a Gaussian likelihood has another scale.",
    "lost": "The ELBO is a reconstruction term minus a KL term. The bars show how much of the change "
    "from clean comes from which. IBP bounds the two terms one by one; the other methods bound them "
    "together, which is tighter, and their bar is not divided. A vacuous proof has no bar.",
    "limits": "Limits of every model on this image. Ceiling: nothing higher can be proved of any model. "
    "It is the best log-likelihood of the image that the adversary makes as grey as eps allows. Constant "
    "decoder: gives the same pixels for every image, the best ones for that eps; a model has to beat it.",
    "unit": "Of the pictures' numbers and of the chart. Bits per dimension: nats / (pixels x channels x "
    "ln 2), for large images, whose nats run to thousands. What is proved, tables and files stay in nats.",
    "perturbation": "Perturbation: attacked minus input, magnified as stated. Blue: darker; red: brighter; "
    "white: unchanged. Of a colour image: grey is unchanged, a colour is more of it.",
    "reconstruction": "Recon (reconstruction): what the model decodes from an image, mean over the draws.",
}
UPPER_HELP = {
    "attained": HELP["attained"].replace("the lowest", "the highest"),
    "proved": HELP["proved"].replace("below this", "above this"),
    "vacuous": "Vacuous: the proof fails to say anything. The bound is above what any image can score.",
    "open": "Open: proved minus attacked. The true best case lies somewhere in between; a stronger "
    "attack or a tighter proof would narrow it.",
    "methods": HELP["methods"].replace("attacked minus proved", "proved minus attacked"),
    "states": "These draws: the proof is about the mean over the very draws shown, exactly. Proofs about "
    "all noise are only there for an adversary that lowers the ELBO.",
    "threshold": HELP["threshold"].replace("push this image under", "lift an abnormal image over"),
    "target": "Likelihood of the attacked image: the adversary raises the score of the image it hands in, "
    "so that an outlier looks normal. Reconstruction of the clean image: the score asks how well the clean "
    "image is recovered from the attacked one.",
    "attack": "How the attacked image is searched for. PGD: many small steps uphill; as good as the "
    "strongest within a nat or two at small eps, in a tenth of the time. Strongest: many starts, the best "
    "go on; 25 times the work. Random search is there to be beaten. Attacks that go for the code or the "
    "decoded image have no way up, and are not offered.",
}
"""What is said in other words of an adversary that raises the ELBO."""
RESULTS_GLOSSARY = (
    "elbo",
    "nats",
    "eps",
    "mean_clean",
    "mean_attained",
    "mean_proved",
    "open",
    "vacuous",
    "interval",
    "constant",
    "ceiling",
    "frontier",
    "active",
)
RESULTS_HELP = {
    "likelihood": "Likelihood of a pixel under the decoder. Bernoulli: each pixel is a probability of "
    "white. Gaussian: each pixel is a value with noise. Their ELBOs are on different scales and are never "
    "drawn together.",
    "models": "Models with curves of their own, in these colours. The comparison of clean and proved shows "
    "all models that pass the filters.",
    "recipe": "How the models were trained. None chosen: all. Robust recipes train on a bound (IBP, "
    "CROWN-IBP; MTL-IBP and SABR on a share of one); adversarial training on attacked images, noise on "
    "random changes, both without a proof; a beta-VAE weighs the KL term.",
    "attack": "How the attacked images were searched for. PGD ran on all images; the strongest attack, 25 "
    "times the work, on a subset.",
    "certificate": "How the bound was proved. The tightest: the best that any of them proves on these "
    "images, at this eps or at a larger one. Each method is at least as tight as the ones before it, and "
    "slower; slow ones ran on a subset.",
    "axis": "Near the constant decoder: the axis ends somewhat below it, where a model does worse than one "
    "that ignores its latent code. All attacked: down to the lowest ELBO that an attack reached.",
    "mean_clean": "Clean: the mean ELBO of the images as they are, without an attack, in nats.",
    "mean_attained": "Attacked: the mean of the lowest ELBO that the attack reached for each image, each "
    "pixel changed by at most eps. A stronger attack may reach less.",
    "mean_proved": "Proved: the mean of the bounds that no image within eps can go below, whatever the "
    "attack.",
    "interval": "95 % interval: where the mean over other images of this kind would lie, by resampling the "
    "images (bootstrap). On all test images it is too small to see; on the subset it is not.",
    "ceiling": "Ceiling: nothing higher can be proved of any model. It is the best log-likelihood of the "
    "image that the adversary makes as grey as eps allows. Way: how much of the way from the constant "
    "decoder to the ceiling is proved.",
    "constant": "Constant decoder: ignores its latent code and gives the same pixels for every image, the "
    "best ones for that eps. Attacked and proved in closed form, so nothing is open.",
    "frontier": "Frontier: the models that no other beats in clean and in proved at once. The staircase "
    "joins them; what lies below it is beaten.",
    "active": "Active units: latent dimensions that carry information about the image.",
    "own": "Proved at the eps that the model was trained for, for its own target, by the certificate that "
    "is chosen.",
}
DATASET_LABELS = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR-10",
}
_OF = {"fashion-mnist": "Fashion: "}
"""Before the name of a model of a data set that is not the usual one."""
LIKELIHOOD_LABELS = {"bernoulli": "Bernoulli", "gaussian": "Gaussian"}
ARCH_LABELS = {"all": "All", "mlp": "MLP", "conv": "CONV"}
AXIS_LABELS = {"near": "Near the constant decoder", "all": "All attacked"}
RECIPE_LABELS = {
    "standard": "Standard",
    "ibp": "Robust: IBP",
    "crown-ibp": "Robust: CROWN-IBP",
    "sabr": "Robust: SABR",
    "mtl-ibp": "Robust: MTL-IBP",
    "adversarial": "Adversarial",
    "noise": "Noise",
    "beta": "Beta-VAE",
}
HUES = {"#D55E00": "orange", "#0072B2": "blue"}
TARGET_LABELS = {
    "likelihood": "Likelihood of the attacked image",
    "reconstruction": "Reconstruction of the clean image",
}
SIDE_LABELS = {"lower": "Lowers it", "upper": "Raises it"}
LOST = {"lower": "Where it was lost", "upper": "Where it was gained"}
ATTACK_LABELS = {
    "pgd": "PGD: many small steps",
    "fgsm": "FGSM: one big step",
    "apgd": "APGD: PGD, steps adapted",
    "spg": "SPG: steps by curvature",
    "vertex": "Vertex: corner to corner",
    "latent": "Latent: move the code",
    "targeted": "Targeted: towards another code",
    "damage": "Damage: spoil the decoding",
    "random": "Random search",
    "strongest": "Strongest: many starts, half a minute",
}
METHOD_NAMES = {
    "ibp": "IBP",
    "crown-ibp": "CROWN-IBP",
    "crown": "CROWN",
    "alpha-crown": "alpha-CROWN",
    "quadratic": "quadratic",
    "bab": "branch and bound",
}
TIGHTEST_LABEL = "The tightest of each model"
CONSTANT = "Constant decoder"
NO_LIMIT = "none"
NO_CEILING = (
    "There is no ceiling here: densities of this likelihood have no maximum, so nothing limits what a "
    "model can score."
)
TARGET_NAMES = {name: label[0].lower() + label[1:] for name, label in TARGET_LABELS.items()}
CLICK = "Click a point for its numbers and the way to the explorer; the tables have them too."
AS_TABLE = "The same as a table, with 95 % intervals"
IN_BRACKETS = "In brackets: 95 % interval of the mean."
TRAINED = "How they were trained"
COPY_TABLE = "Copy as Markdown or LaTeX"
NOTHING = "nothing"
"""What is proved where no method says anything."""
TO_EXPLORER = "To the explorer"
NO_MODELS = "No model is chosen: choose some in the sidebar to see their curves."
NO_ROWS = "Nothing passes the filters."
NOT_SHIPPED = "The explorer cannot show this one: it shows the models that are shipped."
FRONTIER_LEGEND = (
    "○ other models that pass the filters; ✖ constant decoder; ╍╍ frontier: no model "
    "lies above and to the right of it; ↓ below the frame, or vacuous."
)
SAMPLES = {
    "prior": "Images made up: decoded from random latent codes.",
    "reconstructions": "Rows from the top: test images, their reconstructions, the images attacked, and "
    "what the model reconstructs from those.",
}
QUANTITY_NAMES = (
    {name: label.split(":")[0].split(",")[0] for name, label in ATTACK_LABELS.items()}
    | METHOD_NAMES
    | {"strongest": "the strongest attack", "closed-form": "closed form"}
    | {"tightest": "the tightest certificate of each model"}
)
"""Attacks and certificates as they stand in a sentence: "attained by ..."."""
METHOD_LABELS = {
    "ibp": "IBP only: at once",
    "crown-ibp": "up to CROWN-IBP: seconds",
    "crown": "up to CROWN: tighter",
    "alpha-crown": "up to alpha-CROWN: tight",
    "quadratic": "up to quadratic: tightest bound",
    "bab": "up to branch and bound: slow",
}
STATES_LABELS = {
    "draws": "These draws",
    "expectation": "Expectation over the noise",
    "coverage": "Coverage of a fresh draw",
}
LIMITS_LABELS = {"hide": "Not drawn", "show": "Limits: ceiling, constant decoder"}
UNIT_LABELS = {"nats": "Nats", "bits": "Bits per dimension"}
NORM_LABELS = {"linf": "Each pixel", "l2": "In total"}
EPS_LABELS = {
    "linf": "eps: how much each pixel may change",
    "l2": "eps: how much the image may change in total (Euclidean distance)",
}
EPS_AXIS = {
    "linf": "eps: the most each pixel may change",
    "l2": "eps: the most the image may change in total",
}
EPS_SHORT = {"linf": "eps", "l2": "eps (length)"}
"""The same where a slider above the chart says what it is."""
RECIPES = {
    recipe: label.split(":")[0]
    for recipe, label in RECIPE_LABELS.items()
    if recipe not in ("standard", "beta")
}
"""What a model is called that was trained for an eps, by recipe; those with a bound are all robust."""


def model_label(model: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """A model's name for people, from its configuration: "Robust MLP (eps 0.1)", "Fashion: Standard CONV".

    Raises KeyError, TypeError or ValueError for a configuration that is not ours.
    """
    arch, eps, beta = str(model["arch"]).upper(), training["eps"], training.get("beta", 1)
    of = _OF.get(training.get("dataset", ""), "")
    likelihood = ", Gaussian" if model.get("likelihood") == "gaussian" else ""
    if eps == 0:
        name = f"Standard {arch}" if beta == 1 else f"Beta-VAE {arch} ({beta:g})"
        return of + name + likelihood
    recipe, notes = training.get("recipe", "ibp"), [f"eps {eps:g}"]
    if recipe != "ibp" and RECIPES[recipe] == RECIPES["ibp"]:
        notes.append(RECIPE_LABELS[recipe].removeprefix("Robust: "))
    if training["target"] != "likelihood":
        notes.append("reconstruction")
    if beta != 1:
        notes.append(f"beta {beta:g}")
    return f"{of}{RECIPES[recipe]} {arch} ({', '.join(notes)}){likelihood}"


def recipe_label(kind: str) -> str:
    return RECIPE_LABELS.get(kind, kind)


def plain(sentence: str) -> str:
    """A sentence that may quote what anyone wrote, as Markdown that says just that."""
    return re.sub(r"([\\`*_{}\[\]()<>#!|~$:&])", r"\\\1", sentence)


def nats(value: float, digits: int = 0) -> str:
    """A number of nats with a true minus sign and the unit; no "-0"."""
    if math.isinf(value) or math.isnan(value):
        return "vacuous"
    return f"{bare(value, digits)} nats"


def bare(value: float, digits: int = 1) -> str:
    """The same without the unit, as in a table."""
    return "vacuous" if math.isinf(value) else signed(value, digits).replace("+", "")


def floor(bound: float, digits: int = 0) -> float:
    """A lower bound rounded to the safe side: what is printed is proved too."""
    if not math.isfinite(bound):
        return bound
    steps, one = math.floor(bound * 10**digits), 10**digits
    # The product is rounded, and so is the quotient: one of them may be above.
    return steps / one if steps / one <= bound else (steps - 1) / one


def safe(bound: float, digits: int = 0, side: str = "lower") -> float:
    """A bound rounded to the safe side: down if it is a lower one, up if it is an upper one."""
    return floor(bound, digits) if side == "lower" else -floor(-bound, digits)


def proved_nats(bound: float, digits: int = 0, side: str = "lower") -> str:
    """A bound in nats, rounded to the safe side."""
    return nats(safe(bound, digits, side), digits)


def help_on(side: str) -> Mapping[str, str]:
    """HELP for an adversary that lowers the ELBO, or raises it."""
    return HELP if side == "lower" else HELP | UPPER_HELP


def interval(mean: float, low: float, high: float) -> str:
    """A mean with its confidence interval: "−339.1 nats (−340.3 to −337.9)"."""
    return f"{nats(mean, 1)} ({bare(low)} to {bare(high)})"


def of_images(count: int, everything: int | None = None) -> str:
    """How many images; those of the whole evaluation are the first of the test set."""
    return f"the first {count:,} test images" if count == everything else f"{count:,} images"


DIFFERENT = "Different images: do not compare the two point by point."
BARS = "Bars: 95 % interval of the mean."


def over(
    attack: tuple[str, int | None],
    proof: tuple[str, int | None],
    constant: int | None,
    everything: int,
    draws: int,
    seed: int,
) -> str:
    """Which methods, images and draws curves are over; a method is given with its number of images, the
    constant decoder is these alone."""
    said = []
    for what, (method, count) in (("Attacked", attack), ("Proved", proof)):
        if count is not None:
            said.append(f"{what} by {QUANTITY_NAMES[method]} on {of_images(count, everything)}.")
    if None not in (attack[1], proof[1]) and attack[1] != proof[1]:
        said.append(DIFFERENT)
    if constant not in (None, attack[1], proof[1]):
        said.append(f"{CONSTANT} on {of_images(constant or 0, everything)}.")
    return " ".join([*said, f"{noise_draws(draws)} (seed {seed}), the same for all values."])


def noise_draws(count: int) -> str:
    return "1 noise draw" if count == 1 else f"{count} noise draws"


def other_weights(models: Sequence[str]) -> str:
    """Models that the explorer shows are not the ones that were evaluated."""
    return (
        f"These results are of other weights than those shipped now: {', '.join(models)}. The explorer "
        "shows the shipped ones; compute the results again with the command below."
    )


def signed(value: float, digits: int = 0) -> str:
    """A number with its sign, + or a true minus; 0 has none."""
    shown = f"{abs(value):,.{digits}f}"
    if float(shown.replace(",", "")) == 0:
        return shown
    return ("\N{MINUS SIGN}" if value < 0 else "+") + shown


def dear(model: str, draws: int, seconds: float, fewer: int, method: str) -> str:
    """Why a page does not prove by a method: it would take so many seconds, and so many draws would do."""
    less = f"With {noise_draws(fewer)} this page computes it, too. " if fewer else ""
    return (
        f"A bound of `{model}` by {METHOD_NAMES[method]} for {noise_draws(draws)} takes about "
        f"{seconds:,.0f} seconds at each eps, more than a page takes. {less}`python -m core certify "
        f"--model FOLDER --index 0 --eps 0.002 --draws {draws} --method {method}` takes its time."
    )


def minus(sentence: str) -> str:
    """A sentence with hyphens before digits turned into minus signs."""
    return sentence.replace(" -", " \N{MINUS SIGN}")
