"""Bounds on the layers of a VAE by semidefinite relaxation: what the network does stays inside them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import core
from core.bounds.interval import Interval
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.question import Question, pose
from core.certificates.semidefinite.sdp_tightening import sharpened
from core.vae.latent import reparameterise
from core.vae.model import VAE
from tests.conftest import make_images, make_vae


def question(vae: VAE, x: Tensor, eps: float, arithmetic: str = "float64") -> Question:
    noise = core.sample_noise(vae, 2)
    return pose(
        vae,
        x,
        noise,
        eps,
        target="likelihood",
        method="quadratic",
        norm="linf",
        side="lower",
        arithmetic=arithmetic,
    )


@torch.no_grad()
def outside(problem: Question, bounds: LayerBounds, vae: VAE, points: Tensor) -> float:
    """By how much the layers of `vae` leave their bounds at the points (K, C, H, W), at most."""
    worst = -torch.inf

    def look(x: Interval, values: Tensor) -> None:
        nonlocal worst
        values = values.double()
        worst = max(worst, (x.lower - values).max().item(), (values - x.upper).max().item())

    h = points.to(next(vae.parameters()).dtype)
    for x, layer in zip(bounds.encoder[1:], vae.encoder, strict=True):
        h = layer(h)
        look(x, h)
    mu, logvar = h.chunk(2, -1)
    z = reparameterise(mu, logvar, problem.noise.to(h.dtype))
    for draw, hidden in enumerate(z):
        look(bounds.decoder[0].map(lambda v, draw=draw: v[draw]), hidden)
        for x, layer in zip(bounds.decoder[1:], vae.decoder, strict=True):
            hidden = layer(hidden)
            look(x.map(lambda v, draw=draw: v[draw]), hidden)
    return worst


def extreme_points(problem: Question, count: int) -> Tensor:
    """Corners of the ball in which directions of the posterior are extreme, others, and points inside."""
    box, generator = problem.ball.box, torch.Generator().manual_seed(0)
    x = problem.ball.center.repeat(count, 1, 1, 1).requires_grad_(True)
    way = torch.randn(count, 2 * problem.vae.config.latent, generator=generator).double()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad((problem.vae.encoder(x) * way).sum(), x)
    share = torch.rand(x.shape, generator=generator).double()
    inside = box.lower + share * box.width
    corners = torch.where(share > 0.5, box.upper, box.lower)
    return torch.cat([torch.where(slope > 0, box.upper, box.lower), inside, corners])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "eps", "scale"),
    [
        *((("mlp", eps, scale)) for eps in (1e-6, 0.01, 0.1, 1.0) for scale in (0.5, 2.0)),
        ("conv", 1e-6, 1.0),
        ("conv", 0.002, 1.0),
        ("conv", 1.0, 1.0),
    ],
)
def test_layers_stay_inside_every_bound_on_the_way(arch: str, eps: float, scale: float) -> None:
    vae = make_vae(arch, size=8, scale=scale)
    problem = question(vae, make_images(vae, 1), eps)
    relaxation = problem.relaxation()
    start = relaxation.tighten(relaxation.interval_bounds())
    points = extreme_points(problem, 200)
    for bounds in sharpened(relaxation, start, 20):
        assert outside(problem, bounds, problem.vae, points) <= 0


def test_bounds_cover_the_network_in_float32() -> None:
    vae = make_vae(size=16, scale=2.0)
    x = make_images(vae, 1)
    problem = question(vae, x, 1e-6, "float32")
    relaxation = problem.relaxation()
    start = relaxation.tighten(relaxation.interval_bounds())
    *_, bounds = sharpened(relaxation, start, 20)
    # The bounds' own ball holds more than the ball that was asked for: what float32 makes of that one.
    away = ((extreme_points(problem, 200) - x) * (1e-6 / problem.ball.eps)).float()
    points = torch.minimum(torch.maximum(x + away, x - 1e-6), x + 1e-6).clamp(0, 1)
    assert outside(problem, bounds, vae, points) <= 0


def test_three_hidden_layers() -> None:
    vae = make_vae(size=16, widths=(12, 10, 8), scale=1.5)
    problem = question(vae, make_images(vae, 1), 0.2)
    relaxation = problem.relaxation()
    start = relaxation.tighten(relaxation.interval_bounds())
    *_, bounds = sharpened(relaxation, start, 20)
    assert outside(problem, bounds, problem.vae, extreme_points(problem, 300)) <= 0
    assert bounds.encoder[-1].width.sum() < start.encoder[-1].width.sum()


@pytest.mark.slow
def test_shipped_models_gain_a_quarter_of_the_posterior() -> None:
    vae = core.load_model("mnist-mlp-standard")
    problem = question(vae, core.load_samples("mnist")[0][:1], 0.01)
    relaxation = problem.relaxation()
    start = relaxation.tighten(relaxation.interval_bounds())
    found = sharpened(relaxation, start, 50)
    last = start
    for _ in range(3):  # the second layer, the posterior, and z with it
        last = next(found)
    assert last.encoder[-1].width.sum() < 0.75 * start.encoder[-1].width.sum()
    assert outside(problem, last, problem.vae, extreme_points(problem, 100)) <= 0


@pytest.mark.slow
def test_the_second_decoder_layer_gains_from_what_lies_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = make_vae(widths=(14, 12), scale=1.5)
    problem = question(vae, make_images(vae, 1), 0.3)
    relaxation = problem.relaxation()
    start = relaxation.tighten(relaxation.interval_bounds())
    points = extreme_points(problem, 300)
    widths = []
    for most in (700, 0):  # with the rows of the second layer, and without
        monkeypatch.setattr("core.certificates.semidefinite.sdp_tightening._WHOLE", most)
        *_, bounds = sharpened(relaxation, start, 50)
        assert outside(problem, bounds, problem.vae, points) <= 0
        widths.append(bounds.decoder[3].width.sum())
    assert widths[0] < 0.95 * widths[1]


def test_an_encoder_that_is_too_large_gets_slopes_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.certificates.semidefinite.sdp_tightening._MOST", 0)
    vae = make_vae(size=16, scale=2.0)
    problem = question(vae, make_images(vae, 1), 0.1)
    relaxation = problem.relaxation()
    start = relaxation.tighten(relaxation.interval_bounds())
    *_, bounds = sharpened(relaxation, start, 20)
    assert bounds.encoder[-1].width.sum() < start.encoder[-1].width.sum()
    assert outside(problem, bounds, problem.vae, extreme_points(problem, 200)) <= 0
