"""What a step maximises: kappa ELBO(x) + (1 - kappa) R(x; eps), Condessa & Kolter 2020, section 3."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.training.fast_ibp import growth
from core.training.recipes import RECIPES, Batch, plain_score
from core.training.settings import TrainSettings
from core.vae.model import VAE


@dataclass(frozen=True)
class ScheduleStep:
    """Where a step stands in its schedules: radius, weight of the clean ELBO, weight of the KL."""

    eps: float
    kappa: float
    beta: float


@dataclass(frozen=True)
class BatchShare:
    """The share of a batch that one worker has.

    x (B, C, H, W), noise (1, B, k), jitter (B, C, H, W) or (B, 0); images first, first + 1, ... of a
    batch of `total`.
    """

    x: Tensor
    noise: Tensor
    jitter: Tensor
    first: int
    total: int


class TrainingObjective(nn.Module):
    """A module around the VAE, so that DistributedDataParallel finds the weights.

    Each image of a batch plays one part, spread evenly over it: a share kappa is scored clean, the others
    robustly. The order is random, so that the gradient is the objective's on average, at the cost of fewer
    passes than both terms for all images would take.
    """

    def __init__(self, vae: VAE, settings: TrainSettings) -> None:
        super().__init__()
        self.vae = vae
        self._settings = settings

    def forward(self, part: BatchShare, step: ScheduleStep) -> tuple[Tensor, Tensor]:
        """The part's share of the loss, a sum over its images divided by `total`; and what it adds to
        (clean sum, clean count, robust sum, robust count), in nats, detached."""
        rows = clean_rows(part.first, len(part.x), step.kappa).to(part.x.device)
        order, clean = torch.argsort(~rows, stable=True), int(rows.sum())
        gain, score = self._scored(part, order, clean, step)
        sums = torch.cat([_sum_and_count(score[:clean]), _sum_and_count(score[clean:])])
        if step.kappa == 1:
            sums[2:] = sums[:2]
        return -gain / part.total, sums

    def _scored(
        self, part: BatchShare, order: Tensor, clean: int, step: ScheduleStep
    ) -> tuple[Tensor, Tensor]:
        """What the images add to the objective, regularisers included, and their scores, in this order:
        so many clean ones first."""
        s, x, noise = self._settings, part.x[order], part.noise[:, order]
        if clean == len(x):  # also a worker without images, which has gradients too: zeros
            score = plain_score(self.vae, x, noise, x, step.beta)
            return score.sum(), score
        batch = Batch(
            x=x,
            noise=noise,
            jitter=part.jitter[order],
            clean=clean,
            eps=step.eps,
            target=s.target,
            beta=step.beta,
            share=s.share,
            steps=s.attack_steps,
        )
        score = RECIPES[s.recipe](self.vae, batch)
        gain = score.value.sum()
        if s.regularise > 0 and step.eps < s.eps and score.bounds is not None:
            fade = s.regularise * (1 - step.eps / s.eps)
            gain = gain - fade * (len(x) - clean) * growth(self.vae, score.bounds)
        return gain, score.value


def clean_rows(first: int, count: int, kappa: float) -> Tensor:
    """Which of the images first .. first + count - 1 of a batch are scored clean: a share kappa, evenly
    spread, the same whoever asks. (count,) bool."""
    at = torch.arange(first, first + count + 1, dtype=torch.float64, device="cpu")
    steps = torch.floor(at * kappa + 1e-9)
    return steps[1:] > steps[:-1]


def _sum_and_count(score: Tensor) -> Tensor:
    score = score.detach().double()
    return torch.stack([score.sum(), score.new_tensor(len(score))])
