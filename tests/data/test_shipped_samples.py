"""The images that are shipped of each data set, what makes them, and the models shown with them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import core
from benchmarks.shipped_images import files_of
from core.command_line.cli import main
from core.data import samples
from core.data.samples import CLASSES, list_samples, load_levels
from core.errors import DataError
from core.inspection.handed_in import some_images
from core.inspection.lessons import constant_decoder
from core.vae import checkpoint
from core.vae.likelihood import Bernoulli
from core.vae.model_images import dataset_of, models_by_dataset
from tests.conftest import make_vae
from tests.data.mnist_files import TRAIN, small_mnist, write_mnist

FASHION = "fashion-mnist"
Capture = pytest.CaptureFixture[str]


def trained(folder: Path, dataset: object) -> Path:
    """A model that says that it was trained on that."""
    core.save_model(make_vae(widths=(8,)), folder, {"training": {"dataset": dataset}})
    return folder


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models of each of two data sets in place of the shipped ones."""
    for name, dataset in (("a", FASHION), ("b", "mnist"), ("c", FASHION), ("d", "mnist")):
        trained(tmp_path / name, dataset)
    monkeypatch.setattr(checkpoint, "MODELS", tmp_path)
    return tmp_path


def test_images_and_levels_are_shipped_of_two_data_sets() -> None:
    assert list_samples() == ("mnist", FASHION)
    x, y = core.load_samples(FASHION)
    assert x.shape == (500, 1, 28, 28)
    assert bool((y.bincount() >= 20).all())
    assert len(y.bincount()) == len(CLASSES[FASHION]) == 10
    assert CLASSES[FASHION][int(y[0])] == "Ankle boot"
    assert not torch.equal(x, core.load_samples("mnist")[0])
    assert bool((load_levels(FASHION).sum(-1) == 60_000).all())


@pytest.mark.parametrize("name", ["kmnist", "cifar10", "../mnist", "", "<b>"])
def test_of_others_a_sentence_says_what_there_is(name: str) -> None:
    for load in (core.load_samples, load_levels):
        with pytest.raises(DataError, match=r"is shipped; there is: fashion-mnist-test\.npz"):
            load(name)


@pytest.mark.parametrize("name", ["mnist", FASHION])
def test_the_command_makes_the_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = files_of(name, write_mnist(tmp_path, samples.DATASETS[name]))
    images, labels = small_mnist()
    for file_name, content in made.items():
        (tmp_path / file_name).write_bytes(content)
        shipped = samples.SAMPLES / file_name
        with np.load(io.BytesIO(content)) as new, np.load(shipped) as old:
            assert {k: v.dtype for k, v in new.items()} == {k: v.dtype for k, v in old.items()}
    monkeypatch.setattr(samples, "SAMPLES", tmp_path)
    x, y = core.load_samples(name)
    assert torch.equal(x, images[TRAIN:, None].float() / 255)
    assert torch.equal(y, labels[TRAIN:])
    assert torch.equal(load_levels(name), samples.levels(images[:TRAIN, None].float() / 255))


def test_a_model_is_shown_with_the_data_set_that_it_was_trained_on(tmp_path: Path) -> None:
    found = core.load_images(trained(tmp_path / "m", FASHION))
    assert torch.equal(found.x, core.load_samples(FASHION)[0])
    assert found.classes == CLASSES[FASHION]
    assert found.name_of(0) == "Ankle boot"
    own = core.load_samples("mnist")[0][:2]
    core.save_model(make_vae(), tmp_path / "own", {"training": {"dataset": FASHION}}, images=own)
    assert torch.equal(core.load_images(tmp_path / "own").x, own)


@pytest.mark.parametrize(
    "said", ["kmnist", "cifar10", "<b>", "../fashion-mnist", "", None, 7, [], {"a": 1}]
)
def test_a_data_set_that_is_not_shipped_leaves_the_digits(said: object, tmp_path: Path) -> None:
    found = core.load_images(trained(tmp_path / "m", said))
    assert torch.equal(found.x, core.load_samples("mnist")[0])


def test_the_shape_decides_before_the_data_set(tmp_path: Path) -> None:
    config: dict[str, Any] = {"training": {"dataset": FASHION}}
    assert dataset_of(config, (1, 28, 28)) == FASHION
    assert dataset_of(config, (1, 32, 32)) == dataset_of({"training": []}, (3, 28, 28)) == ""
    core.save_model(make_vae(size=32), tmp_path / "m", config)
    with pytest.raises(DataError, match="none of 1 x 32 x 32 are shipped"):
        core.load_images(tmp_path / "m")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"x" * 1000])
def test_a_damaged_file_is_a_sentence_and_spoils_nothing_else(
    damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in samples.SAMPLES.glob("*.npz"):
        (tmp_path / path.name).write_bytes(path.read_bytes() if path.name.startswith("mnist") else damage)
    monkeypatch.setattr(samples, "SAMPLES", tmp_path)
    with pytest.raises(DataError, match=f"{FASHION}-test.npz is damaged; restore it"):
        core.load_images(trained(tmp_path / "m", FASHION))
    assert len(core.load_images(trained(tmp_path / "n", "mnist")).x) == 500


def test_models_go_by_their_data_set(zoo: Path) -> None:
    assert models_by_dataset() == {"mnist": ["b", "d"], FASHION: ["a", "c"]}
    (zoo / "c" / "config.json").write_text("{")
    assert models_by_dataset() == {"mnist": ["b", "c", "d"], FASHION: ["a"]}


@pytest.mark.parametrize(("dataset", "names"), [("mnist", {"b", "d"}), (FASHION, {"a", "c"})])
def test_the_models_that_are_evaluated_are_those_of_the_data_set(
    dataset: str, names: set[str], zoo: Path, tmp_path: Path
) -> None:
    few = ["--samples", "1", "--eps", "0.05", "--steps", "1", "--targets", "likelihood"]
    assert main(["evaluate", "--dataset", dataset, *few, "--out", str(tmp_path / "rows.csv")]) == 0
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert {row["model"] for row in csv.DictReader(file)} == names | {"constant-decoder-bernoulli"}


def test_where_there_are_no_models_some_have_to_be_named(zoo: Path, capsys: Capture) -> None:
    assert main(["evaluate", "--dataset", "kmnist"]) == 2
    assert "No models of kmnist are shipped; name some with --models." in capsys.readouterr().err


def test_one_image_is_one_of_the_data_set(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for model in ("a", "b"):
        chosen = ["--model", model, "--index", "3", "--eps", "0"]
        assert main(["attack", *chosen, "--steps", "1", "--out", f"{model}.npy"]) == 0
        assert main(["certify", *chosen, "--out", f"{model}.json"]) == 0
    for model, dataset in (("a", FASHION), ("b", "mnist")):
        assert np.array_equal(np.load(f"{model}.npy"), core.load_samples(dataset)[0][3].numpy())
    assert json.loads(Path("a.json").read_text()) != json.loads(Path("b.json").read_text())


def test_a_constant_decoder_and_first_images_of_each_data_set() -> None:
    x = core.load_samples(FASHION)[0].double()
    own, other = (constant_decoder(Bernoulli(), 0.05, name).elbo(x).mean() for name in (FASHION, "mnist"))
    assert own > other + 50
    assert torch.equal(some_images((1, 28, 28), FASHION)[0], core.load_samples(FASHION)[0][:4])
    assert "fashion-mnist" in some_images((1, 28, 28), FASHION)[1]
    assert "of mnist" in some_images((1, 28, 28), "nonsense")[1]
