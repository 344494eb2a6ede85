"""Confidence bounds: what they claim, computed exactly where a distribution allows it, else sampled."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.certificates.noise.statistics import FRACTIONS, floor_price, mean_lower, quantile_lower
from core.errors import InputError


def zeros(columns: int) -> torch.Tensor:
    return torch.zeros(columns, dtype=torch.float64)


def binomial(n: int, p: float) -> torch.Tensor:
    """P(Bin(n, p) = 0..n)."""
    return torch.tensor([math.comb(n, r) * p**r * (1 - p) ** (n - r) for r in range(n + 1)]).double()


def most_misses(repeats: int, alpha: float) -> float:
    """Four standard deviations above the misses that alpha allows."""
    return alpha * repeats + 4 * math.sqrt(repeats * alpha * (1 - alpha))


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5])
def test_exact_miss_probability_of_two_values(alpha: float) -> None:
    # A coin shows all its samples in n + 1 columns, so the probability of a miss is a finite sum.
    n = 40
    coins = (torch.arange(n)[:, None] < torch.arange(n + 1)).double()
    bounds = mean_lower(coins, zeros(n + 1), alpha)
    misses = [float(binomial(n, p)[bounds > p].sum()) for p in torch.linspace(0.005, 0.995, 199).tolist()]
    assert max(misses) <= alpha
    assert max(misses) >= alpha / 30  # and no more careful than it has to be


DISTRIBUTIONS = {
    # name: sampler of values above 0, their mean
    "lognormal": (
        lambda g, *size: torch.empty(size).log_normal_(0, 1.5, generator=g),
        math.exp(1.5**2 / 2),
    ),
    "rare loss": (lambda g, *size: 1 - (torch.rand(size, generator=g) < 0.01).double(), 0.99),
    "power of uniform": (lambda g, *size: torch.rand(size, generator=g).double() ** 0.05, 1 / 1.05),
    "rare win": (lambda g, *size: (torch.rand(size, generator=g) < 0.02).double() * 50, 1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_means_are_missed_as_rarely_as_promised(name: str) -> None:
    sample, mean = DISTRIBUTIONS[name]
    repeats, alpha = 800, 0.1
    values = sample(torch.Generator().manual_seed(5), 40, repeats).double()
    bounds = mean_lower(values, zeros(repeats), alpha)
    assert (bounds > mean).sum() <= most_misses(repeats, alpha)
    assert (values.mean(0) > mean).sum() > most_misses(repeats, alpha)  # the sample mean would not do
    assert (bounds >= 0).all()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_means_are_found_from_many_draws(name: str) -> None:
    sample, mean = DISTRIBUTIONS[name]
    values = sample(torch.Generator().manual_seed(1), 100_000, 1).double()
    bound = mean_lower(values, zeros(1), 0.01).item()
    # Twice the width that the normal approximation would have.
    assert mean - 2 * 2.33 * values.std().item() / math.sqrt(100_000) - 1e-3 * mean < bound < mean


def test_a_far_floor_costs_what_is_predicted() -> None:
    n, far = 10_000, 5000.0
    values = torch.randn(n, 1, generator=torch.Generator().manual_seed(0)).double()
    given_away = values.mean() - mean_lower(values, zeros(1) - far, 0.01)
    assert given_away.item() == pytest.approx(far * floor_price(0.01) / n, rel=0.1)


def test_the_bound_is_where_the_capital_is_exhausted() -> None:
    values = torch.rand(60, 1, generator=torch.Generator().manual_seed(3)).double() + 2
    floor, alpha = torch.tensor([1.5]).double(), 0.05
    bound = mean_lower(values, floor, alpha)

    def capital(m: float) -> list[float]:
        return [math.prod(1 + f * (v - m) / (m - 1.5) for v in values[:, 0].tolist()) for f in FRACTIONS]

    # Half of the stake is on the last fraction, the rest is spread evenly.
    def mixture(m: float) -> float:
        each = capital(m)
        return 0.5 * each[-1] + 0.5 * sum(each[:-1]) / (len(each) - 1)

    assert mixture(bound.item()) >= 1 / alpha
    assert mixture(bound.item() + 1e-6) < 1 / alpha


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=40),
    st.floats(-1e6, 0),
    st.sampled_from([1e-6, 0.01, 0.5]),
)
def test_never_above_the_mean_nor_far_below_the_floor(
    values: list[float], floor: float, alpha: float
) -> None:
    column = torch.tensor(values, dtype=torch.float64)[:, None]
    bound = mean_lower(column, torch.tensor([floor], dtype=torch.float64), alpha).item()
    assert floor - 1e-8 <= bound <= max(values)
    assert bound <= column.mean().item() + 1e-9


def test_better_values_never_lower_the_bound() -> None:
    values = torch.rand(50, 1, generator=torch.Generator().manual_seed(2)).double()
    both = torch.cat([values, values + 0.1 * (values > 0.3)], 1)
    low, high = mean_lower(both, zeros(2), 0.05)
    assert low < high


def test_constant_values_and_degenerate_floors() -> None:
    values = torch.full((1000, 3), 2.0, dtype=torch.float64)
    floor = torch.tensor([2.0, -torch.inf, 1.0], dtype=torch.float64)
    at_floor, nothing, above = mean_lower(values, floor, 0.01).tolist()
    assert at_floor == 2.0
    assert nothing == -math.inf
    assert 1.98 < above < 2


@pytest.mark.parametrize(("delta", "alpha", "n"), [(0.05, 0.01, 90), (0.05, 0.01, 1000), (0.2, 0.1, 37)])
def test_the_rank_is_the_largest_that_the_binomial_tail_allows(delta: float, alpha: float, n: int) -> None:
    order = torch.arange(1, n + 1, dtype=torch.float64)[:, None]
    rank = int(quantile_lower(order.flip(0), delta, alpha).item())
    tail = binomial(n, delta).cumsum(0)
    assert tail[rank - 1] <= alpha < tail[rank]


@pytest.mark.parametrize("name", ["pareto", "ties"])
def test_quantiles_are_missed_as_rarely_as_promised(name: str) -> None:
    repeats, n, delta, alpha = 2000, 200, 0.05, 0.05
    uniform = torch.rand(n, repeats, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    if name == "pareto":  # the lower tail is heavy: P(X < q) = (-q)^-1
        below = (-quantile_lower(-1 / uniform, delta, alpha)) ** -1
    else:  # floor(20 u): P(X < q) = q / 20
        below = quantile_lower((20 * uniform).floor(), delta, alpha) / 20
    misses = (below > delta).sum()
    assert misses <= most_misses(repeats, alpha)
    if name == "pareto":
        assert misses >= repeats * alpha / 4  # exact up to the steps of the binomial


@pytest.mark.parametrize(
    ("delta", "alpha", "least"), [(0.05, 0.01, 90), (0.5, 0.4, 2), (0.001, 0.001, 6905)]
)
def test_too_few_draws_name_the_number_that_suffices(delta: float, alpha: float, least: int) -> None:
    assert quantile_lower(torch.zeros(least, 1), delta, alpha).tolist() == [0.0]
    with pytest.raises(InputError, match=f"at least {least}"):
        quantile_lower(torch.zeros(least - 1, 1), delta, alpha)


@pytest.mark.parametrize("level", [0, -0.1, 0.51, math.nan, "0.1", True, None])
def test_levels_out_of_range(level: float) -> None:
    values = torch.zeros(100, 1)
    with pytest.raises(InputError, match="alpha is"):
        mean_lower(values, zeros(1), level)
    with pytest.raises(InputError, match="alpha is"):
        quantile_lower(values, 0.1, level)
    with pytest.raises(InputError, match="delta is"):
        quantile_lower(values, level, 0.1)


def test_samples_that_prove_nothing_are_refused() -> None:
    values = torch.ones(100, 2)
    with pytest.raises(InputError, match="below the floor"):
        mean_lower(values, zeros(2) + 2, 0.1)
    with pytest.raises(InputError, match="below the floor or NaN"):
        mean_lower(values * math.nan, zeros(2), 0.1)
    with pytest.raises(InputError, match="NaN"):
        quantile_lower(values * math.nan, 0.1, 0.1)
    with pytest.raises(InputError, match="give"):
        mean_lower(values, zeros(1), 0.1)
    with pytest.raises(InputError, match="give"):
        quantile_lower(values[0], 0.1, 0.1)
