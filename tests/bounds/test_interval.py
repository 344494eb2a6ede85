"""Interval rules: values by hand, containment by sampling, tightness by enumeration."""

from __future__ import annotations

import itertools
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from core.bounds.interval import Interval, exp, propagate, propagate_through
from core.bounds.rounding import ARITHMETICS, EXACT
from core.errors import UnsupportedLayerError

FLOAT64 = ARITHMETICS["float64"]

# Layer, shape of one input of at most 16 numbers: few enough to visit every corner of a box.
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(6, 4), (6,)),
    "linear without bias": (nn.Linear(5, 3, bias=False), (5,)),
    "conv": (nn.Conv2d(1, 2, 2), (1, 3, 3)),
    "conv of the VAE": (nn.Conv2d(1, 2, 4, stride=2, padding=1), (1, 4, 4)),
    "conv, uneven stride and padding": (nn.Conv2d(2, 2, (2, 1), stride=(2, 1), padding=(1, 0)), (2, 2, 3)),
    "conv, groups": (nn.Conv2d(2, 4, 2, groups=2), (2, 2, 3)),
    "conv, dilation, no bias": (nn.Conv2d(1, 2, 2, dilation=2, bias=False), (1, 3, 3)),
    "conv, padding same": (nn.Conv2d(1, 1, 3, padding="same"), (1, 3, 3)),
    "transposed": (nn.ConvTranspose2d(2, 1, 2), (2, 2, 2)),
    "transposed of the VAE": (nn.ConvTranspose2d(2, 1, 4, stride=2, padding=1), (2, 2, 2)),
    "transposed, output padding": (nn.ConvTranspose2d(1, 2, 3, stride=2, output_padding=1), (1, 2, 2)),
    "transposed, groups, dilation": (nn.ConvTranspose2d(2, 2, 2, groups=2, dilation=2), (2, 2, 2)),
    "relu": (nn.ReLU(), (7,)),
    "flatten": (nn.Flatten(), (2, 2, 2)),
    "unflatten": (nn.Unflatten(1, (2, 3)), (6,)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def layer_of(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    layer, shape = LAYERS[name]
    return layer.double().requires_grad_(False), shape


def random_box(shape: tuple[int, ...], seed: int, width: float = 1.0) -> Interval:
    """One box (1, *shape); about a third of its sides have width 0."""
    generator = torch.Generator().manual_seed(seed)
    lower = torch.randn(1, *shape, generator=generator, dtype=torch.float64)
    share = (1.5 * torch.rand(1, *shape, generator=generator, dtype=torch.float64) - 0.5).clamp(min=0)
    return Interval(lower, lower + width * share)


def corners(box: Interval) -> Tensor:
    """Every corner of a box (1, *shape) -> (2^d, *shape)."""
    pairs = torch.stack([box.lower.flatten(), box.upper.flatten()], 1).tolist()
    return torch.tensor(list(itertools.product(*pairs)), dtype=torch.float64).view(-1, *box.lower.shape[1:])


def inner_points(box: Interval, count: int, seed: int) -> Tensor:
    share = torch.rand(count, *box.lower.shape[1:], generator=torch.Generator().manual_seed(seed))
    points = box.lower + share.double() * (box.upper - box.lower)
    return torch.minimum(torch.maximum(points, box.lower), box.upper)


@every_layer
def test_bounds_are_the_extremes_over_all_corners(name: str) -> None:
    layer, shape = layer_of(name)
    box = random_box(shape, seed=3)
    values, bound = layer(corners(box)), propagate(layer, box)
    torch.testing.assert_close(bound.lower, values.amin(0, keepdim=True), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(bound.upper, values.amax(0, keepdim=True), rtol=1e-12, atol=1e-12)


@every_layer
@given(seed=st.integers(0, 2**31), log_width=st.floats(-12, 6))
def test_points_of_the_box_stay_within_the_bounds(name: str, seed: int, log_width: float) -> None:
    layer, shape = layer_of(name)
    box = random_box(shape, seed, 10.0**log_width)
    bound = propagate(layer, box, FLOAT64)
    values = layer(torch.cat([inner_points(box, 50, seed), box.lower, box.upper, box.center]))
    assert bool((bound.lower <= values).all())
    assert bool((values <= bound.upper).all())


@every_layer
def test_a_box_of_one_point_stays_nearly_one_point(name: str) -> None:
    layer, shape = layer_of(name)
    point = random_box(shape, seed=1).lower
    bound, value = propagate(layer, Interval(point, point), FLOAT64), layer(point)
    assert bool((bound.lower <= value).all())
    assert bool((value <= bound.upper).all())
    torch.testing.assert_close(bound.lower, bound.upper, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("points", [0, 1, 3])
@pytest.mark.parametrize("arithmetic", ["exact", "float64"])
@every_layer
def test_points_in_front_change_neither_bounds_nor_gradients(
    name: str, arithmetic: str, points: int
) -> None:
    layer, shape = layer_of(name)
    layer.requires_grad_(True)
    boxes = [random_box(shape, seed) for seed in range(3)]
    lower, upper = (torch.cat([getattr(box, end) for box in boxes]) for end in ("lower", "upper"))
    upper[:points] = lower[:points]
    found = []
    for told in (0, points):
        ends = [end.clone().requires_grad_() for end in (lower, upper)]
        bounds = propagate(
            layer, Interval(ends[0], ends[1], points=told), ARITHMETICS.get(arithmetic, EXACT)
        )
        way = torch.linspace(-1, 2, bounds.lower.numel(), dtype=torch.float64).view_as(bounds.lower)
        score = (way * bounds.lower).sum() - (way.square() * bounds.upper).sum()
        low, high, *weights = torch.autograd.grad(score, [*ends, *layer.parameters()])
        # How a gradient is shared between the two ends of a point says nothing.
        moves = low[:points] + high[:points], low[points:], high[points:]
        found.append([bounds.lower, bounds.upper, *moves, *weights])
        assert arithmetic != "exact" or bounds.points == told
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


@every_layer
@pytest.mark.parametrize("width", [1e6, 1e30, 1e300, 1.7e308, float("inf")])
@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
def test_no_width_gives_a_nan_or_loses_a_point(name: str, width: float, arithmetic: str) -> None:
    layer, shape = layer_of(name)
    half = torch.full((1, *shape), width / 2, dtype=torch.float64)
    bound = propagate(layer, Interval(-half, half), ARITHMETICS[arithmetic])
    for end in (bound.lower, bound.upper):
        assert not bool(end.isnan().any())
    values = layer(torch.cat([-half.clamp(max=1e300), torch.zeros_like(half), half.clamp(max=1e300)]))
    assert bool((bound.lower <= values).all())
    assert bool((values <= bound.upper).all())


def test_an_input_that_is_not_a_number_bounds_nothing() -> None:
    layer, _ = layer_of("linear")
    nan = torch.full((1, 6), torch.nan, dtype=torch.float64)
    bound = propagate(layer, Interval(nan, nan), FLOAT64)
    assert bool((bound.lower == -torch.inf).all())
    assert bool((bound.upper == torch.inf).all())


def test_a_point_whose_double_overflows_is_kept() -> None:
    layer, _ = layer_of("linear")
    point = torch.full((1, 6), 1.7e308, dtype=torch.float64)
    bound = propagate(layer, Interval(point, point), FLOAT64)
    assert not bool((bound.lower.isnan() | bound.upper.isnan()).any())
    assert bool((bound.lower == -torch.inf).all())
    assert bool((bound.upper == torch.inf).all())


def test_one_unbounded_row_leaves_the_other_rows_bounded() -> None:
    layer, _ = layer_of("linear")
    ends = torch.ones(2, 6, dtype=torch.float64)
    ends[0] = torch.inf
    bound = propagate(layer, Interval(-ends, ends), FLOAT64)
    assert bool(torch.isinf(bound.width[0]).all())
    assert bool(torch.isfinite(bound.width[1]).all())


def test_linear_by_hand() -> None:
    layer = nn.Linear(2, 2).requires_grad_(False)
    layer.weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))
    layer.bias.copy_(torch.tensor([0.5, -1.0]))
    bound = propagate(layer, Interval(torch.tensor([[0.0, -1.0]]), torch.tensor([[1.0, 3.0]])))
    assert bound.lower.tolist() == [[0 - 6 + 0.5, -3 - 1]]
    assert bound.upper.tolist() == [[1 + 2 + 0.5, 9 - 1]]


def test_conv_by_hand() -> None:
    # Kernel [1, -1], stride 2, one zero of padding on either side of [0..1, 2..4, -1..0].
    layer = nn.Conv2d(1, 1, (1, 2), stride=(1, 2), padding=(0, 1), bias=False).requires_grad_(False)
    layer.weight.copy_(torch.tensor([1.0, -1.0]).view(1, 1, 1, 2))
    lower, upper = torch.tensor([0.0, 2.0, -1.0]), torch.tensor([1.0, 4.0, 0.0])
    bound = propagate(layer, Interval(lower.view(1, 1, 1, 3), upper.view(1, 1, 1, 3)))
    assert bound.lower.flatten().tolist() == [0 - 1, 2 - 0]
    assert bound.upper.flatten().tolist() == [0 - 0, 4 + 1]


def test_conv_transpose_by_hand() -> None:
    layer = nn.ConvTranspose2d(1, 1, (1, 2), stride=(1, 1)).requires_grad_(False)
    layer.weight.copy_(torch.tensor([2.0, -1.0]).view(1, 1, 1, 2))
    assert layer.bias is not None
    layer.bias.fill_(10.0)
    bound = propagate(layer, Interval(torch.zeros(1, 1, 1, 2), torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)))
    assert bound.lower.flatten().tolist() == [10 + 0, 10 - 1 + 0, 10 - 3]
    assert bound.upper.flatten().tolist() == [10 + 2, 10 - 0 + 6, 10 + 0]


def test_relu_by_hand() -> None:
    lower, upper = torch.tensor([[-2.0, -2.0, 1.0]]), torch.tensor([[-1.0, 3.0, 2.0]])
    bound = propagate(nn.ReLU(), Interval(lower, upper))
    assert bound.lower.tolist() == [[0, 0, 1]]
    assert bound.upper.tolist() == [[0, 3, 2]]


@given(low=st.floats(-1100, 1100), width=st.floats(0, 2000), share=st.floats(0, 1))
def test_exp_contains_and_attains(low: float, width: float, share: float) -> None:
    ends = torch.tensor([low, low + width], dtype=torch.float64)
    exact, widened = exp(Interval(ends[0], ends[1])), exp(Interval(ends[0], ends[1]), FLOAT64)
    assert (exact.lower, exact.upper) == (ends[0].exp(), ends[1].exp())
    value = (ends[0] + share * (ends[1] - ends[0])).clamp(max=ends[1]).exp()
    assert 0 <= widened.lower <= value <= widened.upper
    if 1e-290 < exact.lower < exact.upper < 1e300:
        assert exact.lower * (1 - 1e-12) - 1e-29 <= widened.lower
        assert widened.upper <= exact.upper * (1 + 1e-12) + 1e-29


def test_every_intermediate_bound_holds() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double().requires_grad_(False)
    box = random_box((3,), seed=5)
    bounds = propagate_through(network, box, FLOAT64)
    values = inner_points(box, 200, seed=6)
    for layer, bound in zip(network, bounds, strict=True):
        values = layer(values)
        assert bool(((bound.lower <= values) & (values <= bound.upper)).all())


def test_an_unknown_layer_is_named_with_the_method() -> None:
    one = torch.zeros(1, 2)
    with pytest.raises(UnsupportedLayerError, match=r"'ibp'.*Sigmoid"):
        propagate(nn.Sigmoid(), Interval(one, one))
    with pytest.raises(UnsupportedLayerError, match=r"'ibp'.*Tanh"):
        propagate_through(nn.Sequential(nn.ReLU(), nn.Tanh()), Interval(one, one))


@pytest.mark.parametrize("mode", ["reflect", "circular", "replicate"])
def test_a_padding_without_a_rule_is_refused(mode: Literal["reflect", "circular", "replicate"]) -> None:
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(UnsupportedLayerError, match=rf"'ibp'.*Conv2d.*'{mode}'"):
        propagate(nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode), Interval(x, x))
