from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

import core
from core.errors import CheckpointError, ModelNotFoundError
from core.vae import checkpoint
from core.vae.checkpoint import CONFIG, WEIGHTS
from core.vae.config import VAEConfig
from core.vae.model import VAE
from dashboard.addresses import models
from dashboard.shared import compute, text
from tests.dashboard.page_parts import NAMES, count, metric


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An allowed folder with one model, "mine"."""
    folder = tmp_path_factory.mktemp("allowed") / "runs"
    write(folder / "mine", seed=7)
    monkeypatch.setenv(models.ROOTS, str(folder))
    return folder


def write(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    training = {"eps": 0.1, "target": "likelihood"}
    checkpoint.save_model(VAE(VAEConfig(latent=4, widths=(8,))), folder, {"training": training})


def test_models_of_the_roots_come_after_those_that_are_shipped(root: Path):
    assert models.available() == [*NAMES, "runs/mine"]
    assert models.folder("runs/mine") == root / "mine"
    assert models.folder(NAMES[0]).name == NAMES[0]
    assert compute.labels((NAMES[0], "runs/mine")) == {
        NAMES[0]: "Robust MLP (eps 0.1)",
        "runs/mine": "Robust MLP (eps 0.1), runs/mine",
    }


def test_without_the_variable_runs_is_the_root(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(models.ROOTS)
    monkeypatch.chdir(root.parent)
    assert models.available()[-1] == "runs/mine"
    monkeypatch.chdir(tmp_path)
    assert models.available() == list(NAMES)
    monkeypatch.setenv(models.ROOTS, "")
    monkeypatch.chdir(root.parent)
    assert models.roots() == {}


def test_roots_of_the_same_name_are_told_apart(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    other = tmp_path_factory.mktemp("other") / "runs"
    write(other / "mine", seed=8)
    folders = [str(root), str(other), str(root), "/no/such/folder"]
    monkeypatch.setenv(models.ROOTS, os.pathsep.join(folders))
    assert list(models.roots()) == ["runs", "runs:2"]
    assert models.folder("runs:2/mine") == other / "mine"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "runs",
        "runs/",
        "runs/..",
        "runs/../runs/mine",
        "runs/mine/",
        "/etc",
        "mine",
        "runs/\0",
    ],
)
def test_other_names_are_no_models(root: Path, name: str):
    with pytest.raises(ModelNotFoundError, match="There is no model"):
        models.folder(name)
    with pytest.raises(ModelNotFoundError):
        models.folder(str(root / "mine"))


def test_links_out_of_the_root_do_not_count(root: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    write(outside, seed=9)
    (root / "whole").symlink_to(outside)
    for linked, other in ((CONFIG, WEIGHTS), (WEIGHTS, CONFIG)):
        folder = root / f"part-{linked}"
        folder.mkdir()
        (folder / linked).symlink_to(outside / linked)
        shutil.copy(outside / other, folder / other)
    (root / "loop").symlink_to(root / "loop")
    shutil.copytree(root / "mine", root / "circle")
    (root / "circle" / WEIGHTS).unlink()
    (root / "circle" / WEIGHTS).symlink_to(root / "circle" / WEIGHTS)
    (root / "inside").symlink_to(root / "mine")
    assert models.available()[len(NAMES) :] == ["runs/inside", "runs/mine"]


@pytest.mark.parametrize("name", ["![x](http:h)", ".hidden", "a,b", "a b", "x" * 81, "<b>", "a\nb"])
def test_names_that_would_act_somewhere_else_are_not_listed(root: Path, name: str):
    shutil.copytree(root / "mine", root / name)
    assert models.available()[len(NAMES) :] == ["runs/mine"]


def test_there_is_an_end_to_the_list(root: Path):
    for i in range(models.MOST_MODELS + 5):
        shutil.copytree(root / "mine", root / f"copy-{i:02}")
    assert len(models.available()) == len(NAMES) + models.MOST_MODELS


def test_a_model_that_was_trained_again_is_read_again(root: Path):
    before, label = compute.model("runs/mine"), compute.labels(("runs/mine",))
    assert compute.model("runs/mine") is before
    write(root / "mine", seed=8)
    config = json.loads((root / "mine" / CONFIG).read_text())
    config["training"]["eps"] = 0
    (root / "mine" / CONFIG).write_text(json.dumps(config))
    after = compute.model("runs/mine")
    assert not torch.equal(*(next(vae.parameters()) for vae in (before, after)))
    assert compute.labels(("runs/mine",)) != label


def ask() -> None:
    """What the cache of an image's results says of a model."""
    import streamlit as st

    from dashboard.addresses.digit import Digit
    from dashboard.addresses.explorer import Settings
    from dashboard.shared import compute

    found = compute.explore("runs/mine", Digit(0), Settings(steps=1), (0.0, 0.1), lambda now: None)
    st.session_state["clean"] = found.curve.clean


def test_what_was_computed_of_it_is_computed_again(root: Path):
    first = AppTest.from_function(ask).run(timeout=60).session_state["clean"]
    assert AppTest.from_function(ask).run(timeout=60).session_state["clean"] == first
    write(root / "mine", seed=8)
    assert AppTest.from_function(ask).run(timeout=60).session_state["clean"] != first


def test_a_threshold_that_is_none_is_computed(root: Path):
    config = json.loads((root / "mine" / CONFIG).read_text())
    config["metrics"] = {"elbo_quantiles": {"0.05": 1e999}}
    (root / "mine" / CONFIG).write_text(json.dumps(config))
    assert -5000 < compute.usual_threshold("runs/mine") < 0


def test_the_explorer_shows_a_model_of_a_root_and_offers_its_certificate(root: Path, app: AppTest):
    app.query_params["right"] = "runs/mine"
    app.run()
    assert not app.exception
    assert not app.warning
    vae, (x, _) = core.load_model(root / "mine"), core.load_samples("mnist")
    wanted = core.elbo(vae, x[:1], core.sample_noise(vae, 4, 0)).total.item()
    assert metric(app, "Clean", 1) == text.nats(wanted, 1)


@pytest.mark.parametrize("damage", ["weights", "config", "empty"])
def test_a_damaged_folder_gives_its_sentence_and_the_other_model_stays(
    root: Path, app: AppTest, damage: str
):
    (root / "mine" / {"weights": WEIGHTS, "config": CONFIG}.get(damage, CONFIG)).write_bytes(b"{")
    if damage == "empty":
        (root / "mine" / WEIGHTS).unlink()
    app.query_params["right"] = "runs/mine"
    app.run()
    assert not app.exception
    assert len(app.error) == 1
    assert count(app) == 4
    with pytest.raises(CheckpointError):
        compute.model("runs/mine")


def test_a_threshold_is_a_whole_number_of_nats_not_above_the_quantile(root: Path):
    config = json.loads((root / "mine" / CONFIG).read_text())
    config["metrics"] = {"elbo_quantiles": {"0.05": -245.476}}
    (root / "mine" / CONFIG).write_text(json.dumps(config))
    assert compute.usual_threshold("runs/mine") == -246
