"""Figures of the page that looks inside, from made-up numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.certificates.elbo_bounds.layer_bounds import LayerName
from core.inspection import METHODS, Terms, Units
from dashboard.addresses.inspect import LINEAR, Layout, Look, Question
from dashboard.inspector import lost, plane, shapes, text, widths
from dashboard.inspector.compute import Lost, Posteriors, Seen, View
from tests.dashboard.addressed import inspect_url, parse_inspect

NAMES = {"mu": "mu", "encoder 1 ReLU": "Encoder 1 ReLU"}


def traces(figure: go.Figure) -> Any:
    """plotly's figures have no types."""
    return figure.data


def looks_of(figure: go.Figure) -> Any:
    return figure.layout


def seen(
    kind: str = "mu", shape: tuple[int, ...] = (6,), ibp: float = 8.0, crown: float = 2.0, rows: int = 1
) -> Seen:
    """A layer around 0, whose intervals are as wide as said."""
    generator = np.random.default_rng(0)
    clean = generator.uniform(-0.1, 0.1, (rows, *shape)).astype(np.float32)
    ends = {"ibp": np.full_like(clean, ibp / 2), "crown": np.full_like(clean, crown / 2)}
    flat = len(shape) == 1
    return Seen(
        key="mu",
        name=LayerName("mu"),
        kind=kind,
        lower={method: -end for method, end in ends.items()},
        upper=ends,
        clean=clean,
        attacked=clean / 2,
        sampled=np.stack([clean, -clean]) if flat else clean[:0][None],
        widths={"ibp": ibp, "crown": crown},
        reached=0.15,
        units={"ibp": Units(1, 2, 3), "crown": Units(2, 3, 1)} if kind == "relu" else {},
        took={"ibp": 2.0, "crown": 1.0},
    )


def view(mu: Seen) -> View:
    terms = Terms(-90.0, 20.0)
    losses = (Lost("crown", -150.0, -120.0, {"likelihood": 24.0, "code": 5.0, "rounding": 1.0}, False),)
    path = np.cumsum(np.full((5, 6), 0.02, np.float32), 0)
    return View(
        layers=(mu,),
        clean=Terms(-80.0, 20.0),
        attained=terms,
        separate={"ibp": Terms(-200.0, 30.0), "crown": Terms(-110.0, 22.0)},
        vacuous={"ibp": False, "crown": False},
        losses=losses,
        mu=path,
        logvar=np.zeros_like(path),
        best=4,
    )


def others() -> Posteriors:
    generator = np.random.default_rng(1)
    mu = generator.normal(size=(20, 6)).astype(np.float32)
    return Posteriors(mu, np.full_like(mu, 0.5), np.arange(20) % 10, np.arange(20))


def test_widths_are_drawn_and_said():
    layers = [seen()]
    figure = widths.width_figure(layers, NAMES)
    assert [list(trace.y) for trace in traces(figure)] == [[8.0], [2.0], [0.15]]
    said = widths.describe(layers, NAMES)
    assert "mu: IBP 8, CROWN 2, reached by images 0.15" in said


@pytest.mark.parametrize("width", [1e9, np.inf])
def test_what_explodes_is_marked_at_the_frame_without_a_number(width: float):
    layers = [seen(ibp=width)]
    span = widths.frame(layers)
    assert span is not None
    figure = widths.width_figure(layers, NAMES)
    assert traces(figure)[0].y == (span[1],)
    assert traces(figure)[0].marker.symbol == ("arrow-up",)
    assert "explodes" in traces(figure)[0].hovertext[0]
    assert looks_of(figure).annotations[0].text.startswith("IBP explodes")
    assert "mu: IBP explodes" in widths.describe(layers, NAMES)


def test_where_nothing_moves_or_nothing_ends_there_is_still_a_chart():
    for width in (0.0, np.inf):
        layer = replace(seen(ibp=width, crown=width), reached=0.0)
        figure = widths.width_figure([layer], NAMES)
        assert len(traces(figure)) == 3
        assert all(np.isfinite(looks_of(figure).yaxis.range))


def test_units_are_shares():
    layer = replace(seen("relu"), name=LayerName("encoder", 1, "ReLU"))
    figure = widths.unit_figure([layer], NAMES)
    assert [sum(trace.x[i] for trace in traces(figure)) for i in (0, 1)] == [pytest.approx(100)] * 2
    assert len({trace.marker.pattern.shape for trace in traces(figure)}) == 3
    assert "by CROWN: 33 % stable active, 50 % dead, 17 % unstable" in widths.describe_units([layer], NAMES)
    assert widths.open_share([layer, seen()], "ibp") == "50 %"


def test_all_points_lie_in_the_frame_and_cut_bars_are_counted():
    layer = seen(ibp=1000.0)
    units = shapes.widest(layer, 0)
    low, high = shapes.bar_frame(layer, 0, units)
    figure = shapes.bar_figure(layer, 0)
    points = np.concatenate([np.asarray(trace.y) for trace in traces(figure)[2:]])
    assert points.min() > low
    assert points.max() < high
    assert shapes.leaving(layer, 0, units) == {"ibp": 6, "crown": 0}
    assert "6 by IBP" in text.bars(6, 6, shapes.leaving(layer, 0, units))
    endless = replace(layer, upper={**layer.upper, "ibp": layer.upper["ibp"] * np.inf})
    bars = shapes.bar_figure(endless, 0)
    assert np.isfinite(np.asarray(traces(bars)[0].y)).all()
    assert "no end" in shapes.describe_bars(endless, 0, "mu")


def test_many_units_are_the_widest():
    layer = seen(shape=(100,))
    crown = np.arange(100, dtype=np.float32)[None]
    layer = replace(layer, upper={**layer.upper, "crown": crown}, lower={**layer.lower, "crown": -crown})
    assert shapes.widest(layer, 0).tolist() == list(range(99, 59, -1))


@given(count=st.integers(1, 40), height=st.integers(1, 8), width=st.integers(1, 8))
def test_a_mosaic_holds_every_map_once(count: int, height: int, width: int):
    values = np.arange(count * height * width, dtype=np.float32).reshape(count, height, width)
    grid = shapes.mosaic(values)
    kept = grid[np.isfinite(grid)]
    assert sorted(kept.tolist()) == values.ravel().tolist()


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 2, 5)])
def test_a_click_on_a_heat_map_names_the_unit_that_it_shows(shape: tuple[int, int, int]):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    shown, wanted = shapes.mosaic(values), np.array([7, 0, 11])
    units = shapes.cells(shape, wanted)
    assert [values.flat[number - 1] for number in units] == [shown[place] for place in units.values()]
    assert list(units) == [8, 1, 12]
    heat, targets = traces(shapes.map_figure(shown, (0.0, 1.0), units))
    assert heat.type == "heatmap"
    assert [
        [told[0], shown[y, x]] for told, x, y in zip(targets.customdata, targets.x, targets.y, strict=True)
    ] == [[number, number - 1] for number in units]
    assert targets.marker.opacity == targets.unselected.marker.opacity == 0


def test_maps_share_a_scale_and_say_what_has_no_end():
    layer = seen("natural", (1, 4, 4), rows=2)
    shown = shapes.maps(layer, "crown", 1)
    scales = shapes.spans(shown)
    assert scales["lower"] == scales["upper"] == scales["clean"] == (-1.0, 1.0)
    assert scales["width"] == (0.0, 2.0)
    upper = layer.upper["crown"].copy()
    upper[1, 0, 0, 0] = np.inf
    endless = replace(layer, upper={**layer.upper, "crown": upper})
    assert shapes.endless(endless, "crown", 1) == 1
    assert np.isnan(shapes.maps(endless, "crown", 1)["width"]).sum() == 1
    nothing = np.full((4, 4), np.nan)
    assert "nothing has an end" in shapes.describe_map("width", nothing, "Logits")
    everywhere = shapes.spans(dict.fromkeys(shapes.PANELS, nothing))
    assert all(np.isfinite(span).all() for span in everywhere.values())


def test_the_plane_shows_the_widest_box_or_what_was_asked_for():
    mu = seen()
    crown = np.array([[1, 9, 2, 5, 3, 4]], np.float32)
    mu = replace(mu, upper={**mu.upper, "crown": crown}, lower={**mu.lower, "crown": -crown})
    shown = view(mu)
    assert plane.choose(shown, others(), 0, 0) == (1, 3)
    assert plane.choose(shown, others(), 3, 0) == (2, 1)
    assert plane.choose(shown, others(), 0, 2) == (3, 1)
    assert plane.choose(shown, others(), 6, 5) == (5, 4)
    endless = replace(mu, upper={method: mu.upper[method] * np.inf for method in METHODS})
    assert len(set(plane.choose(view(endless), others(), 0, 0))) == 2


@pytest.mark.parametrize("width", [2.0, 1e6, np.inf])
def test_the_plane_frames_what_is_there_and_says_what_leaves(width: float):
    shown, dims = view(seen(ibp=width)), (0, 1)
    across, up = plane.frame(shown, others(), dims)
    assert np.isfinite([*across, *up]).all()
    figure = plane.plane_figure(shown, others(), dims)
    for trace in traces(figure):
        if trace.mode in ("text", "markers", "lines+markers"):
            assert across[0] <= np.min(trace.x) <= np.max(trace.x) <= across[1]
            assert up[0] <= np.min(trace.y) <= np.max(trace.y) <= up[1]
    assert plane.leaves(shown, others(), dims) == ([] if width == 2.0 else ["ibp"])
    said = plane.describe(shown, others(), dims)
    assert "of 20 other images' means" in said
    assert ("no end" in said) == np.isinf(width)


def test_the_terms_add_up_to_the_gap():
    shown = view(seen())
    for method, parts in lost.gaps(shown).items():
        assert sum(parts) == pytest.approx(shown.attained.total - shown.separate[method].total)
    figure = lost.terms_figure(shown)
    assert [list(trace.x) for trace in traces(figure)] == [[110.0, 20.0], [10.0, 2.0]]
    vacuous = replace(shown, vacuous={"ibp": True, "crown": False})
    assert list(lost.gaps(vacuous)) == ["crown"]
    assert "IBP: vacuous" in text.terms(vacuous.vacuous)


def test_the_parts_of_a_linear_bound_are_shares_of_the_whole():
    shown = view(seen())
    figure = lost.lost_figure(shown.losses, NAMES)
    assert [trace.x[0] for trace in traces(figure)] == [
        80.0,
        pytest.approx(100 / 6),
        pytest.approx(100 / 30),
    ]
    said = lost.sentence(shown.losses[0], NAMES, -110.0)
    assert "30.00 nats" in said
    assert "80 % likelihood" in said
    vacuous = lost.sentence(replace(shown.losses[0], vacuous=True, proved=-1e15), NAMES, -110.0)
    assert "vacuous" in vacuous
    assert "1,000,000" not in vacuous


def test_layers_have_names_for_people():
    found = text.labels(
        [
            (LayerName("input"), "input"),
            (LayerName("encoder", 1, "Linear"), "affine"),
            (LayerName("encoder", 2, "ReLU"), "relu"),
            (LayerName("encoder", 3, "Linear"), "affine"),
            (LayerName("mu"), "mu"),
            (LayerName("decoder", 0, "Linear"), "affine"),
            (LayerName("decoder", 2, "Linear"), "natural"),
            (LayerName("pixels"), "pixels"),
        ]
    )
    names = ["Input", "Encoder 1", "Encoder 1 ReLU", "Encoder 2", "mu", "Decoder 1", "Logits", "Pixels"]
    assert list(found.values()) == names
    last = LayerName("decoder", 2, "Linear")
    assert text.labels([(last, "natural")]) == {"decoder 2 Linear": "Pixel means"}


MODELS = ("mnist-conv-standard", "other")


def layout(name: str) -> Layout:
    return Layout(4, ("input", "encoder-1", "mu", "z", "pixels"), (8, 8, 4, 784, 784))


looks = st.builds(
    Look,
    model=st.sampled_from(MODELS),
    index=st.integers(0, 499),
    question=st.builds(
        Question,
        eps=st.floats(0, 1).map(lambda v: float(f"{v:.12g}")),
        target=st.sampled_from(["likelihood", "reconstruction"]),
        norm=st.sampled_from(["linf", "l2"]),
        draws=st.just(4),
        seed=st.integers(0, 2**31 - 1),
    ),
    layer=st.sampled_from(layout("").layers),
    draw=st.integers(1, 4),
    bounds=st.sampled_from(METHODS),
    unit=st.integers(0, 4),
    lines=st.sampled_from(LINEAR),
    across=st.integers(0, 4),
    up=st.integers(0, 4),
)


@given(look=looks)
def test_the_address_of_a_state_is_read_back(look: Look):
    assert parse_inspect(inspect_url(look, MODELS, layout), MODELS, layout) == (look, [])


@given(
    params=st.dictionaries(st.sampled_from(["model", "index", "eps", "layer", "unit", "lines"]), st.text())
)
def test_any_address_gives_a_state(params: dict[str, str]):
    look, _ = parse_inspect(params, MODELS, layout)
    assert parse_inspect(inspect_url(look, MODELS, layout), MODELS, layout) == (look, [])


def test_the_default_needs_no_address():
    look, messages = parse_inspect({}, MODELS, layout)
    assert inspect_url(look, MODELS, layout) == {}
    assert messages == []
