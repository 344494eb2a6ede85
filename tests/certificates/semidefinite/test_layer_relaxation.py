"""Upper bounds on layers of ReLUs: every choice of multipliers is a bound, and what is proved is one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from core.bounds.interval import Interval
from core.certificates.semidefinite.layer_relaxation import (
    AffineForms,
    Bounder,
    Multipliers,
    ReluLayer,
    Rows,
    parabola_intercept,
)

pytestmark = pytest.mark.slow

N, HIDDEN, UNITS, ROWS = 6, 4, 5, 3


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def number(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


class Layers:
    """Two layers of ReLUs over N inputs in [-1, 1], and the variables (inputs, errors of the first)."""

    def __init__(self, seed: int, size: float = 1.0) -> None:
        g = torch.Generator().manual_seed(seed)
        self.w1, self.b1 = size * normal(g, HIDDEN, N), 0.3 * size * normal(g, HIDDEN)
        self.w2, self.b2 = size * normal(g, UNITS, HIDDEN), 0.3 * size * normal(g, UNITS)
        self.rows, self.on_inputs = normal(g, ROWS, UNITS), normal(g, ROWS, N)
        reach = self.w1.abs().sum(1)
        low, high = (self.b1 - reach).clamp(max=-1e-3), (self.b1 + reach).clamp(min=1e-3)
        self.slope, self.radius = high / (high - low), -low * high / (high - low) / 2
        zero = torch.zeros(HIDDEN, dtype=torch.float64)
        v1 = AffineForms(torch.cat([self.w1, torch.zeros(HIDDEN, HIDDEN).double()], 1), self.b1, zero)
        errors = torch.cat([torch.zeros(HIDDEN, N).double(), torch.diag(self.radius)], 1)
        error = AffineForms(errors, self.radius, zero)
        self.hidden, self.gaps = (v1.scaled(s).plus(error) for s in (self.slope, self.slope - 1))
        slope, constant = self.w2 @ self.hidden.slope, self.w2 @ self.hidden.constant + self.b2
        v2 = AffineForms(slope, constant, torch.zeros(UNITS, dtype=torch.float64))
        most = v2.reach
        self.relaxed = ReluLayer(v2, Interval(-most, most), self.hidden, self.gaps)
        none = torch.zeros(ROWS, dtype=torch.float64)
        on_all = torch.cat([self.on_inputs, torch.zeros(ROWS, HIDDEN).double()], 1)
        self.question = Rows(self.rows, on_all, none, none, on_all.abs().sum(1))

    def variables(self, x: Tensor) -> Tensor:
        v = x @ self.w1.T + self.b1
        return torch.cat([x, (v.relu() - self.slope * v - self.radius) / self.radius], 1)

    def value(self, x: Tensor) -> Tensor:
        """(K, ROWS)."""
        h = (x @ self.w1.T + self.b1).relu()
        return (h @ self.w2.T + self.b2).relu() @ self.rows.T + x @ self.on_inputs.T

    def inputs(self, count: int) -> Tensor:
        """All corners of the box, and points inside it."""
        corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * N)
        inside = 2 * torch.rand(count, N, generator=torch.Generator().manual_seed(1)).double() - 1
        return torch.cat([corners, inside])


@given(
    size=st.sampled_from([1e-6, 1.0, 50.0, 1e6]),
    low=st.floats(-1, -1e-9),
    high=st.floats(1e-9, 1),
    bend=st.floats(-5, 5),
    tilt=st.floats(-3, 3),
    flat=st.sampled_from([0.0, 1e-12, 1e-7, 1.0]),
    one=st.booleans(),
)
@example(size=1e6, low=-1e-9, high=1.0, bend=1.0, tilt=-1.0, flat=1e-7, one=True)
def test_parabola_is_on_its_side_and_touches(
    size: float, low: float, high: float, bend: float, tilt: float, flat: float, one: bool
) -> None:
    # Nearly flat parabolas, with a slope that leaves the vertex inside on one side of 0.
    low, high, bend, tilt = size * low, size * high, flat * bend / size, flat * tilt + one
    x = Interval(number(low), number(high))
    b, m = number(bend), number(tilt)
    points = torch.linspace(low, high, 4001, dtype=torch.float64)
    points = torch.cat([points, torch.zeros(1).double()])
    rest = points.relu() - bend * points**2 - tilt * points
    above = parabola_intercept(x, b, m, torch.tensor([True]))
    below = parabola_intercept(x, b, m, torch.tensor([False]))
    scale = 1e-12 * (1 + rest.abs().max())
    assert (rest <= above + scale).all()
    assert (rest >= below - scale).all()
    step = (high - low) / 4000
    slack = step * (1 + 2 * abs(bend) * (high - low) + abs(tilt))
    assert above - rest.max() <= slack + scale
    assert rest.min() - below <= slack + scale


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])
def test_any_multipliers_give_a_function_above(seed: int, spread: float) -> None:
    layers, g = Layers(seed), torch.Generator().manual_seed(100 + seed)
    m = Multipliers(
        bend=spread * normal(g, ROWS, UNITS),
        tilt=spread * normal(g, ROWS, UNITS),
        product=spread * normal(g, ROWS, HIDDEN),
        positive=spread * normal(g, ROWS, HIDDEN),
        above=spread * normal(g, ROWS, HIDDEN),
        scale=normal(g, N + HIDDEN),
        point=normal(g, ROWS, N + HIDDEN),
    )
    q, x = layers.relaxed.squares(layers.question, m), layers.inputs(500)
    y = layers.variables(x)
    assert y.abs().max() <= 1 + 1e-9
    moved = y @ layers.relaxed.forms.slope.T
    found = q.constant + y @ q.slope.T + moved @ q.on.T + moved**2 @ q.weight.T
    assert (found + 1e-9 * q.size >= layers.value(x)).all()


def test_bending_a_parabola_leaves_its_slope_in_the_middle() -> None:
    """What another draw found fits when the unit's interval has moved a little."""
    one, none = torch.ones(1, 1).double(), torch.zeros(0, 1).double()
    v = AffineForms(2 * one, 3 * one[0], torch.zeros(1).double())
    nothing = AffineForms(none, none[:, 0], none[:, 0])
    relaxed = ReluLayer(v, Interval(number(-1.0), number(5.0)), nothing, nothing)
    rows = Rows(one, 0 * one, 0 * one[0], 0 * one[0], one[0])
    m = relaxed.start(rows)
    for bend in (0.1, 0.7):
        m.bend.fill_(bend)
        q = relaxed.squares(rows, m)
        at = (2.0 - 3.0) / 2  # y where v is in the middle
        assert q.on + 2 * q.weight * 2 * at == pytest.approx(m.tilt)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("steps", [1, 60])
def test_proved_bounds_hold(seed: int, size: float, steps: int) -> None:
    layers = Layers(seed, size)
    found = Bounder(layers.relaxed).highest(layers.question, steps)[0]
    assert (layers.value(layers.inputs(500)).amax(0) <= found).all()


def test_optimised_bounds_are_near_the_truth_and_nearer_than_chords() -> None:
    chords, proved, truth = 0.0, 0.0, 0.0
    for seed in range(8):
        layers = Layers(seed)
        v, q = layers.relaxed.v, layers.question
        top = layers.relaxed.bounds.upper
        # Chord above where a row is positive, the line v / 2 below where it is negative.
        slope = q.slope + (q.units / 2) @ v.slope
        constant = (q.units / 2) @ v.constant + (q.units.clamp(min=0) * top / 2).sum(1)
        chords += (constant + slope.abs().sum(1)).sum().item()
        proved += Bounder(layers.relaxed).highest(q, 150)[0].sum().item()
        truth += layers.value(layers.inputs(2000)).amax(0).sum().item()
    assert truth <= proved
    assert proved - truth < (chords - truth) / 2


def test_numbers_out_of_range_bound_nothing() -> None:
    layers = Layers(0, 1e200)
    found = Bounder(layers.relaxed).highest(layers.question, 3)[0]
    assert (found == torch.inf).all()
