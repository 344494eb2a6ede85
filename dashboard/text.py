"""The words of the page: names and definitions, in one place so that they stay the same everywhere."""

from __future__ import annotations

import math

TITLE = "ELBO under attack"
SUBTITLE = (
    "A variational auto-encoder scores how likely an image is: its ELBO. An adversary may change each "
    "pixel by at most eps to push the score down. What an attack reached is **attained**, what no attack "
    "can go below is **proved**, and what lies between is **open**."
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
    "attained": "Attained: the lowest ELBO that the attack reached with a change of at most eps per pixel. "
    "It is a fact: the attacked image is shown. Below it: the change from clean.",
    "proved": "Proved: a certificate shows by interval arithmetic that no image within eps has an ELBO "
    "below this, whatever the attack. Below it: the change from clean.",
    "vacuous": "Vacuous: the proof fails to say anything. The bound is below what the worst imaginable "
    "reconstruction would score.",
    "open": "Open gap: attained minus proved. The true worst case lies somewhere in between; a stronger "
    "attack or a tighter proof would narrow it.",
    "upto": "Zoom: the chart shows eps from 0 to this value, and to the cursor if that is further.",
    "eps": "eps: the most by which the adversary may change each pixel. Pixels run from 0 (black) to 1 "
    "(white), so 0.1 is a tenth of the grey scale. Pixels stay between 0 and 1.",
    "threshold": "Threshold: an anomaly detector calls an image abnormal when its ELBO is below this. "
    "A usual choice is the 5 % quantile: of clean test digits, 5 % lie below it. The question is then "
    "whether an attack can push this digit under it.",
    "draws": "Draws: the ELBO is a mean over random draws of the latent code. The same draws are used for "
    "clean, attained and proved values, and the proof holds for exactly these draws.",
    "seed": "Seed of the random draws and of the attack's random starts.",
    "target": "Likelihood of the attacked image: the adversary lowers the score of the image it hands in "
    "(the question of the paper). Reconstruction of the clean image: the score asks how well the clean "
    "image is recovered from the attacked one.",
    "attack": "PGD: projected gradient descent, many small steps along the sign of the gradient. "
    "FGSM: one full step of the same kind, fast and weak.",
    "steps": "Gradient steps of one PGD run. More steps: a stronger attack, more time.",
    "restarts": "How often PGD starts again, after the first time from random points. The best counts.",
    "index": "Position in the MNIST test set; the first 500 images are shipped.",
    "model": "Standard models are trained on the plain ELBO; robust ones on the proved bound at the eps "
    "in their name. Any two can be compared.",
    "lost": "The ELBO is a reconstruction term minus a KL term. The bars show how much of the change "
    "from clean comes from which; a vacuous proof has no bar.",
    "perturbation": "Perturbation: attacked minus input, magnified as stated. Blue: darker; red: brighter; "
    "white: unchanged.",
    "reconstruction": "Recon (reconstruction): what the model decodes from an image, mean over the draws.",
}
HUES = {"#D55E00": "orange", "#0072B2": "blue"}
TARGET_LABELS = {
    "likelihood": "Likelihood of the attacked image",
    "reconstruction": "Reconstruction of the clean image",
}
ATTACK_LABELS = {"pgd": "PGD", "fgsm": "FGSM"}


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
