"""What limits every model on one image: the constant decoder, to be beaten, and the ceiling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import streamlit as st
import torch

import core
from core.data.samples import load_levels
from core.evaluation.ceiling import CEILING, share_of_way
from core.training.baseline import ConstantDecoder, fit_constant_decoder
from dashboard.addresses.digit import Digit, cached
from dashboard.addresses.explorer import ProofSettings
from dashboard.addresses.kinds import Source
from dashboard.addresses.models import stamped
from dashboard.shared import compute, text
from dashboard.shared.curves import CONSTANT as BASELINE
from dashboard.shared.text import nats, safe

NONE = text.NO_LIMIT
"""In place of a ceiling that there is not."""
_NO_WAY = 1e-6
"""Nats: where the ball holds the grey image both limits are the same, but for rounding."""
NAMES = {CEILING: CEILING.capitalize(), BASELINE: text.CONSTANT}


@dataclass(frozen=True)
class Limits:
    """Of one likelihood, image and question, over E radii; nats.

    ceiling   no model stays above it; +inf where densities have no maximum.
    constant  the worst case of the constant decoder that is fitted for each radius; () where there is none.
    """

    eps: tuple[float, ...]
    ceiling: tuple[float, ...]
    constant: tuple[float, ...] = ()

    @property
    def lines(self) -> dict[str, tuple[float, ...]]:
        """By what they are called in a chart; nothing of what there is not."""
        return {CEILING: self.ceiling} | ({BASELINE: self.constant} if self.constant else {})

    def at(self, eps: float) -> tuple[float, float]:
        """Ceiling and constant decoder at one of the radii; NaN where there is no constant decoder."""
        i = min(range(len(self.eps)), key=lambda i: abs(self.eps[i] - eps))
        return self.ceiling[i], self.constant[i] if self.constant else math.nan


def of(name: str, digit: Digit, settings: ProofSettings, radii: tuple[float, ...]) -> Limits | None:
    """The limits for the likelihood of a model; None for an adversary who raises the ELBO, whom neither
    limits. Raises CoreError."""
    return None if settings.side == "upper" else _cached(name, digit, settings.target, settings.norm, radii)


def afresh(name: str, digit: Digit, settings: ProofSettings, radii: tuple[float, ...]) -> Limits | None:
    """The same without a cache: for what is called after the run."""
    return None if settings.side == "upper" else _limits(name, digit, settings.target, settings.norm, radii)


def _limits(name: str, digit: Digit, target: str, norm: str, radii: tuple[float, ...]) -> Limits:
    vae, x = compute.model(name), digit.image()
    eps = torch.tensor(radii, dtype=torch.float64, device="cpu")
    highest = core.ceiling(vae, x.expand(len(radii), -1, -1, -1), eps, target, norm)
    known = BASELINE in drawn(digit.source, target, norm)
    fitted = {r: _constant(name, r, target, digit.source.dataset) for r in radii if known}
    constant = (one.lower(x.double(), r, target).item() for r, one in fitted.items())
    return Limits(radii, tuple(highest.tolist()), tuple(constant))


_cached = cached(500)(_limits)


def drawn(source: Source, target: str, norm: str) -> tuple[str, ...]:
    """Which limits there can be. The constant decoder is fitted to what models of the shipped images learn
    from, and its worst case has a closed form in l_inf, or where the clean image is scored."""
    closed = norm == "linf" or target == "reconstruction"
    return (CEILING, BASELINE) if not source.model and source.dataset and closed else (CEILING,)


@stamped(st.cache_resource(max_entries=512, show_spinner=False))
def _constant(name: str, eps: float, target: str, dataset: str) -> ConstantDecoder:
    return fit_constant_decoder(load_levels(dataset), compute.model(name).likelihood, eps, target)


def shares(limits: Limits, eps: float, proved: float, attained: float) -> tuple[float, float]:
    """What is proved and what is attained as whole percents of the way from the constant decoder to the
    ceiling, rounded away from each other: the worst case lies between. NaN where there is no way; -inf
    where nothing is proved."""
    top, floor = limits.at(eps)
    if not top - floor > _NO_WAY:
        return math.nan, math.nan
    first, second = (100 * share_of_way(each, floor, top) for each in (proved, attained))
    return math.floor(first) if math.isfinite(first) else first, (
        math.ceil(second) if math.isfinite(second) else second
    )


def percent(share: float) -> str:
    """A share as tables show it."""
    return "–" if not math.isfinite(share) else f"{share:g} %" if share >= 0 else "< 0 %"


def value(limit: str, level: float, digits: int = 1) -> str:
    """A level rounded so that what it says of all models stays true; in words where there is none."""
    side = "upper" if limit == CEILING else "lower"
    return NONE if math.isinf(level) else nats(safe(level, digits, side), digits)


def cells(limits: Limits, eps: float, proved: float, attained: float) -> dict[str, str]:
    """The limits, and how far a model is on the way between them, as columns of a table. proved: -inf where
    that is nothing."""
    top, floor = limits.at(eps)
    found = shares(limits, eps, proved, attained)
    return {
        NAMES[BASELINE]: "–" if math.isnan(floor) else value(BASELINE, floor).removesuffix(" nats"),
        NAMES[CEILING]: value(CEILING, top).removesuffix(" nats"),
        "Way proved": percent(found[0]),
        "Way attained": percent(found[1]),
    }


def levels(limits: Limits, eps: float) -> str:
    """Both limits by name, in nats."""
    top, floor = limits.at(eps)
    known = {BASELINE: floor, CEILING: top}
    return ", ".join(
        f"{NAMES[limit].lower()} {value(limit, level)}"
        for limit, level in known.items()
        if not math.isnan(level)
    )


def in_words(limits: Limits, eps: float, proved: float, attained: float) -> str:
    """How far a model is on the way between the limits, to say aloud, as Markdown. proved: -inf where that
    is nothing."""
    top, floor = limits.at(eps)
    if math.isinf(top):
        return text.NO_CEILING
    highest = f"the ceiling ({value(CEILING, top)}), above which nothing can be proved of any model"
    found = shares(limits, eps, proved, attained)
    if math.isnan(found[1]):
        return f"Of all models: {highest}."
    way = f"from the constant decoder ({value(BASELINE, floor)}) to {highest}"
    return f"**{said(*found)}** The way leads {way}."


def said(proved: float, attained: float) -> str:
    """Shares as a sentence."""
    first = f"{proved:g} % of the way is proved" if proved >= 0 else "Nothing of the way is proved"
    if attained > 100:
        return f"{first}; the attack ends above the ceiling, so a stronger one gets further."
    if attained < 0:
        return f"{first}: an attack gets below the constant decoder."
    return f"{first}, {attained:g} % attained."
