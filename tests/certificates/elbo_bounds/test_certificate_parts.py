"""certify: what it reports besides the bound, and how the bound moves with its arguments."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import core
from core.certificates.certificate import Certificate, shown_bound, shown_radius
from core.errors import UnsupportedLayerError
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

TARGETS = ("likelihood", "reconstruction")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_at_eps_0_it_is_the_clean_value(arch: str, likelihood: str, target: str) -> None:
    vae = make_vae(arch, likelihood)
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    clean, proved = core.elbo(vae, x, noise).total, core.certify(vae, x, noise, eps=0.0, target=target)
    assert bool((proved.lower <= clean).all())
    torch.testing.assert_close(proved.lower, clean, rtol=1e-9, atol=1e-9)
    assert bool((clean - proved.lower <= proved.margin * 1.01).all())


@pytest.mark.parametrize("target", TARGETS)
def test_falls_with_eps(target: str, vae: VAE) -> None:
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    bounds = torch.stack(
        [core.certify(vae, x, noise, eps=eps, target=target).lower for eps in (0, 0.001, 0.01, 0.1, 0.3, 1)]
    )
    assert bool((bounds[1:] <= bounds[:-1]).all())
    assert bool((bounds[3] < bounds[0]).all())


def test_one_eps_an_image_equals_separate_calls(vae: VAE) -> None:
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    radii = [0.0, 0.02, 0.3]
    together = core.certify(vae, x, noise, eps=torch.tensor(radii, dtype=torch.float64))
    alone = torch.cat([core.certify(vae, x[i : i + 1], noise, eps=radii[i]).lower for i in range(3)])
    torch.testing.assert_close(together.lower, alone, rtol=1e-12, atol=0)
    assert together.eps.tolist() == radii


def test_every_interval_holds_and_is_named(vae: VAE) -> None:
    x, noise, eps = make_images(vae, 2), core.sample_noise(vae, 3), 0.1
    proved = core.certify(vae, x, noise, eps=eps)
    names = [layer.name for layer in proved.intervals]
    encoder = [f"encoder {i} {type(layer).__name__}" for i, layer in enumerate(vae.encoder)]
    decoder = [f"decoder {i} {type(layer).__name__}" for i, layer in enumerate(vae.decoder)]
    assert names == ["input", *encoder, "mu", "logvar", "z", *decoder]
    model = core.certify(vae.double(), x, noise, eps=eps)
    generator = torch.Generator().manual_seed(0)
    point = (x.double() + eps * (2 * torch.rand(x.shape, generator=generator) - 1)).clamp(0, 1)
    values = {"input": point}
    v = point
    for name, layer in zip(encoder, vae.encoder, strict=True):
        v = values[name] = layer(v)
    mu, logvar = values["mu"], values["logvar"] = v.chunk(2, -1)
    z = values["z"] = mu + (logvar / 2).exp() * noise.double()[:, None]
    v = z.flatten(0, 1)
    for name, layer in zip(decoder, vae.decoder, strict=True):
        v = layer(v)
        values[name] = v.unflatten(0, (3, 2))
    for layer in model.intervals:
        value, bound = values[layer.name], layer.interval
        assert value.shape == bound.lower.shape == bound.upper.shape, layer.name
        assert bool(((bound.lower <= value) & (value <= bound.upper)).all()), layer.name


def test_bound_is_the_difference_of_its_parts_and_says_what_it_states(vae: VAE) -> None:
    x, noise = make_images(vae, 2), core.sample_noise(vae, 5)
    proved = core.certify(vae, x, noise, eps=0.01, target="reconstruction")
    assert torch.equal(proved.lower, proved.recon - proved.kl)
    assert (proved.method, proved.states, proved.target) == ("ibp", "draws", "reconstruction")
    assert (proved.draws, proved.arithmetic) == (5, "float64")
    sentence = proved.statement(1)
    for part in (
        f"{shown_bound(proved.lower[1], 'lower')} nats",
        "0.01",
        "these 5 noise draws",
        "clean image",
        "float64",
    ):
        assert part in sentence
    assert "scores x'" in core.certify(vae, x, noise, eps=0.01).statement()


@given(value=st.floats(-1e6, 1e6), side=st.sampled_from(["lower", "upper"]))
def test_what_is_printed_is_proved_too(value: float, side: str) -> None:
    shown = float(shown_bound(value, side))
    assert (shown <= value) if side == "lower" else (shown >= value)
    assert abs(shown - value) < 0.02
    radius = float(shown_radius(abs(value)))
    assert 0 <= abs(value) - radius <= 1e-5 * abs(value)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("scale", [30.0, 1e6, 1e18, 1e38])
@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
def test_hopeless_bounds_are_vacuous(likelihood: str, scale: float, arithmetic: str) -> None:
    vae = make_vae(likelihood=likelihood, scale=scale)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 2)
    proved = core.certify(vae, x, noise, eps=0.5, arithmetic=arithmetic)
    assert bool(proved.vacuous.all())
    assert proved.lower.tolist() == [-torch.inf] * 2
    for name in ("recon", "kl", "margin"):
        assert not bool(getattr(proved, name).isnan().any()), name
    assert bool((proved.margin >= 0).all())
    assert "vacuous" in proved.statement()


def test_an_image_without_a_bound_leaves_the_others_theirs() -> None:
    vae = make_vae(scale=2.0)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    proved = core.certify(vae, x, noise, eps=torch.tensor([0.0, 1.0]))
    assert proved.vacuous.tolist() == [False, True]


def test_leaves_the_model_as_it_was(vae: VAE) -> None:
    vae.train().requires_grad_(True)
    before = {key: value.clone() for key, value in vae.state_dict().items()}
    proved: Certificate = core.certify(vae, make_images(vae), core.sample_noise(vae), eps=0.1)
    assert not proved.lower.requires_grad
    assert vae.training
    assert all(torch.equal(before[key], value) for key, value in vae.state_dict().items())
    assert all(p.grad is None and p.dtype == torch.float32 for p in vae.parameters())


def test_a_layer_without_a_rule_is_named(vae: VAE) -> None:
    vae.encoder[2] = nn.Sigmoid()
    x, noise = make_images(vae), core.sample_noise(vae)
    with pytest.raises(UnsupportedLayerError, match=r"'ibp'.*Sigmoid"):
        core.certify(vae, x, noise, eps=0.1)
    assert core.elbo(vae, x, noise).total.isfinite().all()
