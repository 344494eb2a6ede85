"""The limits of every model on one image, and how far a model is on the way between them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

import core
from core.data.samples import load_levels
from core.evaluation.ceiling import CEILING
from core.training.baseline import fit_constant_decoder
from core.vae.learned_variance import LearnedVariance
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings
from dashboard.addresses.kinds import SHIPPED_IMAGES, Source, shipped
from dashboard.shared import compute, limits, text
from dashboard.shared.curves import CONSTANT as BASELINE
from dashboard.shared.limits import Limits
from tests.conftest import make_vae
from tests.dashboard.page_parts import NAMES

RADII = (0.0, 0.05, 0.1)
TWO = Limits(RADII, (-40.0, -150.0, -277.3), (-180.0, -283.38, -352.61))


def find(**settings: str) -> Limits:
    found = limits.of(NAMES[0], Digit(0), ProofSettings(**settings), RADII)  # pyright: ignore
    assert found is not None
    return found


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_they_are_those_of_core(target: Any, dataset: str):
    digit = Digit(0, source=shipped(dataset))
    vae, x = compute.model(NAMES[0]), core.load_samples(dataset)[0][:1]
    found = limits.of(NAMES[0], digit, ProofSettings(target), RADII)
    assert found is not None
    for eps, top, floor in zip(RADII, found.ceiling, found.constant, strict=True):
        assert top == core.ceiling(vae, x, eps, target).item()
        decoder = fit_constant_decoder(load_levels(dataset), vae.likelihood, eps, target)
        assert floor == decoder.lower(x.double(), eps, target).item()
        assert floor < top
    assert limits.afresh(NAMES[0], digit, ProofSettings(target), RADII) == found


def test_there_is_no_constant_decoder_where_none_is_fitted_or_its_worst_case_is_not_known():
    flat = find(norm="l2")
    assert flat.constant == ()
    assert list(flat.lines) == [CEILING]
    top = core.ceiling(compute.model(NAMES[0]), Digit(0).image(), 0.1, norm="l2").item()
    assert flat.ceiling[2] == pytest.approx(top, abs=1e-9)
    assert limits.drawn(SHIPPED_IMAGES, "reconstruction", "l2") == (CEILING, BASELINE)
    assert limits.drawn(Source("theirs", "seal"), "likelihood", "linf") == (CEILING,)
    assert limits.of(NAMES[0], Digit(0), ProofSettings(side="upper"), RADII) is None


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_learned_variance_has_no_ceiling_and_says_so(norm: str, monkeypatch: pytest.MonkeyPatch):
    vae = make_vae(likelihood="gaussian")
    vae.likelihood = LearnedVariance()
    monkeypatch.setattr(compute, "model", lambda name: vae)
    found = limits.afresh("endless", Digit(0), ProofSettings(norm=norm), RADII)
    assert found is not None
    assert set(found.ceiling) == {math.inf}
    assert limits.in_words(found, 0.1, -1.0, 0.0) == text.NO_CEILING
    assert limits.cells(found, 0.1, -1.0, 0.0) | {"Constant decoder": ""} == {
        "Constant decoder": "",
        "Ceiling": "none",
        "Way proved": "–",
        "Way attained": "–",
    }


@pytest.mark.parametrize(
    ("proved", "attained", "said"),
    [
        (-333.7, -329.3, "**25 % of the way is proved, 31 % attained.**"),
        (-352.7, -329.3, "**Nothing of the way is proved, 31 % attained.**"),
        (-math.inf, -329.3, "**Nothing of the way is proved, 31 % attained.**"),
        (-math.inf, -400.0, "**Nothing of the way is proved: an attack gets below the constant decoder.**"),
        (
            -300.0,
            -277.0,
            "**69 % of the way is proved; the attack ends above the ceiling, so a stronger one",
        ),
    ],
)
def test_how_far_a_model_is_can_be_said_aloud(proved: float, attained: float, said: str):
    words = limits.in_words(TWO, 0.1, proved, attained)
    assert words.startswith(said)
    assert "(−352.7 nats)" in words
    assert "the ceiling (−277.3 nats)" in words


def test_without_a_way_no_share_is_said():
    grey = -784 * math.log(2)
    same = Limits((1.0,), (grey,), (grey - 1e-10,))
    for found in (same, Limits((1.0,), (grey,))):
        words = limits.in_words(found, 1.0, grey - 1, grey)
        assert "%" not in words
        assert "ceiling (−543.4 nats)" in words
        assert limits.cells(found, 1.0, grey - 1, grey)["Way proved"] == "–"


@given(some.floats(-400, -277.3), some.floats(0, 50))
def test_the_shares_are_rounded_away_from_each_other(proved: float, apart: float):
    first, second = limits.shares(TWO, 0.1, proved, proved + apart)
    way = -277.3 + 352.61
    assert first <= second
    assert first / 100 * way - 352.61 <= proved + 1e-9
    assert second / 100 * way - 352.61 >= proved + apart - 1e-9
