"""What the caller has switched on changes no number: every public function, in every such state, bit for bit."""

from __future__ import annotations

import ast
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import core
from core import lessons
from core.attacks import ATTACKS
from core.isolation import isolated
from core.methods import METHODS
from core.model import VAE
from core.verdicts import find_verdicts
from tests.conftest import make_images, make_vae
from tests.trainings import ROBUST

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def flushed() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def short_products() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    torch.backends.mkldnn.conv.fp32_precision = "bf16"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.mkldnn.conv.fp32_precision = "none"


@contextmanager
def watched() -> Iterator[None]:
    torch.set_anomaly_enabled(True)
    try:
        yield
    finally:
        torch.set_anomaly_enabled(False)


@contextmanager
def strict() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


@contextmanager
def reseeded() -> Iterator[None]:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.manual_seed(7), np.random.seed(7), random.seed(7)  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(states[0]), np.random.set_state(states[1]), random.setstate(states[2])  # noqa: NPY002


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference mode": torch.inference_mode,
    "float64 by default": lambda: default_dtype(torch.float64),
    "float16 by default": lambda: default_dtype(torch.float16),
    "bfloat16 by default": lambda: default_dtype(torch.bfloat16),
    "meta by default": lambda: default_device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": deterministic,
    "subnormals flushed": flushed,
    "short products": short_products,
    "anomaly mode": watched,
    "warnings and numpy raise": strict,
    "another seed": reseeded,
}


def values(prefix: str, found: object) -> Iterator[tuple[str, object]]:
    """Every tensor, number and string that a result holds, by name."""
    if isinstance(found, VAE):
        found = found.state_dict()
    if is_dataclass(found) and not isinstance(found, type):
        found = {field.name: getattr(found, field.name) for field in fields(found)}
    if isinstance(found, dict):
        for name, value in found.items():
            yield from values(f"{prefix}.{name}", value)
    elif isinstance(found, (list, tuple)):
        for index, value in enumerate(found):
            yield from values(f"{prefix}.{index}", value)
    else:
        yield prefix, found


def images() -> Tensor:
    """Made where the caller is: in inference mode it is a tensor that no gradient goes through."""
    return make_images(make_vae(), count=2).clone()


def answers(folder: str) -> Iterator[tuple[str, object]]:
    """What the public functions say of a small model, made in the caller's state."""
    vae = core.load_model(folder)
    noise, x = core.sample_noise(vae, draws=2, seed=5), core.load_samples("mnist")[0][:2].clone()
    yield "load_model", vae
    yield "sample_noise", noise
    yield "elbo", core.elbo(vae, x, noise)
    for method in ATTACKS:
        steps = 25 if method == "strongest" else 3
        found = core.attack(vae, x[:1], noise, eps=0.1, method=method, steps=steps, restarts=2)
        yield f"attack {method}", found
    yield (
        "attack l2",
        core.attack(vae, x, noise, eps=0.5, norm="l2", steps=2, start=found.x_adv.expand(2, -1, -1, -1)),
    )
    for method in METHODS:
        yield (
            f"certify {method}",
            core.certify(vae, x[:1], noise[:1], eps=0.02, method=method, iterations=2),
        )
    how: dict[str, Any] = {"eps": torch.full((2,), 0.5, dtype=torch.float64, device="cpu"), "norm": "l2"}
    upper = core.certify(vae, x, noise, method="alpha-crown", side="upper", arithmetic="float32", **how)
    yield "upper", upper
    yield "statement", upper.statement()
    for states in ("expectation", "coverage"):
        options = {"states": states, "draws": 64, "delta": 0.1, "alpha": 0.1}
        yield states, core.certify(vae, x[:1], noise, eps=0.01, method="crown-ibp", **options)
    yield "refine", [stage.bound for stage in core.refine(vae, x[:1], noise, eps=0.01, iterations=2)]
    yield "radius", core.certified_radius(vae, x[:1], noise, threshold=-900, method="crown-ibp", steps=3)
    yield "curve", core.elbo_curve(vae, x[:1], noise, [0.0, 0.1], steps=2).proved()
    yield "verdicts", find_verdicts(vae, x, noise, [0.0, 0.1], threshold=-600, steps=2)
    yield "inspection", core.inspect_layers(vae, x[:1], noise, eps=0.05, steps=2, samples=3, iterations=2)
    yield "lessons", [lessons.promised(vae, x[:1], noise, 0.1), lessons.parts(vae, x[:1], noise).recon]
    yield "descent", lessons.descend(vae, x[:1], noise, 0.1, 3, clamped=True)
    rows = core.evaluate([folder], x, core.load_samples("mnist")[1][:2], eps=[0.1], steps=2)
    yield "evaluate", [replace(row, seconds=0.0) for row in rows]
    proved = core.certify(vae, x[:1], noise, eps=0.02, method="alpha-crown", iterations=2)
    claim = core.make_claim(folder, x[:1], proved, draws=2, seed=5, iterations=2)
    yield "claim", claim
    yield "verify", core.verify_claim(claim, folder)


@pytest.fixture(scope="module")
def plain(model: str) -> dict[str, object]:
    """The answers where nothing is switched on."""
    return dict(pair for name, found in answers(model) for pair in values(name, found))


@pytest.mark.parametrize("state", STATES)
def test_in_every_state_every_answer_is_the_same(state: str, model: str, plain: dict[str, object]) -> None:
    with STATES[state]():
        found = dict(pair for name, value in answers(model) for pair in values(name, value))
    assert found.keys() == plain.keys()
    different = [name for name, value in found.items() if not same(value, plain[name])]
    assert different == []


def same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)
    return one == other or (one != one and other != other)


@pytest.mark.parametrize("state", [name for name in STATES if name != "another seed"])
def test_in_every_state_a_training_gives_the_same_weights(state: str, mnist: Path, tmp_path: Path) -> None:
    settings = replace(ROBUST, epochs=1, warmup=0.2, ramp=0.5)
    usual = core.train(settings, tmp_path / "usual", data=mnist)
    with STATES[state]():
        trained = core.train(settings, tmp_path / "state", data=mnist)
    assert all(same(v, trained.state_dict()[k]) for k, v in usual.state_dict().items())


def test_nothing_is_drawn_from_the_generators_of_the_caller(
    model: str, mnist: Path, tmp_path: Path
) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # noqa: NPY002
    list(answers(model))
    core.train(replace(ROBUST, epochs=1, warmup=0.2, ramp=0.5), tmp_path / "model", data=mnist)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tobytes() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
