"""Every function is bounded on every interval by its ends and by two lines, in every arithmetic."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
import torch
from torch import Tensor

from core.bounds.elementwise import Lines, lines, steepness
from core.bounds.interval import Interval, propagate
from core.bounds.linear import roundoff
from core.bounds.rounding import ARITHMETICS, FLOAT64
from core.errors import UnsupportedLayerError
from core.network.functions import CONCAVE, CONVEX, FUNCTIONS, Function
from core.network.operations import Elementwise

CASES: list[tuple[str, dict[str, Any]]] = [
    ("relu6", {}),
    ("absolute", {}),
    *(("leaky_relu", {"negative_slope": slope}) for slope in (0.01, -0.5, 3.0, 0.0)),
    *(("prelu", {"weight": torch.tensor([slope])}) for slope in (-0.3, 2.0)),
    *(("clamp", ends) for ends in ({"low": -1.0, "high": 2.0}, {"low": 0.1}, {"high": -0.3})),
    ("clamp", {"low": 2.0, "high": -1.0}),  # torch gives -1
    ("hardsigmoid", {}),
    ("hardswish", {}),
    ("sigmoid", {}),
    ("tanh", {}),
    ("softsign", {}),
    ("softplus", {}),
    *(
        ("softplus", {"beta": beta, "threshold": at})
        for beta, at in ((3.0, 20.0), (0.1, -3.0), (50.0, 2.0))
    ),
    ("log_sigmoid", {}),
    *(("elu", {"alpha": alpha}) for alpha in (1.0, 2.5, -1.0, 0.0)),
    *(("celu", {"alpha": alpha}) for alpha in (1.0, 2.5, 0.01)),
    ("selu", {}),
    ("silu", {}),
    ("swish", {}),
    *(("gelu", {"approximate": kind}) for kind in ("none", "tanh")),
    ("mish", {}),
    *((name, {}) for name in ("exp", "log", "sqrt", "rsqrt", "reciprocal", "square", "logit")),
]
cases = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v).replace(" ", ""))
COUNT = 700
# Shares of an interval, many of them close to its ends.
SHARES = torch.cat(
    [torch.linspace(0, 1, 101), torch.logspace(-15, -1, 15), 1 - torch.logspace(-15, -1, 15)]
)


def test_every_function_has_a_case() -> None:
    assert {name for name, _ in CASES} == set(FUNCTIONS)


def layer_of(name: str, options: dict[str, Any]) -> Elementwise:
    return Elementwise(name, **options)


def intervals(function: Function, seed: int = 0) -> Interval:
    """Narrow, wide, huge, one-sided, degenerate and subnormal ones, around knots and ends of domains too:
    (N, 1)."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(COUNT, generator=generator, dtype=torch.float64)

    places = [0.0, *function.knots, *(end for domain in function.domains for end in domain)]
    places = torch.tensor([place for place in places if abs(place) < 1e30], dtype=torch.float64)
    center = uniform(-1, 1) * 10 ** uniform(-2.5, 2.5)
    center[: COUNT // 3] = places.repeat(COUNT)[: COUNT // 3]
    width = 10 ** uniform(-18, 3.5)
    width[:50], width[50:70] = 0, 1e-300
    lower, upper = center - uniform(0, 1) * width, center + uniform(0, 1) * width
    for place, end in itertools.product(places, (5e-324, 1e-310, 1e-30, 1e-3, 1.0, 50.0, 1e6, 1e30)):
        extra = torch.stack([place, place + end]), torch.stack([place - end, place])
        lower = torch.cat([lower, *(ends[:1] for ends in extra)])
        upper = torch.cat([upper, *(ends[1:] for ends in extra)])
    pairs = [(-1e6, 1e6), (-1e6, -1e5), (-1e30, 1e30), (5e-324, 1.0), (0.25, 1 - 1e-12), (1e5, 1e6)]
    ends = torch.tensor(pairs, dtype=torch.float64)
    inside = torch.rand(200, 2, generator=generator, dtype=torch.float64).sort(1).values  # of any domain
    ends = torch.cat([ends, inside, inside**4, 1 - (inside**4).flip(1)])
    return Interval(torch.cat([lower, ends[:, 0]])[:, None], torch.cat([upper, ends[:, 1]])[:, None])


def points(function: Function, x: Interval) -> Tensor:
    """Of each interval: a grid, points close to the ends, and the knots inside: (N, P)."""
    shares = x.lower + SHARES.double() * x.width
    knots = torch.tensor([0.0, *function.knots], dtype=torch.float64).expand(len(shares), -1)
    return torch.cat([shares, knots], 1).clamp(x.lower, x.upper)


def inside(function: Function, x: Interval) -> Tensor:
    """Which intervals the function is defined on."""
    return torch.stack([(x.lower > low) & (x.upper < high) for low, high in function.domains]).any(0)


@cases
def test_no_value_is_outside(name: str, options: dict[str, Any]) -> None:
    layer = layer_of(name, options).double()
    x = intervals(layer.function)
    values, found = layer(points(layer.function, x)), propagate(layer, x, FLOAT64)
    defined = inside(layer.function, x)
    assert bool(((found.lower <= values) & (values <= found.upper))[defined[:, 0]].all())
    assert bool((found.lower[~defined] == -torch.inf).all() and (found.upper[~defined] == torch.inf).all())
    assert defined.sum() > 500
    # As narrow as the values, where these are many: no function does more between two of the points.
    close = (x.width > 1e-9) & (x.width < 100) & found.width.isfinite()
    spread = values.amax(1, keepdim=True) - values.amin(1, keepdim=True)
    room = 1e-3 * x.width * steepness(layer.function, x) + 1e-9 + 3 * layer.function.apart
    assert bool((found.width <= spread + room)[close & defined].all())


@cases
def test_lines_bound_and_touch(name: str, options: dict[str, Any]) -> None:
    layer = layer_of(name, options).double()
    function = layer.function
    x = intervals(function, 1)
    v, found, margin = points(function, x), lines(function, x), roundoff(layer, x, FLOAT64)
    assert margin is not None
    values, proved = layer(v), margin.isfinite()
    below, above = found.below_slope * v + found.below, found.above_slope * v + found.above
    assert bool(((below <= values + margin) & (values <= above + margin))[proved[:, 0]].all())
    assert bool((found.below[~inside(function, x)] == -torch.inf).all())
    wide = proved & (x.width > 1e-6) & (x.width < 100)
    size = x.width * steepness(function, x) + margin
    for gap in ((values - below).amin(1, keepdim=True), (above - values).amin(1, keepdim=True)):
        assert bool((gap <= 2e-3 * size)[wide].all())
    steep = steepness(function, x)
    for slope in (found.below_slope, found.above_slope):
        assert bool((slope.abs() <= steep)[proved].all())


@cases
def test_lines_are_about_the_best(name: str, options: dict[str, Any]) -> None:
    """At the centre no chord through two points of the graph is nearer by much: the envelope is taken a
    little beside it, where the function is lower, and tangents are a little flatter."""
    layer = layer_of(name, options).double()
    function = layer.function
    x = intervals(function, 2)
    x = Interval(*(v[(inside(function, x) & (x.width > 1e-3) & (x.width < 30))][:, None] for v in ends(x)))
    found, middle = lines(function, x), x.center
    grid = x.lower + torch.linspace(0, 1, 41, dtype=torch.float64) * x.width
    values = layer(grid)
    left, right = slice(0, 20), slice(21, None)
    share = ((middle - grid[:, left])[:, :, None]) / (grid[:, None, right] - grid[:, left, None])
    chords = (1 - share) * values[:, left, None] + share * values[:, None, right]
    at = (values.amax(1) - values.amin(1))[:, None] + 1e-9 + function.apart
    lowest = torch.minimum(chords.flatten(1).amin(1, keepdim=True), layer(middle))
    highest = torch.maximum(chords.flatten(1).amax(1, keepdim=True), layer(middle))
    assert len(at) > 50
    below = (lowest - found.below_slope * middle - found.below) / at
    above = (found.above_slope * middle + found.above - highest) / at
    for far in (below, above):
        far = far[far.isfinite()]
        assert far.mean().item() <= 0.02
        assert far.max().item() <= 0.5


def ends(x: Interval) -> tuple[Tensor, Tensor]:
    return x.lower, x.upper


@cases
def test_curvature_is_as_it_says(name: str, options: dict[str, Any]) -> None:
    """The slope is the derivative on bent pieces, rises on convex and falls on concave ones, and is never
    steeper than it says."""
    function = layer_of(name, options).double().function
    edges = (-30.0, *function.knots, 30.0)
    for low, high, bend in zip(edges[:-1], edges[1:], function.bends, strict=True):
        v = torch.linspace(low, high, 2003, dtype=torch.float64)[1:-1]
        v = v[inside(function, Interval(v, v))]
        if bend not in (CONVEX, CONCAVE) or len(v) == 0:
            continue
        slope, step = function.slope(v), 1e-6 * (1 + v.abs()).clamp(max=2)
        v, step, slope = (part[(v.abs() > 0.05) & ((v - 1).abs() > 0.05)] for part in (v, step, slope))
        if function.apart > 1e-6:
            continue  # it jumps
        measured = (function.value(v + step) - function.value(v - step)) / (2 * step)
        torch.testing.assert_close(slope, measured, rtol=1e-4, atol=1e-6)
        assert bool((bend * slope.diff() >= -1e-15 * slope.abs().max()).all())
    if function.steepest is not None and function.apart < 1e-6:
        v = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
        assert (function.value(v).diff() / v.diff()).abs().max().item() <= float(function.steepest) + 1e-9


@cases
def test_runs_bend_one_way(name: str, options: dict[str, Any]) -> None:
    """Over knots, too; each knot is inside of a run, or between two."""
    function = layer_of(name, options).double().function
    runs, knots = function.runs, function.knots
    assert {-torch.inf, torch.inf, *knots} >= {end for run in runs for end in (run.low, run.high)}
    assert runs[0].low == -torch.inf
    assert runs[-1].high == torch.inf
    for run in runs:
        assert run.corners == any(run.low < knot < run.high for knot in knots)
        v = torch.linspace(max(run.low, -30.0), min(run.high, 30.0), 3001, dtype=torch.float64)
        v = v[inside(function, Interval(v, v))]
        if len(v) < 3 or function.apart > 1e-6:
            continue  # of another domain; or it jumps
        turns = (function.value(v).diff() / v.diff()).diff()
        room = 1e-9 * (1 + function.slope(v).abs().max()) + 4 * function.apart / v.diff()[0]
        assert bool((run.bend * turns >= -room).all()) if run.bend else bool((turns.abs() <= room).all())


TRUE: dict[str, Callable[..., Any]] = {
    "relu6": lambda v: min(max(v, 0), 6),
    "absolute": abs,
    "leaky_relu": lambda v, negative_slope: v if v > 0 else negative_slope * v,
    "prelu": lambda v, weight: v if v > 0 else mpmath.mpf(weight.item()) * v,
    "clamp": lambda v, low=-mpmath.inf, high=mpmath.inf: min(max(v, low), high),
    "hardsigmoid": lambda v: min(max(v + 3, 0), 6) / 6,
    "hardswish": lambda v: v * min(max(v + 3, 0), 6) / 6,
    "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    "tanh": mpmath.tanh,
    "softsign": lambda v: v / (1 + abs(v)),
    "softplus": lambda v, beta=1.0, threshold=20.0: mpmath.log1p(mpmath.exp(beta * v)) / beta,
    "log_sigmoid": lambda v: -mpmath.log1p(mpmath.exp(-v)),
    "elu": lambda v, alpha: v if v > 0 else alpha * mpmath.expm1(v),
    "celu": lambda v, alpha: v if v > 0 else alpha * mpmath.expm1(v / alpha),
    "selu": lambda v: (
        mpmath.mpf("1.0507009873554804934193349852946")
        * (v if v > 0 else mpmath.mpf("1.6732632423543772848170429916717") * mpmath.expm1(v))
    ),
    "silu": lambda v: v / (1 + mpmath.exp(-v)),
    "swish": lambda v: v / (1 + mpmath.exp(-v)),
    "gelu": lambda v, approximate: (
        v * mpmath.ncdf(v)
        if approximate == "none"
        else v * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (v + mpmath.mpf("0.044715") * v**3))) / 2
    ),
    "mish": lambda v: v * mpmath.tanh(mpmath.log1p(mpmath.exp(v))),
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "rsqrt": lambda v: 1 / mpmath.sqrt(v),
    "reciprocal": lambda v: 1 / v,
    "square": lambda v: v * v,
    "logit": lambda v: mpmath.log(v / (1 - v)),
}


def inputs(function: Function, dtype: torch.dtype) -> Tensor:
    """Numbers of all sizes that float32 has, near knots, seams and ends of domains too."""
    generator = torch.Generator().manual_seed(3)
    size = 10 ** (14 * torch.rand(40, generator=generator, dtype=torch.float64) - 10)
    seams = torch.tensor(
        [*function.knots, 0.5, 1.0, 20.0, -20.0, -88.0, -100.0, 2 / 50], dtype=torch.float64
    )
    near = seams * (1 + torch.tensor([-1e-6, -1e-3, 0.0, 1e-6, 1e-3]).double()[:, None])
    shares = 10 ** (-7 * torch.rand(20, generator=generator, dtype=torch.float64))
    v = torch.cat([size, -size, near.flatten(), torch.linspace(-12, 12, 49), shares, 1 - shares])
    v = v.to(dtype)
    return v[inside(function, Interval(v.double(), v.double())) & (v.abs() > 1e-30)]


@cases
@pytest.mark.parametrize("arithmetic", list(ARITHMETICS))
def test_margins_cover_what_torch_computes(name: str, options: dict[str, Any], arithmetic: str) -> None:
    """Against many digits, at single points: the margin is all that lies between."""
    layer, dtype = layer_of(name, options), {"float32": torch.float32, "float64": torch.float64}[arithmetic]
    v = inputs(layer.function, dtype)
    computed = layer.to(dtype)(v)
    layer = layer.double()
    point = Interval(v.double()[:, None], v.double()[:, None])
    found = propagate(layer, point, ARITHMETICS[arithmetic])
    margin = roundoff(layer, point, ARITHMETICS[arithmetic])
    assert margin is not None
    assert len(v) > 40
    steeps = steepness(layer.function, point)
    with mpmath.workdps(60):
        if name == "clamp" and options.get("low", -1) > options.get("high", 1):
            true: Callable[..., Any] = lambda v, low, high: mpmath.mpf(high)  # noqa: E731
        else:
            true = TRUE[name]
        for number, value, low, high, room, steep in zip(
            v.tolist(),
            computed.tolist(),
            *(part[:, 0].tolist() for part in (*ends(found), margin, steeps)),
            strict=True,
        ):
            exact = true(mpmath.mpf(number), **options)
            assert low <= exact <= high, number
            assert low <= value <= high, number
            assert abs(mpmath.mpf(value) - exact) <= room, number
            enough = 2e-6 * (abs(exact) + steep * abs(number)) + 3 * layer.function.apart + 1e-28
            assert room <= enough or abs(exact) > 1e38, number


def test_values_that_are_flushed_to_zero_prove_nothing() -> None:
    """A processor may take a subnormal number for 0, where these have no value."""
    tiny = torch.tensor([[1e-39]], dtype=torch.float64)
    for name in ("log", "sqrt", "rsqrt", "reciprocal", "logit"):
        margin = roundoff(Elementwise(name), Interval(tiny, tiny), ARITHMETICS["float32"])
        assert margin is not None
        assert margin.item() == torch.inf
        found = propagate(Elementwise(name), Interval(tiny, tiny), ARITHMETICS["float32"])
        assert found.lower.item() == -torch.inf
        assert found.upper.item() == torch.inf


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("softplus", {"beta": -1.0}),
        ("softplus", {"beta": 0.0}),
        ("softplus", {"beta": float("nan")}),
        ("celu", {"alpha": -1.0}),
        ("celu", {"alpha": 0.0}),
    ],
)
def test_options_that_bend_another_way_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedLayerError, match=f"{name} has a rule for"):
        Elementwise(name, **options)


def test_a_softplus_that_is_always_its_argument() -> None:
    """A threshold of -1000 makes it v itself; how far that is from the bent function has no number."""
    x = Interval(torch.tensor([[-2.0]]).double(), torch.tensor([[3.0]]).double())
    found = propagate(Elementwise("softplus", threshold=-1000.0), x, FLOAT64)
    assert found.lower.item() <= -2
    assert found.upper.item() >= 3


def test_hand_values() -> None:
    """exp on [0, 1] is below its chord, of slope e - 1, and above a tangent."""
    x = Interval(torch.zeros(1, 1).double(), torch.ones(1, 1).double())
    found: Lines = lines(FUNCTIONS["exp"](), x)
    assert found.above_slope.item() == pytest.approx(torch.e - 1)
    assert found.above.item() == pytest.approx(1.0)
    slope = found.below_slope.item()
    assert found.below.item() == pytest.approx(slope - slope * torch.tensor(slope).log().item(), abs=1e-6)
    absolute = lines(FUNCTIONS["absolute"](), Interval(-x.upper, 3 * x.upper))
    assert absolute.above_slope.item() == pytest.approx(0.5)
    assert absolute.above.item() == pytest.approx(1.5)
    assert absolute.below.item() == pytest.approx(0.0, abs=1e-12)
