"""What a robust training step costs against a plain one, in one run, on random images.

python -m benchmarks.step_time [threads]
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from core.config import DEFAULT_WIDTHS, VAEConfig
from core.model import VAE
from core.objective import Objective, Part, Step
from core.settings import TrainSettings

PAIRS = 30


def main(threads: int) -> None:
    torch.set_num_threads(threads)
    batch, kappa = TrainSettings().batch, TrainSettings().kappa
    print(f"batch {batch}, {threads} threads, median of {PAIRS} pairs")
    for arch, widths in DEFAULT_WIDTHS.items():
        torch.manual_seed(0)
        vae = VAE(VAEConfig(arch=arch, widths=widths))
        objective = Objective(vae, TrainSettings(model=vae.config, eps=0.1))
        optimiser = torch.optim.Adam(vae.parameters(), lr=1e-4, fused=True)
        x = torch.rand(batch, *vae.config.shape)

        def step(
            weight: float,
            vae: VAE = vae,
            objective: Objective = objective,
            optimiser: torch.optim.Adam = optimiser,
            x: torch.Tensor = x,
        ) -> float:
            began = time.perf_counter()
            noise = torch.randn(1, batch, vae.config.latent)
            part = Part(x, noise, x[:, :0], first=0, total=batch)
            loss, _ = objective(part, Step(eps=0.1, kappa=weight, beta=1.0))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return time.perf_counter() - began

        for _ in range(3):
            step(1.0)
            step(kappa)
        pairs = [(step(1.0), step(kappa)) for _ in range(PAIRS)]
        plain, robust = (1e3 * statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(slow / fast for fast, slow in pairs)
        print(f"{arch:<5} plain {plain:6.1f} ms  robust {robust:6.1f} ms  ratio {ratio:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
