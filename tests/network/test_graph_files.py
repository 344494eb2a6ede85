"""What a file says of an operation, and bounds rely on, is checked when it is read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from core.errors import CheckpointError
from core.network import expand, files
from core.network import operations as ops
from core.network.builder import Builder
from core.network.functions import FUNCTIONS
from core.network.graph import Graph
from core.network.operations import OPERATIONS, Elementwise
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
