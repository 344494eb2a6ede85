"""Nested noise boxes: what is claimed of all noise at once, where noise rarely goes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from core.bounds.ball import Ball
from core.bounds.interval import Interval, propagate_through
from core.bounds.rounding import FLOAT64
from core.certificates.noise.truncation import NestedBoxes, nested_boxes
from core.vae.elbo import as_double
from core.vae.model import VAE
from tests.certificates.noise.noise_bounds import KINDS, balls, per_draw
from tests.conftest import make_vae, zero_vae


def boxes_of(vae: VAE, ball: Ball, t: Interval) -> NestedBoxes:
    return nested_boxes(vae, propagate_through(vae.encoder, ball.box, FLOAT64)[-1], t, FLOAT64)


def quadratic(widths: Tensor, growth: float) -> NestedBoxes:
    """The shells of h(noise) = -noise^2, k = 1."""
    return NestedBoxes(widths[:, None, None], -(widths**2)[:, None], torch.tensor([growth]).double())


def excess(tau: float) -> float:
    """E[(tau + noise^2)+] by quadrature; tau <= 0."""
    n = torch.linspace(-40, 40, 2_000_001, dtype=torch.float64)
    density = torch.exp(-(n**2) / 2) / math.sqrt(2 * math.pi)
    return torch.trapezoid((tau + n**2).clamp(min=0) * density, n).item()


@pytest.mark.parametrize("tau", [0.0, -1.0, -6.0, -20.0])
def test_the_truncation_of_a_known_function(tau: float) -> None:
    widths = torch.linspace(0.001, 9, 9000, dtype=torch.float64)
    cost = quadratic(widths, 81.0).truncation(torch.tensor([tau]).double()).item()
    assert excess(tau) <= cost <= 1.02 * excess(tau)
    coarse = quadratic(torch.arange(1, 10).double(), 81.0).truncation(torch.tensor([tau]).double()).item()
    assert cost < coarse


@pytest.mark.parametrize("c", [0.5, 1.0, 3.0])
def test_the_tail_beyond_the_last_box_is_exact_for_quadratic_growth(c: float) -> None:
    # One box and tau = 0: c^2 inside of it, E[noise^2; |noise| > c] beyond.
    n = torch.linspace(c, 40, 2_000_001, dtype=torch.float64)
    beyond = torch.trapezoid(n**2 * torch.exp(-(n**2) / 2) * math.sqrt(2 / math.pi), n).item()
    cost = quadratic(torch.tensor([c]).double(), c**2).truncation(torch.zeros(1).double()).item()
    assert cost - c**2 == pytest.approx(beyond, rel=1e-6)


def test_the_probability_of_leaving_a_box_is_joint() -> None:
    # h = 0 in a first box and at least -1 in a huge one: E[(0 - h)+] <= P(noise leaves the first).
    widths = torch.tensor([[0.5, 1.0, 2.0, 3.0], [30.0] * 4]).double()[:, None]
    boxes = NestedBoxes(widths, torch.tensor([[0.0], [-1.0]]).double(), torch.zeros(1).double())
    noise = torch.randn(400_000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outside = (noise.abs() > widths[0]).any(1).double().mean().item()
    assert boxes.truncation(torch.zeros(1).double()).item() == pytest.approx(outside, abs=4e-3)


@pytest.mark.parametrize(("arch", "likelihood"), KINDS)
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_boxes_and_growth_hold_where_noise_is_huge(arch: str, likelihood: str, scale: float) -> None:
    vae = as_double(make_vae(arch, likelihood, scale=scale))
    x, ball, t = balls(vae, 0.05)
    boxes = boxes_of(vae, ball, t)
    generator = torch.Generator().manual_seed(0)
    signs = 2 * torch.randint(0, 2, (200, 1, vae.config.latent), generator=generator).double() - 1
    attacked = ball.random(generator)
    for j in range(0, len(boxes.lowest), 5):  # the corners of the boxes
        for b in range(len(x)):
            noise = (signs * boxes.half_widths[j, b])[:, 0]
            assert (per_draw(vae, attacked, noise)[0][:, b] >= boxes.lowest[j, b]).all()
    for r in (1.0, 1.5, 10.0, 1e4):  # and far beyond the last one
        noise = (signs * boxes.half_widths[-1].amax(0) * r)[:, 0]
        ratio = (noise.abs()[:, None] / boxes.half_widths[-1]).amax(-1)
        assert (per_draw(vae, attacked, noise)[0] >= -boxes.growth * ratio**2).all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize(("weight", "bias"), [(10.0, 0.0), (0.0, 100.0)])
def test_growth_where_absolute_weights_lose_nothing(likelihood: str, weight: float, bias: float) -> None:
    # natural = 100 relu(noise), or 100: at the end of the last box little more than a factor 4 is spare.
    vae = zero_vae(likelihood=likelihood)
    for layer in vae.decoder:
        if isinstance(layer, nn.Linear):
            layer.weight.fill_(weight)
            layer.bias.fill_(bias)
    vae = as_double(vae)
    x = torch.zeros(1, *vae.config.shape, dtype=torch.float64)
    ball = Ball(x, torch.zeros(1)).cover()
    boxes = boxes_of(vae, ball, ball.box)
    for r in (1.0, 3.0, 1e3):
        recon = per_draw(vae, x, boxes.half_widths[-1] * r)[0]
        assert (recon >= -boxes.growth * r**2).all()
        assert r > 1 or (recon <= -boxes.growth / 16).all()


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "likelihood"), KINDS)
def test_truncation_dominates_importance_sampling(arch: str, likelihood: str) -> None:
    vae = as_double(make_vae(arch, likelihood, scale=3.0))
    _, ball, t = balls(vae, 0.05)
    boxes = boxes_of(vae, ball, t)
    attacked = ball.random(torch.Generator().manual_seed(1))
    wide = 2.5  # draws from N(0, wide^2) see the tail
    noise = wide * torch.randn(20_000, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    weight = (wide**3 * torch.exp(-(noise**2).sum(1) * (1 - wide**-2) / 2))[:, None]
    recon = per_draw(vae, attacked, noise)[0]
    centre = (weight * recon).mean(0)
    for drop in (0.0, 1.0, 5.0, 20.0):
        tau = centre - drop
        cost = (weight * (tau - recon).clamp(min=0)).mean(0)
        assert (boxes.truncation(tau) >= cost).all()
        assert (cost > 0).any() or drop > 1


def test_a_dimension_that_the_decoder_ignores_costs_nothing() -> None:
    few = as_double(make_vae(latent=2))
    many = as_double(make_vae(latent=12))
    first, last = few.encoder[-1], many.encoder[-1]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    many.load_state_dict(
        {
            **many.state_dict(),
            **{
                k: v
                for k, v in few.state_dict().items()
                if "encoder" in k and v.shape == many.state_dict()[k].shape
            },
        }
    )
    for to, source in ((last.weight, first.weight), (last.bias, first.bias)):
        to.zero_()
        to[:2], to[12:14] = source[:2], source[2:]
    start = many.decoder[0]
    assert isinstance(start, nn.Linear)
    source = few.decoder.state_dict()
    many.decoder.load_state_dict(
        {
            **source,
            "0.weight": torch.cat(
                [source["0.weight"], torch.zeros(len(source["0.weight"]), 10).double()], 1
            ),
        }
    )
    _, ball, t = balls(few, 0.05)
    tau = boxes_of(few, ball, t).lowest[6]
    few_cost, many_cost = (boxes_of(vae, ball, t).truncation(tau) for vae in (few, many))
    assert torch.allclose(few_cost, many_cost, rtol=1e-3, atol=0)
