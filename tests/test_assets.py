"""What is shipped: every model loads, is trained to the end, and keeps the promise; nothing is heavy."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

import core
from core.checkpoint import load_config
from core.data import ASSETS, load_levels

KINDS = ("standard", "robust-0.1", "robust-rec-0.1")
EXPECTED = {f"mnist-{arch}-{kind}" for arch in ("mlp", "conv") for kind in KINDS}
NAME = re.compile(r"mnist-(mlp|conv)-(standard|robust-(rec-)?(0\.\d+))")
TARGETS = ("likelihood", "reconstruction")
models = pytest.mark.parametrize("name", sorted(EXPECTED | set(core.list_models())))


def test_the_six_models_are_there() -> None:
    assert set(core.list_models()) >= EXPECTED


@models
def test_model_is_trained_to_the_end_and_says_how(name: str) -> None:
    vae, config = core.load_model(name), load_config(name)
    training, metrics = config["training"], config["metrics"]
    assert training["epochs_done"] == training["epochs"]
    assert metrics["images"] == 10_000
    assert -200 < metrics["elbo"] < -50
    words = shlex.split(config["command"])
    assert words[:4] == ["python", "-m", "core", "train"]
    assert words[words.index("--arch") + 1] == vae.config.arch
    assert float(words[words.index("--eps") + 1]) == training["eps"]
    said = NAME.fullmatch(name)
    assert said, "names say architecture, recipe and radius"
    arch, _, rec, eps = said.groups()
    assert (vae.config.arch, training["eps"]) == (arch, float(eps or 0))
    assert training["target"] == ("reconstruction" if rec else "likelihood")
    assert vae.config.shape == (1, 28, 28)
    folder = ASSETS / "models" / name
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "weights.safetensors"]


@models
def test_recorded_metrics_are_what_the_weights_give(name: str) -> None:
    vae, metrics = core.load_model(name), load_config(name)["metrics"]
    x, _ = core.load_samples("mnist")
    mean = core.elbo(vae, x, core.sample_noise(vae, 1, 0)).total.mean().item()
    # The samples are the head of the 10,000 images that were measured.
    assert mean == pytest.approx(metrics["elbo_first_1000"], abs=8)


@models
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("eps", [0.02, 0.1])
def test_chain(name: str, target: str, eps: float) -> None:
    vae, (x, _) = core.load_model(name), core.load_samples("mnist")
    x, noise = x[:20], core.sample_noise(vae, 2)
    clean = core.elbo(vae, x, noise).total
    found = core.attack(vae, x, noise, eps=eps, target=target, steps=5)
    proved = core.certify(vae, x, noise, eps=eps, target=target)
    assert bool((proved.lower <= found.elbo).all())
    assert bool((found.elbo < clean).all())
    trained_for = "reconstruction" if "-rec-" in name else "likelihood"
    if "robust" in name and target == trained_for:
        assert not bool(proved.vacuous.any())


def test_samples() -> None:
    x, y = core.load_samples("mnist")
    assert set(y.tolist()) == set(range(10))
    assert bool((y.bincount() >= 20).all())
    assert torch.equal((x * 255).round() / 255, x)
    # The histogram is of the training part: its mean image is close to the one of the samples.
    grey = torch.arange(256) / 255
    mean = (load_levels("mnist") * grey).sum(-1) / 60_000
    assert (mean - x.mean(0)).abs().max() < 0.15


def test_assets_are_light() -> None:
    files: list[Path] = [path for path in ASSETS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60_000_000
    assert not [path for path in files if path.suffix in (".pt", ".pth", ".pkl", ".part")]
