"""The lines that are drawn of a relaxation enclose its function, are those of the bound, and cost what it
loses."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

import core
from core.bounds.interval import Interval
from core.bounds.linear import pull
from core.bounds.rule_table import bends
from core.certificates.elbo_bounds.alpha import default_slopes
from core.certificates.methods import Effort
from core.certificates.question import check_question
from core.inspection import CODE, LIKELIHOOD, Inspection, Relaxed, unit_values
from core.inspection.losses import linear_losses
from core.inspection.relaxed import Plane, planes_of
from core.network.graph import Graph
from core.network.operations import Elementwise, Maximum, Minimum, Multiply
from core.vae.model import VAE
from core.vae.threat import Threat
from tests.conftest import make_images, make_vae
from tests.inspection.test_inspection import graph
from tests.network.test_functions import CASES, layer_of

pytestmark = pytest.mark.slow

ONE: list[nn.Module] = [nn.ReLU(), *itertools.starmap(layer_of, CASES)]
TWO: list[nn.Module] = [Multiply(), Maximum(), Minimum()]
POINTS, AWAY = 257, 1e-12

ends = st.one_of(st.floats(-8, 8), st.sampled_from([0.0, -1.0, 1e-6, 0.3]))
widths = st.one_of(st.just(0.0), st.floats(1e-9, 1e-3), st.floats(1e-3, 6), st.floats(6, 300))


def named(layer: nn.Module) -> str:
    return f"{getattr(layer, 'name', type(layer).__name__)}"


def grid(inputs: tuple[Interval, ...]) -> list[Tensor]:
    """Values of each input, (P, N): everywhere in the box of its unit."""
    points = torch.linspace(0, 1, POINTS if len(inputs) == 1 else 33, dtype=torch.float64)
    shares = torch.cartesian_prod(*[points] * len(inputs)).reshape(-1, len(inputs)).T
    return [x.lower + share[:, None] * x.width for x, share in zip(inputs, shares, strict=True)]


def over(plane: Plane, values: list[Tensor], f: Tensor, apart: float = 0.0) -> Tensor:
    """How far a plane is above f beyond what rounding explains; where f is no number, not at all."""
    parts = [(s * v).abs() for s, v in zip(plane.slopes, values, strict=True)]
    size = sum(parts, f.abs() + plane.constant.abs())
    return (plane.at(values) - f - apart - AWAY * (1 + size)).nan_to_num(nan=-1.0)


def minus(plane: Plane) -> Plane:
    return Plane(tuple(-slope for slope in plane.slopes), -plane.constant)


def box(low: float, width: float) -> Interval:
    value = torch.tensor([[low]], dtype=torch.float64)
    return Interval(value, value + width)


def check(layer: nn.Module, inputs: tuple[Interval, ...], share: Tensor | None) -> None:
    below, above = planes_of(layer, inputs, share)
    values = grid(tuple(x.map(lambda v: v[0]) for x in inputs))
    f = layer(*values)
    assume(bool(f.isfinite().all()))
    apart = layer.function.apart if isinstance(layer, Elementwise) else 0.0
    assert bool((over(below, values, f, apart) <= 0).all())
    assert bool((over(minus(above), values, -f, apart) <= 0).all())


def test_every_operation_that_bends_is_among_these() -> None:
    bending = {kind for kind in pull.kinds if bends(kind.__new__(kind))}
    assert bending == {type(layer) for layer in (*ONE, *TWO)}


@pytest.mark.parametrize("layer", ONE, ids=named)
@given(low=ends, width=widths, share=st.floats(0, 1))
def test_lines_of_one_value_enclose_it(layer: nn.Module, low: float, width: float, share: float) -> None:
    chosen = torch.full((1, 1), share, dtype=torch.float64) if isinstance(layer, nn.ReLU) else None
    for each in {id(v): v for v in (None, chosen)}.values():
        check(layer, (box(low, width),), each)


@pytest.mark.parametrize("layer", TWO, ids=named)
@given(low=st.tuples(ends, ends), width=st.tuples(widths, widths))
def test_planes_of_two_values_enclose_them(
    layer: nn.Module, low: tuple[float, float], width: tuple[float, float]
) -> None:
    check(layer, (box(low[0], width[0]), box(low[1], width[1])), None)


@pytest.mark.parametrize("layer", [*ONE, *TWO], ids=named)
def test_lines_are_what_bounds_are_pulled_back_by(layer: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)

    def some() -> Interval:
        low = 0.1 + 0.4 * torch.rand(1, 5, generator=generator, dtype=torch.float64)
        return Interval(low, low + 0.4 * torch.rand(1, 5, generator=generator, dtype=torch.float64))

    inputs = (some(),) if layer in ONE else (some(), some())
    if type(layer) in (nn.ReLU, Maximum, Minimum):
        inputs = tuple(x.map(lambda v: v - 0.5) for x in inputs)
    planes = dict(zip((1.0, -1.0), planes_of(layer, inputs), strict=True))
    for (sign, plane), unit in itertools.product(planes.items(), range(5)):
        row = torch.zeros(1, 1, 5, dtype=torch.float64)
        row[..., unit] = sign
        back, constant = pull(layer, row, inputs[0] if len(inputs) == 1 else inputs, None)
        backs = (back,) if len(inputs) == 1 else back
        for part, slope in zip(backs, plane.slopes, strict=True):
            torch.testing.assert_close(part[0, 0, unit], sign * slope[0, unit], rtol=0, atol=1e-15)
        torch.testing.assert_close(constant[0, 0], sign * plane.constant[0, unit], rtol=1e-13, atol=1e-14)


def looked_into(vae: VAE, target: str, eps: float = 0.05, norm: str = "linf") -> Inspection:
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    return core.inspect_layers(
        vae, x, noise, eps=eps, norm=norm, target=target, steps=3, samples=4, iterations=12
    )


def some_units(relaxed: Relaxed) -> list[tuple[int, int]]:
    """Draws and units: the ones that cost most, and a few others."""
    cost = relaxed.cost.flatten(1)
    chosen = [*cost[0].argsort(descending=True)[:3].tolist(), 0, cost.shape[1] - 1]
    return [(len(cost) - 1, unit) for unit in dict.fromkeys(chosen)]


MODELS = {
    "mlp": lambda: make_vae(scale=1.5),
    "conv": lambda: make_vae("conv", scale=1.5),
    "gaussian": lambda: make_vae("mlp", "gaussian", scale=1.5),
    "graph": graph,
    "gaussian graph": lambda: graph("gaussian"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("target", "norm"), [("likelihood", "linf"), ("reconstruction", "l2")])
def test_what_is_drawn_of_a_model_encloses_its_units_and_costs_what_the_bound_loses(
    model: str, target: str, norm: str
) -> None:
    vae = MODELS[model]()
    found = looked_into(vae, target, norm=norm)
    assert [losses.method for losses in found.losses] == ["crown-ibp", "crown", "alpha-crown"]
    for losses in found.losses:
        assert {LIKELIHOOD, "mu", "logvar"} < {*losses.relaxed}
        for name, relaxed in losses.relaxed.items():
            is_enclosed(vae, relaxed, target)
            taken = found.taken[name]
            for x, values in zip(relaxed.inputs, taken[-len(relaxed.inputs) :], strict=True):
                assert bool((x.lower <= values + AWAY).all() and (values <= x.upper + AWAY).all()), name
            assert relaxed.cost.min() >= -1e-9, name
        for part, nats in losses.parts.items():
            names = ("mu", "logvar") if part == CODE else (part,)
            if names[0] in losses.relaxed:
                cost = sum(losses.relaxed[name].cost.sum().item() for name in names)
                assert cost == pytest.approx(nats, abs=1e-9 * (1 + abs(losses.proved))), part
        assert {*losses.parts} - {CODE, "rounding"} == {*losses.relaxed} - {"mu", "logvar"}


def is_enclosed(vae: VAE, relaxed: Relaxed, target: str) -> None:
    """The lines of some units, over a dense grid of what they take, against the unit's own values there."""
    for draw, unit in some_units(relaxed):

        def one(v: Tensor, at: tuple[int, int] = (draw, unit)) -> Tensor:
            return v.flatten(1)[at]

        values = grid(tuple(x.map(lambda v: one(v)[None]) for x in relaxed.inputs))
        asked = [v[:, 0] for v in values]
        if relaxed.name == LIKELIHOOD and target == "reconstruction":  # the scored pixel stands still
            asked = [make_images(vae, 1).double().flatten()[unit].expand(len(asked[0])), *asked]
        scale = 0.0 if relaxed.scale is None else relaxed.scale.flatten()[unit].item()
        shape = relaxed.cost.shape[1:]
        f = unit_values(vae, relaxed.name, unit, shape, asked, scale)[:, None]
        of_unit = [
            Plane(tuple(map(one, p.slopes)), one(p.constant))
            for p in (relaxed.below, relaxed.above)
            if p is not None
        ]
        assert bool((over(of_unit[0], values, f) <= 0).all()), (relaxed.name, unit)
        if relaxed.above is not None:
            assert bool((over(minus(of_unit[1]), values, -f) <= 0).all()), (relaxed.name, unit)
        # What the unit costs is what the line in use leaves open where the bound is lowest, times its row.
        row = one(relaxed.rows)
        at = [one(v)[None] for v in relaxed.worst]
        more = [asked[0][:1]] if len(asked) > len(at) else []
        reached = unit_values(vae, relaxed.name, unit, shape, [*more, *at], scale)
        line = of_unit[0] if row >= 0 else of_unit[-1]
        torch.testing.assert_close(
            row * (reached - line.at(at)),
            one(relaxed.cost)[None],
            rtol=1e-6,
            atol=1e-9,
        )


def test_a_function_that_is_another_one_in_each_place_is_drawn_as_the_one_of_its_place() -> None:
    torch.manual_seed(0)
    vae = graph()
    place = next(i for i, layer in enumerate(vae.decoder) if isinstance(layer, Elementwise))
    weight = torch.linspace(-0.5, 1.5, 6)
    assert isinstance(vae.decoder, Graph)
    vae.decoder.operations[place] = Elementwise("prelu", weight=weight)
    name = f"decoder {place} Elementwise"
    for unit in range(6):
        values = torch.tensor([-2.0, 3.0])
        found = unit_values(vae, name, unit, (6,), [values])
        torch.testing.assert_close(found, torch.tensor([-2.0 * weight[unit].item(), 3.0]).double())


def test_bounds_on_the_posterior_that_a_line_leans_on_are_in_the_line() -> None:
    vae = make_vae(scale=1.5).double()
    x, noise = make_images(vae, 1).double(), core.sample_noise(vae, 2)
    relaxation = check_question(vae, x, noise, Threat(0.05), Effort("alpha-crown")).relaxation()
    bounds = relaxation.tighten(relaxation.interval_bounds())
    slopes = default_slopes(relaxation, bounds)
    torch.manual_seed(3)
    slopes.box_multipliers = torch.randn_like(bounds.encoder[-1].lower)
    assert slopes.mix is not None
    losses = linear_losses(relaxation, bounds, slopes, slopes.mix[None], "alpha-crown")
    assert losses is not None
    cost = sum(losses.relaxed[name].cost.sum().item() for name in ("mu", "logvar"))
    assert cost == pytest.approx(losses.parts[CODE], abs=1e-9 * (1 + abs(losses.proved)))
    for name in ("mu", "logvar"):
        is_enclosed(vae, losses.relaxed[name], "likelihood")
