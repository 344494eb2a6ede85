"""The constant decoder: its closed forms against search."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from core.data.samples import levels
from core.training.baseline import ConstantDecoder, fit_constant_decoder
from core.vae.likelihood import Bernoulli, Gaussian, Likelihood

KINDS: dict[str, Likelihood] = {"bernoulli": Bernoulli(), "gaussian": Gaussian(0.3)}
kinds = pytest.mark.parametrize("kind", KINDS)
EPS = (0.0, 0.05, 0.3)


def data_set() -> Tensor:
    """200 images of 2 x 3 grey levels: dark, bright, middling, black-and-white, and constant ones."""
    u = torch.rand(200, 6, generator=torch.Generator().manual_seed(0))
    columns = [
        u[:, 0] ** 4,
        1 - u[:, 1] ** 4,
        0.4 + 0.2 * u[:, 2],
        u[:, 3].round(),
        0 * u[:, 4] + 0.5,
        u[:, 5],
    ]
    return (torch.stack(columns, 1) * 255).round().view(200, 1, 2, 3) / 255


def grid_best(x: Tensor, likelihood: Likelihood, eps: float, target: str) -> Tensor:
    """For every pixel, the best mean worst case over a fine grid of parameters."""
    values = torch.linspace(-8, 8, 3201, dtype=torch.float64)
    best = []
    for pixel in x.double().flatten(1).T:
        reach = eps if target == "likelihood" else 0.0
        ends = [(pixel + s * reach).clamp(0, 1).view(-1, 1, 1, 1, 1) for s in (-1, 1)]
        a = values.view(1, -1, 1, 1, 1)
        scores = torch.minimum(*(likelihood.log_prob(end, a) for end in ends)).mean(0)
        best.append(scores.max())
    return torch.stack(best).sum()


@kinds
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
@pytest.mark.parametrize("eps", EPS)
def test_fit_is_the_best_of_a_fine_grid(kind: str, target: str, eps: float) -> None:
    x = data_set()
    constant = fit_constant_decoder(levels(x), KINDS[kind], eps, target)
    mean = constant.lower(x.double(), eps, target).mean()
    best = grid_best(x, KINDS[kind], eps, target)
    if kind == "gaussian" and target == "likelihood" and eps > 0:
        assert mean <= best + 2e-3  # the mean image is a baseline there, not the optimum
    else:
        # The fit keeps half an image of doubt, worth a little at the pixels that never vary.
        assert mean.item() == pytest.approx(best.item(), abs=0.02)
        assert mean <= best + 1e-3


@kinds
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_lower_is_the_minimum_over_all_corners(kind: str, target: str) -> None:
    x = data_set()[:5].double()
    constant = fit_constant_decoder(levels(data_set()), KINDS[kind], 0.05, target)
    for eps in EPS:
        lower = constant.lower(x, eps, target)
        signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=6))).view(-1, 1, 1, 2, 3).double()
        points = (x + eps * signs).clamp(0, 1) if target == "likelihood" else x.expand(64, -1, -1, -1, -1)
        values = constant.likelihood.log_prob(points, constant.a)
        torch.testing.assert_close(lower, values.amin(0), rtol=1e-12, atol=1e-12)


@kinds
def test_reconstruction_and_eps_0_leave_the_clean_value(kind: str) -> None:
    x = data_set()[:7].double()
    constant = fit_constant_decoder(levels(data_set()), KINDS[kind], 0.1, "reconstruction")
    torch.testing.assert_close(constant.lower(x, 0.1, "reconstruction"), constant.elbo(x))
    torch.testing.assert_close(constant.lower(x, 0.0, "likelihood"), constant.elbo(x))
    assert bool((constant.lower(x, 0.1, "likelihood") < constant.elbo(x)).all())


@kinds
def test_decodes_to_the_mean_image(kind: str) -> None:
    x = data_set()
    constant = fit_constant_decoder(levels(x), KINDS[kind], 0.0)
    mean = KINDS[kind].mean(constant.a)
    torch.testing.assert_close(mean, x.double().mean(0), rtol=0, atol=0.003)


def test_pixels_that_never_vary_stay_finite() -> None:
    for level in (0.0, 1.0):
        x = torch.full((50, 1, 2, 2), level)
        constant = fit_constant_decoder(levels(x), Bernoulli(), 0.0)
        assert bool(constant.a.isfinite().all())
        assert bool(constant.elbo(1 - x.double()).isfinite().all())


def test_elbo_by_hand() -> None:
    constant = ConstantDecoder(torch.zeros(1, 2, 2, dtype=torch.float64), Bernoulli())
    value = constant.elbo(torch.rand(3, 1, 2, 2).double())
    assert value.tolist() == pytest.approx([-4 * math.log(2)] * 3)
