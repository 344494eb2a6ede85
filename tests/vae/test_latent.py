"""The posterior: KL divergence and reparameterisation, and their bounds."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from core.bounds.interval import Interval
from core.bounds.rounding import ARITHMETICS
from core.vae import latent

FLOAT64 = ARITHMETICS["float64"]
means, logvars = st.floats(-30, 30), st.floats(-60, 60)


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def ordered(a: float, b: float) -> Interval:
    return Interval(row(min(a, b)), row(max(a, b)))


def test_kl_by_hand() -> None:
    # N(1, e) against N(0, 1) in one dimension, and N(0, 1) against itself: (1 + e - 1 - 1) / 2.
    kl = latent.kl_divergence(row(1.0, 0.0), row(1.0, 0.0))
    assert kl.item() == pytest.approx((torch.e - 1) / 2)


@given(mu=means, logvar=logvars)
def test_kl_is_the_one_of_torch(mu: float, logvar: float) -> None:
    posterior = Normal(row(mu), (row(logvar) / 2).exp())
    expected = kl_divergence(posterior, Normal(row(0.0), row(1.0))).sum(-1)
    torch.testing.assert_close(latent.kl_divergence(row(mu), row(logvar)), expected, rtol=1e-12, atol=1e-12)


def test_reparameterise_by_hand_and_in_shape() -> None:
    z = latent.reparameterise(
        row(1.0, -2.0), row(0.0, 4.0).log(), torch.tensor([[[0.5, -1.0]], [[0.0, 2.0]]])
    )
    assert z.shape == (2, 1, 2)
    torch.testing.assert_close(z[:, 0, 1], torch.tensor([-4.0, 2.0]).double())
    wide = latent.reparameterise(torch.zeros(5, 3), torch.zeros(5, 3), torch.ones(4, 1, 3))
    assert wide.shape == (4, 5, 3)


@given(m0=means, m1=means, v0=logvars, v1=logvars, share=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_kl_upper_is_attained_at_an_end_and_nowhere_beaten(
    m0: float, m1: float, v0: float, v1: float, share: tuple[float, float]
) -> None:
    mu, logvar = ordered(m0, m1), ordered(v0, v1)
    upper = latent.kl_upper(mu, logvar)
    ends = [latent.kl_divergence(row(m), row(v)) for m, v in itertools.product((m0, m1), (v0, v1))]
    torch.testing.assert_close(upper, torch.stack(ends).amax(0), rtol=1e-12, atol=1e-12)
    inside = latent.kl_divergence(mu.lower + share[0] * mu.width, logvar.lower + share[1] * logvar.width)
    assert bool((inside <= latent.kl_upper(mu, logvar, FLOAT64)).all())


def test_kl_upper_adds_the_dimensions() -> None:
    mu, logvar = Interval(row(-1, 0), row(2, 0.5)), Interval(row(-3, -1), row(0.1, 2))
    parts = [
        latent.kl_upper(mu.map(lambda v, i=i: v[:, i : i + 1]), logvar.map(lambda v, i=i: v[:, i : i + 1]))
        for i in range(2)
    ]
    torch.testing.assert_close(latent.kl_upper(mu, logvar), parts[0] + parts[1])


@given(
    m0=means,
    m1=means,
    v0=logvars,
    v1=logvars,
    noise=st.floats(-6, 6),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_z_is_bounded_by_its_corners(
    m0: float, m1: float, v0: float, v1: float, noise: float, share: tuple[float, float]
) -> None:
    mu, logvar, e = ordered(m0, m1), ordered(v0, v1), row(noise)
    bound = latent.reparameterise_interval(mu, logvar, e)
    z = torch.stack(
        [latent.reparameterise(row(m), row(v), e) for m, v in itertools.product((m0, m1), (v0, v1))]
    )
    torch.testing.assert_close(bound.lower, z.amin(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(bound.upper, z.amax(0), rtol=1e-12, atol=1e-12)
    wide = latent.reparameterise_interval(mu, logvar, e, FLOAT64)
    inside = latent.reparameterise(
        mu.lower + share[0] * mu.width, logvar.lower + share[1] * logvar.width, e
    )
    # The point itself is rounded, so it may leave its box by a rounding: covered by the margin too.
    assert bool(((wide.lower <= inside) & (inside <= wide.upper)).all())


@pytest.mark.parametrize("extreme", [200.0, 2000.0, 1e30, float("inf")])
@pytest.mark.parametrize("noise", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_extreme_logvar_gives_no_nan(extreme: float, noise: float, arithmetic: str) -> None:
    mu, logvar = Interval(row(-1.0), row(1.0)), Interval(row(-extreme), row(extreme))
    z = latent.reparameterise_interval(mu, logvar, row(noise), ARITHMETICS[arithmetic])
    assert not bool((z.lower.isnan() | z.upper.isnan()).any())
    middle = row(noise)  # logvar = 0 and mu = 0
    assert bool(((z.lower <= middle) & (middle <= z.upper)).all())
    kl = latent.kl_upper(mu, logvar, ARITHMETICS[arithmetic])
    assert not kl.item() < extreme / 2 - 1  # NaN, which `certify` reads as +inf, is no bound either
