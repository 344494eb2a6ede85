"""Training on a small data set: it learns, repeats itself, and survives an interruption."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import core
from core.command_line import cli
from core.data.samples import load_dataset
from core.errors import CoreError, DataError, OutputError
from core.training import loop
from core.training.loop import EpochReport
from core.training.objective import TrainingObjective
from core.training.settings import TrainSettings
from core.vae.config import VAEConfig
from core.vae.model import VAE
from tests.conftest import make_vae
from tests.training.trainings import CONV, MLP, PLAIN, ROBUST, weights_equal


def bound(vae: VAE, x: Tensor, eps: float, target: str) -> float:
    noise = core.sample_noise(vae, 4)
    return core.certify(vae, x, noise, eps=eps, target=target).lower.mean().item()


def clean(vae: VAE, x: Tensor) -> float:
    return core.elbo(vae, x, core.sample_noise(vae, 4)).total.mean().item()


@pytest.mark.parametrize("model", [MLP, CONV], ids=["mlp", "conv"])
def test_standard_training_raises_the_elbo(model: VAEConfig, mnist: Path, tmp_path: Path) -> None:
    settings = TrainSettings(model=model, epochs=6, batch=16, lr=1e-2)
    reports: list[EpochReport] = []
    vae = core.train(settings, tmp_path, data=mnist, on_epoch=reports.append)
    x, _ = load_dataset("mnist", "test", mnist)
    torch.manual_seed(settings.seed)
    gain = clean(vae, x) - clean(VAE(model), x)
    assert gain > (200 if model is MLP else 100)
    assert [r.epoch for r in reports] == [1, 2, 3, 4, 5, 6]
    assert reports[-1].clean > reports[0].clean
    assert all(r.robust == r.clean and r.eps == 0 and r.epochs == 6 for r in reports)


@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_robust_training_raises_the_bound(target: str, mnist: Path, tmp_path: Path) -> None:
    x, _ = load_dataset("mnist", "test", mnist)
    settings = replace(ROBUST, target=target, epochs=15, batch=16, lr=1e-2)
    reports: list[EpochReport] = []
    robust = core.train(settings, tmp_path / "robust", data=mnist, on_epoch=reports.append)
    plain = core.train(replace(settings, eps=0.0), tmp_path / "plain", data=mnist)
    torch.manual_seed(settings.seed)
    start = VAE(MLP)
    assert bound(robust, x, 0.1, target) > bound(start, x, 0.1, target) + 100
    assert bound(robust, x, 0.1, target) > bound(plain, x, 0.1, target) + 50
    assert clean(robust, x) > clean(start, x) + 100
    assert reports[-1].eps == pytest.approx(0.1)
    assert 0 < reports[0].eps < 0.1
    assert all(r.robust <= r.clean + 20 for r in reports)  # they are of different images


def test_the_seed_decides_the_weights(mnist: Path, tmp_path: Path) -> None:
    first = core.train(ROBUST, tmp_path / "a", data=mnist)
    torch.manual_seed(1234)
    state = torch.random.get_rng_state()
    again = core.train(ROBUST, tmp_path / "b", data=mnist)
    assert torch.equal(state, torch.random.get_rng_state())
    assert weights_equal(first, again)
    assert not weights_equal(first, core.train(replace(ROBUST, seed=1), tmp_path / "c", data=mnist))


@pytest.mark.parametrize("settings", [PLAIN, ROBUST], ids=["plain", "robust"])
def test_record_beside_the_weights(settings: TrainSettings, mnist: Path, tmp_path: Path) -> None:
    vae = core.train(settings, tmp_path, data=mnist)
    assert not vae.training
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["command"] == settings.command()
    assert config["training"]["epochs"] == config["training"]["epochs_done"] == 4
    assert config["training"]["recipe"] == ("ibp" if settings.eps > 0 else "plain")
    assert config["versions"]["torch"] == torch.__version__
    metrics, (x, _) = config["metrics"], load_dataset("mnist", "test", mnist)
    noise = core.sample_noise(vae, 1)
    assert metrics["elbo"] == pytest.approx(core.elbo(vae, x, noise).total.mean().item())
    assert metrics["elbo"] == pytest.approx(metrics["recon"] - metrics["kl"])
    assert metrics["images"] == len(x)
    for target in ("likelihood", "reconstruction"):
        key = f"ibp_{target}_first_1000"
        assert (key in metrics) == (settings.eps > 0)
        if settings.eps > 0:
            assert metrics[key] == core.certify(vae, x, noise, eps=0.1, target=target).lower.mean().item()


def test_every_epoch_sees_every_image_once_in_another_order_with_other_noise(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, seen = TrainingObjective.forward, []

    def watched(self: TrainingObjective, part: Any, step: Any) -> Any:
        seen.append((part.x, part.noise))
        return forward(self, part, step)

    monkeypatch.setattr(TrainingObjective, "forward", watched)
    core.train(PLAIN, tmp_path / "a", data=mnist)
    core.train(replace(PLAIN, seed=1), tmp_path / "b", data=mnist)
    x, _ = load_dataset("mnist", "train", mnist)
    wanted = x.flatten(1).sum(1).sort().values
    runs = [torch.cat([images for images, _ in seen[i : i + 3]]).flatten(1).sum(1) for i in range(0, 24, 3)]
    noises = torch.stack([torch.cat([noise[0] for _, noise in seen[i : i + 3]]) for i in range(0, 24, 3)])
    for order in runs:
        assert torch.equal(order.sort().values, wanted)
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(runs, 2))
    assert noises.flatten().unique().numel() > 0.99 * noises.numel()
    assert all(noise.shape == (1, 32, 3) for _, noise in seen)  # an own draw for every image


def test_a_loss_that_is_not_a_number_stops_with_a_sentence(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = make_vae(scale=1e30).train().requires_grad_(True)
    monkeypatch.setattr(loop, "fresh_vae", lambda config, seed: broken)
    with pytest.raises(CoreError, match=r"The loss is .* in epoch 1; try a lower --lr"):
        core.train(PLAIN, tmp_path, data=mnist)


@pytest.mark.usefixtures("no_network")
def test_without_images_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data DIR"):
        core.train(PLAIN, tmp_path / "out", data=tmp_path / "data")
    assert not (tmp_path / "out").exists()


def test_out_below_a_file(mnist: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        core.train(PLAIN, tmp_path / "file" / "out", data=mnist)


@pytest.mark.parametrize(
    "settings",
    [
        PLAIN,
        ROBUST,
        TrainSettings(),
        TrainSettings(model=CONV, seed=7, lr=3.3e-4),
        TrainSettings(beta=4.0, kl_warmup=2.5),
        replace(ROBUST, recipe="sabr", share=0.3, attack_steps=2, init="ibp", regularise=20.0),
        replace(ROBUST, model=CONV, target="reconstruction", kappa=0.0, warmup=0, ramp=0.25),
        TrainSettings(
            dataset="cifar10", model=VAEConfig("conv", "gaussian", 3, 32, 64, (8, 9, 10), 0.05), eps=1
        ),
    ],
)
def test_command_gives_the_settings_back(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TrainSettings] = []
    monkeypatch.setattr(cli, "train", lambda given, *args, **kwargs: seen.append(given))
    words = settings.command().split()
    assert words[:4] == ["python", "-m", "core", "train"]
    assert cli.main([*words[3:], "--out", "nowhere"]) == 0
    assert seen == [settings]
