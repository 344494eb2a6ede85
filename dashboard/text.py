"""The words of the page: names and definitions, in one place so that they stay the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TITLE = "ELBO under attack"
SUBTITLE = (
    "A variational auto-encoder scores how likely an image is: its ELBO. An adversary may change the "
    "image a little, by at most eps, to push the score down. What an attack reached is **attained**, what "
    "no attack can go below is **proved**, and what lies between is **open**."
)
THRESHOLD = {
    True: "Above what? Each model's own threshold: 5 % of clean test digits score below it, and an anomaly "
    "detector would reject them.",
    False: "Above what? The threshold you set for both models: an anomaly detector would reject what is "
    "below.",
}
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
    "perturbation",
    "reconstruction",
)
HELP = {
    "elbo": "ELBO: evidence lower bound, the score a variational auto-encoder gives an image. It is the "
    "reconstruction term minus the KL term; higher means the model finds the image more likely.",
    "nats": "Nats: units of log-likelihood (natural logarithm). 1 nat less: e = 2.7 times less likely; "
    "100 nats less, 10^43 times.",
    "clean": "Clean: the ELBO of the image as it is, without an attack, in nats.",
    "attained": "Attained: the lowest ELBO that the attack reached with a change of at most eps. "
    "It is a fact: the attacked image is shown. Below it: the change from clean.",
    "proved": "Proved: a certificate shows that no image within eps has an ELBO below this, whatever the "
    "attack. It is the best bound that has come in yet; the method below it found it.",
    "vacuous": "Vacuous: the proof fails to say anything. The bound is below what the worst imaginable "
    "reconstruction would score.",
    "open": "Open gap: attained minus proved. The true worst case lies somewhere in between; a stronger "
    "attack or a tighter proof would narrow it.",
    "upto": "Zoom: the chart shows eps from 0 to this value, and to the cursor if that is further.",
    "eps": "eps: how much the adversary may change. Largest change (l_inf): each pixel by at most eps. "
    "Pixels run from 0 (black) to 1 (white), so 0.1 is a tenth of the grey scale. Total change (l_2): the "
    "square root of the sum of all squared changes is at most eps. Pixels stay between 0 and 1.",
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
    "not there yet, or not to be had here. The open gap is attained minus proved.",
    "threshold": "Threshold: an anomaly detector calls an image abnormal when its ELBO is below this. "
    "A usual choice is the 5 % quantile: of clean test digits, 5 % lie below it. The question is then "
    "whether an attack can push this digit under it.",
    "draws": "Draws: the ELBO is a mean over random draws of the latent code. The same draws are used for "
    "clean, attained and proved values, and the proof holds for exactly these draws.",
    "seed": "Seed of the random draws and of the attack's random starts.",
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
    "index": "Position in the MNIST test set; the first 500 images are shipped.",
    "model": "Standard models are trained on the plain ELBO; robust ones on the proved bound at the eps "
    "in their name. Any two can be compared.",
    "lost": "The ELBO is a reconstruction term minus a KL term. The bars show how much of the change "
    "from clean comes from which. IBP bounds the two terms one by one; the other methods bound them "
    "together, which is tighter, and their bar is not divided. A vacuous proof has no bar.",
    "perturbation": "Perturbation: attacked minus input, magnified as stated. Blue: darker; red: brighter; "
    "white: unchanged.",
    "reconstruction": "Recon (reconstruction): what the model decodes from an image, mean over the draws.",
}
HUES = {"#D55E00": "orange", "#0072B2": "blue"}
TARGET_LABELS = {
    "likelihood": "Likelihood of the attacked image",
    "reconstruction": "Reconstruction of the clean image",
}
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
    "strongest": "Strongest: many starts, slow",
}
METHOD_NAMES = {
    "ibp": "IBP",
    "crown-ibp": "CROWN-IBP",
    "crown": "CROWN",
    "alpha-crown": "alpha-CROWN",
    "quadratic": "quadratic",
    "bab": "branch and bound",
}
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
NORM_LABELS = {"linf": "Each pixel", "l2": "In total"}
EPS_LABELS = {
    "linf": "eps: how much each pixel may change",
    "l2": "eps: how much the image may change in total (Euclidean distance)",
}
EPS_AXIS = {
    "linf": "eps: the most each pixel may change",
    "l2": "eps: the most the image may change in total",
}


RECIPES = {
    "ibp": "Robust",
    "crown-ibp": "Robust",
    "sabr": "Robust",
    "mtl-ibp": "Robust",
    "adversarial": "Adversarial",
    "noise": "Noise",
}
"""What a model is called that was trained for an eps, by recipe; the certified recipes are all robust."""


def model_label(model: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """A model's name for people, from its configuration: "Robust MLP (eps 0.1)".

    Raises KeyError, TypeError or ValueError for a configuration that is not ours.
    """
    arch, eps, beta = str(model["arch"]).upper(), training["eps"], training.get("beta", 1)
    likelihood = ", Gaussian" if model.get("likelihood") == "gaussian" else ""
    if eps == 0:
        name = f"Standard {arch}" if beta == 1 else f"Beta-VAE {arch} ({beta:g})"
        return name + likelihood
    notes = [f"eps {eps:g}"]
    if training["target"] != "likelihood":
        notes.append("reconstruction")
    if beta != 1:
        notes.append(f"beta {beta:g}")
    return f"{RECIPES[training.get('recipe', 'ibp')]} {arch} ({', '.join(notes)}){likelihood}"


def nats(value: float, digits: int = 0) -> str:
    """A number of nats with a true minus sign and the unit; no "-0"."""
    if math.isinf(value) or math.isnan(value):
        return "vacuous"
    return f"{signed(value, digits)} nats".replace("+", "")


def signed(value: float, digits: int = 0) -> str:
    """A number with its sign, + or a true minus; 0 has none."""
    shown = f"{abs(value):,.{digits}f}"
    if float(shown.replace(",", "")) == 0:
        return shown
    return ("\N{MINUS SIGN}" if value < 0 else "+") + shown


def minus(sentence: str) -> str:
    """A sentence with hyphens before digits turned into minus signs."""
    return sentence.replace(" -", " \N{MINUS SIGN}")
