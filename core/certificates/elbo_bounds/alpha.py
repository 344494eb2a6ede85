"""alpha-CROWN (Xu et al. 2021, arXiv 2011.13824): the slopes of the last backward pass, optimised.

Any slopes give a valid bound, so an optimiser may do as it likes. Bounds on the layers between are those
of plain CROWN: on the ELBO they gain little from slopes of their own and cost a hundred times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from core.certificates.elbo_bounds import in_ball
from core.certificates.elbo_bounds.ascent import ascend
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes

# Adam's step for slopes in [0, 1], and what is left of it at the last iteration.
_STEP, _LAST = 0.2, 0.02


def default_slopes(relaxation: Relaxation, bounds: LayerBounds) -> Slopes:
    """The slopes that a backward pass without any uses, as tensors that can be optimised."""
    (encoder, decoder), (mu, _) = bounds.halves(relaxation.vae), bounds.posterior
    return Slopes(
        encoder=encoder.relu_slopes(),
        decoder=decoder.relu_slopes(),
        mix=in_ball.central_mix(relaxation, bounds.decoder[-1].lower),
        mu=torch.zeros_like(mu.lower),
        logvar=torch.zeros_like(mu.lower),
    )


def optimise(
    relaxation: Relaxation, bounds: LayerBounds, slopes: Slopes, iterations: int, step: float = _STEP
) -> Iterator[Tensor]:
    """Improve `slopes` in place; yields the bound (B,) before each step."""
    bound = _objective(LinearBounds(relaxation, bounds), slopes)
    return ascend(bound, [(slopes.tensors(), step)], iterations, _LAST, slopes.repair)


def _objective(linear: LinearBounds, slopes: Slopes) -> Callable[[], Tensor]:
    """What is improved: the plane, the bound that knows of an l_2 ball, or both where each has images for
    which it is the better one."""
    by_plane, by_ball = partial(linear.bound, slopes), partial(in_ball.bound, linear, slopes)
    if not in_ball.is_followed(linear):
        return by_plane
    with torch.no_grad():
        plane, ball = by_plane(), by_ball()
    if bool((ball >= plane).all()):
        return by_ball
    return by_plane if bool((plane >= ball).all()) else partial(in_ball.best, linear, slopes)
