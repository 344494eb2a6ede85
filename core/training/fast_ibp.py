"""Initialisation and warm-up regularisers for interval training (Shi et al. 2021, arXiv 2103.17211)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from core.bounds.interval import Interval, affine
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.vae.model import VAE

_TOLERANCE = 0.5


def initialise(vae: VAE, generator: torch.Generator) -> None:
    """Weights from N(0, 2 pi / n^2) for n inputs, with which intervals neither grow nor shrink on average
    from one layer to the next; biases 0. In place."""
    for layer in [*vae.encoder, *vae.decoder]:
        known = affine(layer)
        if known is None:
            continue
        inputs = known.terms / (math.prod(layer.stride) if isinstance(layer, nn.ConvTranspose2d) else 1)
        with torch.no_grad():
            known.weight.normal_(0, math.sqrt(2 * math.pi) / inputs, generator=generator)
            if known.bias is not None:
                known.bias.zero_()


def growth(vae: VAE, bounds: LayerBounds) -> Tensor:
    """How far the inputs of the ReLUs are from tight and balanced intervals, a number in [0, 2].

    tightness  max(0, tau - r_0 / r_i) / tau       r: mean radius of the input, and before ReLU i
    balance    max(0, tau - min(p / q, q / p)) / tau    p, q: mean of the positive and of the negative
                                                        centres; the same for their spreads
    """
    start = bounds.encoder[0].radius.mean()
    hidden = [half.input_of(index) for half in bounds.halves(vae) for index in half.relus]
    losses = [_below(start / x.radius.mean().clamp(min=1e-12)) + _balance(x) / 2 for x in hidden]
    return torch.stack(losses).mean()


def _balance(x: Interval) -> Tensor:
    center = x.center.flatten(1)
    positive, negative = center.clamp(min=0), (-center).clamp(min=0)
    ratios = [
        _even(positive.mean(), negative.mean()),
        _even(positive.std(0).mean(), negative.std(0).mean()),
    ]
    return _below(ratios[0]) + _below(ratios[1])


def _even(p: Tensor, q: Tensor) -> Tensor:
    p, q = p.clamp(min=1e-12), q.clamp(min=1e-12)
    return torch.minimum(p / q, q / p)


def _below(ratio: Tensor) -> Tensor:
    return (_TOLERANCE - ratio).clamp(min=0) / _TOLERANCE
