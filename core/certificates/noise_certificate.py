"""Certificates on the expectation over the noise and on a fresh draw: which bounds feed the statistics."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from core.bounds.rounding import ARITHMETICS, proved
from core.certificates.certificate import Certificate, conclude
from core.certificates.guard import check_noise_statement
from core.certificates.methods import stages
from core.certificates.noise.expectation import Refine, coverage_lower, expectation_lower
from core.certificates.question import Problem
from core.errors import InputError
from core.vae.latent import kl_upper

# Draws that get linear bounds, in runs that share one adversary: few are enough for a small difference.
_REFINED, _RUN = 128, 4
# Optimisation steps for each of them.
_ITERATIONS = 20


@torch.no_grad()
def sampled_certificate(
    problem: Problem,
    states: str,
    alpha: float,
    delta: float,
    draws: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> Certificate:
    """The certificate of `core.certify` for states "expectation" and "coverage".

    Interval bounds for every draw; for the linear methods mu, logvar and the KL come from tightened
    intervals, and the expectation is lifted by linear bounds on a few runs of draws.
    """
    if problem.side != "lower":
        raise InputError(f"states={states!r} is proved for side 'lower' only; ask for states='draws'.")
    if problem.method in ("quadratic", "bab"):
        raise InputError(
            f"Method {problem.method!r} proves states='draws' only; for {states!r} use 'alpha-crown'."
        )
    first = problem.relaxation(noise=torch.zeros_like(problem.noise[:1]))
    bounds = first.interval_bounds()
    if problem.method not in ("ibp", "crown-ibp"):
        bounds = first.tighten_encoder(bounds)
    arithmetic = ARITHMETICS[problem.arithmetic]
    kl = kl_upper(*bounds.posterior, arithmetic).nan_to_num(nan=torch.inf, posinf=torch.inf)
    common = {
        "draws": draws,
        "alpha": alpha,
        "seed": seed,
        "arithmetic": arithmetic,
        "posterior": bounds.encoder[-1],
        "kl": kl,
        "progress": progress,
    }
    arguments = (problem.vae, problem.ball, problem.scored)
    if states == "coverage":
        value = coverage_lower(*arguments, delta=delta, **common)
    elif problem.method == "ibp":
        value = expectation_lower(*arguments, **common)
    else:
        refine = _linear_bounds(problem, draws, progress)
        value = expectation_lower(*arguments, refine=refine, refine_draws=_REFINED, **common)
    check_noise_statement(problem, value, states, delta)
    lower, upper, vacuous = conclude(
        value, "lower", problem.vae.likelihood.floor(problem.vae.config.pixels)
    )
    return Certificate(
        lower=lower,
        upper=upper,
        vacuous=vacuous,
        side="lower",
        recon=proved(value + kl),
        kl=kl,
        margin=torch.zeros_like(value),
        method=problem.method,
        by_method={problem.method: lower},
        states=states,
        target=problem.target,
        eps=problem.eps,
        norm=problem.ball.norm,
        draws=draws,
        arithmetic=problem.arithmetic,
        intervals=[],
        minimiser=None,
        alpha=alpha,
        delta=delta if states == "coverage" else 0.0,
    )


def _linear_bounds(problem: Problem, draws: int, progress: Callable[[int, int], None] | None) -> Refine:
    """Linear bounds on the mean ELBO of each run of draws, image by image; the first draws are done."""

    def refine(noise: Tensor) -> Tensor:
        bounds = []
        for done, run in enumerate(noise.split(_RUN)):
            if progress is not None:
                progress(draws + _RUN * done, draws + _REFINED)
            bounds.append(_run_bound(problem, run[:, None]))
        return torch.stack(bounds)

    return refine


def _run_bound(problem: Problem, noise: Tensor) -> Tensor:
    values = []
    for index in range(len(problem.eps)):
        relaxation = problem.relaxation(slice(index, index + 1), noise)
        *_, last = stages(relaxation, problem.method, _ITERATIONS, math.inf)
        values.append(last.value)
    return torch.cat(values)
