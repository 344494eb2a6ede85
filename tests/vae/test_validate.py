"""Every bad argument is refused with a sentence that names it; every good one is let through."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import core
from core.errors import CoreError, InputError
from core.vae.model import VAE
from core.vae.validate import check_count, check_eps, check_images, check_noise, check_seed, check_target
from tests.conftest import make_images, make_vae

X = torch.full((2, 1, 28, 28), 0.5)


def spoiled(value: float) -> torch.Tensor:
    x = X.clone()
    x[1, 0, 3, 4] = value
    return x


BAD_IMAGES: dict[str, tuple[Any, str]] = {
    "list": ([[0.0]], "torch.Tensor, not list"),
    "array": (np.zeros((1, 1, 28, 28)), "torch.Tensor, not ndarray"),
    "none": (None, "not NoneType"),
    "bytes": ((X * 255).byte(), "torch.uint8"),
    "half": (X.half(), "torch.float16"),
    "whole": (X.long(), "torch.int64"),
    "one image": (X[0], r"\(1, 28, 28\)"),
    "size": (torch.zeros(2, 1, 32, 32), r"\(2, 1, 32, 32\).*\(B, 1, 28, 28\)"),
    "channels": (torch.zeros(2, 3, 28, 28), r"\(2, 3, 28, 28\)"),
    "empty": (X[:0], "empty"),
    "nan": (spoiled(torch.nan), "NaN"),
    "infinite": (spoiled(torch.inf), "NaN or infinite"),
    "negative": (spoiled(-1e-6), r"-9.99999.*e-07 to 0\.5"),
    "above 1": (spoiled(255.0), r"0\.5 to 255"),
}
BAD_NOISE: dict[str, tuple[Any, str]] = {
    "number": (0.0, r"float torch\.Tensor"),
    "whole": (torch.zeros(1, 3, dtype=torch.int64), "float tensor"),
    "latent": (torch.zeros(2, 4), r"\(2, 4\).*\(S, 3\)"),
    "vector": (torch.zeros(3), r"\(3,\)"),
    "empty": (torch.zeros(0, 3), r"\(0, 3\)"),
    "nan": (torch.full((1, 3), torch.nan), "NaN"),
    "infinite": (torch.full((1, 3), torch.inf), "infinite"),
}
BAD_EPS: dict[str, tuple[Any, str]] = {
    "negative": (-0.1, r"-0\.1"),
    "nan": (float("nan"), "nan"),
    "infinite": (float("inf"), "inf"),
    "above 1": (1.0001, r"1\.0001"),
    "huge": (10**400, "1000"),
    "hugely negative": (-(10**400), "-1000"),
    "string": ("0.1", "'0.1'"),
    "none": (None, "None"),
    "bool": (True, "True"),
    "list": ([0.1, 0.1], r"\[0\.1"),
    "complex": (0.1j, "0.1j"),
    "bool tensor": (torch.tensor(True), "torch.bool"),
    "whole tensor": (torch.tensor([0, 1]), "torch.int64"),
    "short tensor": (torch.tensor([0.1]), r"\(1,\)"),
    "long tensor": (torch.full((3,), 0.1), r"\(3,\)"),
    "wide tensor": (torch.full((2, 1), 0.1), r"\(2, 1\)"),
    "nan in tensor": (torch.tensor([0.1, torch.nan]), "nan"),
    "negative in tensor": (torch.tensor([0.1, -0.5]), r"-0\.5"),
    "complex tensor": (torch.tensor([0.1j, 0.1j]), "complex"),
}
CALLS: dict[str, Callable[..., Any]] = {
    "elbo": lambda vae, x, noise, eps: core.elbo(vae, x, noise),
    "attack": lambda vae, x, noise, eps: core.attack(vae, x, noise, eps=eps, steps=1),
    "certify": lambda vae, x, noise, eps: core.certify(vae, x, noise, eps=eps),
}
calls = pytest.mark.parametrize("call", CALLS)


@calls
@pytest.mark.parametrize("case", BAD_IMAGES)
def test_images(call: str, case: str, vae: VAE) -> None:
    x, message = BAD_IMAGES[case]
    with pytest.raises(InputError, match=message):
        CALLS[call](vae, x, torch.zeros(1, 3), 0.1)


@calls
@pytest.mark.parametrize("case", BAD_NOISE)
def test_noise(call: str, case: str, vae: VAE) -> None:
    noise, message = BAD_NOISE[case]
    with pytest.raises(InputError, match=message):
        CALLS[call](vae, X, noise, 0.1)


@pytest.mark.parametrize("call", ["attack", "certify"])
@pytest.mark.parametrize("case", BAD_EPS)
def test_eps(call: str, case: str, vae: VAE) -> None:
    eps, message = BAD_EPS[case]
    with pytest.raises(InputError, match=rf"eps .*{message}") as caught:
        CALLS[call](vae, X, torch.zeros(1, 3), eps)
    assert len(str(caught.value)) < 200


def test_scored_image_must_fit(vae: VAE) -> None:
    noise = core.sample_noise(vae)
    with pytest.raises(InputError, match=r"t has shape \(1, 1, 28, 28\) but x has \(2, 1, 28, 28\)"):
        core.elbo(vae, X, noise, X[:1])
    with pytest.raises(InputError, match="255"):
        core.elbo(vae, X, noise, X * 510)


@pytest.mark.parametrize("bad", ["", "Likelihood", "x'", None, 3, ["likelihood"]])
def test_unknown_names(bad: Any, vae: VAE) -> None:
    noise = core.sample_noise(vae)
    choices = {
        "target": "likelihood, reconstruction",
        "method": "ibp",
        "arithmetic": "float32, float64",
    }
    for name, names in choices.items():
        with pytest.raises(InputError, match=rf"{name} is .*choose one of {names}"):
            core.certify(vae, X, noise, **{"eps": 0.1, name: bad})
    for name, names in {"target": "likelihood, reconstruction", "method": "fgsm, pgd"}.items():
        with pytest.raises(InputError, match=rf"{name} is .*choose one of {names}"):
            core.attack(vae, X, noise, **{"eps": 0.1, name: bad})


@pytest.mark.parametrize("name", ["steps", "restarts"])
@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "3", None, 10**9, float("nan")])
@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_counts_of_an_attack(name: str, bad: Any, method: str, vae: VAE) -> None:
    with pytest.raises(InputError, match=rf"{name} is .*whole number from 1"):
        core.attack(vae, X, core.sample_noise(vae), **{"eps": 0.1, "method": method, name: bad})


@pytest.mark.parametrize("bad", [-1, 1.5, True, "0", None, 2**63, 10**400])
def test_seeds(bad: Any, vae: VAE) -> None:
    for call in (
        lambda: core.sample_noise(vae, 1, bad),
        lambda: core.attack(vae, X, torch.zeros(1, 3), eps=0.1, seed=bad),
    ):
        with pytest.raises(InputError, match=r"seed is .*whole number from 0") as caught:
            call()
        assert len(str(caught.value)) < 120


@pytest.mark.parametrize("bad", [0, -3, 1.5, 2.0, True, "4", None, 10**7])
def test_draws(bad: Any, vae: VAE) -> None:
    with pytest.raises(InputError, match=r"draws is .*whole number from 1"):
        core.sample_noise(vae, bad)


def test_good_arguments_pass(vae: VAE) -> None:
    for x in (X, X.double(), torch.zeros_like(X), torch.ones_like(X), X[:1], X.clone().requires_grad_()):
        checked = check_images(vae, x)
        assert checked.dtype == torch.float32
        assert not checked.requires_grad
        assert torch.equal(checked, x.float())
    assert check_images(vae.double(), X).dtype == torch.float64
    assert check_noise(vae, torch.zeros(5, 3)).shape == (5, 3)
    radii: list[Any] = [0, 1, 0.5, Fraction(1, 2), np.float32(0.5), torch.tensor(0.5), torch.zeros(2)]
    for eps in radii:
        values = check_eps(eps, X)
        assert values.shape == (2,)
        assert values.dtype == torch.float64
    assert check_eps(torch.tensor([0.25, 0.5]), X).tolist() == [0.25, 0.5]
    assert check_target("reconstruction") == "reconstruction"
    assert (check_count("steps", 7), check_seed(2**63 - 1)) == (7, 2**63 - 1)


def test_every_error_is_one_sentence_of_core(vae: VAE) -> None:
    assert issubclass(InputError, CoreError)
    assert issubclass(InputError, ValueError)
    large = make_vae(channels=3, size=32)
    with pytest.raises(CoreError, match=r"needs \(B, 3, 32, 32\)"):
        core.elbo(large, make_images(vae), core.sample_noise(large))
