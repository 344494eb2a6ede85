"""Checkpoints: what is written comes back bit by bit; what is damaged is named."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import core
from core.errors import CheckpointError, ModelNotFoundError, OutputError
from core.vae.checkpoint import (
    is_shipped,
    load_config,
    model_digest,
    read_tensors,
    save_model,
    write_tensors,
)
from core.vae.model import VAE
from tests.conftest import make_images, make_vae
from tests.malice import Bomb, exploded

WEIGHTS, CONFIG = "weights.safetensors", "config.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(make_vae(), tmp_path / "model", {"training": {"seed": 3}})
    return tmp_path / "model"


@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_round_trip_is_bitwise(arch: str, likelihood: str, tmp_path: Path) -> None:
    vae = make_vae(arch, likelihood, channels=3, size=32, sigma=0.37)
    save_model(vae, tmp_path, {"note": "kept"})
    copy = core.load_model(tmp_path)
    assert copy.config == vae.config
    assert not copy.training
    assert not any(p.requires_grad for p in copy.parameters())
    x, noise = make_images(vae), core.sample_noise(vae, 2)
    assert torch.equal(core.elbo(vae, x, noise).total, core.elbo(copy, x, noise).total)
    assert all(torch.equal(vae.state_dict()[k], v) for k, v in copy.state_dict().items())
    config = load_config(str(tmp_path))
    assert (config["format"], config["note"]) == (1, "kept")
    assert set(config["versions"]) == {"python", "torch", "torchvision", "safetensors"}
    assert sorted(p.name for p in tmp_path.iterdir()) == [CONFIG, WEIGHTS]


def test_tensors_and_text_come_back(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).T, "b": torch.zeros((), dtype=torch.int64)}
    write_tensors(tmp_path / "t.safetensors", tensors, {"epoch": "3"})
    back = read_tensors(tmp_path / "t.safetensors")
    assert set(back) == {"a", "b"}
    assert all(torch.equal(back[key], value) for key, value in tensors.items())


def test_unknown_models_get_a_near_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = folder.parent / "shipped"
    for name in ("mnist-mlp-standard", "mnist-conv-robust-0.1"):
        shutil.copytree(folder, shipped / name)
    monkeypatch.setattr("core.vae.checkpoint.MODELS", shipped)
    assert core.list_models() == ["mnist-conv-robust-0.1", "mnist-mlp-standard"]
    assert isinstance(core.load_model("mnist-mlp-standard"), VAE)
    with pytest.raises(
        ModelNotFoundError, match=r"Did you mean 'mnist-mlp-standard'\?.*Shipped: mnist-conv"
    ):
        core.load_model("mnist-mpl-standard")
    with pytest.raises(ModelNotFoundError) as caught:
        core.load_model("zebra")
    assert "Did you mean" not in str(caught.value)
    monkeypatch.setattr("core.vae.checkpoint.MODELS", folder / "nowhere")
    assert core.list_models() == []
    with pytest.raises(ModelNotFoundError, match="Shipped: none"):
        core.load_model("mnist-mlp-standard")


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_truncated_weights(size: int, folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS} is damaged or truncated"):
        core.load_model(folder)


@pytest.mark.parametrize(
    "content", [b"garbage " * 100, b"\xff" * 1000, b'\x10\0\0\0\0\0\0\0{"a": not json}']
)
def test_garbage_weights(content: bytes, folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        core.load_model(folder)


def test_a_pickle_as_weights_is_refused_unexecuted(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS).write_bytes(Bomb(tmp_path).pickled())
    with pytest.raises(CheckpointError, match="is a pickle, as torch"):
        core.load_model(folder)
    torch.save({"encoder.1.weight": torch.zeros(2), "x": Bomb(tmp_path)}, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="is a pickle, as torch"):
        core.load_model(folder)
    assert not exploded(tmp_path)


def test_weights_that_are_too_large_are_not_read(folder: Path) -> None:
    with (folder / WEIGHTS).open("ab") as file:
        file.truncate(300_000_000)  # a hole: nothing is written
    with pytest.raises(CheckpointError, match="over 201 MB"):
        core.load_model(folder)
    with pytest.raises(CheckpointError, match="over 201 MB"):
        model_digest(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_devices_and_pipes_are_not_read(name: str, folder: Path) -> None:
    for make in (os.mkfifo, lambda path: os.symlink("/dev/zero", path)):
        (folder / name).unlink()
        make(folder / name)
        with pytest.raises(CheckpointError, match=f"has no {name}"):
            core.load_model(folder)
        with pytest.raises(CheckpointError, match=f"has no {name}"):
            model_digest(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_missing_files(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}"):
        core.load_model(folder)


def first(change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], None]:
    def edit(weights: dict[str, Tensor]) -> None:
        weights["encoder.1.weight"] = change(weights["encoder.1.weight"])

    return edit


def spoil(value: float) -> Callable[[Tensor], Tensor]:
    return lambda w: torch.where(torch.arange(w.numel()).view(w.shape) == 5, value, w)


EDITS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "missing": (lambda w: w.pop("decoder.0.bias"), r"lacks decoder\.0\.bias"),
    "extra": (lambda w: w.update(spare=torch.zeros(1)), r"holds spare"),
    "shape": (
        first(lambda w: w.T.contiguous()),
        r"encoder\.1\.weight is \(784, 12\), the config says \(12, 784\).*Turn it",
    ),
    "float64": (first(lambda w: w.double()), r"encoder\.1\.weight is float64, it has to be float32"),
    "half": (first(lambda w: w.half()), r"encoder\.1\.weight is float16, it has to be float32"),
    "nan": (first(spoil(torch.nan)), r"encoder\.1\.weight contains NaN"),
    "infinite": (first(spoil(-torch.inf)), r"encoder\.1\.weight contains NaN or infinite"),
    "empty": (lambda w: w.clear(), r"lacks decoder.0.bias \(8,\), decoder.0.weight \(8, 3\)"),
    "names of another module": (
        lambda w: w.update(fc1=w.pop("encoder.1.weight")),
        r"lacks encoder\.1\.weight \(12, 784\); it holds fc1 \(12, 784\) instead",
    ),
    "a long name": (lambda w: w.update({"x" * 9000: torch.zeros(1)}), r"holds x{60} \(1,\), which"),
}


@pytest.mark.parametrize("case", EDITS)
def test_weights_that_do_not_fit(case: str, folder: Path) -> None:
    edit, message = EDITS[case]
    weights = read_tensors(folder / WEIGHTS)
    edit(weights)
    write_tensors(folder / WEIGHTS, weights)
    with pytest.raises(CheckpointError, match=message):
        core.load_model(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("\udcff", "cannot be read as JSON"),
        ("[]", "has no entry 'model'"),
        ("{}", "has no entry 'model'"),
        ('{"format": 1, "model": 3}', "has no entry 'model'"),
        ('{"format": 2, "model": {}}', "has format 2; this version reads format 1"),
        ('{"model": {}}', "has format None"),
        ('{"format": 1, "model": {}}', "lacks: arch, channels"),
        (" " * 1_000_001, "over 1 MB"),
    ],
)
def test_bad_config_files(content: str, message: str, folder: Path) -> None:
    (folder / CONFIG).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=message):
        core.load_model(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 2}, "unknown keys: depth"),
        ({"latent": "3"}, "latent is '3'"),
        ({"latent": 10**30}, "latent is 1000"),
        ({"widths": 12}, "widths is 12"),
        ({"widths": [[12], 8]}, "widths is"),
        ({"arch": ["mlp"]}, "arch is"),
        ({"sigma": None}, "sigma is None"),
        ({"sigma": float("nan")}, "sigma is nan"),
        ({"latent": 4}, r"decoder\.0\.weight is \(8, 3\), the config says \(8, 4\)"),
        ({"size": 32}, r"is \(784,\), the config says \(1024,\)"),
    ],
)
def test_config_values_that_describe_another_model(
    change: dict[str, Any], message: str, folder: Path
) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config["model"] |= change
    (folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        core.load_model(folder)


def test_a_folder_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="choose a folder that you can write to"):
        save_model(make_vae(), folder / CONFIG / "below a file", {})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def read_only(*args: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "replace", read_only)
    with pytest.raises(OutputError, match="Read-only file system"):
        save_model(make_vae(seed=1), folder, {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before  # no *.part either


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../models/mnist-mlp-standard", "no-such", "x" * 10_000, "a\0b"]
)
def test_a_path_is_no_name_of_a_shipped_model(name: str) -> None:
    assert not is_shipped(name)
    assert is_shipped("mnist-mlp-standard")
