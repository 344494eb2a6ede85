"""Interrupted trainings: what they leave, and what resuming them gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import core
from core.errors import CheckpointError, ConfigError, OutputError
from core.training.loop import EpochReport
from core.training.resume import RESUME
from core.training.settings import TrainSettings
from core.vae.checkpoint import load_config, read_metadata, read_tensors, write_tensors
from tests.training.trainings import CONV, MLP, PLAIN, ROBUST, weights_equal


def stop_after(epoch: int) -> Any:
    def on_epoch(report: EpochReport) -> None:
        if report.epoch == epoch:
            raise KeyboardInterrupt

    return on_epoch


@pytest.mark.parametrize(
    "settings", [PLAIN, ROBUST, replace(ROBUST, model=CONV)], ids=["plain", "robust", "conv"]
)
@pytest.mark.parametrize("epoch", [1, 3])
def test_resumed_training_ends_in_the_same_weights(
    settings: TrainSettings, epoch: int, mnist: Path, tmp_path: Path
) -> None:
    whole = core.train(settings, tmp_path / "whole", data=mnist)
    with pytest.raises(KeyboardInterrupt):
        core.train(settings, tmp_path / "cut", data=mnist, on_epoch=stop_after(epoch))
    half = core.load_model(tmp_path / "cut")
    assert load_config(tmp_path / "cut")["training"]["epochs_done"] == epoch
    assert not weights_equal(whole, half)
    resumed = core.train(settings, tmp_path / "cut", data=mnist, resume=True)
    assert weights_equal(whole, resumed)
    assert weights_equal(whole, core.load_model(tmp_path / "cut"))
    assert load_config(tmp_path / "cut") == load_config(tmp_path / "whole")
    assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == ["config.json", "weights.safetensors"]


def test_interrupted_within_an_epoch_keeps_the_last_whole_one(mnist: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def on_step(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        core.train(PLAIN, tmp_path / "cut", data=mnist, on_step=on_step)
    assert seen == [(i, 12) for i in range(1, 6)]
    assert load_config(tmp_path / "cut")["training"]["epochs_done"] == 1
    resumed = core.train(PLAIN, tmp_path / "cut", data=mnist, resume=True)
    assert weights_equal(resumed, core.train(PLAIN, tmp_path / "whole", data=mnist))


def test_before_the_first_epoch_is_whole_there_is_no_model_but_a_way_on(
    mnist: Path, tmp_path: Path
) -> None:
    def on_step(done: int, total: int) -> None:
        assert [p.name for p in tmp_path.iterdir()] == [RESUME]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        core.train(PLAIN, tmp_path, data=mnist, on_step=on_step)
    with pytest.raises(CheckpointError, match="not a complete checkpoint"):
        core.load_model(tmp_path)
    resumed = core.train(PLAIN, tmp_path, data=mnist, resume=True)
    assert weights_equal(resumed, core.train(PLAIN, tmp_path / "whole", data=mnist))


@pytest.fixture
def interrupted(mnist: Path, tmp_path: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        core.train(PLAIN, tmp_path / "cut", data=mnist, on_epoch=stop_after(1))
    return tmp_path / "cut"


@pytest.mark.parametrize(
    "change", [{"lr": 1e-3}, {"epochs": 9}, {"model": replace(MLP, latent=2)}, {"eps": 0.1}]
)
def test_resume_with_other_settings(change: dict[str, Any], interrupted: Path, mnist: Path) -> None:
    with pytest.raises(ConfigError, match="started with other settings"):
        core.train(replace(PLAIN, **change), interrupted, data=mnist, resume=True)
    core.load_model(interrupted)


def test_nothing_to_resume(mnist: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(CheckpointError, match="no interrupted training to resume"):
            core.train(PLAIN, folder, data=mnist, resume=True)
    core.train(replace(PLAIN, epochs=1), tmp_path, data=mnist)
    with pytest.raises(CheckpointError, match="no interrupted training to resume"):
        core.train(replace(PLAIN, epochs=1), tmp_path, data=mnist, resume=True)


def test_a_model_is_not_overwritten(interrupted: Path, mnist: Path) -> None:
    before = {path.name: path.read_bytes() for path in interrupted.iterdir()}
    with pytest.raises(OutputError, match="already holds a model"):
        core.train(PLAIN, interrupted, data=mnist)
    assert {path.name: path.read_bytes() for path in interrupted.iterdir()} == before


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_damaged_resume_file(damage: str, interrupted: Path, mnist: Path) -> None:
    content = (interrupted / RESUME).read_bytes()
    (interrupted / RESUME).write_bytes(
        {"truncated": content[:-100], "garbage": b"x" * 500, "empty": b""}[damage]
    )
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        core.train(PLAIN, interrupted, data=mnist, resume=True)


@pytest.mark.parametrize(
    "edit",
    [
        "no weight",
        "weight shape",
        "extra weight",
        "no adam",
        "adam shape",
        "adam name",
        "no epoch",
        "bad epoch",
    ],
)
def test_resume_file_that_does_not_fit(edit: str, interrupted: Path, mnist: Path) -> None:
    path = interrupted / RESUME
    tensors, text = read_tensors(path), read_metadata(path)
    if edit == "no weight":
        del tensors["model.encoder.1.weight"]
    elif edit == "weight shape":
        tensors["model.encoder.1.weight"] = torch.zeros(2, 2)
    elif edit == "extra weight":
        tensors["model.spare"] = torch.zeros(2)
    elif edit == "no adam":
        tensors = {key: value for key, value in tensors.items() if not key.startswith("adam.0.")}
    elif edit == "adam shape":
        tensors["adam.0.exp_avg"] = torch.zeros(24, 784)
    elif edit == "adam name":
        tensors["adam.x"] = torch.zeros(2)
    elif edit == "no epoch":
        del text["epoch"]
    else:
        text["epoch"] = "99"
    write_tensors(path, tensors, text)
    with pytest.raises(CheckpointError, match="does not fit"):
        core.train(PLAIN, interrupted, data=mnist, resume=True)
