from __future__ import annotations

import base64
import dataclasses
import io
import json
import math

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from core.attacks import ATTACKS
from core.bounds.ball import NORMS
from core.certificates.certificate import STATES
from core.certificates.methods import METHODS
from dashboard.explorer import loss_bars
from dashboard.explorer.loss_bars import Loss
from dashboard.shared import figures, images, text
from dashboard.shared.figures import Line

EPS = np.array([0.0, 0.1, 0.2, 0.3])
LINE = Line(
    "Robust",
    figures.COLOURS[1],
    EPS,
    -100.0,
    np.array([-100.0, -150.0, -200.0, -250.0]),
    np.array([-100.0, -160.0, -1e6, -math.inf]),
    ("ibp", "alpha-crown", "ibp", ""),
    {
        "ibp": (EPS, np.array([-100.0, -180.0, -1e6, -math.inf])),
        "alpha-crown": (np.array([0.1, 0.2]), np.array([-160.0, -2e6])),
    },
    -120.0,
)
AXIS = "eps"


def spec(figure: go.Figure) -> dict:
    return json.loads(figure.to_json() or "")


def texts(figure: go.Figure) -> list[str]:
    return [note["text"] for note in spec(figure)["layout"]["annotations"]]


def test_a_hopeless_bound_does_not_move_the_axis():
    low, high = figures.frame([LINE], 0.3)
    assert -270 < low < -250
    assert -100 < high < -80
    figure = spec(figures.curve_figure([LINE], 0.1, 0.3, AXIS))
    assert figure["layout"]["yaxis"]["range"] == [low, high]


def test_the_axis_follows_the_part_that_is_shown():
    assert figures.frame([LINE], 0.1)[0] > -160
    assert figures.frame([dataclasses.replace(LINE, threshold=-400.0)], 0.1)[0] < -400


def test_a_vacuous_bound_is_drawn_leaving_the_frame():
    figure = figures.curve_figure([LINE], 0.1, 0.3, AXIS)
    low, _ = figures.frame([LINE], 0.3)
    drawn = spec(figure)["data"][2]
    proved = np.frombuffer(base64.b64decode(drawn["y"]["bdata"]), dtype=drawn["y"]["dtype"])
    assert np.isfinite(proved).all()
    assert (proved[2:] < low).all()
    assert proved[:2] == pytest.approx([-100, -160])


def test_a_bound_that_leaves_the_frame_is_said_to():
    assert figures.leaves(LINE, -260, 0.3) == "proved: below the frame from eps 0.2, nothing from 0.3"
    assert figures.leaves(LINE, -260, 0.2) == "proved: below the frame from eps 0.2"
    assert figures.leaves(LINE, -2e6, 0.3) == "nothing proved from eps 0.3"
    assert figures.leaves(LINE, -260, 0.1) is None
    assert "nothing proved from eps 0.3" not in texts(figures.curve_figure([LINE], 0.1, 0.1, AXIS))
    assert any("below the frame" in note for note in texts(figures.curve_figure([LINE], 0.1, 0.3, AXIS)))


def test_hover_says_all_numbers_in_words():
    said = figures.hover(LINE, 1)
    for part in (
        "Robust",
        "clean −100.0 nats",
        "attacked −150.0 nats",
        "proved at least −160.0 nats by alpha-CROWN",
        "open 10.0",
    ):
        assert part in said
    assert "proved: nothing" in figures.hover(LINE, 3)


def test_the_chart_is_described_with_its_numbers():
    assert "−150.0 nats" in figures.describe([LINE], 0.1)
    assert "<" not in figures.describe([LINE], 0.1)


def test_a_common_threshold_is_drawn_once():
    other = dataclasses.replace(LINE, name="Standard", threshold=-90.0)
    same = dataclasses.replace(other, threshold=-120.0)
    assert sum("alarm" in t for t in texts(figures.curve_figure([LINE, other], 0.1, 0.3, AXIS))) == 2
    assert sum("alarm" in t for t in texts(figures.curve_figure([LINE, same], 0.1, 0.3, AXIS))) == 1


def test_the_chart_tells_the_methods_apart():
    drawn = spec(figures.curve_figure([LINE], 0.1, 0.3, AXIS))["data"]
    thin = next(t for t in drawn if t["mode"] == "lines" and t["line"]["width"] == 1)
    assert thin["line"]["dash"] == "solid"
    marks = next(t for t in drawn if t["mode"] == "markers")
    assert marks["marker"]["symbol"] == "square-open"
    # The bound below the frame has no mark: on the frame it would be read as a value.
    y = np.frombuffer(base64.b64decode(marks["y"]["bdata"]), dtype=marks["y"]["dtype"])
    assert y.tolist() == [-160]
    legend = figures.legend([LINE, dataclasses.replace(LINE, by_method={"crown": LINE.by_method["ibp"]})])
    assert all(f"\u00a0{name}" in legend for name in ("IBP", "alpha-CROWN", "CROWN", "Robust"))
    assert legend.count("Robust") == 2
    assert "CROWN-IBP" not in legend


def test_every_method_can_be_drawn_and_named():
    every = dataclasses.replace(LINE, by_method=dict.fromkeys(METHODS, LINE.by_method["alpha-crown"]))
    assert len(spec(figures.curve_figure([every], 0.1, 0.3, AXIS))["data"]) == 3 + len(METHODS)
    legend = figures.legend([every]).replace("\u00a0", " ")
    assert all(text.METHOD_NAMES[method] in legend for method in METHODS)
    assert set(text.METHOD_LABELS) >= set(METHODS)
    assert set(text.ATTACK_LABELS) == set(ATTACKS)
    assert set(text.STATES_LABELS) == set(STATES)
    assert set(text.NORM_LABELS) == set(text.EPS_LABELS) == set(text.EPS_AXIS) == set(NORMS)


def test_a_proof_on_the_noise_at_large_is_a_mark_of_its_own():
    line = dataclasses.replace(LINE, sampled=(0.1, -170.0, "expectation"))
    mark = spec(figures.curve_figure([line], 0.1, 0.3, AXIS))["data"][-1]
    assert (mark["x"], mark["y"], mark["marker"]["symbol"]) == ([0.1], [-170.0], "diamond")
    assert "expectation: −170.0 nats" in figures.hover(line, 1)
    assert "expectation" not in figures.hover(line, 2)
    assert "◆\u00a0expectation" in figures.legend([line])
    low = dataclasses.replace(LINE, sampled=(0.1, -math.inf, "expectation"))
    assert len(spec(figures.curve_figure([low], 0.1, 0.3, AXIS))["data"]) == len(
        spec(figures.curve_figure([LINE], 0.1, 0.3, AXIS))["data"]
    )
    assert "expectation: vacuous" in figures.hover(low, 1)


def test_losses_are_stacked_with_their_sign():
    shown = [
        t
        for t in spec(loss_bars.loss_figure([Loss("a", "#D55E00", -5, 1, attained=True)]))["data"]
        if t["type"] == "bar"
    ]
    assert [bar["x"] for bar in shown] == [[-5], [1]]


def test_long_names_leave_the_bars_their_room():
    long = "Robust MLP (eps 0.1, MTL-IBP), Gaussian, attained"
    drawn = spec(loss_bars.loss_figure([Loss(long, "#D55E00", -5, attained=True)]))
    short = spec(loss_bars.loss_figure([Loss("a", "#D55E00", -5, attained=True)]))
    (label,) = drawn["data"][0]["y"]
    assert label.replace("<br>", " ") == long
    assert max(map(len, label.split("<br>"))) <= loss_bars.LABEL
    assert drawn["layout"]["height"] > short["layout"]["height"]


def test_a_hopeless_proof_does_not_squash_the_bars():
    found = Loss("a", "#D55E00", -100.0, 0.0, attained=True)
    assert loss_bars.frame([found, Loss("b", "#D55E00", both=-200.0)]) is None
    losses = [found, Loss("b", "#D55E00", both=-7000.0)]
    assert loss_bars.frame(losses) == -250
    figure = loss_bars.loss_figure(losses)
    assert spec(figure)["layout"]["xaxis"]["range"][0] == -250
    assert any("−7,000 nats" in note for note in texts(figure))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_pixels_are_enlarged_without_smoothing():
    drawn = pixels(images.grey(np.array([[0.0, 1.0], [0.5, 0.0]])))
    assert drawn.shape == (20, 20)
    assert set(np.unique(drawn)) == {0, 128, 255}
    assert (drawn[:10, 10:] == 255).all()


def test_a_change_is_blue_or_red_around_white():
    drawn = pixels(images.diverging(np.array([[-0.1, 0.0, 0.1]]), 0.1))[5, [5, 15, 25]]
    blue, white, red = drawn.tolist()
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert len(set(white)) == 1
    assert (pixels(images.diverging(np.zeros((2, 2)), 0.0)) == 247).all()


@pytest.mark.parametrize(
    ("value", "shown"), [(-356.4, "−356 nats"), (0.3, "0 nats"), (-0.2, "0 nats"), (-math.inf, "vacuous")]
)
def test_nats_have_unit_and_sign(value: float, shown: str):
    assert text.nats(value) == shown


def test_signed_numbers():
    assert (text.signed(12345.6), text.signed(-1.0), text.signed(-0.4)) == ("+12,346", "−1", "0")
