"""What an attack and a proof say of many images and a threshold, over a grid of eps: by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.attacks import Search, find_worst
from core.certificates.methods import Effort
from core.certificates.prove import prove
from core.evaluation.curve import Verdict
from core.isolation import isolated
from core.vae.elbo import elbo
from core.vae.model import VAE
from core.vae.threat import Threat
from core.vae.validate import check_grid, check_images, check_threshold

CERTIFIED, OPEN, BROKEN = "certified", "open", "broken"

Progress = Callable[[int, int], None]
"""Called with (steps done, of how many); raise in it to cancel."""


@dataclass(frozen=True)
class Finding:
    """One image. Nats.

    verdict   on "the ELBO stays at or above the threshold", over the grid.
    clean     ELBO of the image as it is.
    bound     proved at the radius `verdict.certified`; -inf if there is none.
    attained  what an attack reached at the radius `verdict.broken`; +inf if none went below.
    """

    verdict: Verdict
    clean: float
    bound: float
    attained: float

    def at(self, eps: float) -> str:
        """CERTIFIED: no image within eps is below the threshold. BROKEN: one is, it was found. Else OPEN.

        A ball holds every smaller one: a proof counts for the radii below its own, a find above it.
        """
        certified, broken = self.verdict.certified, self.verdict.broken
        if broken is not None and eps >= broken:
            return BROKEN
        return CERTIFIED if certified is not None and eps <= certified else OPEN


@isolated()
def find_verdicts(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    eps: Tensor | Sequence[float],
    *,
    threshold: float,
    target: str = "likelihood",
    norm: str = "linf",
    method: str = "pgd",
    steps: int = 40,
    restarts: int = 1,
    seed: int = 0,
    certificate: str = "crown-ibp",
    progress: Progress | None = None,
) -> tuple[Finding, ...]:
    """For each image x (B, C, H, W) the largest radius of the grid with a proof, the smallest with a find.

    eps (E,) ascending. Both by bisection, independently of each other. What is returned was computed at
    its radius; that bounds and attacks fall with eps is used to search only, so that a proof at a larger
    radius, or a find at a smaller one, may be passed over, never made up.
    Other arguments as in `core.attack` and `core.certify`. Raises InputError.
    """
    threshold, x = check_threshold(threshold), check_images(vae, x)
    grid = check_grid(eps, x, norm)
    halvings = math.ceil(math.log2(len(grid) + 1))

    threat, search = Threat(grid, target, norm), Search(method, steps, restarts, seed)

    def proved(which: Tensor, at: Tensor) -> Tensor:
        return prove(vae, x[which], noise, threat.at(grid[at]), Effort(certificate)).lower

    def attained(which: Tensor, at: Tensor) -> Tensor:
        found = find_worst(vae, x[which], noise, threat.at(grid[at]), search, progress=told)
        return found.elbo.nan_to_num(nan=math.inf)  # what is no number was not reached

    done = 0

    def told(part: int = 0, parts: int = 1) -> None:
        if progress is not None:
            progress(min(done * parts + part, 2 * halvings * parts), 2 * halvings * parts)

    def bisect(evaluate: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Last radius at or above the threshold and first one below, as positions, -1 and E for none, and
        the values there."""
        nonlocal done
        above = torch.full((len(x),), -1, dtype=torch.int64, device="cpu")
        below = torch.full_like(above, len(grid))
        value_above, value_below = grid.new_full((len(x),), -math.inf), grid.new_full((len(x),), math.inf)
        for _ in range(halvings):
            told()
            which = torch.nonzero(below - above > 1).flatten()
            if len(which):
                at = (above[which] + below[which]) // 2
                value = evaluate(which, at)
                holds = value >= threshold
                above[which[holds]], value_above[which[holds]] = at[holds], value[holds]
                below[which[~holds]], value_below[which[~holds]] = at[~holds], value[~holds]
            done += 1
        return above, value_above, below, value_below

    safe, bound, _, _ = bisect(proved)
    _, _, broken, lowest = bisect(attained)
    radii, clean = grid.tolist(), elbo(vae, x, noise).total.tolist()
    return tuple(
        Finding(
            Verdict(
                threshold,
                radii[s] if s >= 0 else None,
                radii[b] if b < len(radii) else None,
                radii[-1],
            ),
            clean[i],
            float(bound[i]),
            float(lowest[i]),
        )
        for i, (s, b) in enumerate(zip(safe.tolist(), broken.tolist(), strict=True))
    )
