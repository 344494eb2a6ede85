from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.evaluation.results import Results
from core.evaluation.results_files import read_results
from core.vae.validate import TARGETS
from dashboard.addresses.results import AXES, MOST_MODELS, Choice, explorer_address, offered, radii, usual
from dashboard.shared.curves import GLYPHS, PALETTE, SYMBOLS
from tests.dashboard.addressed import parse_explorer, parse_results, results_url
from tests.evaluation.results_files import MODELS, write_results

NAMES = [model.name for model in MODELS]
STANDARD, ROBUST, REC, ADVERSARIAL, BETA, GAUSSIAN = NAMES
HOSTILE = [
    ("likelihood", "poisson"),
    ("target", "x" * 100_000),
    ("arch", "../../etc"),
    ("recipes", "ibp,alchemy"),
    ("recipes", "<script>alert(1)</script>"),
    ("models", f"{ROBUST},no-such-model"),
    ("models", GAUSSIAN),
    ("models", "," * 10_000),
    ("models", ROBUST + "\n"),
    ("attack", "fgsm"),
    ("certificate", "![x](https://example.org/x.png)"),
    ("eps", "0.03"),
    ("eps", "nan"),
    ("eps", ""),
    ("upto", "0"),
    ("upto", "-0.1"),
    ("axis", "log"),
    ("order", "best"),
    ("sample", "constant-decoder-bernoulli"),
    ("sample", ""),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return read_results(write_results(tmp_path_factory.mktemp("results") / "paper"))


def test_the_page_opens_with_one_model_of_each_kind(results: Results):
    found, messages = parse_results({}, results)
    assert messages == []
    assert found.models == (STANDARD, ROBUST, REC, ADVERSARIAL)
    assert (found.likelihood, found.arch, found.recipes) == ("bernoulli", "all", ())
    assert (found.target, found.attack, found.certificate) == ("likelihood", "pgd", "tightest")
    assert (found.eps, found.upto, found.sample) == (0.1, 0.1, ROBUST)


def test_the_largest_eps_stands_for_its_kind(results: Results):
    small = replace(results.entry(ROBUST), model="a", eps=0.05)
    large = replace(small, model="b", eps=0.15)
    conv = replace(large, model="c", arch="conv")
    crown = replace(conv, model="d", recipe="crown-ibp")
    more = replace(results, entries=(small, large, crown, conv))
    assert usual(more, ("a", "b")) == ("b",)
    assert usual(more, ("a", "b", "c", "d")) == ("c",)
    assert usual(more, ()) == ()
    other = replace(results.entry(BETA), model="d")
    assert usual(replace(results, entries=(other,)), ("d",)) == ("d",)


def test_filters_leave_what_passes_them(results: Results):
    assert offered(results, "bernoulli", "all", ()) == (STANDARD, ROBUST, REC, ADVERSARIAL, BETA)
    assert offered(results, "bernoulli", "mlp", ("ibp", "beta")) == (ROBUST, REC)
    assert offered(results, "gaussian", "all", ()) == (GAUSSIAN,)
    found, messages = parse_results({"likelihood": "gaussian"}, results)
    assert (found.models, found.sample, messages) == ((GAUSSIAN,), GAUSSIAN, [])


def test_filters_that_nothing_passes_are_a_page_without_models(results: Results):
    found, messages = parse_results({"arch": "mlp", "recipes": "beta"}, results)
    assert (found.models, found.sample, messages) == ((), "", [])


def test_no_curves_can_be_asked_for(results: Results):
    found, messages = parse_results({"models": ""}, results)
    assert (found.models, messages) == ((), [])
    assert results_url(found, results) == {"models": ""}


@pytest.mark.parametrize(("field", "value"), HOSTILE)
def test_a_bad_value_gets_one_message_and_what_is_left_of_it(results: Results, field: str, value: str):
    found, messages = parse_results({field: value}, results)
    kept = {"recipes": {"ibp,alchemy": ("ibp",)}, "models": {f"{ROBUST},no-such-model": (ROBUST,)}}
    usual_ = getattr(parse_results({}, results)[0], field)
    assert getattr(found, field) == kept.get(field, {}).get(value, usual_)
    assert [m.field for m in messages] == [field]
    assert "instead" in messages[0].text
    assert len(messages[0].text) < 500


def test_only_so_many_curves_as_there_are_colours(results: Results):
    assert len(PALETTE) == len(SYMBOLS) == len(GLYPHS) == MOST_MODELS
    assert PALETTE[:2] == ("#D55E00", "#0072B2")
    entry = results.entry(BETA)
    many = replace(results, entries=tuple(replace(entry, model=f"m-{i}") for i in range(9)))
    asked = [f"m-{i}" for i in range(8, 0, -1)]
    found, messages = parse_results({"models": ",".join(asked)}, many)
    assert found.models == tuple(asked[:MOST_MODELS])
    assert [m.field for m in messages] == ["models"]


FIELDS = ["likelihood", "target", "arch", "recipes", "models", "eps", "upto", "axis", "sample", "attack"]


@given(some.dictionaries(some.sampled_from(FIELDS), some.text(max_size=60)))
def test_any_text_gives_a_choice_that_can_be_shown(results: Results, params: dict[str, str]):
    found, _ = parse_results(params, results)
    assert set(found.models) <= set(offered(results, found.likelihood, found.arch, found.recipes))
    assert found.target in TARGETS
    assert {found.eps, found.upto} <= set(radii(results))


@some.composite
def choices(draw: some.DrawFn) -> dict[str, str]:
    models = draw(some.lists(some.sampled_from(NAMES[:5]), unique=True))
    values = {
        "models": ",".join(models),
        "target": draw(some.sampled_from(TARGETS)),
        "attack": draw(some.sampled_from(("pgd", "strongest"))),
        "certificate": draw(some.sampled_from(("ibp", "crown-ibp", "alpha-crown"))),
        "eps": draw(some.sampled_from(("0.01", "0.1", "2e-1"))),
        "axis": draw(some.sampled_from(AXES)),
        "sample": draw(some.sampled_from(NAMES[:5])),
    }
    return {key: value for key, value in values.items() if draw(some.booleans())}


@given(choices())
def test_the_address_gives_the_choice_back(results: Results, params: dict[str, str]):
    shown, messages = parse_results(params, results)
    assert messages == []
    assert parse_results(results_url(shown, results), results) == (shown, [])


def test_the_address_holds_only_what_differs(results: Results):
    assert results_url(parse_results({}, results)[0], results) == {}
    params = {"arch": "conv", "recipes": "beta,adversarial", "eps": "0.20"}
    shown: Choice = parse_results(params, results)[0]
    assert shown.models == (ADVERSARIAL,)
    assert results_url(shown, results) == params | {"eps": "0.2"}


@pytest.mark.parametrize(
    ("model", "left", "right"),
    [
        (ROBUST, STANDARD, ROBUST),
        (ADVERSARIAL, STANDARD, ADVERSARIAL),
        (STANDARD, STANDARD, ROBUST),
        (GAUSSIAN, GAUSSIAN, GAUSSIAN),
    ],
)
def test_a_point_leads_to_the_explorer(results: Results, model: str, left: str, right: str):
    url = explorer_address(results, NAMES, model, 0.05, "reconstruction")
    assert url is not None
    assert url == {"left": left, "right": right, "eps": "0.05", "target": "reconstruction"}
    found, messages = parse_explorer(url, NAMES)
    assert messages == []
    assert (found.left, found.right, found.eps) == (left, right, 0.05)
    assert found.settings.target == "reconstruction"


def test_a_model_that_is_not_shipped_has_no_place_in_the_explorer(results: Results):
    assert explorer_address(results, [STANDARD], ROBUST, 0.1, "likelihood") is None
    alone = explorer_address(results, [ROBUST], ROBUST, 0.1, "likelihood")
    assert alone is not None
    assert alone["left"] == alone["right"] == ROBUST
