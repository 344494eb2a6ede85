"""Each operation alone and between two linear layers: no value is outside of a bound, in float32 either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.bounds.backward import BackwardPass
from core.bounds.interval import Interval, propagate, propagate_through
from core.bounds.linear import inner, pull, roundoff
from core.bounds.rounding import ARITHMETICS, EXACT, FLOAT64
from core.network import operations as ops
from core.network.functions import FUNCTIONS
from core.network.graph import Graph
from core.network.operations import OPERATIONS, Elementwise

pytestmark = pytest.mark.slow

FLOAT32 = ARITHMETICS["float32"]
IMAGE = (4, 2, 3)
Rows = tuple[tuple[int, ...], ...]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def positive(*shape: int) -> Tensor:
    return numbers(*shape).abs() + 0.3


Case = tuple[Callable[[], nn.Module], Rows]
CASES: dict[str, Case] = {
    "Reshape": (lambda: ops.Reshape((6, 4)), (IMAGE,)),
    "Permute": (lambda: ops.Permute((3, 1, 2)), (IMAGE,)),
    "Expand": (lambda: ops.Expand((4, 5, 3)), ((4, 1, 3),)),
    "Slice": (lambda: ops.Slice(1, 1, 4, 2), (IMAGE,)),
    "Gather": (lambda: ops.Gather(3, [2, 0, 2, 2]), (IMAGE,)),
    "Pad": (lambda: ops.Pad((1, 2, 0, 1)), (IMAGE,)),
    "Pad of 0.1": (lambda: ops.Pad((1, 2, 0, 1), "constant", 0.1), (IMAGE,)),
    "Pad, reflected": (lambda: ops.Pad((1, 2, 0, 1), "reflect"), (IMAGE,)),
    "Concatenate": (lambda: ops.Concatenate(2), (IMAGE, (4, 5, 3))),
    "Add": (ops.Add, (IMAGE, IMAGE)),
    "Add that broadcasts": (ops.Add, ((4, 1, 3), (1, 2, 3))),
    "Sum": (lambda: ops.Sum((1, 3), False, False, 12), (IMAGE,)),
    "Sum, mean": (lambda: ops.Sum((2,), True, True, 2), (IMAGE,)),
    "AveragePool": (lambda: ops.AveragePool((2, 2), (1, 1), (1, 1), False, True), (IMAGE,)),
    "AveragePool of parts": (lambda: ops.AveragePool((2, 2), (2, 2), (1, 1), True, False), (IMAGE,)),
    "AdaptiveAveragePool": (lambda: ops.AdaptiveAveragePool((2, 2), 6), (IMAGE,)),
    "Upsample": (lambda: ops.Upsample((5, 4), "nearest"), (IMAGE,)),
    "Upsample, bilinear": (lambda: ops.Upsample((11, 50), "bilinear"), (IMAGE,)),
    "Upsample, aligned": (lambda: ops.Upsample((11, 50), "bilinear", True), (IMAGE,)),
    "Upsample, scaled": (lambda: ops.Upsample((3, 6), "bilinear", False, (1.7, 2.3)), (IMAGE,)),
    "PixelShuffle": (lambda: ops.PixelShuffle(2), (IMAGE,)),
    "PixelUnshuffle": (lambda: ops.PixelUnshuffle(2), ((1, 4, 6),)),
    "Scale": (lambda: ops.Scale(numbers(4, 1, 1), numbers(3)), (IMAGE,)),
    "Scale that broadcasts": (lambda: ops.Scale(numbers(2, 1), numbers(3)), ((4, 1, 3),)),
    "Scale, shift alone": (lambda: ops.Scale(None, numbers(1)), (IMAGE,)),
    "Divide": (lambda: ops.Divide(numbers(2, 3)), (IMAGE,)),
    "BatchNorm": (lambda: ops.BatchNorm(numbers(4), positive(4), numbers(4), numbers(4), 1e-5), (IMAGE,)),
    "BatchNorm of a row": (lambda: ops.BatchNorm(numbers(5), 0 * positive(5), None, None, 1e-3), ((5,),)),
    "Center": (lambda: ops.Center((2, 3), 6), (IMAGE,)),
    "Differences": (ops.Differences, (IMAGE,)),
    "Subtract": (ops.Subtract, (IMAGE, (1, 2, 1))),
    "Multiply": (ops.Multiply, (IMAGE, IMAGE)),
    "Multiply that broadcasts": (ops.Multiply, ((4, 1, 3), (1, 2, 1))),
    "Maximum": (ops.Maximum, (IMAGE, IMAGE)),
    "Maximum that broadcasts": (ops.Maximum, ((4, 1, 3), (1, 2, 1))),
    "Minimum": (ops.Minimum, (IMAGE, (1, 1, 3))),
    "Linear on tokens": (lambda: nn.Linear(3, 2), (IMAGE,)),
    **{name: (lambda name=name: Elementwise(name), (IMAGE,)) for name in FUNCTIONS if name != "prelu"},
    "prelu": (lambda: Elementwise("prelu", numbers(4, 1, 1)), (IMAGE,)),
}
INSIDE = ("log", "sqrt", "rsqrt", "reciprocal", "logit")
"""Functions that are tried on values in (0, 1)."""
LINEAR = (*(kind for kind in OPERATIONS if issubclass(kind, ops.Monotone)), ops.Scale, ops.Divide)
LINEAR = (*LINEAR, ops.BatchNorm, ops.Center, ops.Subtract, ops.Differences, nn.Linear)
APART = (ops.InverseSoftmax,)
"""Operations whose values depend on each other: tests/network/test_softmax.py."""
every = pytest.mark.parametrize("name", CASES)


def test_every_operation_has_a_case() -> None:
    tried = [make() for make, _ in CASES.values()]
    assert {type(layer) for layer in tried} >= set(OPERATIONS) - set(APART)
    assert {layer.name for layer in tried if isinstance(layer, Elementwise)} == set(FUNCTIONS)
    for kind in OPERATIONS:
        for rules in (propagate, pull, roundoff):
            assert kind in rules.kinds


def boxes(name: str, width: float, count: int = 5) -> tuple[Interval, ...]:
    """Inputs of an operation, (N, ...) each, with ends that float32 has."""
    found = []
    for seed, row in enumerate(CASES[name][1]):
        center, share = 2 * numbers(count, *row, seed=seed + 1), numbers(count, *row, seed=seed + 50).abs()
        if name in INSIDE:
            center = 0.4 + 0.1 * center.tanh()
            share = share.tanh() * 0.2
        lower, upper = (center - width * share).float(), (center + width * share).float()
        found.append(Interval(lower.double(), upper.double()))
    return tuple(found)


def inside(x: Interval, count: int, seed: int) -> Tensor:
    """Values of a box, among them corners, (count, N, ...), which float32 has."""
    share = torch.rand(count, *x.lower.shape, generator=torch.Generator().manual_seed(seed))
    share[::2] = share[::2].round()
    found = (x.lower + share * x.width).float().double()
    return torch.minimum(torch.maximum(found, x.lower), x.upper)


def one(x: tuple[Any, ...]) -> Any:
    return x[0] if len(x) == 1 else x


@every
@pytest.mark.parametrize("width", [0.0, 1e-4, 0.5, 1.0])
def test_alone(name: str, width: float) -> None:
    """Intervals and planes bound the values, evaluated in float32 and in float64."""
    layer, x = CASES[name][0]().requires_grad_(False), boxes(name, width)
    points = [inside(v, 40, seed) for seed, v in enumerate(x)]
    single = layer(*(v.flatten(0, 1).float() for v in points)).unflatten(0, (40, -1)).double()
    layer = layer.double()
    double = layer(*(v.flatten(0, 1) for v in points)).unflatten(0, (40, -1))
    generator = torch.Generator().manual_seed(9)
    rows = torch.randn(4, *double.shape[1:], generator=generator, dtype=torch.float64)
    back, constant = pull(layer, rows, one(x), None)
    back = back if len(x) > 1 else (back,)
    for arithmetic, values in ((FLOAT64, double), (FLOAT32, single)):
        found = propagate(layer, one(x), arithmetic)
        assert bool(((found.lower <= values) & (values <= found.upper)).all())
        lost = roundoff(layer, one(x), arithmetic)
        taken = 0.0 if lost is None else inner(rows.abs(), lost)
        for point, value in zip(zip(*points, strict=True), values, strict=True):
            planes = constant + sum(inner(a, v) for a, v in zip(back, point, strict=True))
            slack = 1e-13 * rows.abs().flatten(2).sum(2) * (1 + value.abs().amax())
            assert bool((planes - taken <= inner(rows, value) + slack).all())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if isinstance(case[0](), LINEAR)])
def test_linear_operations_are_pulled_exactly(name: str) -> None:
    layer, x = CASES[name][0]().requires_grad_(False).double(), boxes(name, 0.5)
    value = layer(*(v.upper for v in x))
    rows = torch.randn(3, *value.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    back, constant = pull(layer, rows, one(x), None)
    back = back if len(x) > 1 else (back,)
    found = constant + sum(inner(a, v.upper) for a, v in zip(back, x, strict=True))
    torch.testing.assert_close(found, inner(rows, value))
    assert [tuple(a.shape[2:]) for a in back] == [tuple(v.lower.shape[1:]) for v in x]


@every
def test_intervals_are_attained(name: str) -> None:
    """Each end of the exact interval is the value of some point: a corner, or a turning point inside."""
    layer, x = CASES[name][0]().requires_grad_(False).double(), boxes(name, 0.5, 2)
    exact = propagate(layer, one(x), EXACT)
    for end, ends in ((exact.lower, min), (exact.upper, max)):
        place = int(torch.arange(end[0].numel())[len(end[0].flatten()) // 2])
        flat = [v.map(lambda w: w.flatten(1)) for v in x]
        points = [v.lower.clone() for v in flat]
        best = None
        for _ in range(2):  # coordinate by coordinate: no operation needs more than one round
            for part, box in zip(points, flat, strict=True):
                for i in range(part.shape[1]):
                    tried = []
                    for share in (0.0, 1.0, *torch.linspace(0, 1, 33).tolist()):
                        part[:, i] = box.lower[:, i] + share * box.width[:, i]
                        rows = [p.view_as(v.lower) for p, v in zip(points, x, strict=True)]
                        tried.append((layer(*rows).flatten(1)[0, place].item(), part[:, i].clone()))
                        if isinstance(layer, LINEAR) and len(tried) == 2:
                            break
                    best, part[:, i] = ends(tried, key=lambda found: found[0])
        assert best == pytest.approx(end.flatten(1)[0, place].item(), rel=2e-3, abs=5e-3)


def between(name: str, seed: int) -> Graph:
    """Linear layers before each input of the operation and one behind it."""
    make, rows = CASES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        operations, sources, taken = list[nn.Module](), list[tuple[int, ...]](), []
        for row in rows:
            size = int(torch.tensor(row).prod())
            operations += [nn.Linear(3, size), nn.Unflatten(1, row)]
            sources += [(0,), (len(operations) - 1,)]
            if name in INSIDE:
                operations.append(Elementwise("sigmoid"))
                sources.append((len(operations) - 1,))
            taken.append(len(operations))
        operations += [make(), nn.Flatten()]
        sources += [tuple(taken), (len(operations) - 1,)]
        width = Graph(operations, sources)(torch.zeros(1, 3)).shape[1]
        operations.append(nn.Linear(width, 3))
        sources.append((len(operations) - 1,))
    return Graph(operations, sources).eval().requires_grad_(False)


@every
@pytest.mark.parametrize("width", [0.0, 0.01, 0.7])
def test_between_linear_layers(name: str, width: float) -> None:
    network = between(name, 3)
    single, center = network, numbers(2, 3, seed=4)
    x = Interval((center - width).double(), (center + width).double())
    points = inside(x, 60, 5)
    out = single(points.flatten(0, 1).float()).unflatten(0, (60, -1)).double()
    double = network.double()
    exact = double(points.flatten(0, 1)).unflatten(0, (60, -1))
    for arithmetic, values in ((FLOAT64, exact), (FLOAT32, out)):
        bounds = [x, *propagate_through(double, x, arithmetic)]
        found = bounds[-1]
        assert bool(((found.lower <= values) & (values <= found.upper)).all())
        rows = torch.eye(3, dtype=torch.float64)[:, None]
        rows = torch.cat([rows, -rows])
        backward = BackwardPass(double, bounds, len(double), arithmetic)
        a, constant, lost = backward.pull(rows, {})
        for point, value in zip(points, values, strict=True):
            assert bool((inner(a, point) + constant - lost <= inner(rows, value) + 1e-13).all())
        lowest = inner(a.clamp(min=0), x.lower) + inner(a.clamp(max=0), x.upper) + constant - lost
        assert bool(lowest.isfinite().all())
        if (
            arithmetic is FLOAT64 and width > 0 and isinstance(CASES[name][0](), LINEAR)
        ):  # as good as linear algebra
            reached = inner(rows.expand(-1, 2, -1), double(x.lower)).new_tensor(0.0)
            for r, row in enumerate(rows):
                best = torch.where(a[r] > 0, x.lower, x.upper)
                reached = torch.maximum(reached, ((double(best) * row).sum(1) - lowest[r]).abs().max())
            assert reached < 1e-9


def test_hand_values_of_products() -> None:
    """On [1, 3] x [-1, 2]: the interval is [-3, 6]."""
    a = Interval(torch.tensor([[1.0]]).double(), torch.tensor([[3.0]]).double())
    b = Interval(torch.tensor([[-1.0]]).double(), torch.tensor([[2.0]]).double())
    found = propagate(ops.Multiply(), (a, b), EXACT)
    assert (found.lower.item(), found.upper.item()) == (-3, 6)
    # Below, -a + b + 1 is at least -3, 2 a + 3 b - 6 at least -7: a share of 0.7 for the first. Above,
    # 2 a + b - 2 and -a + 3 b + 3 are at most 6 and 8.
    below, above = (-0.1, 1.6, -1.1), (-(0.7 * 2 - 0.3), -(0.7 + 0.3 * 3), -(0.7 * -2 + 0.3 * 3))
    for sign, planes in ((1.0, below), (-1.0, above)):
        (on_a, on_b), more = pull(ops.Multiply(), sign * torch.ones(1, 1, 1).double(), (a, b), None)
        assert (on_a.item(), on_b.item(), more.item()) == pytest.approx(planes, rel=1e-12)


def test_hand_values_of_maxima_and_centres() -> None:
    a = Interval(torch.tensor([[0.0]]).double(), torch.tensor([[2.0]]).double())
    b = Interval(torch.tensor([[1.0]]).double(), torch.tensor([[2.0]]).double())
    (on_a, on_b), more = pull(ops.Maximum(), -torch.ones(1, 1, 1).double(), (a, b), None)
    # a - b is in [-2, 1]: max(a, b) <= b + (a - b) / 3 + 2 / 3
    assert on_a.item() == pytest.approx(-1 / 3)
    assert on_b.item() == pytest.approx(-2 / 3)
    assert more.item() == pytest.approx(-2 / 3)
    box = Interval(torch.tensor([[0.0, 0.0]]).double(), torch.tensor([[1.0, 3.0]]).double())
    found = propagate(ops.Center((1,), 2), box, EXACT)
    assert found.lower.tolist() == [[-1.5, -0.5]]
    assert found.upper.tolist() == [[0.5, 1.5]]


@every
def test_nothing_is_proved_of_what_may_be_infinite(name: str) -> None:
    """Unbounded inputs give bounds that are unbounded, or known, and never a number that is none."""
    layer = CASES[name][0]().requires_grad_(False).double()
    x = tuple(Interval(v.lower - torch.inf, v.upper + torch.inf) for v in boxes(name, 0.5))
    found = propagate(layer, one(x), FLOAT32)
    assert not bool((found.lower.isnan() | found.upper.isnan()).any())
    assert bool((found.lower <= found.upper).all())
    values = layer(*(torch.sign(v) * 1e30 for v in (b.lower for b in boxes(name, 0.5))))
    bounded = values.isfinite()
    assert bool(((found.lower <= values) & (values <= found.upper))[bounded].all())


@pytest.mark.parametrize("clamp", [ops.Minimum, ops.Maximum])
def test_what_is_no_number_stays_unknown(clamp: type[nn.Module]) -> None:
    """inf - inf is none, and the smaller or larger of that and a number is none either."""
    scales = [ops.Scale(torch.tensor([1e30]), None) for _ in range(2)]
    others = {ops.Minimum: ops.Maximum, ops.Maximum: ops.Minimum}
    network = Graph(
        [*scales, ops.Subtract(), clamp(), others[clamp](), Elementwise("clamp", low=0.0, high=1.0)],
        [(0,), (1,), (2, 2), (3, 0), (4, 0), (5,)],
    )
    x = Interval(torch.full((1, 1), 0.5).double(), torch.full((1, 1), 0.6).double())
    assert network(torch.full((1, 1), 0.5)).isnan().all()
    for found in propagate_through(network.double(), x, FLOAT32)[2:]:
        assert found.width.item() == torch.inf


@every
def test_huge_inputs(name: str) -> None:
    layer = CASES[name][0]().requires_grad_(False)
    for size in (1e6, 1e20, 1e37):
        x = tuple(v.map(lambda end, size=size: (size * end).float().double()) for v in boxes(name, 0.5))
        points = [inside(v, 6, seed) for seed, v in enumerate(x)]
        values = layer.float()(*(v.flatten(0, 1).float() for v in points)).unflatten(0, (6, -1)).double()
        found = propagate(layer.double(), one(x), FLOAT32)
        kept = values.isfinite()
        assert bool(((found.lower <= values) & (values <= found.upper))[kept].all())
        lost = (~values.isfinite()).any(0)
        assert bool((found.width[lost] == torch.inf).all())


def test_points_of_a_training_step_stay_points() -> None:
    """The first rows are single points: with or without that knowledge the bounds are the same."""
    for name, (make, _) in CASES.items():
        layer, x = make().requires_grad_(False).double(), boxes(name, 0.5)
        mixed = tuple(
            Interval(v.lower, torch.cat([v.lower[:2], v.upper[2:]]), points=points)
            for v, points in zip(x, (2, 1), strict=False)
        )
        found = propagate(layer, one(mixed), EXACT)
        plain = propagate(layer, one(tuple(Interval(v.lower, v.upper) for v in mixed)), EXACT)
        for end, wanted in ((found.lower, plain.lower), (found.upper, plain.upper)):
            torch.testing.assert_close(end, wanted)
        assert found.points <= 2
        torch.testing.assert_close(found.lower[: found.points], found.upper[: found.points])


def test_a_value_that_several_operations_take() -> None:
    """v - v, v * v and max(v, -v): rows on v are summed."""
    twice = Graph([nn.Linear(2, 2), ops.Subtract(), ops.Add()], [(0,), (1, 1), (2, 1)])
    twice = twice.requires_grad_(False).double()
    x = Interval(-torch.ones(1, 2).double(), torch.ones(1, 2).double())
    bounds = [x, *propagate_through(twice, x, FLOAT64)]
    a, constant, lost = BackwardPass(twice, bounds, 3, FLOAT64).pull(torch.eye(2).double()[:, None], {})
    linear = twice[0]
    assert isinstance(linear, nn.Linear)
    torch.testing.assert_close(a[:, 0], linear.weight)
    torch.testing.assert_close(constant[:, 0], linear.bias)
    assert bool((lost > 0).all() and (lost < 1e-12).all())


def test_an_output_that_does_not_depend_on_the_input() -> None:
    still = Graph([ops.Subtract(), ops.Scale(None, torch.tensor([2.0]))], [(0, 0), (1,)]).double()
    x = Interval(-torch.ones(1, 2).double(), torch.ones(1, 2).double())
    bounds = [x, *propagate_through(still, x, FLOAT64)]
    a, constant, lost = BackwardPass(still, bounds, 2, FLOAT64).pull(torch.eye(2).double()[:, None], {})
    assert a.abs().max().item() == 0
    assert (constant - 2).abs().max().item() <= lost.max().item() + 1e-15


def test_constants_that_float32_loses_prove_nothing() -> None:
    """A divisor that may be flushed to 0, a variance that cancels eps, a factor that overflows."""
    x = Interval(torch.zeros(1, 2).double(), torch.ones(1, 2).double())
    tiny, big = torch.tensor([1e-39, 1e-39]), torch.tensor([3e38, 3e38])
    var = torch.tensor([-9.99e-6, -9.99e-6])
    for layer in (
        ops.Divide(tiny),
        ops.BatchNorm(0 * var, var, None, None, 1e-5),
        ops.BatchNorm(0 * var, 0 * var, big, None, 1e-5),
    ):
        found = propagate(layer.double(), x, FLOAT32)
        assert bool((found.width == torch.inf).all())


def test_bilinear_places_are_rounded() -> None:
    """In float32 the place between two pixels is off by a share of the edge: that alone is far above the
    rounding of four products."""
    layer = ops.Upsample((200, 200), "bilinear", False, (200 / 13 + 0.01, 200 / 13 + 0.01))
    v = numbers(2, 1, 13, 13).sign()
    point = Interval(v.double(), v.double())
    error = (layer(v).double() - layer(v.double())).abs()
    lost = roundoff(layer, point, FLOAT32)
    assert lost is not None
    assert bool((error <= lost).all())
    assert error.max().item() > 8 * 2.0**-24


def test_normalised_rows_in_float32() -> None:
    """Large values that differ by a bit: centred, they do not sum to 0, and one is above sqrt(n - 1)."""
    from core.network import expand
    from core.network.builder import Builder

    build = Builder((2,))
    network = build.network(expand.normalise(build, build.start, (1,), 1e-5))
    x = torch.tensor([[1e6, 1e6 + 0.0625]])
    found = network(x)
    assert found.max().item() > 1.4
    clamp = network[len(network) - 1]
    assert isinstance(clamp, Elementwise)
    assert found.max().item() < clamp.options["high"]  # which changes nothing
