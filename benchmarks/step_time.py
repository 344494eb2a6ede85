"""What a robust training step costs against a plain one, and against the same step on auto_LiRPA's interval
propagation where that is installed (see benchmarks.peers): one run, random images, shipped architectures.

python -m benchmarks.step_time [threads]
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval
from core.bounds.rounding import EXACT
from core.certificates.elbo_bounds.layer_bounds import latent_bounds
from core.training.objective import BatchShare, ScheduleStep, TrainingObjective, clean_rows
from core.training.recipes import plain_score
from core.training.settings import TrainSettings
from core.vae.config import DEFAULT_WIDTHS, VAEConfig
from core.vae.latent import kl_upper
from core.vae.model import VAE

ROUNDS = 30
EPS = 0.1


class Peer:
    """The loss of the paper's recipe with the networks' bounds from auto_LiRPA, the rest as here. Its
    modules are built beforehand and share the VAE's weights."""

    def __init__(self, vae: VAE, kappa: float) -> None:
        self._lirpa = importlib.import_module("auto_LiRPA")
        self._norm = importlib.import_module("auto_LiRPA.perturbations").PerturbationLpNorm
        self._vae, self._kappa = vae, kappa
        x, z = torch.rand(2, *vae.config.shape), torch.rand(2, vae.config.latent)
        self._encoder, self._decoder = (
            self._lirpa.BoundedModule(network, v, device="cpu")
            for network, v in ((vae.encoder, x), (vae.decoder, z))
        )

    def __call__(self, x: Tensor, noise: Tensor) -> Tensor:
        rows = clean_rows(0, len(x), self._kappa)
        clean = plain_score(self._vae, x[rows], noise[:, rows], x[rows], 1.0)
        box = Ball(x[~rows], torch.full((int((~rows).sum()),), EPS)).box
        posterior = self._bounds(self._encoder, box)
        a = self._bounds(self._decoder, latent_bounds(posterior, noise[:, ~rows], EXACT))
        mu, logvar = posterior.chunk(2)
        bound = self._vae.likelihood.lower(box, a) - kl_upper(mu, logvar)
        return -(clean.sum() + bound.sum()) / len(x)

    def _bounds(self, module: Any, box: Interval) -> Interval:
        norm = self._norm(norm=float("inf"), x_L=box.lower, x_U=box.upper)
        x = self._lirpa.BoundedTensor(box.center, norm)
        return Interval(*module.compute_bounds(x=(x,), method="IBP"))


Loss = Callable[[Tensor, Tensor], Tensor]


def losses(vae: VAE, kappa: float) -> dict[str, Loss]:
    """What is compared, each a function of images (B, C, H, W) and noise (1, B, k)."""
    objective = TrainingObjective(vae, TrainSettings(model=vae.config, eps=EPS))

    def ours(weight: float) -> Loss:
        def loss(x: Tensor, noise: Tensor) -> Tensor:
            part = BatchShare(x, noise, x[:, :0], first=0, total=len(x))
            return objective(part, ScheduleStep(eps=EPS, kappa=weight, beta=1.0))[0]

        return loss

    known = {"plain": ours(1.0), "robust": ours(kappa)}
    if importlib.util.find_spec("auto_LiRPA"):
        known["auto_LiRPA"] = Peer(vae, kappa)
    return known


def main(threads: int) -> None:
    torch.set_num_threads(threads)
    batch, kappa = TrainSettings().batch, TrainSettings().kappa
    print(f"batch {batch}, {threads} threads, median of {ROUNDS} rounds")
    for arch, widths in DEFAULT_WIDTHS.items():
        torch.manual_seed(0)
        vae = VAE(VAEConfig(arch=arch, widths=widths)).to(memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(vae.parameters(), lr=1e-4, fused=True)
        x = torch.rand(batch, *vae.config.shape).contiguous(memory_format=torch.channels_last)

        def seconds(
            loss: Loss, vae: VAE = vae, optimiser: torch.optim.Adam = optimiser, x: Tensor = x
        ) -> float:
            began = time.perf_counter()
            value = loss(x, torch.randn(1, batch, vae.config.latent))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            return time.perf_counter() - began

        known = losses(vae, kappa)
        rounds = [{name: seconds(loss) for name, loss in known.items()} for _ in range(ROUNDS + 3)][3:]
        for name in known:
            median = 1e3 * statistics.median(took[name] for took in rounds)
            ratio = statistics.median(took[name] / took["plain"] for took in rounds)
            print(f"{arch:<5} {name:<10} {median:6.1f} ms  {ratio:.2f} of plain")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
