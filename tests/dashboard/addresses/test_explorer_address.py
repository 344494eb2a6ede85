from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.bounds.ball import NORMS
from core.certificates.certificate import STATES
from core.certificates.methods import METHODS
from core.vae.validate import TARGETS
from dashboard.addresses import explorer as state
from dashboard.addresses.explorer import SCALES, Settings, State, default_state, to_params
from tests.dashboard.addressed import parse_explorer
from tests.dashboard.page_parts import HOSTILE

GRID = SCALES["linf"].grid

MODELS = ["mnist-conv-standard", "mnist-mlp-robust-0.1", "mnist-mlp-standard"]


def test_nothing_in_the_address_is_the_default_without_a_message():
    assert parse_explorer({}, MODELS) == (State("mnist-mlp-standard", "mnist-mlp-robust-0.1"), [])


def test_default_models_fall_back_to_those_there_are():
    assert (default_state(["a", "b"]).left, default_state(["a", "b"]).right) == ("a", "b")
    assert (default_state(["a"]).left, default_state(["a"]).right) == ("a", "")


@pytest.mark.parametrize(("field", "value"), HOSTILE)
def test_a_bad_value_gets_one_message_and_the_default(field: str, value: str):
    found, messages = parse_explorer({field: value}, MODELS)
    assert found == default_state(MODELS)
    assert [m.field for m in messages] == [field]
    assert "instead" in messages[0].text
    assert len(messages[0].text) < 300


def test_a_message_quotes_the_value_as_code_so_that_no_markup_acts():
    _, messages = parse_explorer({"left": "`<b>![x](http://h/x.png)\n"}, MODELS)
    assert "`<b>![x](http://h/x.png)`" in messages[0].text


@given(some.dictionaries(some.sampled_from([name for name, _ in HOSTILE]), some.text(max_size=60)))
def test_any_text_gives_a_state_within_the_limits(params: dict[str, str]):
    found, _ = parse_explorer(params, MODELS)
    s = found.settings
    assert found.left in MODELS
    assert found.right in MODELS
    assert 0 <= found.index <= 499
    assert 0 <= found.eps <= 1
    assert found.threshold is None or math.isfinite(found.threshold)
    assert 1 <= s.draws <= 64
    assert 1 <= s.steps <= 200
    assert 1 <= s.restarts <= 10


@some.composite
def states(draw: some.DrawFn) -> State:
    norm = draw(some.sampled_from(NORMS))
    scale = SCALES[norm]
    return State(
        left=draw(some.sampled_from(MODELS)),
        right=draw(some.sampled_from(MODELS)),
        index=draw(some.integers(0, 499)),
        eps=draw(some.floats(0, scale.most).map(lambda v: float(f"{v:.12g}"))),
        threshold=draw(some.none() | some.integers(-1000, 1000).map(float)),
        upto=draw(some.sampled_from(scale.ranges)),
        method=draw(some.sampled_from(METHODS)),
        states=draw(some.sampled_from(STATES)),
        settings=Settings(
            target=draw(some.sampled_from(TARGETS)),
            attack=draw(some.sampled_from(state.ATTACKS)),
            norm=norm,
            steps=draw(some.integers(1, 16)),
            restarts=draw(some.integers(1, 3)),
            draws=draw(some.integers(1, 16)),
            seed=draw(some.integers(0, state.MOST_SEED)),
        ),
    )


@given(states())
def test_the_address_gives_the_state_back(shown: State):
    assert parse_explorer(to_params(shown, MODELS), MODELS) == (shown, [])


def test_the_address_of_the_default_is_empty():
    assert to_params(default_state(MODELS), MODELS) == {}


@pytest.mark.parametrize(
    ("attack", "draws", "steps", "restarts", "left"),
    [
        ("pgd", 64, 200, 10, (200, 1)),
        ("pgd", 4, 200, 10, (200, 10)),
        ("fgsm", 64, 200, 10, (200, 10)),
        ("strongest", 4, 200, 1, (200, 1)),
        ("strongest", 4, 40, 10, (40, 5)),
        ("strongest", 64, 200, 10, (12, 1)),
    ],
)
def test_too_much_work_is_cut_down_with_a_message(
    attack: str, draws: int, steps: int, restarts: int, left: tuple[int, int]
):
    wanted = {"attack": attack, "draws": str(draws), "steps": str(steps), "restarts": str(restarts)}
    found, messages = parse_explorer(wanted | {"method": "ibp"}, MODELS)
    assert (found.settings.steps, found.settings.restarts) == left
    assert [m.field for m in messages] == ["restarts"] * (left != (steps, restarts))


def test_many_draws_are_not_proved_by_a_slow_method():
    assert parse_explorer({"draws": "16"}, MODELS)[0].method == "alpha-crown"
    found, messages = parse_explorer({"draws": "17"}, MODELS)
    assert found.method == "crown-ibp"
    assert found.settings.draws == 17
    assert [m.field for m in messages] == ["method"]
    assert parse_explorer({"draws": "64", "method": "ibp"}, MODELS)[1] == []


@pytest.mark.parametrize("method", METHODS)
def test_only_some_methods_are_spread_over_radii(method: str):
    spread = parse_explorer({"method": method}, MODELS)[0].spread
    assert spread == (method if method in ("ibp", "crown-ibp", "crown", "alpha-crown") else "alpha-crown")


def test_eps_is_judged_by_the_scale_of_its_norm():
    assert default_state(MODELS, "l2").eps == 0.2
    found, messages = parse_explorer({"norm": "l2", "eps": "20"}, MODELS)
    assert (found.eps, found.most, messages) == (20, 20, [])
    assert parse_explorer({"norm": "l2"}, MODELS)[0] == default_state(MODELS, "l2")
    found, messages = parse_explorer({"norm": "l2", "eps": "29", "upto": "0.15"}, MODELS)
    assert found == default_state(MODELS, "l2")
    assert [m.field for m in messages] == ["eps", "upto"]


@pytest.mark.parametrize("scale", SCALES.values())
def test_a_scale_opens_on_its_own_grid(scale: state.Scale):
    assert scale.eps in scale.grid
    assert scale.upto in scale.ranges
    assert float(scale.ranges[-1]) == scale.grid[-1] <= scale.most
    assert set(scale.tight) < set(scale.grid)


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
