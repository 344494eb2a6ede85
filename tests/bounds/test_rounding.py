"""Bounds for an arithmetic contain what that arithmetic computes, in any order of summation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

from core.bounds.interval import Interval, exp, propagate
from core.bounds.rounding import ARITHMETICS, EXACT
from core.vae.latent import kl_terms, kl_upper, reparameterise_interval

KINDS = {"float32": np.float32, "float64": np.float64}
both = pytest.mark.parametrize("arithmetic", KINDS)


def layer_of(weights: list[float], bias: float) -> nn.Linear:
    layer = nn.Linear(len(weights), 1).double().requires_grad_(False)
    layer.weight.copy_(torch.tensor([weights]))
    layer.bias.fill_(bias)
    return layer


def sums(weights: list[float], x: list[float], bias: float, kind: type) -> list[float]:
    """w x + b in the arithmetic `kind`, in several orders of summation, bias first and last."""
    products = [kind(w) * kind(v) for w, v in zip(weights, x, strict=True)]
    terms = [*products, kind(bias)]
    by_size = sorted(terms, key=abs)
    results = [float(np.sum(np.array(terms, dtype=kind)))]
    for order in (terms, terms[::-1], by_size, by_size[::-1], [kind(bias), *products], sorted(terms)):
        total = kind(0)
        for term in order:
            total = total + term
        results.append(float(total))
    while len(terms) > 1:  # pairwise, as a tree
        terms = [sum(terms[i : i + 2], kind(0)) for i in range(0, len(terms), 2)]
    return [*results, float(terms[0])]


def contains(bound: Interval, values: list[float]) -> bool:
    return all(bound.lower.item() <= value <= bound.upper.item() for value in values)


@pytest.mark.parametrize("n", [1, 10, 784, 100_000])
def test_gamma_is_the_textbook_bound_and_covers_the_bound_itself(n: int) -> None:
    for arithmetic in ARITHMETICS.values():
        u = arithmetic.unit
        assert n * u < n * u / (1 - n * u) < arithmetic.gamma(n) < 6 * n * u
    assert EXACT.gamma(n) == 0
    assert not EXACT.rounds
    assert ARITHMETICS["float32"].unit == np.finfo(np.float32).eps / 2
    assert ARITHMETICS["float64"].unit == np.finfo(np.float64).eps / 2


@both
@given(data=st.data())
def test_dot_products_of_wildly_different_sizes(arithmetic: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    numbers = st.floats(-1e8, 1e8, width=32)
    weights, x = (
        data.draw(st.lists(numbers, min_size=n, max_size=n)),
        data.draw(st.lists(numbers, min_size=n, max_size=n)),
    )
    if data.draw(st.booleans()):  # make the large terms cancel
        weights, x = [*weights, *(-w for w in weights), 1.0], [*x, *x, 0.5]
    bias = data.draw(numbers)
    point = torch.tensor([x], dtype=torch.float64)
    bound = propagate(layer_of(weights, bias), Interval(point, point), ARITHMETICS[arithmetic])
    assert contains(bound, sums(weights, x, bias, KINDS[arithmetic]))


def test_a_naive_float32_bound_is_beaten_and_ours_is_not() -> None:
    # Two large terms cancel. Summed last, x_3 survives; summed between them, it is absorbed.
    weights, lower, upper = [1e8, -1e8, 1.0], [1.0, 1.0, 0.9], [1.0, 1.0, 1.1]
    kind = np.float32
    center = [kind((a + b) / 2) for a, b in zip(lower, upper, strict=True)]
    radius = [kind((b - a) / 2) for a, b in zip(lower, upper, strict=True)]
    middle = kind(weights[0]) * center[0] + kind(weights[1]) * center[1] + kind(weights[2]) * center[2]
    reach = sum(kind(abs(w)) * r for w, r in zip(weights, radius, strict=True))
    forward = (kind(1e8) * kind(1) + kind(1) * kind(1.0)) + kind(-1e8) * kind(1)
    assert not middle - reach <= forward <= middle + reach
    box = Interval(torch.tensor([lower]).double(), torch.tensor([upper]).double())
    assert not contains(propagate(layer_of(weights, 0.0), box), [float(forward)])
    assert contains(propagate(layer_of(weights, 0.0), box, ARITHMETICS["float32"]), [float(forward)])


@both
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(784, 20), (784,)),
        (nn.Conv2d(3, 4, 4, stride=2, padding=1), (3, 8, 8)),
        (nn.ConvTranspose2d(8, 2, 4, stride=2, padding=1), (8, 5, 5)),
    ],
    ids=["linear", "conv", "transposed"],
)
def test_torch_layers(layer: nn.Module, shape: tuple[int, ...], arithmetic: str) -> None:
    dtype = torch.float32 if arithmetic == "float32" else torch.float64
    # Large opposite weights make rounding errors far larger than the result.
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 1e3)
    x = torch.rand(5, *shape, generator=torch.Generator().manual_seed(2))
    bound = propagate(layer.double(), Interval(x.double(), x.double()), ARITHMETICS[arithmetic])
    value = layer.to(dtype)(x.to(dtype)).double()
    assert bool(((bound.lower <= value) & (value <= bound.upper)).all())


def test_sums_that_would_overflow_float32_bound_nothing() -> None:
    bound = propagate(
        layer_of([1e30, -1e30], 0.0),
        Interval(*[torch.full((1, 2), 1e30).double()] * 2),
        ARITHMETICS["float32"],
    )
    assert (bound.lower.item(), bound.upper.item()) == (-np.inf, np.inf)
    narrow = propagate(
        layer_of([1e30, -1e30], 0.0),
        Interval(*[torch.full((1, 2), 1e30).double()] * 2),
        ARITHMETICS["float64"],
    )
    assert bool(narrow.width.isfinite().all())


@both
@given(v=st.floats(-120, 120, width=32))
def test_exp(arithmetic: str, v: float) -> None:
    point = torch.tensor([v], dtype=torch.float64)
    dtype = torch.float32 if arithmetic == "float32" else torch.float64
    assert contains(exp(Interval(point, point), ARITHMETICS[arithmetic]), [point.to(dtype).exp().item()])


@both
@given(
    mu=st.floats(-1e6, 1e6, width=32), logvar=st.floats(-80, 80, width=32), noise=st.floats(-5, 5, width=32)
)
def test_reparameterisation_and_kl(arithmetic: str, mu: float, logvar: float, noise: float) -> None:
    dtype = torch.float32 if arithmetic == "float32" else torch.float64
    m, v, e = (torch.tensor([[number]], dtype=torch.float64) for number in (mu, logvar, noise))
    low_m, low_v, low_e = m.to(dtype), v.to(dtype), e.to(dtype)
    rules = ARITHMETICS[arithmetic]
    z = low_m + (low_v / 2).exp() * low_e
    assert contains(reparameterise_interval(Interval(m, m), Interval(v, v), e, rules), [z.item()])
    kl = kl_terms(low_m, low_v)
    assume(bool(kl.isfinite().all()))
    assert kl.item() <= kl_upper(Interval(m, m), Interval(v, v), rules).item()


@given(seed=st.integers(0, 2**31))
def test_kl_summed_in_float32_in_any_order(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mu = torch.randn(1, 200, generator=generator) * 100
    logvar = torch.randn(1, 200, generator=generator) * 5

    def wide(v: Tensor) -> Interval:
        return Interval(v.double(), v.double())

    upper = kl_upper(wide(mu), wide(logvar), ARITHMETICS["float32"]).item()
    terms = kl_terms(mu, logvar)[0]
    for order in (terms, terms.flip(0), terms.sort().values, terms.sort(descending=True).values):
        total = np.float32(0)
        for term in order.numpy():
            total = total + term
        assert float(total) <= upper
    assert upper < terms.double().sum().item() * 1.001
