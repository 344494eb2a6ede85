"""Gradients of the interval rules, against finite differences and a second implementation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.bounds.ball import Ball
from core.bounds.interval import Interval, propagate
from core.certificates.elbo_bounds.robust_elbo import robust_elbo
from core.network.graph import Network
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(3, 2), (3,)),
    "conv": (nn.Conv2d(1, 2, 2, stride=2, padding=1), (1, 3, 3)),
    "transposed": (nn.ConvTranspose2d(2, 1, 3, stride=2, padding=1), (2, 2, 2)),
    "relu": (nn.ReLU(), (5,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_finite_differences(name: str) -> None:
    layer, shape = LAYERS[name]
    layer = layer.double()
    generator = torch.Generator().manual_seed(0)
    lower = torch.randn(2, *shape, generator=generator, dtype=torch.float64, requires_grad=True)
    width = torch.rand(2, *shape, generator=generator, dtype=torch.float64, requires_grad=True)
    parameters = dict(layer.named_parameters())

    class Bound(nn.Module):
        """The rule as a module, so that functional_call can put weights into the layer."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, low: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
            bound = propagate(self.layer, Interval(low, low + extent))
            return bound.lower, bound.upper

    module = Bound()

    def call(low: Tensor, extent: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        named = {f"layer.{key}": value for key, value in zip(parameters, values, strict=True)}
        return torch.func.functional_call(module, named, (low, extent))

    assert torch.autograd.gradcheck(call, (lower, width, *parameters.values()))


def signs(
    op: Callable[..., Tensor], layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, x: Interval
) -> Interval:
    """The same bound with the weights split by their sign, differentiated by plain autograd."""
    plus, minus = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
    return Interval(
        op(x.lower, plus, layer.bias) + op(x.upper, minus, None),
        op(x.upper, plus, layer.bias) + op(x.lower, minus, None),
    )


def walk(network: Network, x: Interval) -> Interval:
    for layer in network:
        if isinstance(layer, nn.Linear):
            x = signs(F.linear, layer, x)
        elif isinstance(layer, nn.Conv2d):
            x = signs(lambda v, w, b: F.conv2d(v, w, b, 2, 1), layer, x)
        elif isinstance(layer, nn.ConvTranspose2d):
            x = signs(lambda v, w, b: F.conv_transpose2d(v, w, b, 2, 1), layer, x)
        else:
            x = Interval(layer(x.lower), layer(x.upper))
    return x


def reference(vae: VAE, box: Interval, noise: Tensor, t: Interval) -> Tensor:
    """The robust ELBO of one draw once more, (B,)."""
    out = walk(vae.encoder, box)
    (mu_low, low), (mu_high, high) = out.lower.chunk(2, -1), out.upper.chunk(2, -1)
    ends = (low / 2).exp() * noise, (high / 2).exp() * noise
    a = walk(vae.decoder, Interval(mu_low + torch.minimum(*ends), mu_high + torch.maximum(*ends)))
    log_p = [
        -F.binary_cross_entropy_with_logits(logit, scored, reduction="none")
        if vae.config.likelihood == "bernoulli"
        else torch.distributions.Normal(logit, vae.config.sigma).log_prob(scored)
        for logit in (a.lower, a.upper)
        for scored in (t.lower, t.upper)
    ]
    recon = torch.stack(log_p).amin(0).flatten(1).sum(1)
    square = torch.maximum(mu_low**2, mu_high**2)
    spread = torch.maximum(low.exp() - low, high.exp() - high)
    return recon - 0.5 * (square + spread - 1).sum(-1)


@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_robust_elbo_and_its_gradient_against_a_second_implementation(
    arch: str, likelihood: str, target: str
) -> None:
    vae = make_vae(arch, likelihood, seed=4).double().requires_grad_(True)
    x = make_images(vae, 3).double()
    noise = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    box = Ball(x, torch.full((3,), 0.07).double()).box
    t = box if target == "likelihood" else Interval(x, x)
    ours, theirs = robust_elbo(vae, box, noise, t).total, reference(vae, box, noise[0], t)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-9)
    weights = list(vae.parameters())
    for mine, other in zip(
        torch.autograd.grad(ours.mean(), weights),
        torch.autograd.grad(theirs.mean(), weights),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)
