"""A last look at every bound: an image of its own ball that beats it is a fault of ours, and raises.

A bound that holds is never beaten, so that nothing here tightens, loosens or clips one.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.rounding import FLOAT64
from core.certificates.noise.statistics import mean_lower
from core.certificates.question import Question
from core.errors import UnsoundBoundError
from core.vae.elbo import ROWS, elbo_terms_by_draw, in_dtype, score

_REPORT = "That is a fault of this program; please report it with the model, the image and the question."

# Fresh draws at the centre for statements on all noise, and how rarely they may accuse a bound that holds.
_DRAWS, _SEED, _DOUBT = 256, 20_041_060, 1e-14


@torch.no_grad()
def check_noise_statement(question: Question, lower: Tensor, states: str, delta: float) -> None:
    """The same for lower bounds (B,) on the expectation or on a fresh draw, against the images themselves.

    Raises UnsoundBoundError where chance in these draws cannot be to blame: they put the expectation below
    the bound, or more than a share delta of draws, with confidence 1 - 1e-14."""
    generator = torch.Generator("cpu").manual_seed(_SEED)
    shape = (_DRAWS, 1, question.vae.config.latent)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    x = question.ball.center
    t, noise = x if question.clean is None else question.clean, noise.to(x.device)
    terms = [elbo_terms_by_draw(question.vae, x, part, t) for part in noise.split(max(1, ROWS // len(x)))]
    found, kl = torch.cat([recon for recon, _ in terms]), terms[0][1]
    found = (found - kl).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    if states == "coverage":
        beaten = _rarer_than_doubt((found < lower).double().mean(0), delta)
    else:
        # No log p is above its mode's: what the ELBO lacks to there is at least 0.
        most = question.vae.likelihood.highest(t) - kl  # where there is none, nothing is said
        most = most + 1e-9 * (1 + most.abs())
        lacks = torch.where(found.isfinite() & most.isfinite(), most - found, 0)
        beaten = lower > most - mean_lower(lacks, torch.zeros_like(most), _DOUBT)
    if bool(beaten.any()):
        index = int(beaten.nonzero()[0])
        raise UnsoundBoundError(
            f"Nothing is proved: {question.effort.method} gives {lower[index].item():.4f} nats for "
            f"{states!r}, which {_DRAWS} fresh draws of the image itself (number {index} of the batch) "
            f"contradict. If another seed gives such a bound as well, chance is not to blame. {_REPORT}"
        )


def _rarer_than_doubt(share: Tensor, delta: float) -> Tensor:
    """Whether draws of which a share of at most delta is low are so often low with probability <= _DOUBT
    (Chernoff's bound: n times the relative entropy)."""
    ones = torch.special.xlogy(share, share / delta)
    zeros = torch.special.xlogy(1 - share, (1 - share) / (1 - delta))
    return (share > delta) & (_DRAWS * (ones + zeros) > -math.log(_DOUBT))


class Guard:
    """Scores images of a question's balls, in each arithmetic that its bounds cover."""

    def __init__(self, question: Question) -> None:
        self._question = question

    @cached_property
    def _centers(self) -> Tensor:
        return self._scores(self._question.ball.center)

    @torch.no_grad()
    def check(self, value: Tensor, minimiser: Tensor | None, method: str) -> None:
        """value (B,): lower bounds on weight * ELBO, -inf where nothing is proved; minimiser (B, C, H, W).

        Raises UnsoundBoundError if the image itself, or the point where the bound is attained, is below."""
        self._compare(value, self._centers, "the image itself", method)
        if minimiser is not None:
            self._compare(value, self._scores(minimiser), "an image of the ball", method)

    def _scores(self, x: Tensor) -> Tensor:
        """The lowest weight * ELBO over the arithmetics, (B,); x (B, C, H, W) float64."""
        question = self._question
        weight, found = question.weight, []
        clean = question.ball.center if question.clean is not None else None
        for dtype in {torch.float64, torch.float32} if self._single else {torch.float64}:
            point = x if dtype is torch.float64 else self._rounded(x)
            t = point if clean is None else clean.to(dtype)
            model = question.vae if dtype is torch.float64 else in_dtype(question.vae, dtype)
            found.append(weight * score(model, point, question.noise.to(dtype), t).total)
        return torch.stack(found).amin(0)

    @property
    def _single(self) -> bool:
        """Whether the network as it runs in float32 is covered as well."""
        return self._question.arithmetic is not FLOAT64

    def _rounded(self, x: Tensor) -> Tensor:
        """The nearest float32 images of the balls that were asked for."""
        ball = self._question.asked
        return Ball(ball.center.float(), ball.eps, ball.norm).project(x.float())

    def _compare(self, value: Tensor, scores: Tensor, what: str, method: str) -> None:
        beaten = value > scores  # a score that is no number is -inf
        if not bool(beaten.any()):
            return
        index = int(beaten.nonzero()[0])
        side = self._question.threat.side
        bound, found = (self._question.weight * v[index].item() for v in (value, scores))
        raise UnsoundBoundError(
            f"Nothing is proved: {method} gives {bound:.4f} nats as a {side} bound, and "
            f"{what} (number {index} of the batch) has an ELBO of {found:.4f}. {_REPORT}"
        )
