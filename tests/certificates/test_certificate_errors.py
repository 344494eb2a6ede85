"""Bad questions to certify get a sentence; hopeless ones get "vacuous"; nothing is ever NaN."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

import core
from core.certificates.certificate import Certificate
from core.certificates.methods import METHODS
from core.errors import InputError, UnsupportedLayerError
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

STATES = ("draws", "expectation", "coverage")
# What states can be proved by which method.
KINDS = [
    (method, states) for method in METHODS for states in STATES if method != "bab" or states == "draws"
]
kinds = pytest.mark.parametrize(("method", "states"), KINDS)


@kinds
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_layer_without_a_rule_is_named_with_the_method(
    method: str, states: str, part: str, vae: VAE
) -> None:
    getattr(vae, part)[2 if part == "encoder" else 1] = nn.Sigmoid()
    x, noise = make_images(vae), core.sample_noise(vae)
    with pytest.raises(UnsupportedLayerError, match=rf"Method '{method}' has no rule for layer Sigmoid"):
        core.certify(vae, x, noise, eps=0.1, method=method, states=states, draws=100)
    with pytest.raises(UnsupportedLayerError, match=rf"Method '{method}'.*Sigmoid"):
        core.certified_radius(
            vae, x, noise, threshold=-500, method=method, states=states, draws=100, steps=1
        )


@kinds
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_numbers(method: str, states: str, value: float, vae: VAE) -> None:
    next(vae.decoder.parameters())[0, 0] = value
    x, noise = make_images(vae), core.sample_noise(vae)
    with pytest.raises(InputError, match=r"decoder\.0\.weight has NaN or infinite values"):
        core.certify(vae, x, noise, eps=0.1, method=method, states=states, draws=100)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "one draw for an expectation": ({"states": "expectation", "draws": 1}, "draws is 1.*at least 2"),
    "no draws for an expectation": ({"states": "expectation", "draws": 0}, "draws is 0"),
    "few draws for coverage": ({"states": "coverage", "draws": 10}, "draws"),
    "alpha": ({"states": "expectation", "alpha": 0.0}, r"alpha is 0\.0"),
    "delta": ({"states": "coverage", "delta": 0.9}, r"delta is 0\.9"),
    "states": ({"states": "all"}, "states is 'all'; choose one of draws, expectation, coverage"),
    "upper expectation": ({"states": "expectation", "side": "upper"}, "side 'lower' only"),
    "bab expectation": ({"states": "expectation", "method": "bab"}, "'bab' proves states='draws' only"),
    "no time": ({"seconds": 0}, "seconds is 0; a time budget must be a number above 0"),
    "negative time": ({"seconds": -1.0}, r"seconds is -1\.0"),
    "time that is no number": ({"seconds": math.nan}, "seconds is nan"),
    "time in words": ({"seconds": "long"}, "seconds is 'long'"),
    "no iterations": ({"iterations": 0}, "iterations is 0"),
    "norm": ({"norm": "l0"}, "norm is 'l0'; choose one of linf, l2"),
    "side": ({"side": "left"}, "side is 'left'; choose one of lower, upper"),
    "l_2 beyond the diagonal": ({"norm": "l2", "eps": 28.1}, r"eps is 28\.1.*\[0, 28\]"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case: str, vae: VAE) -> None:
    wrong, message = BAD[case]
    options: dict[str, Any] = {"eps": 0.1, "method": "alpha-crown", **wrong}
    with pytest.raises(InputError, match=message):
        core.certify(vae, make_images(vae), core.sample_noise(vae), **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_radius_0_in_both_norms_is_the_image_itself(method: str, side: str, vae: VAE) -> None:
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    clean = core.elbo(vae, x, noise).total
    for norm in ("linf", "l2"):
        proved = core.certify(vae, x, noise, eps=0.0, norm=norm, side=side, method=method, iterations=2)
        torch.testing.assert_close(proved.bound, clean, rtol=1e-8, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "norm", "side"), [*product(METHODS, ["linf", "l2"], ["lower", "upper"])]
)
def test_a_ball_that_is_the_whole_box_holds_every_image(method: str, norm: str, side: str) -> None:
    # Two images in the whole pixel box have the same ball: each is bounded by what is proved of the other.
    vae = make_vae(scale=0.5)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    eps = 1.0 if norm == "linf" else 28.0
    proved = core.certify(vae, x, noise, eps=eps, norm=norm, side=side, method=method, iterations=2)
    assert not bool(proved.vacuous.any())
    values = core.elbo(vae, torch.cat([x, torch.zeros_like(x), torch.ones_like(x)]), noise).total
    for bound in proved.bound:
        assert bool((bound <= values).all() if side == "lower" else (bound >= values).all())
    torch.testing.assert_close(proved.bound[0], proved.bound[1], rtol=1e-2, atol=1e-2)


def check_nothing_is_nan(proved: Certificate) -> None:
    for name in ("lower", "upper", "recon", "kl", "margin"):
        assert not bool(getattr(proved, name).isnan().any()), name
    for name, value in proved.by_method.items():
        assert not bool(value.isnan().any()), name
    assert proved.minimiser is None or bool(proved.minimiser.isfinite().all())


def check_vacuous(proved: Certificate) -> None:
    check_nothing_is_nan(proved)
    assert proved.vacuous.tolist() == [True]
    assert proved.lower.tolist() == [-torch.inf]
    assert proved.statement().startswith("Nothing is proved")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "norm", "scale"), [*product(METHODS, ["linf", "l2"], [30.0, 1e15, 1e38])]
)
def test_hopeless_bounds_are_vacuous_and_never_nan(method: str, norm: str, scale: float) -> None:
    vae = make_vae(scale=scale)
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    options: dict[str, Any] = {"eps": 0.5, "norm": norm, "method": method, "iterations": 2}
    check_vacuous(core.certify(vae, x, noise, **options))
    check_nothing_is_nan(core.certify(vae, x, noise, side="upper", **options))


@pytest.mark.parametrize("states", ["expectation", "coverage"])
@pytest.mark.parametrize("method", ["ibp", "crown-ibp"])
@pytest.mark.parametrize("scale", [30.0, 1e15, 1e38])
def test_hopeless_statements_on_the_noise(states: str, method: str, scale: float) -> None:
    vae = make_vae(scale=scale)
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    check_vacuous(core.certify(vae, x, noise, eps=0.5, method=method, states=states, draws=100))
