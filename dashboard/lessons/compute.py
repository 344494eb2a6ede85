"""Thin adapters around core for the lessons, with caches. One digit, the lessons' settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st
import torch
from torch import Tensor

import core
from core.attacks import AttackResult
from core.certificates.certificate import Certificate
from core.inspection import lessons
from core.vae.elbo import ELBO
from core.vae.validate import TARGETS
from dashboard.addresses.digit import Digit, cached
from dashboard.addresses.lessons import SETTINGS
from dashboard.server.background import Now, Show, Tell, run
from dashboard.shared import compute
from dashboard.shared.text import METHOD_NAMES

STEPS = SETTINGS.steps
METHODS = ("ibp", "crown")
SAMPLE = 4096
"""Draws behind the statements on the noise at large: half a second each."""
OTHERS = 200
"""Single draws that an attacked image is scored with."""


@dataclass(frozen=True)
class Pixels:
    """What one pixel can do, what the slope promises for all, what one step in all attains.

    promised  a drop, nats, positive.
    """

    one: lessons.OnePixel
    promised: float
    fgsm: AttackResult


@dataclass(frozen=True)
class Explosion:
    """A bound, nats, -inf where it is vacuous, and the mean width of the intervals of each layer."""

    bound: float
    widths: dict[str, float]


@dataclass(frozen=True)
class Around:
    """Certificates of a ball and the strongest point found in it.

    proved   by method "crown-ibp", for the lessons' draws. other: for target "reconstruction".
    sampled  of the noise at large, by what it states.
    singles  (OTHERS,) ELBO of the attacked image with one fresh draw each.
    """

    proved: Certificate
    other: Certificate
    sampled: dict[str, Certificate]
    attacked: AttackResult
    singles: Tensor


@dataclass(frozen=True)
class Limits:
    """A ball, and ELBOs of images outside of it, nats.

    moved  (1, 1, H, W). distance: the eps whose ball would hold it.
    """

    clean: float
    around: Around
    moved: Tensor
    moved_elbo: float
    distance: float
    black: float


@cached(128)
def parts(name: str, digit: Digit, _show: Show) -> lessons.Parts:
    vae, x, noise = compute.question(name, digit, SETTINGS.proof)
    return run(lambda tell: lessons.parts(vae, x, noise), _show, fast=True, model=name)


@cached(128)
def pixels(name: str, digit: Digit, eps: float, _show: Show) -> Pixels:
    vae, x, noise = compute.question(name, digit, SETTINGS.proof)

    def work(tell: Tell) -> Pixels:
        tell(Now(0.1, "each pixel alone"))
        one = lessons.one_pixel(vae, x, noise, eps)
        tell(Now(0.8, "all pixels at once"))
        fgsm = core.attack(vae, x, noise, eps=eps, method="fgsm")
        return Pixels(one, lessons.promised(vae, x, noise, eps), fgsm)

    return run(work, _show, fast=True, model=name)


@cached(128)
def descents(name: str, digit: Digit, eps: float, _show: Show) -> tuple[lessons.Descent, lessons.Descent]:
    """PGD done right, and with the clamp inside the graph."""
    vae, x, noise = compute.question(name, digit, SETTINGS.proof)

    def work(tell: Tell) -> tuple[lessons.Descent, lessons.Descent]:
        tell(Now(0.1, "PGD done right"))
        right = lessons.descend(vae, x, noise, eps, STEPS, clamped=False)
        tell(Now(0.5, "PGD through the clamp"))
        return right, lessons.descend(vae, x, noise, eps, STEPS, clamped=True)

    return run(work, _show, fast=True, model=name)


@cached(128)
def explosion(name: str, digit: Digit, eps: float, _show: Show) -> dict[str, Explosion]:
    """By each of METHODS."""
    vae, x, noise = compute.question(name, digit, SETTINGS.proof)

    def work(tell: Tell) -> dict[str, Explosion]:
        found = {}
        for done, method in enumerate(METHODS):
            tell(Now(done / len(METHODS), METHOD_NAMES[method]))
            certificate = core.certify(vae, x, noise, eps=eps, method=method)
            widths = lessons.mean_widths(certificate.intervals)
            found[method] = Explosion(certificate.lower.item(), widths)
        return found

    return run(work, _show, fast=True, model=name)


@cached(256)
def score(name: str, digit: Digit, _show: Show) -> ELBO:
    """The clean ELBO."""
    vae, x, noise = compute.question(name, digit, SETTINGS.proof)
    return run(lambda tell: core.elbo(vae, x, noise), _show, fast=True, model=name)


@st.cache_data(max_entries=16, show_spinner=False)
def constant(name: str, eps: float) -> tuple[Tensor, Tensor]:
    """The best constant decoder for the likelihood of a model: its parameters and its picture, (H, W)."""
    decoder = lessons.constant_decoder(compute.model(name).likelihood, eps)
    return decoder.a, decoder.likelihood.mean(decoder.a)[0]


def constant_scores(name: str, digit: Digit, eps: float) -> tuple[float, float]:
    """Clean ELBO of the constant decoder, and its exact minimum over the ball, nats."""
    decoder = lessons.ConstantDecoder(constant(name, eps)[0], compute.model(name).likelihood)
    x = digit.image().double()
    return decoder.elbo(x).item(), decoder.lower(x, eps, SETTINGS.target).item()


def ceiling(name: str, digit: Digit, eps: float) -> float:
    """Above this nothing can be proved of the digit, whatever the model, nats."""
    return core.ceiling(compute.model(name), digit.image(), eps, SETTINGS.target).item()


def limits(name: str, digit: Digit, eps: float, move: str, show: Show) -> Limits:
    """Raises CoreError, as all of these do."""
    vae, x, noise = compute.question(name, digit, SETTINGS.proof)
    moved = lessons.moved(x, move)
    clean, aside, black = core.elbo(vae, torch.cat([x, moved, torch.zeros_like(x)]), noise).total.tolist()
    around = _around(name, digit, eps, show)
    return Limits(clean, around, moved, aside, lessons.distance(x, moved), black)


@cached(128)
def _around(name: str, digit: Digit, eps: float, _show: Show) -> Around:
    vae, x, noise = compute.question(name, digit, SETTINGS.proof)

    def work(tell: Tell) -> Around:
        tell(Now(0.05, "proof for these draws"))
        # Without the intervals: they are many, and caches are small.
        proved, other = (
            replace(core.certify(vae, x, noise, eps=eps, method="crown-ibp", target=target), intervals=[])
            for target in TARGETS
        )
        sampled = {}
        for states in ("expectation", "coverage"):
            tell(Now(0.2 + 0.35 * len(sampled), f"proof of {states}"))
            sampled[states] = core.certify(vae, x, noise, eps=eps, states=states, draws=SAMPLE)
        tell(Now(0.9, "attack, scored with other draws"))
        attacked = core.attack(vae, x, noise, eps=eps, steps=STEPS)
        fresh = core.sample_noise(vae, len(noise) + OTHERS, SETTINGS.seed)[len(noise) :]
        singles = lessons.parts(vae, attacked.x_adv, fresh).total
        return Around(proved, other, sampled, attacked, singles)

    return run(work, _show, fast=True, model=name)
