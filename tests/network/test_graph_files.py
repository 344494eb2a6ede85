"""What a file says of an operation, and bounds rely on, is checked when it is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import core
from core.bounds.rounding import ARITHMETICS, Arithmetic
from core.errors import CheckpointError
from core.network import expand, files
from core.network import operations as ops
from core.network.builder import Builder
from core.network.functions import FUNCTIONS
from core.network.graph import Graph
from core.network.operations import OPERATIONS, Elementwise
from core.vae.model import VAE
from core.vae.wrapped import WrappedConfig
from tests.network.random_graphs import SHAPE, random_vae


@pytest.mark.parametrize("seed", range(12))
def test_a_graph_is_read_as_it_was_written(seed: int) -> None:
    encoder = random_vae(seed).encoder
    again = files.build(files.describe(encoder), SHAPE, "encoder").to_empty(device="cpu")
    again.load_state_dict(encoder.state_dict())
    x = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(again(x), encoder(x))
    assert type(again) is type(encoder)


SUMS = [
    (ops.Sum((1, 3), False, False, 12), (4, 2, 3)),
    (ops.Center((2,), 2), (4, 2, 3)),
    (ops.AdaptiveAveragePool((2, 2), 6), (4, 2, 3)),
]


@pytest.mark.parametrize(("operation", "row"), SUMS, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("terms", [1, 0, -5, 2.5])
def test_counts_of_terms_are_checked(operation: nn.Module, row: tuple[int, ...], terms: Any) -> None:
    """A margin for fewer terms would be too small, and an interval of centred values wrong."""
    entries = files.describe(Graph([operation], [(0,)]))
    files.build(entries, row, "encoder")
    entries[0]["options"]["terms"] = terms
    with pytest.raises(CheckpointError, match=r"says that it adds|which it cannot have"):
        files.build(entries, row, "encoder")


def test_no_operation_asserts_what_nobody_checks() -> None:
    """A normalisation ends with a clamp that is computed; no bound believes that it changes nothing."""
    build = Builder((4,))
    network = build.network(expand.normalise(build, build.start, (1,), 1e-5))
    last = network[len(network) - 1]
    assert isinstance(last, Elementwise)
    assert last.name == "clamp"
    v = torch.tensor([[-3.0, 3.0]])
    assert Elementwise("clamp", low=-1.0, high=1.0)(v).tolist() == [[-1, 1]]
    with_counts = {kind for kind in OPERATIONS if "terms" in kind.__init__.__code__.co_varnames}
    assert with_counts == {type(operation) for operation, _ in SUMS}
    assert "clamp" in FUNCTIONS


@pytest.mark.parametrize(("name", "options"), [("softplus", {"beta": -1.0}), ("celu", {"alpha": -1.0})])
def test_options_without_a_rule_are_refused(name: str, options: dict[str, float]) -> None:
    entries = [{"op": "Elementwise", "sources": [0], "options": {"name": name, **options}}]
    with pytest.raises(CheckpointError, match="which it cannot have"):
        files.build(entries, (3,), "encoder")


HUGE: list[tuple[str, dict[str, Any], str]] = [
    ("Elementwise", {"name": "elu", "alpha": 1e300}, "has alpha 1e[+]300"),
    ("Elementwise", {"name": "leaky_relu", "negative_slope": -1e39}, "has negative_slope"),
    ("Elementwise", {"name": "clamp", "low": -(10**400)}, "has low -1000"),
    ("Elementwise", {"name": "celu", "alpha": 1e-300}, "has alpha 1e-300"),
    ("AveragePool", {"kernel": [1, 10**18], "stride": [1, 1], "padding": [0, 0]}, "has kernel"),
    ("Slice", {"dim": 1, "start": 0, "stop": 10**400}, "has stop 1000"),
]


@pytest.mark.parametrize(("op", "options", "said"), HUGE, ids=lambda v: str(v)[:30])
def test_numbers_that_no_layer_can_have_are_refused(op: str, options: dict[str, Any], said: str) -> None:
    """torch would raise, but only when the network is used."""
    with pytest.raises(CheckpointError, match=said):
        files.build([{"op": op, "sources": [0], "options": options}], (4, 4, 4), "encoder")


@pytest.mark.parametrize(("operation", "row"), SUMS, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("terms", [2**53, 10**19, 10**400])
def test_a_count_that_is_too_large_is_a_lie_too(
    operation: nn.Module, row: tuple[int, ...], terms: int
) -> None:
    """A margin for 10^19 terms was negative: bounds were above what images of the ball reach."""
    entries = files.describe(Graph([operation], [(0,)]))
    entries[0]["options"]["terms"] = terms
    with pytest.raises(CheckpointError, match="which it cannot have"):
        files.build(entries, row, "encoder")


@pytest.mark.parametrize("arithmetic", ARITHMETICS.values())
def test_a_margin_of_very_many_terms_is_infinite_and_never_negative(arithmetic: Arithmetic) -> None:
    largest = round(1 / arithmetic.unit)
    assert 0 < arithmetic.gamma(largest // 2) < math.inf
    assert arithmetic.gamma(largest) == arithmetic.gamma(1000 * largest) == math.inf


@pytest.mark.parametrize(("padding", "fits"), [([0, 1], True), ([1, 1], False), ([0, 2], False)])
def test_padding_of_an_output_is_looked_at(padding: list[int], fits: bool) -> None:
    """Without values torch says nothing of it."""
    layer = nn.ConvTranspose2d(1, 1, 2, stride=(1, 2), device="meta")
    entries = files.describe(Graph([layer], [(0,)]))
    entries[0]["options"]["output_padding"] = padding
    if fits:
        files.build(entries, (1, 4, 4), "encoder")
        return
    with pytest.raises(CheckpointError, match="output_padding"):
        files.build(entries, (1, 4, 4), "encoder")


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (ops.BatchNorm(numbers(0, 0), numbers(1, -1), None, None, 1e-5), "has a variance that is negative"),
        (ops.BatchNorm(numbers(0, 0), numbers(1, -1e-7), None, None, 1e-5), "has a negative variance"),
        (
            ops.BatchNorm(numbers(0, 0), numbers(1, 0), None, None, 0.0),
            "has a variance that is negative, or 0 without",
        ),
        (ops.Divide(numbers(1, 0)), "divides by 0"),
        (ops.BatchNorm(numbers(0, 0), numbers(1, 0), None, None, 1e-5), ""),
        (ops.Divide(numbers(1, -2)), ""),
    ],
)
def test_values_that_no_network_computes_with_are_refused(
    operation: nn.Module, said: str, tmp_path: Path
) -> None:
    config = WrappedConfig("bernoulli", (1, 2, 2), 1)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), operation)
    decoder = nn.Sequential(nn.Linear(1, 4), nn.Unflatten(1, (1, 2, 2)))
    core.save_model(VAE.of_networks(config, encoder, decoder), tmp_path)
    if not said:
        core.load_model(tmp_path)
        return
    with pytest.raises(CheckpointError, match=rf"encoder, operation 2 \(\w+\) {said}"):
        core.load_model(tmp_path)
