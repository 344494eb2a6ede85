from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from core.evaluation.results import QUANTITIES, Mean
from dashboard.shared import curves, pareto, text
from dashboard.shared.curves import Lines

RADII = (0.0, 0.05, 0.1)


def means(quantity: str, method: str, *values: float, images: int = 1000) -> tuple[Mean, ...]:
    return tuple(
        Mean(
            "m",
            "likelihood",
            eps,
            quantity,
            method,
            images,
            1,
            value,
            value - 2,
            value + 1,
            images * math.isinf(value),
        )
        for eps, value in zip(RADII, values, strict=False)
    )


def lines(name: str, place: int | None, *, clean: float, **values: Any) -> Lines:
    limit = values.pop("limit", "")
    method = "closed-form" if limit else "pgd"
    return Lines(
        name.lower(),
        name,
        place,
        dict(zip(RADII, means("clean", "", clean, clean, clean), strict=True)),
        means("attacked", method, *values["attained"]),
        means("certified", "closed-form" if limit else "ibp", *values["proved"]),
        limit,
    )


STANDARD = lines(
    "Standard", 0, clean=-100, attained=(-100, -400, -700), proved=(-100, -math.inf, -math.inf)
)
ROBUST = lines("Robust", 1, clean=-190, attained=(-190, -260, -330), proved=(-190, -270, -340))
CONSTANT = lines(
    "Constant decoder",
    None,
    clean=-200,
    attained=(-200, -280, -360),
    proved=(-200, -280, -360),
    limit="constant",
)
CEILING = lines(
    "Ceiling", None, clean=-45, attained=(-45, -180, -280), proved=(-45, -180, -280), limit="ceiling"
)
ALL = [STANDARD, ROBUST, CONSTANT]


def spec(figure: go.Figure) -> dict:
    return json.loads(figure.to_json() or "")


def numbers(values: Any) -> list[float]:
    """A plotly array, packed or not."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"]).tolist()
    return list(values)


def trace(figure: go.Figure, model: str, dash: str | None) -> dict:
    return next(
        t
        for t in spec(figure)["data"]
        if t.get("customdata") and t["customdata"][0][0] == model and t["line"].get("dash") == dash
    )


def test_a_vacuous_proof_does_not_move_the_axis():
    low, high = curves.frame([STANDARD, ROBUST], 0.1, near=False)
    assert -800 < low < -700
    assert -100 < high < -60
    drawn = trace(curves.curve_figure(ALL, 0.1, False, "eps"), "standard", "dash")
    assert np.isfinite(numbers(drawn["y"])).all()
    assert max(numbers(drawn["y"])[1:]) < low
    # What is not in the frame has no interval; what is has its own, which is not symmetric.
    assert numbers(drawn["error_y"]["array"]) == [1, 0, 0]
    assert numbers(drawn["error_y"]["arrayminus"]) == [2, 0, 0]


def test_the_axis_ends_somewhat_below_the_constant_decoder():
    near, _ = curves.frame(ALL, 0.1, near=True)
    assert -600 < near < -360
    assert curves.frame(ALL, 0.1, near=False)[0] < -700
    assert curves.frame(ALL, 0.05, near=True)[0] > near
    assert curves.frame([ROBUST, CONSTANT], 0.1, near=True)[0] > -400
    assert curves.frame([], 0.1, near=True)[0] < curves.frame([], 0.1, near=True)[1]
    figure = spec(curves.curve_figure(ALL, 0.1, True, "eps"))
    assert figure["layout"]["yaxis"]["range"] == list(curves.frame(ALL, 0.1, near=True))


def test_strokes_tell_attained_proved_and_clean_apart():
    figure = curves.curve_figure(ALL, 0.1, True, "eps")
    attained, proved = trace(figure, "robust", None), trace(figure, "robust", "dash")
    assert attained["marker"]["symbol"] == "square"
    assert proved["marker"]["symbol"] == "square-open"
    assert attained["line"]["color"] == proved["line"]["color"] == "#0072B2"
    assert attained["customdata"][2] == ["robust", 0.1]
    constant = trace(figure, "constant decoder", "solid")
    assert constant["mode"] == "lines"
    assert constant["line"]["color"] == curves.GREY
    assert sum(t["line"].get("dash") == "dot" for t in spec(figure)["data"]) == 2


def test_all_numbers_are_said_in_words():
    said = curves.in_words(ROBUST, 0.1)
    assert said.startswith("Robust at eps 0.1: clean: −190.0 nats (−192.0 to −189.0), 1,000 images; ")
    assert "attacked by PGD: −330.0 nats (−332.0 to −329.0), 1,000 images; proved by IBP: −340.0" in said
    assert said.endswith("; open 10.0 nats")
    assert "proved by IBP: vacuous for 1,000 of 1,000 images" in curves.in_words(STANDARD, 0.1)
    assert "open" not in curves.in_words(STANDARD, 0.1)
    assert "attacked and proved by closed form: −360.0" in curves.in_words(CONSTANT, 0.1)
    assert "attacked: not computed" in curves.in_words(replace(ROBUST, attained=()), 0.1)
    assert curves.describe(ALL, 0.1).count(" at eps 0.1: ") == 3
    assert curves.describe([], 0.1).endswith("Nothing is drawn.")


def test_a_gap_between_different_images_is_not_open():
    other = means("certified", "ibp", -190, -270, -340, images=50)
    assert "open gap" not in curves.in_words(replace(ROBUST, proved=other), 0.1)


def test_names_cannot_bring_markup():
    evil = replace(STANDARD, name="<img src=x>")
    assert "<img" not in curves.hover(evil, 0.1)
    assert "<img" not in curves.legend([evil], 0.1, True)


def test_the_legend_says_what_left_the_frame():
    assert curves.leaves(STANDARD, -500, 0.1) == [
        "attacked: below the frame from eps 0.1",
        "nothing proved from eps 0.05",
    ]
    assert curves.leaves(ROBUST, -300, 0.1) == [
        f"{w}: below the frame from eps 0.1" for w in ("attacked", "proved")
    ]
    assert curves.leaves(ROBUST, -300, 0.05) == []
    assert curves.leaves(replace(ROBUST, proved=()), -500, 0.1) == ["proved: not computed"]
    legend = curves.legend(ALL, 0.1, True)
    assert "nothing proved from eps 0.05" in legend
    assert all(f"&nbsp;{line.name}" in legend for line in ALL)
    assert "Constant" not in curves.key(ALL)


def test_every_method_has_a_name():
    assert set(text.QUANTITY_NAMES) >= {m for methods in QUANTITIES.values() for m in methods} - {""}


def test_the_frontier_is_drawn_over_models_alone():
    beaten = replace(
        ROBUST,
        name="Beaten",
        place=None,
        clean=dict(zip(RADII, means("clean", "", *[-195] * 3), strict=True)),
    )
    shown = pareto.points([*ALL, beaten], 0.1)
    assert [point.line.name for point in pareto.best(shown)] == ["Robust"]
    drawn = spec(pareto.pareto_figure([*ALL, beaten], 0.1))["data"]
    assert drawn[0]["line"]["shape"] == "vh"
    assert numbers(drawn[0]["x"])[1:] == [-190, -190]
    assert numbers(drawn[0]["y"])[:2] == [-340, -340]
    assert "Not beaten in both numbers: Robust." in pareto.describe([*ALL, beaten], 0.1)


def test_a_vacuous_point_lies_on_the_edge_of_the_frame():
    figure = spec(pareto.pareto_figure(ALL, 0.1))
    low, high = figure["layout"]["yaxis"]["range"]
    assert -400 < low < -360
    assert high > -340
    by_model = {t["customdata"][0][0]: t for t in figure["data"] if "customdata" in t}
    assert by_model["standard"]["marker"]["symbol"] == "arrow-down"
    assert low < by_model["standard"]["y"][0] < low + 0.1 * (high - low)
    assert not by_model["standard"]["error_y"]["visible"]
    assert by_model["robust"]["marker"] == {"color": "#0072B2", "size": 12, "symbol": "square"}
    assert by_model["robust"]["y"] == [-340]
    assert by_model["constant decoder"]["marker"]["symbol"] == "x"


@pytest.mark.parametrize("shown", [[], [STANDARD], [replace(ROBUST, proved=())], [CONSTANT]])
def test_few_points_are_a_chart_all_the_same(shown: list[Lines]):
    (left, right), (low, high) = pareto.frame(pareto.points(shown, 0.1))
    assert left < right
    assert low < high
    assert pareto.pareto_figure(shown, 0.1).to_json()
    assert pareto.describe(shown, 0.1)


def test_the_ceiling_is_a_line_that_no_model_is_above():
    limited = [*ALL, CEILING]
    assert curves.frame(limited, 0.1, near=True)[1] > -100
    assert curves.in_words(CEILING, 0.1).endswith(
        ": no model is proved above −280.0 nats (−282.0 to −279.0), 1,000 images"
    )
    dashes = [
        trace["line"].get("dash") for trace in spec(curves.curve_figure(limited, 0.1, True, "eps"))["data"]
    ]
    assert dashes.count("longdash") == 1
    assert "╌╌&nbsp;" not in curves.legend(ALL, 0.1, True)
    assert "╌╌</span>&nbsp;Ceiling" in curves.legend(limited, 0.1, True)
    assert CEILING.open(0.1) is None


def test_the_ceiling_lies_across_the_points_and_is_none_of_them():
    limited = [*ALL, CEILING]
    assert pareto.points(limited, 0.1) == pareto.points(ALL, 0.1)
    (_, (_, high)) = pareto.frame(pareto.points(limited, 0.1), [-280.0])
    assert high > -280
    figure = spec(pareto.pareto_figure(limited, 0.1))
    said = [note["text"] for note in figure["layout"]["annotations"]]
    assert said == ["ceiling", "constant decoder"]
    assert "Ceiling at eps 0.1: no model is proved above" in pareto.describe(limited, 0.1)


def test_the_share_of_the_way_is_of_the_same_images():
    limits = {line.limit: line for line in (CONSTANT, CEILING)}
    assert ROBUST.share(ROBUST.at(0.1)[1], limits, 0.1) == pytest.approx((-340 + 360) / 80)
    assert CONSTANT.share(CONSTANT.at(0.1)[1], limits, 0.1) == 0
    assert CEILING.share(CEILING.at(0.1)[1], limits, 0.1) == 1
    assert STANDARD.share(STANDARD.at(0.1)[1], limits, 0.1) == -math.inf
    assert math.isnan(ROBUST.share(None, limits, 0.1))
    assert math.isnan(ROBUST.share(ROBUST.at(0.1)[1], {"ceiling": CEILING}, 0.1))
    (few,) = means("certified", "ibp", -190.0, images=40)
    assert math.isnan(ROBUST.share(few, limits, 0.0))
