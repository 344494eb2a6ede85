"""Trainings that go on from a model, our own or a stranger's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import core
from core.command_line.cli import main
from core.errors import ConfigError
from core.training.settings import TrainSettings
from core.vae.checkpoint import load_config
from core.vae.model import VAE
from core.vae.wrapped import WrappedConfig
from tests.training.trainings import ROBUST, weights_equal

RECIPES = ("ibp", "crown-ibp", "sabr", "adversarial")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stranger's VAE for images of 16 by 16 from -1 to 1."""
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(1, 3, 4, 2, 1), nn.BatchNorm2d(3), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(192, 4)
    )
    decoder = nn.Sequential(nn.Linear(2, 9), nn.ELU(), nn.Linear(9, 256), nn.Unflatten(1, (1, 16, 16)))
    vae = core.wrap(encoder.eval(), decoder.eval(), shape=(1, 16, 16), heads="chunk", pixels=(-1.0, 1.0))
    folder = tmp_path_factory.mktemp("models") / "theirs"
    core.save_model(vae, folder)
    return folder


def settings_for(start: Path, **more: Any) -> TrainSettings:
    config = core.load_model(start).config
    return replace(ROBUST, model=config, start=str(start), epochs=2, warmup=0.0, ramp=1.0, **more)


@pytest.mark.parametrize("recipe", ["ibp", "crown-ibp"])
@pytest.mark.parametrize(
    "asked",
    [
        {"likelihood": "gaussian", "output": "mean_logvar"},
        {"likelihood": "continuous_bernoulli", "output": "logits"},
    ],
)
def test_other_likelihoods_are_trained(
    asked: dict[str, Any], recipe: str, mnist: Path, tmp_path: Path
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        outputs = 512 if asked["output"] == "mean_logvar" else 256
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.SiLU(), nn.Linear(8, 4)).eval()
        decoder = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, outputs)).eval()
    before = core.wrap(encoder, decoder, shape=(1, 16, 16), heads="chunk", **asked)
    core.save_model(before, tmp_path / "theirs")
    after = core.train(settings_for(tmp_path / "theirs", recipe=recipe), tmp_path / "tuned", data=mnist)
    x, noise = torch.rand(4, 1, 16, 16), core.sample_noise(before, 1)
    proved = [
        core.certify(v, x, noise, eps=0.02, method="ibp").by_method["ibp"].mean() for v in (before, after)
    ]
    assert proved[1] > proved[0]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_strangers_model_is_made_more_robust(
    recipe: str, theirs: Path, mnist: Path, tmp_path: Path
) -> None:
    before, settings = core.load_model(theirs), settings_for(theirs, recipe=recipe, attack_steps=2)
    after = core.train(settings, tmp_path / "tuned", data=mnist)
    assert isinstance(after.config, WrappedConfig)
    assert after.config == before.config
    assert weights_equal(after, core.load_model(tmp_path / "tuned"))
    moved = {
        name
        for name, value in after.state_dict().items()
        if not torch.equal(value, before.state_dict()[name])
    }
    kinds = {type(after.get_submodule(name.rpartition(".")[0])).__name__ for name in moved}
    assert kinds == {"Conv2d", "BatchNorm", "Linear"}
    assert not [name for name in moved if name.endswith(("factor", "shift", "mean", "var"))]


def test_the_bound_rises(theirs: Path, mnist: Path, tmp_path: Path) -> None:
    settings = replace(settings_for(theirs), epochs=6, lr=2e-2, kappa=0.0)
    after = core.train(settings, tmp_path / "tuned", data=mnist)

    def proved(vae: VAE) -> float:
        x = torch.nn.functional.interpolate(core.load_samples("mnist")[0][:8], (16, 16), mode="bilinear")
        return core.certify(vae, x, core.sample_noise(vae), eps=0.1).lower.mean().item()

    assert proved(after) > proved(core.load_model(theirs)) + 20


def test_an_interrupted_one_is_resumed(theirs: Path, mnist: Path, tmp_path: Path) -> None:
    def stop(report: Any) -> None:
        raise KeyboardInterrupt

    settings = settings_for(theirs)
    whole = core.train(settings, tmp_path / "whole", data=mnist)
    with pytest.raises(KeyboardInterrupt):
        core.train(settings, tmp_path / "cut", data=mnist, on_epoch=stop)
    assert weights_equal(whole, core.train(settings, tmp_path / "cut", data=mnist, resume=True))


def test_the_command(theirs: Path, mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tuned"
    words = f"train --start {theirs} --data {mnist} --eps 0.05 --epochs 1 --batch 32 --out {out}"
    assert main(words.split()) == 0
    assert "core.load_model" in capsys.readouterr().out
    said = load_config(out)["command"]
    assert f"--start {theirs}" in said
    assert "--arch" not in said
    assert (
        main(f"{said.removeprefix('python -m core ')} --data {mnist} --out {tmp_path / 'again'}".split())
        == 0
    )
    assert weights_equal(core.load_model(out), core.load_model(tmp_path / "again"))


def test_a_model_of_ours_goes_on(mnist: Path, tmp_path: Path) -> None:
    first = core.train(replace(ROBUST, epochs=1), tmp_path / "first", data=mnist)
    settings = replace(ROBUST, epochs=1, start=str(tmp_path / "first"), lr=1e-8)
    more = core.train(settings, tmp_path / "more", data=mnist)
    for a, b in zip(first.parameters(), more.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_what_does_not_go_together_is_refused(theirs: Path, mnist: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has its weights"):
        settings_for(theirs, init="ibp")
    with pytest.raises(ConfigError, match="not the configuration"):
        core.train(replace(ROBUST, start=str(theirs)), tmp_path / "out", data=mnist)
    with pytest.raises(ConfigError, match="3 channels"):
        settings_for(theirs, dataset="cifar10")
    assert main(f"train --start {tmp_path / 'nobody'} --data {mnist} --out {tmp_path / 'out'}".split()) == 2
