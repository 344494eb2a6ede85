from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.bounds.ball import NORMS
from core.vae.validate import TARGETS
from dashboard.addresses import explorer
from dashboard.addresses.compare import (
    COUNTS,
    EVERY,
    MOST_PAGES,
    OPENS,
    PARTS,
    PROOF,
    SORTS,
    VERDICTS,
    address,
    alike,
    explorer_address,
    usual,
)
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ATTACKS, SCALES
from dashboard.addresses.results import MOST_MODELS
from dashboard.shared.curves import GLYPHS, PALETTE, SYMBOLS
from tests.dashboard.addressed import compare_url, parse_compare, parse_explorer

STANDARD, ROBUST = "mnist-mlp-standard", "mnist-mlp-robust-0.1"
GAUSSIAN = ("gauss-a", "gauss-b")
BERNOULLI = ("a", "b", ROBUST, STANDARD, "c", "d", "e")
KINDS: dict[str, str] = {**dict.fromkeys(BERNOULLI, "bernoulli"), **dict.fromkeys(GAUSSIAN, "gaussian")}
HOSTILE = [
    ("part", "both"),
    ("models", f"{STANDARD},no-such-model"),
    ("models", f"{STANDARD},{GAUSSIAN[0]}"),
    ("models", "../../etc"),
    ("models", "<script>alert(1)</script>"),
    ("models", "," * 10_000),
    ("models", f"a,b,c,d,e,{STANDARD},{ROBUST}"),
    ("pin", "no-such-model"),
    ("pin", "a"),
    ("against", "500"),
    ("against", "1.5"),
    ("against", "nan"),
    ("against", ""),
    ("of", "none"),
    ("count", "1000000"),
    ("count", "50.0"),
    ("classes", "3,10"),
    ("classes", "x" * 100_000),
    ("sort", "random"),
    ("verdict", "safe"),
    ("page", "0"),
    ("page", "1e9"),
    ("eps", "-1"),
    ("index", "500"),
    ("own", "a7"),
    ("norm", "l1"),
    ("attack", "![x](https://example.org/x.png)"),
    ("draws", "65"),
    ("threshold", "-1e300"),
]


def test_the_page_opens_with_usual_models_that_can_be_compared():
    found, messages = parse_compare({}, KINDS)
    assert messages == []
    assert found.models == usual(KINDS) == (STANDARD, ROBUST)
    assert (found.part, found.pin, found.against, found.of) == ("digit", "", None, ROBUST)
    assert (found.asked.eps, found.asked.upto, found.asked.method) == (0.04, "0.05", PROOF)
    assert (found.count, found.classes, found.page) == (50, (), 1)
    assert compare_url(found, KINDS) == {}


def test_there_is_a_page_for_any_models():
    assert usual({"a": "x", "b": "y", "c": "x"}) == ("a", "c")
    assert usual(dict.fromkeys("abcdefgh", "x")) == tuple("abcdef")
    assert usual({"a": "x", STANDARD: "x", "b": "x"}) == ("a", STANDARD, "b")
    found, messages = parse_compare({}, {"only": "x"})
    assert (found.models, found.of, messages) == (("only",), "only", [])


def test_colours_and_symbols_suffice():
    assert min(len(PALETTE), len(SYMBOLS), len(GLYPHS)) >= MOST_MODELS


def test_what_opens_is_on_the_grid_and_in_the_chart():
    assert set(OPENS) == set(NORMS)
    for norm, opens in OPENS.items():
        assert float(opens["eps"]) in SCALES[norm].grid
        assert opens["upto"] in SCALES[norm].ranges


@pytest.mark.parametrize(("field", "value"), HOSTILE)
def test_a_bad_value_is_refused_in_words_and_the_rest_counts(field: str, value: str):
    found, messages = parse_compare({"seed": "7", "sort": "class", field: value}, KINDS)
    assert [m.field for m in messages] == [field]
    assert f"`{field}` in the address is" in messages[0].text
    assert len(messages[0].text) < 500
    assert "<script>alert(1)</script>" not in messages[0].text.replace("`<script>alert(1)</script>`", "")
    assert found.asked.settings.seed == 7
    again, none = parse_compare(compare_url(found, KINDS), KINDS)
    assert (again, none) == (found, [])


def test_models_of_another_likelihood_are_left_out():
    found, _ = parse_compare({"models": f"{GAUSSIAN[1]},{STANDARD},{GAUSSIAN[0]}"}, KINDS)
    assert found.models == (GAUSSIAN[1], GAUSSIAN[0])
    assert alike(KINDS, found.models) == GAUSSIAN
    assert alike(KINDS, ()) == tuple(KINDS)


@given(
    some.fixed_dictionaries(
        {},
        optional={
            "models": some.lists(some.sampled_from(list(KINDS)), max_size=6, unique=True).map(",".join),
            "pin": some.sampled_from(list(KINDS)),
            "of": some.sampled_from([*KINDS, EVERY]),
            "part": some.sampled_from(PARTS),
            "against": some.integers(-1, 501).map(str),
            "index": some.integers(-1, 501).map(str),
            "count": some.sampled_from(COUNTS).map(str),
            "classes": some.lists(some.sampled_from("0123456789"), unique=True).map(",".join),
            "sort": some.sampled_from(SORTS),
            "verdict": some.sampled_from(VERDICTS),
            "page": some.integers(0, MOST_PAGES + 1).map(str),
            "eps": some.one_of(some.floats(-0.1, 1.1).map(str), some.sampled_from(["0.1", "0.04", "0.2"])),
            "upto": some.sampled_from(["0.05", "0.15", "0.3", "0.6"]),
            "norm": some.sampled_from(NORMS),
            "target": some.sampled_from(TARGETS),
            "attack": some.sampled_from(ATTACKS),
            "steps": some.integers(0, 201).map(str),
            "draws": some.integers(0, 65).map(str),
            "threshold": some.floats(-2e5, 2e5).map(str),
            "seed": some.text(max_size=5),
        },
    )
)
def test_an_address_is_read_back_exactly(params: dict[str, str]):
    found, _ = parse_compare(params, KINDS)
    url = compare_url(found, KINDS)
    assert parse_compare(url, KINDS) == (found, [])
    assert compare_url(found, KINDS) == url
    assert len({KINDS[model] for model in found.models}) <= 1
    assert found.pin in ("", *found.models)
    assert set(found.judged) <= set(found.models)
    if found.models:
        assert found.lead in found.judged


def test_one_own_image_and_a_pinned_digit():
    own = {"mine": bytes(4 * 28 * 28)}
    found, messages = parse_compare({"own": "mine", "against": "3"}, KINDS, own)
    assert messages == []
    assert found.digits == (Digit(3), Digit(0, own["mine"]))
    assert replace(found, asked=replace(found.asked, index=3, own=b"")).digits == (Digit(3),)
    assert replace(found, against=None).digits == (Digit(0, own["mine"]),)


def test_links_to_the_explorer_keep_the_question():
    models = tuple(KINDS)
    params = {"models": f"a,{ROBUST},c", "target": "reconstruction", "norm": "l2", "draws": "2"}
    found, _ = parse_compare(params | {"eps": "0.3", "threshold": "-200", "own": ""}, KINDS)
    state, messages = parse_explorer(explorer_address(found, "c", Digit(17), models), models)
    assert messages == []
    assert (state.left, state.right, state.index, state.eps) == ("a", "c", 17, 0.3)
    assert (state.threshold, state.settings) == (-200, found.asked.settings)
    assert state.method == explorer.default_state(models).method
    pinned = replace(found, pin=ROBUST)
    assert parse_explorer(explorer_address(pinned, "c", Digit(17), models), models)[0].left == ROBUST
    first = parse_explorer(explorer_address(found, "a", Digit(0), models), models)[0]
    assert (first.left, first.right) == (ROBUST, "a")
    assert first.eps == 0.3
    # Where it is the explorer's default that differs.
    plain, _ = parse_compare({}, KINDS)
    assert parse_explorer(explorer_address(plain, ROBUST, Digit(0), models), models)[0].eps == 0.04


def test_the_explorer_leads_here_with_its_question():
    models = tuple(KINDS)
    state = replace(
        explorer.default_state(models), left="a", right="c", index=9, eps=0.1, states="coverage"
    )
    found, messages = parse_compare(address(state, KINDS), KINDS)
    assert messages == []
    assert found.models == ("a", "c", STANDARD, ROBUST)
    assert (found.asked.index, found.asked.eps, found.of) == (9, 0.1, ROBUST)
    mixed, messages = parse_compare(address(replace(state, right=GAUSSIAN[0]), KINDS), KINDS)
    assert (mixed.models, messages) == (("a", STANDARD, ROBUST), [])
    gauss = replace(state, left=GAUSSIAN[1], right=GAUSSIAN[1])
    assert parse_compare(address(gauss, KINDS), KINDS)[0].models == (GAUSSIAN[1], GAUSSIAN[0])
