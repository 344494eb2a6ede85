"""Softmax as 1 / sum over j of exp(x_j - x_k): its bounds hold, and know how differences are bounded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from core.bounds.interval import Interval, propagate
from core.bounds.linear import inner, prepare, pull, pull_units, roundoff, unit_rows
from core.bounds.rounding import ARITHMETICS, EXACT, FLOAT64, Arithmetic
from core.certificates.elbo_bounds.layer_bounds import Half
from core.errors import CheckpointError, UnsupportedLayerError
from core.network import expand, files
from core.network import operations as ops
from core.network.builder import Builder
from core.network.graph import Graph, Network
from core.network.operations import Differences, Elementwise, InverseSoftmax

FLOAT32 = ARITHMETICS["float32"]
WIDTHS = (0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0, 10.0, 100.0, 1e3, 1e6)
ROWS = ((2,), (5,), (2, 3), (1, 2, 4))


def network_of(row: tuple[int, ...]) -> Network:
    build = Builder(row)
    return build.network(expand.softmax(build, build.start, -1))


def box_of(row: tuple[int, ...], width: float, seed: int, scale: float = 3.0) -> Interval:
    """Intervals whose ends float32 has, of all widths up to `width`."""
    generator = torch.Generator().manual_seed(seed)
    center = scale * torch.randn(6, *row, generator=generator)
    share = torch.rand(6, *row, generator=generator)
    return Interval((center - width * share).double(), (center + width * share).double())


def points_in(x: Interval, count: int, seed: int) -> Tensor:
    """Values of a box that float32 has: random ones, corners, points near the lower ends."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(count, *x.lower.shape, generator=generator).double()
    share[::3] = share[::3].round()
    share[1::3] = share[1::3] ** 8
    found = (x.lower + share * x.width).float().double()
    return torch.minimum(torch.maximum(found, x.lower), x.upper)


def beaten(x: Interval, apart: Interval, points: Tensor, arithmetic: Arithmetic) -> list[str]:
    """Which bounds are beaten by points of the box, evaluated in float64 or in float32."""
    layer, found = InverseSoftmax(), list[str]()
    v = points.flatten(0, 1).to(torch.float64 if arithmetic is FLOAT64 else torch.float32)
    differences = Differences()(v)
    values = layer(v, differences).double().unflatten(0, points.shape[:2])
    differences = differences.double().unflatten(0, points.shape[:2])
    if bool(((differences < apart.lower) | (differences > apart.upper)).any()):
        found.append("differences")
    bounds = propagate(layer, (x, apart), arithmetic)
    if bool(((values < bounds.lower) | (values > bounds.upper)).any()):
        found.append("interval")
    rows = unit_rows(torch.arange(x.lower[0].numel(), dtype=torch.int64, device="cpu"), x)
    rows = torch.cat([rows, -rows, rows[:1] - rows[-1:]]).expand(-1, len(x.lower), *x.lower.shape[1:])
    planes = prepare(layer, (x, apart))
    (back, none), constant = pull(layer, rows, (x, apart), planes)
    lost = roundoff(layer, (x, apart), arithmetic)
    assert none is None
    assert lost is not None
    taken = inner(rows.abs(), lost)
    for point, value in zip(points, values, strict=True):
        if bool((inner(back, point) + constant - taken > inner(rows, value)).any()):
            found.append("planes")
            break
    return found


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("arithmetic", [FLOAT64, FLOAT32], ids=["float64", "float32"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_bound_is_beaten(row: tuple[int, ...], arithmetic: Arithmetic, width: float) -> None:
    for seed, scale in enumerate((0.1, 3.0, 40.0, 1e4)):
        x = box_of(row, width, seed, scale)
        points = points_in(x, 60, seed)
        wide = propagate(Differences(), x, arithmetic)
        assert beaten(x, wide, points, arithmetic) == []
        # No wider than what the points do: every difference in it is one that there is.
        reached = Differences()(points.float()).double() if arithmetic is FLOAT32 else Differences()(points)
        assert beaten(x, Interval(reached.amin(0), reached.amax(0)), points, arithmetic) == []


def test_it_is_softmax() -> None:
    for row in ROWS:
        v = points_in(box_of(row, 1.0, 3, 20.0), 4, 1).flatten(0, 1)
        torch.testing.assert_close(network_of(row)(v), v.softmax(-1), rtol=1e-12, atol=1e-26)
    far = torch.tensor([[0.0, 3000.0, -3e38]])
    assert network_of((3,))(far).isfinite().all()


def test_one_value_has_all_of_it() -> None:
    assert network_of((4, 1))(torch.randn(2, 4, 1)).tolist() == torch.ones(2, 4, 1).tolist()


def test_planes_know_what_differences_are_bounded_by() -> None:
    """Wide values that rise together: their softmax is one number, and its planes are level."""
    x = Interval(torch.tensor([[-50.0, -49.0]]).double(), torch.tensor([[50.0, 51.0]]).double())
    apart = Interval(torch.tensor([[-1.0]]).double(), torch.tensor([[-1.0]]).double())
    rows = torch.eye(2).double()[:, None]
    for sign in (1.0, -1.0):
        (back, _), constant = pull(InverseSoftmax(), sign * rows, (x, apart), None)
        torch.testing.assert_close(back.sum(-1), torch.zeros(2, 1).double())
        for value in (-50.0, 50.0):
            point = torch.tensor([[value, value + 1]]).double()
            wanted = sign * torch.tensor([1 + torch.e, 1 + 1 / torch.e]).double()[:, None]
            torch.testing.assert_close(inner(back, point) + constant, wanted)


def test_hand_values() -> None:
    """x_0 - x_1 in [0, 1]: 1 / p_1 = 1 + exp(x_0 - x_1) is below the chord 2 + (e - 1) (x_0 - x_1)."""
    x = Interval(torch.zeros(1, 2).double(), torch.tensor([[1.0, 0.0]]).double())
    apart = propagate(Differences(), x, EXACT)
    assert (apart.lower.item(), apart.upper.item()) == (0, 1)
    found = propagate(InverseSoftmax(), (x, apart), EXACT)
    assert found.upper[0].tolist() == pytest.approx([2, 1 + torch.e])
    assert found.lower[0].tolist() == pytest.approx([1 + 1 / torch.e, 2])
    rows = torch.tensor([[[0.0, -1.0]]]).double()
    (back, _), constant = pull(InverseSoftmax(), rows, (x, apart), None)
    assert back[0, 0].tolist() == pytest.approx([1 - torch.e, torch.e - 1])
    assert constant.item() == pytest.approx(-2)


def test_units_of_differences_are_rows() -> None:
    x = box_of((2, 4), 1.0, 0)
    output = propagate(Differences(), x, EXACT)
    units = torch.tensor([0, 5, 7, 11], dtype=torch.int64, device="cpu")
    rows, constant = pull_units(Differences(), units, x, output)
    wanted, _ = pull(Differences(), unit_rows(units, output), x, None)
    assert torch.equal(rows, wanted)
    assert not constant.any()


@pytest.mark.parametrize("end", [torch.inf, torch.nan])
def test_what_is_not_bounded_proves_nothing_and_is_no_number(end: float) -> None:
    x = Interval(torch.tensor([[-end, 0.0, 1.0]]).double(), torch.tensor([[end, 1.0, 1.0]]).double())
    for arithmetic in (FLOAT64, FLOAT32):
        apart = propagate(Differences(), x, arithmetic)
        found = propagate(InverseSoftmax(), (x, apart), arithmetic)
        for bound in (apart, found):
            assert not bool((bound.lower.isnan() | bound.upper.isnan()).any())
        assert found.lower.min().item() <= 1
        lost = roundoff(InverseSoftmax(), (x, apart), arithmetic)
        assert lost is not None
        assert bool((lost == torch.inf).all())


def test_differences_of_another_value_are_refused() -> None:
    """Planes in x rely on them."""
    for sources in ([(0,), (1,), (1, 2)], [(0,), (0,), (1, 1)], [(0,), (0,), (0, 0)], [(0,), (0,), (2,)]):
        operations = [ops.Scale(torch.tensor([2.0]), None), Differences(), InverseSoftmax()]
        if sources[-1] == (1, 2):
            Graph(operations, sources)
            continue
        with pytest.raises(UnsupportedLayerError, match="InverseSoftmax"):
            Graph(operations, sources)


def test_files_with_differences_of_another_value_are_refused() -> None:
    network = network_of((3,))
    entries = files.describe(network)
    assert files.describe(files.build(entries, (3,), "a graph")) == entries
    place = [entry["op"] for entry in entries].index("InverseSoftmax")
    entries.insert(0, {"op": "Reshape", "sources": [0], "options": {"shape": [3]}})
    for entry in entries[2:]:
        entry["sources"] = [source + 1 for source in entry["sources"]]
    entries[place + 1]["sources"][0] = 1
    with pytest.raises(CheckpointError, match="InverseSoftmax"):
        files.build(entries, (3,), "a graph")


def test_values_that_get_bounds_of_their_own() -> None:
    """Differences and the sum; not softmax's input, nor what follows from one unit of what has them."""

    def stops(module_operations: list[nn.Module], sources: list[tuple[int, ...]]) -> list[int]:
        network = Graph(module_operations, sources)
        nothing = Interval(torch.zeros(1, 3).double(), torch.ones(1, 3).double())
        return Half("network", network, [nothing] * (len(network) + 1)).stops

    def named(name: str) -> Elementwise:
        return Elementwise(name)

    linear = [nn.Linear(3, 3) for _ in range(2)]
    soft = [linear[0], Differences(), InverseSoftmax(), named("reciprocal"), linear[1]]
    assert stops(soft, [(0,), (1,), (1, 2), (3,), (4,)]) == [2, 3, 5]
    gate = [linear[0], named("sigmoid"), ops.Scale(torch.tensor([2.0]), None), ops.Multiply(), linear[1]]
    assert stops(gate, [(0,), (1,), (2,), (1, 3), (4,)]) == [1, 5]
    # What falls and rises, and what sums, is no such value; nor one of which ReLUs alone have bounds.
    turns = [linear[0], named("silu"), named("tanh"), linear[1]]
    assert stops(turns, [(0,), (1,), (2,), (3,)]) == [1, 2, 4]
    summed = [linear[0], named("exp"), ops.Sum((1,), True, False, 3), named("log")]
    assert stops(summed, [(0,), (1,), (2,), (3,)]) == [1, 3, 4]
    bent = [linear[0], nn.ReLU(), ops.Slice(1, 0, 2), named("tanh"), ops.Concatenate(1)]
    assert stops(bent, [(0,), (1,), (1,), (3,), (2, 4)]) == [1, 3, 5]
