"""Backward rules: exact for affine layers, bounds for ReLU, sound through a network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from core.bounds.interval import Interval, propagate
from core.bounds.linear import inner, pull, roundoff
from core.bounds.rounding import ARITHMETICS, EXACT
from core.errors import UnsupportedLayerError

AFFINE: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(5, 3), (5,)),
    "linear without bias": (nn.Linear(5, 3, bias=False), (5,)),
    "conv": (nn.Conv2d(2, 3, 3), (2, 6, 7)),
    "conv stride": (nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 7, 8)),
    "conv with rows left over": (nn.Conv2d(1, 2, (2, 3), stride=(3, 2)), (1, 7, 8)),
    "conv dilation": (nn.Conv2d(2, 2, 2, dilation=2, padding=(1, 0)), (2, 6, 6)),
    "conv groups": (nn.Conv2d(4, 6, 3, groups=2, bias=False), (4, 5, 5)),
    "transposed": (nn.ConvTranspose2d(3, 2, 3), (3, 4, 5)),
    "transposed stride": (nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1), (3, 4, 5)),
    "transposed dilation": (nn.ConvTranspose2d(2, 2, 2, stride=3, dilation=2), (2, 3, 3)),
    "transposed groups": (nn.ConvTranspose2d(4, 6, 2, groups=2, bias=False), (4, 3, 3)),
    "flatten": (nn.Flatten(), (2, 3, 4)),
    "unflatten": (nn.Unflatten(1, (2, 3, 4)), (24,)),
}


def around(size: tuple[int, ...], batch: int, width: float = 1.0, seed: int = 0) -> Interval:
    generator = torch.Generator().manual_seed(seed)
    center = torch.randn(batch, *size, generator=generator, dtype=torch.float64)
    radius = width * torch.rand(batch, *size, generator=generator, dtype=torch.float64)
    return Interval(center - radius, center + radius)


@pytest.mark.parametrize("case", AFFINE)
@pytest.mark.parametrize("shared", [True, False])
def test_affine_layers_against_the_dense_matrix(case: str, shared: bool) -> None:
    layer, size = AFFINE[case]
    layer = layer.double().requires_grad_(False)
    x = around(size, 2)
    output = layer(x.center)
    a = torch.randn(3, 1 if shared else 2, *output.shape[1:], dtype=torch.float64)
    back, constant = pull(layer, a, x, None)
    bias = layer(torch.zeros_like(x.lower[:1]))[0].flatten()
    columns = [
        layer(unit.view(1, *size))[0].flatten() - bias for unit in torch.eye(x.lower[0].numel()).double()
    ]
    matrix = torch.stack(columns, 1)
    assert back.shape == (3, a.shape[1], *size)
    torch.testing.assert_close(back.flatten(2), a.flatten(2) @ matrix)
    torch.testing.assert_close(constant, a.flatten(2) @ bias)


@pytest.mark.parametrize("case", AFFINE)
def test_affine_layers_against_autograd(case: str) -> None:
    layer, size = AFFINE[case]
    layer = layer.double().requires_grad_(False)
    v = around(size, 2).center.requires_grad_(True)
    a = torch.randn(1, *layer(v).shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((a[0] * layer(v)).sum(), v)
    back, _ = pull(layer, a, Interval(v.detach(), v.detach()), None)
    torch.testing.assert_close(back[0], gradient)


@given(seed=st.integers(0, 1000), width=st.sampled_from([0.0, 1e-9, 0.5, 3.0]), share=st.floats(-1, 2))
def test_relu_is_bounded_below_for_rows_of_both_signs(seed: int, width: float, share: float) -> None:
    x = around((7,), 2, width, seed)
    a = torch.randn(4, 2, 7, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    for shares in (None, torch.full_like(x.lower, share)):
        back, constant = pull(nn.ReLU(), a, x, shares)
        for part in torch.linspace(0, 1, 11).double():
            v = x.lower + part * x.width
            assert bool((inner(back, v) + constant <= inner(a, v.relu()) + 1e-12).all())
        for corner in range(7):
            v = torch.where(torch.arange(7) <= corner, x.lower, x.upper)
            assert bool((inner(back, v) + constant <= inner(a, v.relu()) + 1e-12).all())


def test_relu_is_exact_where_it_does_not_cross() -> None:
    x = Interval(
        torch.tensor([[1.0, -3.0, 0.0, -2.0]]).double(), torch.tensor([[2.0, -1.0, 4.0, 0.0]]).double()
    )
    a = torch.tensor([[[1.0, 1, 1, 1]], [[-1.0, -1, -1, -1]]]).double()
    back, constant = pull(nn.ReLU(), a, x, None)
    assert back[:, 0].tolist() == [[1, 0, 1, 0], [-1, 0, -1, 0]]
    assert constant.tolist() == [[0], [0]]


@pytest.mark.parametrize("case", AFFINE)
def test_the_roundoff_covers_a_float32_forward_pass(case: str) -> None:
    layer, size = AFFINE[case]
    v = around(size, 2, 0.0, seed=3).center.float()
    own = layer.float().requires_grad_(False)(v)
    x = Interval(v.double(), v.double())
    lost = roundoff(layer.double(), x, ARITHMETICS["float32"])
    if case in ("flatten", "unflatten"):
        assert lost is None
        return
    finer = roundoff(layer, x, ARITHMETICS["float64"])
    assert lost is not None
    assert finer is not None
    error = (own - layer(x.center)).abs()
    assert bool((error <= lost).all())
    assert bool((error > finer).any())
    assert bool((lost < 1e-3).all())


def test_a_layer_without_a_rule_is_named_with_what_to_do() -> None:
    x = around((3,), 1)
    a = torch.ones(1, 1, 3, dtype=torch.float64)
    with pytest.raises(UnsupportedLayerError, match=r"'crown'.*Tanh; register one with .*pull\.register"):
        pull(nn.Tanh(), a, x, None)
    with pytest.raises(UnsupportedLayerError, match=r"'ibp'.*Tanh"):
        propagate(nn.Tanh(), x, EXACT)
    for layer in (
        nn.Conv2d(1, 1, 3, padding="same"),
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
    ):
        image = around((1, 5, 5), 1)
        with pytest.raises(UnsupportedLayerError, match="padding"):
            pull(layer, torch.ones(1, 1, 1, 5, 5, dtype=torch.float64), image, None)


def chain(seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return (
            nn.Sequential(
                nn.Conv2d(1, 2, 3, padding=1),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(32, 6),
                nn.ReLU(),
                nn.Linear(6, 4),
            )
            .double()
            .requires_grad_(False)
        )


@given(seed=st.integers(0, 200), width=st.sampled_from([0.0, 0.1, 1.0]))
def test_a_network_is_bounded_below_by_pulling_layer_after_layer(seed: int, width: float) -> None:
    network, x = chain(seed), around((1, 4, 4), 2, width, seed)
    inputs = [x]
    for layer in network[:-1]:
        inputs.append(propagate(layer, inputs[-1], EXACT))
    a: Tensor = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    first, constant = a, torch.zeros(3, 2, dtype=torch.float64)
    for layer, bounds in zip(reversed(network), reversed(inputs), strict=True):
        first, more = pull(layer, first, bounds, None)
        constant = constant + more
    generator = torch.Generator().manual_seed(seed)
    for _ in range(20):
        v = x.lower + torch.rand(x.lower.shape, generator=generator, dtype=torch.float64) * x.width
        below = inner(first, v) + constant
        value = inner(a, network(v))
        assert bool((below <= value + 1e-10).all())
        if width == 0:
            torch.testing.assert_close(below, value)
