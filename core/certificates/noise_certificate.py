"""Certificates on the expectation over the noise and on a fresh draw: which bounds feed the statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.bounds.rounding import proved
from core.certificates.certificate import STATES, Certificate, conclude
from core.certificates.guard import check_noise_statement
from core.certificates.methods import FORMS, stages
from core.certificates.noise.expectation import Refine, coverage_lower, expectation_lower
from core.certificates.question import Question
from core.errors import InputError
from core.vae.latent import kl_upper
from core.vae.validate import check_choice, check_count, check_seed

# Draws that get linear bounds, in runs that share one adversary: few are enough for a small difference.
_REFINED, _RUN = 128, 4
# Optimisation steps for each of them.
_ITERATIONS = 20


@dataclass(frozen=True)
class Guarantee:
    """For which noise a bound is stated, and how surely; see `Certificate.states`.

    states, alpha, delta  as there. draws, seed: of the sample that a statement on all noise takes for
    itself; where `states` is "draws" all but that plays no part.

    Raises InputError for what these cannot be.
    """

    states: str = "draws"
    alpha: float = 0.01
    delta: float = 0.05
    draws: int = 16_384
    seed: int = 0

    def __post_init__(self) -> None:
        if check_choice("states", self.states, STATES) != "draws":
            object.__setattr__(self, "draws", check_count("draws", self.draws))
            object.__setattr__(self, "seed", check_seed(self.seed))


DRAWS = Guarantee()


@torch.no_grad()
def noise_certificate(
    question: Question, guarantee: Guarantee, progress: Callable[[int, int], None] | None
) -> Certificate:
    """The certificate of `core.certify` for states "expectation" and "coverage".

    Interval bounds for every draw; for the linear methods mu, logvar and the KL come from tightened
    intervals, and the expectation is lifted by linear bounds on a few runs of draws.
    """
    states, method, threat = guarantee.states, question.effort.method, question.threat
    if threat.side != "lower":
        raise InputError(f"states={states!r} is proved for side 'lower' only; ask for states='draws'.")
    if method in FORMS:
        raise InputError(f"Method {method!r} proves states='draws' only; for {states!r} use 'alpha-crown'.")
    first = question.relaxation(noise=torch.zeros_like(question.noise[:1]))
    bounds = first.interval_bounds()
    if method not in ("ibp", "crown-ibp"):
        bounds = first.tighten_encoder(bounds)
    arithmetic = question.arithmetic
    kl = kl_upper(*bounds.posterior, arithmetic).nan_to_num(nan=torch.inf, posinf=torch.inf)
    common = {
        "draws": guarantee.draws,
        "alpha": guarantee.alpha,
        "seed": guarantee.seed,
        "arithmetic": arithmetic,
        "posterior": bounds.encoder[-1],
        "kl": kl,
        "progress": progress,
    }
    arguments = (question.vae, question.ball, question.scored)
    if states == "coverage":
        value = coverage_lower(*arguments, delta=guarantee.delta, **common)
    elif method == "ibp":
        value = expectation_lower(*arguments, **common)
    else:
        refine = _linear_bounds(question, guarantee.draws, progress)
        value = expectation_lower(*arguments, refine=refine, refine_draws=_REFINED, **common)
    check_noise_statement(question, value, states, guarantee.delta)
    lower, upper, vacuous = conclude(
        value, "lower", question.vae.likelihood.floor(question.vae.config.pixels)
    )
    return Certificate(
        lower=lower,
        upper=upper,
        vacuous=vacuous,
        side="lower",
        recon=proved(value + kl),
        kl=kl,
        margin=torch.zeros_like(value),
        method=method,
        by_method={method: lower},
        states=states,
        target=threat.target,
        eps=question.asked.eps,
        norm=threat.norm,
        draws=guarantee.draws,
        arithmetic=question.effort.arithmetic,
        intervals=[],
        minimiser=None,
        alpha=guarantee.alpha,
        delta=guarantee.delta if states == "coverage" else 0.0,
    )


def _linear_bounds(question: Question, draws: int, progress: Callable[[int, int], None] | None) -> Refine:
    """Linear bounds on the mean ELBO of each run of draws, image by image; the first draws are done."""

    def refine(noise: Tensor) -> Tensor:
        bounds = []
        for done, run in enumerate(noise.split(_RUN)):
            if progress is not None:
                progress(draws + _RUN * done, draws + _REFINED)
            bounds.append(_run_bound(question, run[:, None]))
        return torch.stack(bounds)

    return refine


def _run_bound(question: Question, noise: Tensor) -> Tensor:
    values, effort = [], replace(question.effort, iterations=_ITERATIONS, seconds=math.inf)
    for index in range(len(question.asked.eps)):
        relaxation = question.relaxation(slice(index, index + 1), noise)
        *_, last = stages(relaxation, effort)
        values.append(last.value)
    return torch.cat(values)
