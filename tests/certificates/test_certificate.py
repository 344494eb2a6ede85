"""certify: the bound holds, for the arithmetic it names, and is never a NaN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import core
from core.vae.model import VAE
from tests.conftest import zero_vae


def set_bias(layer: nn.Module, values: Tensor) -> None:
    assert isinstance(layer, nn.Linear)
    layer.bias.copy_(values)


def set_weight(layer: nn.Module, value: float, rows: slice = slice(None)) -> None:
    assert isinstance(layer, nn.Linear)
    layer.weight[rows, 0] = value


def elbo_in_own_precision(vae: VAE, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """The formula once more, evaluated in the dtype of its arguments, Bernoulli."""
    mu, logvar = vae.encode(x)
    recon = torch.zeros(len(x), dtype=x.dtype)
    for row in noise:
        a = vae.decode(mu + (logvar / 2).exp() * row)
        recon = recon + (t * a - torch.nn.functional.softplus(a)).flatten(1).sum(1)
    kl = 0.5 * (mu.square() + logvar.exp() - logvar - 1).sum(1)
    return recon / len(noise) - kl


def test_holds_where_softplus_switches_to_its_linear_branch() -> None:
    # torch's softplus(a) is a above 20 and so drops by 2e-9 there: it is not monotone in floating point.
    vae = zero_vae()
    set_weight(vae.encoder[1], 1.0)
    set_weight(vae.encoder[3], 1.0, slice(0, 1))
    set_weight(vae.decoder[0], 1.0)
    set_weight(vae.decoder[2], -0.008, slice(0, 300))
    set_bias(vae.decoder[2], torch.where(torch.arange(784) < 300, 20.0, -20.0))
    x, noise = torch.zeros(1, 1, 28, 28), torch.zeros(1, 1)
    clean = core.elbo(vae, x, noise).total
    for eps in (1e-9, 1e-7, 1e-3):
        for target in ("likelihood", "reconstruction"):
            proved = core.certify(vae, x, noise, eps=eps, target=target)
            found = core.attack(vae, x, noise, eps=eps, target=target, steps=5).elbo
            assert bool((proved.lower <= found).all())
            assert bool((proved.lower <= clean).all())
            assert bool((proved.margin >= 0).all())


def test_covers_float32_overflow() -> None:
    # 1e30 * 1e30 is finite in float64 and infinite in float32; ReLU hides the infinity from the ELBO.
    vae = zero_vae((1, 1, 1, 1))
    for layer, weight in ((1, 1e30), (3, 1e30), (5, 1e-30), (7, -1e-30)):
        set_weight(vae.encoder[layer], weight)
    set_bias(vae.encoder[7], torch.ones(1))
    set_weight(vae.encoder[9], 1.0, slice(0, 1))
    set_weight(vae.decoder[0], 1.0)
    for layer in (2, 4, 6):
        set_weight(vae.decoder[layer], 1.0)
    set_weight(vae.decoder[8], 10.0)
    x, noise = torch.ones(1, 1, 28, 28), torch.zeros(1, 1)
    x[0, 0, 0, 0] = 0.5
    proved = core.certify(vae, x, noise, eps=0.0, arithmetic="float32")
    assert bool((proved.lower <= elbo_in_own_precision(vae, x, noise, x).double()).all())


def test_no_number_of_a_vacuous_certificate_is_nan() -> None:
    # logvar up to +-2000: exp overflows, z is unbounded, and 0 * inf lurks in the Bernoulli term.
    vae = zero_vae()
    set_weight(vae.encoder[1], 1.0)
    set_weight(vae.encoder[3], 3000.0, slice(1, 2))
    set_weight(vae.decoder[0], 1.0)
    set_weight(vae.decoder[2], 1.0)
    proved = core.certify(vae, torch.zeros(1, 1, 28, 28), torch.ones(1, 1), eps=1.0)
    assert bool(proved.vacuous.all())
    assert proved.lower.tolist() == [-torch.inf]
    for name in ("lower", "recon", "kl", "margin"):
        assert not bool(torch.isnan(getattr(proved, name)).any()), name
