"""alpha-CROWN (Xu et al. 2021, arXiv 2011.13824): the slopes of the last backward pass, optimised.

Any slopes give a valid bound, so an optimiser may do as it likes. Bounds on the layers between are those
of plain CROWN: on the ELBO they gain little from slopes of their own and cost a hundred times as much.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from core.bounds.interval import Interval
from core.bounds.relaxations import relu_share
from core.layers import LayerBounds
from core.relaxation import Relaxation, Slopes

# Adam's step for slopes in [0, 1], and what is left of it at the last iteration.
_STEP, _LAST = 0.2, 0.02


def default_slopes(relaxation: Relaxation, bounds: LayerBounds) -> Slopes:
    """What a pass without slopes uses, as tensors that can be optimised."""

    def shares(network: nn.Sequential, inputs: list[Interval]) -> dict[int, Tensor]:
        relus = [index for index, layer in enumerate(network) if isinstance(layer, nn.ReLU)]
        return {index: relu_share(inputs[index]) for index in relus}

    vae, (mu, _) = relaxation.vae, bounds.posterior
    return Slopes(
        encoder=shares(vae.encoder, bounds.encoder),
        decoder=shares(vae.decoder, bounds.decoder),
        mix=torch.full_like(bounds.decoder[-1].lower, 0.5),
        mu=torch.zeros_like(mu.lower),
        logvar=torch.zeros_like(mu.lower),
    )


def optimise(
    relaxation: Relaxation, bounds: LayerBounds, slopes: Slopes, iterations: int, step: float = _STEP
) -> Iterator[Tensor]:
    """Improve `slopes` in place by Adam; yields the bound (B,) before each step."""
    tensors = slopes.tensors()
    adam = torch.optim.Adam(tensors, lr=step)
    decay = _LAST ** (1 / max(1, iterations))
    for _ in range(iterations):
        for tensor in tensors:
            tensor.requires_grad_(True)
        with torch.enable_grad():
            value = relaxation.bound(bounds, slopes)
            gradients = torch.autograd.grad(-value.sum(), tensors, allow_unused=True)
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.requires_grad_(False)
            tensor.grad = None if gradient is None else gradient.nan_to_num(0, 0, 0)
        yield value.detach()
        adam.step()
        adam.param_groups[0]["lr"] *= decay
        for share in [*slopes.encoder.values(), *slopes.decoder.values()]:
            share.clamp_(0, 1)
        if slopes.mix is not None:
            slopes.mix.clamp_(0, 1)
