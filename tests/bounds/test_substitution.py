"""Substitution at unstable ReLUs gives a backward pass's bounds, and its margins cover what is rounded."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from core.bounds import forward_forms, substitution
from core.bounds.backward import BackwardPass
from core.bounds.forward_forms import ForwardForms
from core.bounds.intersect import open_units
from core.bounds.interval import Interval, affine, propagate_through
from core.bounds.linear import highest
from core.bounds.relaxations import relu_lower, relu_share
from core.bounds.rounding import EXACT, FLOAT64, Arithmetic
from core.bounds.rule_table import is_relu, is_scale
from core.bounds.substitution import Forms, Substitution, patches_of
from core.certificates.elbo_bounds.substituted import can_substitute
from core.network.operations import BatchNorm, Divide, Scale

pytestmark = pytest.mark.slow


def batch_norm(channels: int) -> BatchNorm:
    one = torch.ones(channels)
    return BatchNorm(one, one.clone(), one.clone(), one.clone(), 1e-5)


def scale(factor: float | None, shift: float | None) -> Scale:
    return Scale(*(None if v is None else torch.tensor(v) for v in (factor, shift)))


CHAINS: dict[str, tuple[list[nn.Module], tuple[int, ...]]] = {
    "mlp": ([nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 4)], (5,)),
    "convolutions": (
        [
            nn.Conv2d(2, 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 6, (2, 3), stride=(1, 2), padding=(1, 0), groups=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(36, 6),
            nn.ReLU(),
            nn.Linear(6, 3),
        ],
        (2, 9, 8),
    ),
    "transposed": (
        [
            nn.Linear(3, 12),
            nn.ReLU(),
            nn.Unflatten(1, (4, 3, 1)),
            nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 2, 2, stride=3, dilation=2, bias=False),
            nn.ReLU(),
            nn.Conv2d(2, 2, 3, dilation=2),
        ],
        (3,),
    ),
    "normalised": (
        [
            scale(2.0, -1.0),
            nn.Conv2d(2, 3, 3, stride=2, padding=1),
            batch_norm(3),
            nn.ReLU(),
            nn.Conv2d(3, 4, 2),
            batch_norm(4),
            batch_norm(4),
            nn.ReLU(),
            Divide(torch.tensor(3.0)),
            batch_norm(4),
            nn.Flatten(),
            nn.Linear(24, 6),
            batch_norm(6),
            nn.ReLU(),
            nn.Linear(6, 3),
            scale(None, 0.3),
        ],
        (2, 7, 5),
    ),
    "scales alone": (
        [nn.Linear(6, 8), batch_norm(8), scale(3.0, 1e-3), nn.Linear(8, 5), batch_norm(5)],
        (6,),
    ),
    "linear maps alone": ([nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 5)], (6,)),
    "one pixel": (
        [nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)],
        (1, 1, 1),
    ),
    "in patches": (
        [
            nn.Conv2d(1, 2, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2, 1, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(400, 3),
        ],
        (1, 20, 20),
    ),
}
chains = pytest.mark.parametrize("name", CHAINS)


def randomise(network: nn.Sequential, generator: torch.Generator) -> None:
    """Random weights; means and shifts of batch normalisation nearly cancel."""
    for weight in network.parameters():
        weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    for layer in network:
        if isinstance(layer, BatchNorm):
            layer.var.abs_()
            if layer.bias is not None:
                layer.bias.mul_(1e-9).add_(layer.mean * layer.factor())


def made(name: str, width: float, boxes: int = 2) -> tuple[nn.Sequential, list[Interval]]:
    """A chain with random weights, and intervals of all its values over some boxes."""
    layers, shape = CHAINS[name]
    network = nn.Sequential(*layers).double().requires_grad_(False)
    generator = torch.Generator().manual_seed(len(name))
    randomise(network, generator)
    center = torch.randn(boxes, *shape, generator=generator, dtype=torch.float64)
    radius = width * torch.rand(boxes, *shape, generator=generator, dtype=torch.float64)
    x = Interval(center - radius, center + radius)
    return network, [x, *propagate_through(network, x, FLOAT64)]


def lowest(slope: Tensor, constant: Tensor, lost: Tensor, x: Interval) -> Tensor:
    """Lower bounds of rows (N, R, inputs) over N boxes, (N, R)."""
    box = x.map(lambda v: v.flatten(1)[:, None])
    return constant - lost - highest(-slope, box, FLOAT64)


def backward_forms(
    network: nn.Sequential, known: list[Interval], value: int, arithmetic: Arithmetic, patches: bool
) -> tuple[Substitution, Forms]:
    """Forms of all units of a value, by skeleton passes from each value that bends."""
    x = known[0]
    order, sizes = patches_of(x.lower.shape[1:], x.lower.device)
    if not patches:
        order, sizes = order.sort().values, [len(order)]
    found = Substitution(x.map(lambda v: v.flatten(1)[:, order]), sizes)

    def forms(index: int, units: Tensor) -> Forms:
        given = BackwardPass(network, known[: index + 1], index, arithmetic).unit_forms(units)
        return Forms([given.slopes[0][..., order], *given.slopes[1:]], given.constant, given.error)

    for index, layer in enumerate([*network][:value]):
        if is_relu(layer):
            units = open_units(known[index], True)
            found.bend(forms(index, units), known[index].map(lambda v, u=units: v.flatten(1)[:, u]))
    return found, forms(value, torch.arange(known[value].lower[0].numel()))


def both_ways(found: Substitution, forms: Forms, rounds: bool, x: Interval, order: Tensor) -> Tensor:
    box, size = x.map(lambda v: v.flatten(1)[:, order]), found.size(forms)
    return torch.cat([lowest(*found.lower(forms, size, sign, rounds), box) for sign in (1, -1)], 1)


def dense(network: nn.Sequential, known: list[Interval], value: int, arithmetic: Arithmetic) -> Tensor:
    units = torch.arange(known[value].lower[0].numel())
    a, constant, lost = BackwardPass(network, known[: value + 1], value, arithmetic).pull_units(units, {})
    return lowest(a.flatten(2).transpose(0, 1), constant.T, lost.T, known[0])


def behind(network: nn.Sequential, value: int) -> list[nn.Module]:
    """The layers that lead from the last ReLU, or the input, to a value."""
    layers = [*network][:value]
    return layers[max((i + 1 for i, layer in enumerate(layers) if is_relu(layer)), default=0) :]


@chains
@pytest.mark.parametrize("width", [0.0, 1e-3, 0.2, 3.0])
@pytest.mark.parametrize("arithmetic", [EXACT, FLOAT64], ids=["exact", "float64"])
def test_the_bounds_are_those_of_a_backward_pass(name: str, width: float, arithmetic: Arithmetic) -> None:
    network, known = made(name, width)
    forward = ForwardForms(network, known[0], arithmetic)
    for value in range(1, len(network) + 1):
        if is_relu(network[value - 1]) or not any(affine(layer) for layer in behind(network, value)):
            continue
        wanted = dense(network, known, value, arithmetic)
        units = torch.arange(known[value].lower[0].numel())
        forward.advance(known[: value + 1])
        plain = torch.arange(known[0].lower[0].numel())
        order = patches_of(known[0].lower.shape[1:], plain.device)[0]
        ways = [(forward.substitution, forward.units(units), plain)]
        ways += [
            (*backward_forms(network, known, value, arithmetic, p), o)
            for p, o in ((False, plain), (True, order))
        ]
        for found, forms, order in ways:
            bound = both_ways(found, forms, arithmetic.rounds, known[0], order)
            torch.testing.assert_close(bound, wanted, rtol=1e-8, atol=1e-8)
    if width > 1 and any(map(is_relu, network)):
        assert forward.substitution.substituted > 1


def test_scales_keep_unit_vectors_as_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide layer behind a ReLU would have as many columns as units, each as long."""
    layers = [nn.Linear(3, 40), nn.ReLU(), batch_norm(40), scale(2.0, 0.1), nn.Linear(40, 4)]
    network = nn.Sequential(*layers).double().requires_grad_(False)
    randomise(network, torch.Generator().manual_seed(0))
    x = Interval(-torch.ones(2, 3, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64))
    known = [x, *propagate_through(network, x, FLOAT64)]
    monkeypatch.setattr(forward_forms, "_unit_vectors", lambda *_: pytest.fail("made in full"))
    forward = ForwardForms(network, x, FLOAT64)
    forward.advance(known)
    found, forms = forward.substitution, forward.units(torch.arange(4))
    bound = both_ways(found, forms, True, x, torch.arange(3))
    torch.testing.assert_close(bound, dense(network, known, 5, FLOAT64), rtol=1e-8, atol=1e-8)
    assert found.substituted > 5


@pytest.mark.parametrize(
    ("layer", "has"),
    [
        (batch_norm(3), True),
        (scale(0.5, None), True),
        (Scale(None, torch.ones(3)), False),
        (nn.Tanh(), False),
    ],
)
def test_which_chains_are_substituted(layer: nn.Module, has: bool) -> None:
    x = Interval(torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64))
    chain = nn.Sequential(nn.Linear(2, 3), layer, nn.ReLU(), nn.Linear(3, 1)).double()
    assert can_substitute(chain, x, FLOAT64) == has
    behind = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), layer, nn.ReLU(), nn.Linear(3, 1)).double()
    assert not can_substitute(behind, x, FLOAT64), "no forms are taken between two ReLUs"


def exact_scale(layer: nn.Module, values: list[Fraction], each: int) -> list[Fraction]:
    """The output of a scale, in rational numbers; `each` values of every channel, roots to 200 bits."""

    def given(v: Tensor | None, otherwise: int) -> list[Fraction]:
        if v is None:
            return [Fraction(otherwise)] * len(values)
        numbers = [Fraction(w) for w in v.flatten().tolist()]
        return numbers * len(values) if len(numbers) == 1 else [w for w in numbers for _ in range(each)]

    if isinstance(layer, Divide):
        return [v / d for v, d in zip(values, given(layer.divisor, 1), strict=True)]
    if isinstance(layer, Scale):
        pairs = zip(values, given(layer.factor, 1), given(layer.shift, 0), strict=True)
        return [v * a + b for v, a, b in pairs]
    assert isinstance(layer, BatchNorm)
    spread = [v + Fraction(layer.eps) for v in given(layer.var, 1)]
    roots = [Fraction(math.isqrt(v.numerator * v.denominator << 400), v.denominator << 200) for v in spread]
    parts = zip(
        values, given(layer.mean, 0), roots, given(layer.weight, 1), given(layer.bias, 0), strict=True
    )
    return [(v - mean) / root * weight + bias for v, mean, root, weight, bias in parts]


def exact_value(network: nn.Sequential, x: Tensor) -> list[Fraction]:
    """The output for one input, in rational numbers: affine layers by the columns of their matrices."""
    values, shape = [Fraction(v) for v in x.flatten().tolist()], x.shape[1:]
    for layer in network:
        zero = torch.zeros(1, *shape, dtype=torch.float64)
        if is_relu(layer):
            values = [max(v, Fraction(0)) for v in values]
            continue
        if is_scale(layer):
            values = exact_scale(layer, values, len(values) // (shape[0] if shape else 1))
            continue
        bias = layer(zero)
        shape = bias.shape[1:]
        if not isinstance(layer, (nn.Flatten, nn.Unflatten)):
            units = torch.eye(len(values), dtype=torch.float64).view(-1, *zero.shape[1:])
            free = [p for n, p in layer.named_parameters() if n == "bias"]
            kept = [p.clone() for p in free]
            for parameter in free:
                parameter.zero_()
            columns = layer(units).flatten(1).T.tolist()
            for parameter, old in zip(free, kept, strict=True):
                parameter.copy_(old)
            values = [
                sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(b))
                for row, b in zip(columns, bias.flatten().tolist(), strict=True)
            ]
    return values


def exactly(slope: Tensor, x: Tensor) -> Fraction:
    pairs = zip(slope.flatten().tolist(), x.flatten().tolist(), strict=True)
    return sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))


def at_a_point(name: str, seed: int) -> tuple[nn.Sequential, Tensor, list[Interval]]:
    """A chain, a point, and intervals of all values that know no sign: every ReLU is substituted."""
    network, _ = made(name, 0.0)
    generator = torch.Generator().manual_seed(seed)
    randomise(network, generator)
    x = torch.randn(1, *CHAINS[name][1], generator=generator, dtype=torch.float64)
    wide = [Interval(v.lower - 9, v.upper + 9) for v in propagate_through(network, Interval(x, x), FLOAT64)]
    return network, x, [Interval(x, x), *wide]


def exact_bounds(lines: tuple[Tensor, Tensor, Tensor], x: Tensor) -> list[Fraction]:
    """Of R rows at one point, in rational numbers."""
    slope, constant, lost = (v[0] for v in lines)
    rest = zip(slope, constant.tolist(), lost.tolist(), strict=True)
    return [exactly(row, x) + Fraction(c) - Fraction(e) for row, c, e in rest]


def points_above(name: str, seed: int) -> tuple[int, int, int]:
    """At points: of how many outputs, and their negatives, a lower bound is above the exact value, by forms
    from behind and from the front; and of how many functions of all outputs together."""
    network, x, known = at_a_point(name, seed)
    exact = exact_value(network, x)
    forward = ForwardForms(network, known[0], FLOAT64)
    forward.advance(known)
    ways = [(forward.substitution, forward.units(torch.arange(len(exact))))]
    ways.append(backward_forms(network, known, len(network), FLOAT64, False))
    above = list[int]()
    for found, forms in ways:
        size = found.size(forms)
        bound = [b for sign in (1, -1) for b in exact_bounds(found.lower(forms, size, sign, True), x)]
        above.append(sum(b > w for b, w in zip(bound, [*exact, *(-v for v in exact)], strict=True)))
    found, forms = ways[1]
    found.close(forms)
    generator = torch.Generator().manual_seed(seed)
    rows = 1e3 * torch.randn(1, 8, len(exact), generator=generator, dtype=torch.float64)
    wanted = [sum(Fraction(r) * v for r, v in zip(row, exact, strict=True)) for row in rows[0].tolist()]
    bound = exact_bounds(found.lower_of_heads(rows, True), x)
    above.append(sum(b > w for b, w in zip(bound, wanted, strict=True)))
    return above[0], above[1], above[2]


@chains
def test_no_bound_is_above_the_exact_value_at_a_point(name: str) -> None:
    assert [points_above(name, seed) for seed in range(3)] == [(0, 0, 0)] * 3


def test_the_margin_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """At points, of linear maps alone, nothing but rounding is between a bound and the value."""
    monkeypatch.setattr(substitution, "ROOM", 0.0)
    above = [points_above("linear maps alone", seed) for seed in range(10)]
    assert all(sum(way) > 3 for way in zip(*above, strict=True))


@pytest.mark.parametrize("name", ["linear maps alone", "scales alone"])
@pytest.mark.parametrize("seed", range(5))
def test_forms_are_off_by_no_more_than_they_say(seed: int, name: str) -> None:
    """At points, of linear maps alone, in rational numbers; from behind and from the front."""
    network, _ = made(name, 0.0)
    for layer in network:
        if isinstance(layer, BatchNorm) and layer.bias is not None:
            layer.mean.mul_(1e9)  # of which nothing but rounding is left
            layer.bias.copy_(layer.mean * layer.factor())
    generator = torch.Generator().manual_seed(seed)
    x = 1e3 * torch.randn(1, 6, generator=generator, dtype=torch.float64)
    known = [
        Interval(v, v) for v in (x, *(p.lower for p in propagate_through(network, Interval(x, x), EXACT)))
    ]
    forward = ForwardForms(network, known[0], FLOAT64)
    forward.advance(known)
    exact = exact_value(network, x)
    for forms in (
        forward.units(torch.arange(len(exact))),
        backward_forms(network, known, len(network), FLOAT64, False)[1],
    ):
        lines = zip(forms.slopes[0][0], forms.constant[0].tolist(), strict=True)
        off = [abs(Fraction(c) + exactly(row, x) - v) for (row, c), v in zip(lines, exact, strict=True)]
        assert all(far <= Fraction(said) for far, said in zip(off, forms.error[0].tolist(), strict=True))
        assert max(off) > 0


def forms_of(count: int, before: list[int], scale: float, generator: torch.Generator) -> Forms:
    """Some forms that are exact as they stand, all of one size."""

    def some(*shape: int) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Forms([some(1, count, n) for n in before], some(1, count), torch.zeros(1, count))


def exact_forms(forms: Forms, values: list[Tensor | list[Fraction]]) -> list[Fraction]:
    found = [Fraction(c) for c in forms.constant[0].tolist()]
    for slopes, given in zip(forms.slopes, values, strict=True):
        for index, row in enumerate(slopes[0].tolist()):
            pairs = zip(row, given.tolist() if isinstance(given, Tensor) else given, strict=True)
            found[index] += sum(Fraction(a) * Fraction(b) for a, b in pairs)
    return found


def ends(v: Fraction) -> tuple[float, float]:
    """An interval from v to the other side of 0 at both of whose ReLU's lines v lies."""
    near = float(v)
    if v > 0:
        near = near if near >= v else math.nextafter(near, math.inf)
        return -near / 2, near
    near = near if near <= v else math.nextafter(near, -math.inf)
    return near, -near / 2


def exact_and_bound(seed: int, own: float, error: float = 0.0) -> tuple[list[Fraction], ...]:
    """Exact values of rows, and of rows on heads, at a point at which every line touches its ReLU; bounds
    on them by substitution; and what these gave up.

    own    how large the rows are beside the units that are substituted. error: how far off the forms are.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(4, generator=generator, dtype=torch.float64)
    found, values = Substitution(Interval(y[None], y[None])), list[Tensor | list[Fraction]]([y])

    def off(forms: Forms) -> Forms:
        far = error * torch.randn(forms.error.shape, generator=generator, dtype=torch.float64)
        # The sum is rounded, which its share of the error covers.
        return Forms(forms.slopes, forms.constant + far, far.abs() * (1 + 1e-9))

    for units in (3, 5):
        forms = forms_of(units, [4, 3][: len(values)], 1 / own, generator)
        exact = exact_forms(forms, values)
        x = Interval(
            *(torch.tensor(v, dtype=torch.float64)[None] for v in zip(*map(ends, exact), strict=True))
        )
        found.bend(off(forms), x)
        below = relu_lower(x, relu_share(x))[0].tolist()
        values.append([max(v, Fraction(0)) - Fraction(s) * v for v, s in zip(exact, below, strict=True)])
    forms = forms_of(6, [4, 3, 5], own, generator)
    exact, forms = exact_forms(forms, values), off(forms)
    found.close(forms)
    rows = torch.randn(1, 7, 6, generator=generator, dtype=torch.float64)
    wanted, lines = list(exact), [found.lower(forms, found.size(forms), 1, True)]
    wanted += [-v for v in exact]
    lines.append(found.lower(forms, found.size(forms), -1, True))
    wanted += [
        sum((Fraction(r) * v for r, v in zip(row, exact, strict=True)), Fraction(0))
        for row in rows[0].tolist()
    ]
    lines.append(found.lower_of_heads(rows, True))
    bounds = [b for line in lines for b in exact_bounds(line, y)]
    return wanted, bounds, [Fraction(v) for line in lines for v in line[2][0].tolist()]


@pytest.mark.parametrize("own", [1e-9, 1.0, 1e9], ids=["units", "both", "rows"])
def test_substitution_covers_its_own_rounding(own: float) -> None:
    above = 0
    for seed in range(30):
        wanted, bounds, lost = exact_and_bound(seed, own)
        assert all(b <= w for b, w in zip(bounds, wanted, strict=True))
        above += sum(b + e > w for b, e, w in zip(bounds, lost, wanted, strict=True))
    assert above > 100, "what it gives up is needed"


@pytest.mark.parametrize("own", [1e-3, 1.0, 1e3], ids=["units", "both", "rows"])
def test_substitution_covers_what_its_forms_are_off_by(own: float) -> None:
    for seed in range(30):
        wanted, bounds, _ = exact_and_bound(seed, own, error=1e-3)
        assert all(b <= w for b, w in zip(bounds, wanted, strict=True))


@pytest.mark.parametrize("shape", [(3,), (1, 1, 1), (3, 17, 20), (2, 5, 33), (1, 16, 16)])
def test_patches_hold_every_coordinate_once(shape: tuple[int, ...]) -> None:
    order, sizes = patches_of(shape, torch.device("cpu"))
    assert torch.equal(order.sort().values, torch.arange(order.numel()))
    assert sum(sizes) == len(order)
    if len(sizes) > 1:
        places = torch.stack(torch.meshgrid(*map(torch.arange, shape), indexing="ij"))[1:].flatten(1)[
            :, order
        ]
        for part in places.split(sizes, 1):
            assert int((part.amax(1) - part.amin(1)).max()) < 8
