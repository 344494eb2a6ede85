from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some
from page_parts import HOSTILE

from dashboard import state
from dashboard.state import GRID, Settings, State, default_state, parse, to_params

MODELS = ["mnist-conv-standard", "mnist-mlp-robust-0.1", "mnist-mlp-standard"]


def test_nothing_in_the_address_is_the_default_without_a_message():
    assert parse({}, MODELS) == (State("mnist-mlp-standard", "mnist-mlp-robust-0.1"), [])


def test_default_models_fall_back_to_those_there_are():
    assert (default_state(["a", "b"]).left, default_state(["a", "b"]).right) == ("a", "b")
    assert (default_state(["a"]).left, default_state(["a"]).right) == ("a", "a")


@pytest.mark.parametrize(("field", "value"), HOSTILE)
def test_a_bad_value_gets_one_message_and_the_default(field: str, value: str):
    found, messages = parse({field: value}, MODELS)
    assert found == default_state(MODELS)
    assert [m.field for m in messages] == [field]
    assert "instead" in messages[0].text
    assert len(messages[0].text) < 300


def test_a_message_quotes_the_value_as_code_so_that_no_markup_acts():
    _, messages = parse({"left": "`<b>![x](http://h/x.png)\n"}, MODELS)
    assert "`<b>![x](http://h/x.png)`" in messages[0].text


@given(some.dictionaries(some.sampled_from([name for name, _ in HOSTILE]), some.text(max_size=60)))
def test_any_text_gives_a_state_within_the_limits(params: dict[str, str]):
    found, _ = parse(params, MODELS)
    s = found.settings
    assert found.left in MODELS
    assert found.right in MODELS
    assert 0 <= found.index <= 499
    assert 0 <= found.eps <= 1
    assert found.threshold is None or math.isfinite(found.threshold)
    assert 1 <= s.draws <= 64
    assert 1 <= s.steps <= 200
    assert 1 <= s.restarts <= 10


@given(
    some.builds(
        State,
        left=some.sampled_from(MODELS),
        right=some.sampled_from(MODELS),
        index=some.integers(0, 499),
        eps=some.floats(0, 1).map(lambda v: float(f"{v:.12g}")),
        threshold=some.none() | some.integers(-1000, 1000).map(float),
        upto=some.sampled_from(state.RANGES),
        settings=some.builds(
            Settings,
            target=some.sampled_from(state.TARGETS),
            attack=some.sampled_from(state.ATTACKS),
            steps=some.integers(1, 100),
            restarts=some.integers(1, 3),
            draws=some.integers(1, 64),
            seed=some.integers(0, state.MOST_SEED),
        ),
    )
)
def test_the_address_gives_the_state_back(shown: State):
    assert parse(to_params(shown, MODELS), MODELS) == (shown, [])


def test_the_address_of_the_default_is_empty():
    assert to_params(default_state(MODELS), MODELS) == {}


def test_too_much_work_is_cut_down_with_a_message():
    found, messages = parse({"draws": "64", "steps": "200", "restarts": "10"}, MODELS)
    assert found.settings.restarts == 1
    assert [m.field for m in messages] == ["restarts"]


def test_an_eps_off_the_grid_is_added_to_it():
    assert State("a", "b", eps=0.05).grid == GRID
    grid = State("a", "b", eps=0.037).grid
    assert 0.037 in grid
    assert list(grid) == sorted({*GRID, 0.037})


@pytest.mark.parametrize(
    ("eps", "upto", "most"),
    [(0.1, "0.15", 0.15), (0.16, "0.15", 0.3), (0.02, "0.05", 0.05), (0.7, "0.3", 0.7)],
)
def test_the_chart_never_ends_before_the_cursor(eps: float, upto: str, most: float):
    assert State("a", "b", eps=eps, upto=upto).most == most
