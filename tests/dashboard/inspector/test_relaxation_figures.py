"""The picture of one unit, and where intervals grow, from a real model's numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import core
from core.inspection import METHODS, Inspection
from dashboard.inspector import bends, compute, curve, growth, text
from dashboard.inspector.bends import Bend, Unit
from tests.conftest import make_images, make_vae
from tests.inspection.test_inspection import graph


def looked_into(vae: Any, **asked: Any) -> Inspection:
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    return core.inspect_layers(vae, x, noise, eps=0.05, steps=3, samples=4, iterations=3, **asked)


@pytest.fixture(scope="module", params=["mlp", "graph"])
def model(request: pytest.FixtureRequest) -> tuple[Any, Inspection]:
    vae = make_vae(scale=2.0) if request.param == "mlp" else graph()
    return vae, looked_into(vae)


def every(vae: Any, found: Inspection, kept: int = 3) -> list[tuple[Bend, str, int, Unit]]:
    return [
        (bend, method, row, bends.unit(vae, bend, method, row, at))
        for bend in bends.bends_of(found.losses, found.taken)
        for method in bend.by
        for row in range(len(bend.places))
        for at in range(min(kept, bend.places.shape[1]))
    ]


def test_what_is_drawn_encloses_the_function_and_the_images_lie_on_it(model: tuple[Any, Inspection]):
    vae, found = model
    seen = {"one": 0, "two": 0}
    for bend, _, _, unit in every(vae, found):
        figure: Any = curve.figure(unit, "takes", "gives")
        names = {trace.name: trace for trace in figure.data}
        if len(unit.spans) == 2:
            seen["two"] += 1
            left = np.array(figure.data[0].z)
            assert left.min() >= -1e-9 * (1 + np.abs(unit.values).max()), bend.name
            assert len(names["other images"].x) == 4
            continue
        seen["one"] += 1
        (low, high), x = unit.spans[0], np.array(names["function"].x)
        inside = (x >= low) & (x <= high)
        for side, plane in (("below", unit.below), ("above", unit.above)):
            if plane is None:
                continue
            trace = next(t for t in figure.data if t.name and t.name.startswith(f"line {side}"))
            np.testing.assert_allclose([trace.x[0], trace.x[-1]], [low, high])
            line = np.interp(x[inside], trace.x, trace.y)
            away = (unit.values[inside] - line) * (1 if side == "below" else -1)
            assert away.min() >= -1e-9 * (1 + np.abs(line).max()), (bend.name, side)
        assert (names["clean"].x[0], names["clean"].y[0]) == (unit.seen[0, 0], unit.gives[0])
        assert low <= names["attacked"].x[0] <= high
        top, bottom = names["lost where the bound is lowest"].y
        assert abs(top - bottom) == pytest.approx(
            abs(unit.given - curve.line_at(unit.used, *unit.worst)), abs=1e-12
        )
    assert seen["one"] > 0
    assert seen["two"] > 0


def test_costs_are_sorted_and_add_up_to_what_a_bound_loses(model: tuple[Any, Inspection]):
    _, found = model
    bent = bends.bends_of(found.losses, found.taken)
    order = [bend.key for bend in bent]
    assert order.index("mu") < order.index("logvar") < order.index("likelihood") == len(order) - 1
    for loss in found.losses:
        lost = sum(bend.by[loss.method].total for bend in bent) + loss.parts["rounding"]
        assert lost == pytest.approx(loss.elbo - loss.proved, abs=1e-6 * (1 + abs(loss.proved)))
    for bend in bent:
        assert bend.places.shape[1] == min(bend.count, bends.KEPT)
        for places in bend.places:
            assert len({*places.tolist()}) == len(places)
        number = int(bend.places[0, -1]) + 1
        assert bend.place(0, number) == bend.places.shape[1] - 1
        assert bend.place(0, 0) == 0
        assert bend.place(0, bend.count + 1) is None


def test_only_the_costliest_units_are_kept_of_very_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bends, "KEPT", 5)
    found = looked_into(make_vae(scale=2.0))
    bend = bends.bends_of(found.losses, found.taken)[-1]
    cost = found.losses[-1].relaxed[bend.name].cost.flatten(1)
    assert bend.places.shape == (2, 5)
    assert bend.by["alpha-crown"].total == pytest.approx(cost.sum().item())
    assert bend.place(0, int(cost[0].argmin()) + 1) is None


def test_a_scored_image_that_stands_still_is_no_input():
    vae = make_vae(scale=2.0)
    found = looked_into(vae, target="reconstruction")
    bend = bends.bends_of(found.losses, found.taken)[-1]
    unit = bends.unit(vae, bend, "crown", 0, 0)
    assert unit.spans.shape == (1, 2)
    assert bend.taken.shape[1] == 2
    assert (unit.values - curve.line_at(unit.used, unit.grids[0]))[20:-20].min() >= -1e-9


def test_a_unit_without_an_end_is_not_drawn(model: tuple[Any, Inspection]):
    vae, found = model
    bend, method, row, unit = every(vae, found, 1)[0]
    assert not unit.endless
    assert replace(unit, spans=unit.spans + np.array([[0, np.inf]])).endless
    assert replace(unit, below=unit.below * np.nan, above=None).endless
    lines = bend.by[method]
    endless = replace(bend, by={method: replace(lines, high=lines.high + np.inf)})
    assert bends.unit(vae, endless, method, row, 0).endless


def test_it_is_said_in_words_and_its_marks_are_explained(model: tuple[Any, Inspection]):
    vae, found = model
    for bend, method, _, unit in every(vae, found, 1):
        said = curve.describe(unit, bend.op, method)
        assert said.startswith(f"Relaxation of unit {unit.number} of {bend.op} by {method}")
        assert "nan" not in said
        legend = curve.legend(unit)
        assert ("bound lowest" in legend) == (len(unit.spans) == 2)
        assert ("the other" in legend) == (len(unit.spans) == 1 and unit.above is not None)


def test_the_layer_where_intervals_grow_most_is_named(model: tuple[Any, Inspection]):
    _, found = model
    layers = [compute._seen(layer) for layer in found.layers]
    for method in METHODS:
        most = growth.steepest(layers, method)
        assert most is not None
        times = {
            layer.name: layer.bounds[method].width.mean().item() / layer.took[method]
            for layer in found.layers
            if layer.took[method] > 0
        }
        assert most.times == pytest.approx(max(times.values()))
        assert times[most.layer.name] == max(times.values())
    chain = [layer for layer in found.layers if layer.kind in ("affine", "relu")]
    before = found.layers[found.layers.index(chain[0]) - 1]
    assert chain[0].took["ibp"] == pytest.approx(before.width("ibp"))


def test_what_does_not_grow_or_has_no_end_is_said_so():
    layers = [compute._seen(layer) for layer in looked_into(make_vae(scale=2.0)).layers]
    still = [replace(layer, widths={"ibp": 0.0, "crown": 0.0}) for layer in layers]
    assert growth.steepest(still, "ibp") is None
    assert growth.steepest([], "ibp") is None
    burst = replace(layers[2], widths={"ibp": np.inf, "crown": 1.0})
    after = replace(layers[3], widths={"ibp": np.inf, "crown": 1.0}, took={"ibp": np.inf, "crown": 1.0})
    most = growth.steepest([*layers[:2], burst, after], "ibp")
    assert most is not None
    assert most.layer is burst
    assert text.grows("IBP", "Encoder 2", most.times) == "IBP: Encoder 2, no end"


def test_units_are_named_by_where_they_are():
    assert text.unit(7, (10,), 0.5).startswith("7: 0.5 nats")
    assert text.unit(1, (2, 3, 4), 0.5).startswith("map 1, row 1, column 1")
    assert text.unit(24, (2, 3, 4), -1e-17).startswith("map 2, row 3, column 4: 0 nats")
    assert text.unit(6, (1, 3, 4), 0.5).startswith("row 2, column 2")
