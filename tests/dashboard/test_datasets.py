"""Models of two data sets on the pages: images, words and partners, and the way from one to the other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

import core
from core.data import samples
from core.evaluation import results_files
from core.vae import checkpoint
from core.vae.config import VAEConfig
from core.vae.model import VAE
from dashboard.addresses import models, results
from dashboard.addresses.compare import address as compare_address
from dashboard.addresses.digit import Digit, images
from dashboard.addresses.explorer import facing, to_params
from dashboard.addresses.inspect import PAGE as INSPECT
from dashboard.addresses.inspect import Layout
from dashboard.addresses.kinds import SHIPPED_IMAGES, datasets, kinds, partners, shipped, source_of
from dashboard.addresses.train import PAGE as TRAIN
from dashboard.explorer.presenter import Panel
from dashboard.results.scripts import of_table
from dashboard.shared import as_python, claim, compute
from dashboard.shared.file_names import of_image
from dashboard.train import compute as training
from tests.dashboard.addressed import parse_compare, parse_explorer
from tests.dashboard.page_parts import NAMES, address, feeds, opened, stage, words
from tests.evaluation.results_files import Made, write_results

FASHION = "fashion-mnist"
LEFT, RIGHT, THIRD = "fashion-conv-standard", "fashion-conv-robust-0.1", "fashion-conv-robust-0.05"
CHEAP = {"method": "ibp", "steps": "2", "draws": "1", "eps": "0.01"}
BOOT = shipped(FASHION)


@pytest.fixture
def both(models: Path) -> Path:
    """Three models of Fashion-MNIST beside the three of MNIST."""
    for seed, name in enumerate((LEFT, RIGHT, THIRD)):
        torch.manual_seed(9 + seed)
        known = {"dataset": FASHION, "target": "likelihood", "eps": 0.0 if seed == 0 else 0.1 / seed}
        metrics = {"elbo_quantiles": {"0.05": -600.0}}
        vae = VAE(VAEConfig(latent=4, widths=(12,)))
        checkpoint.save_model(vae, models / name, {"training": known, "metrics": metrics})
    return models


def picker(app: AppTest, key: str = "dataset") -> Any:
    return next((control for control in app.segmented_control if control.key == key), None)


def test_models_go_by_their_data_set(both: Path) -> None:
    names = models.available()
    assert names == [*NAMES, *sorted((LEFT, RIGHT, THIRD))]  # the digits first, as before
    assert datasets(names) == ("mnist", FASHION)
    assert partners(LEFT, names) == sorted((LEFT, RIGHT, THIRD))
    assert partners(NAMES[0], names) == list(NAMES)
    assert source_of((LEFT, RIGHT)) == BOOT != SHIPPED_IMAGES == source_of(NAMES)
    assert torch.equal(Digit(7, source=BOOT).image(), core.load_samples(FASHION)[0][7:8])
    assert images(BOOT).name_of(0) == "Ankle boot"


@pytest.mark.parametrize(
    ("asked", "sides", "refused"),
    [
        ({}, (NAMES[1], NAMES[0]), []),
        ({"dataset": "mnist"}, (NAMES[1], NAMES[0]), []),
        ({"dataset": FASHION}, (LEFT, RIGHT), []),
        ({"left": LEFT}, (LEFT, RIGHT), []),
        ({"right": THIRD}, (LEFT, THIRD), []),
        ({"left": THIRD, "dataset": FASHION}, (THIRD, RIGHT), []),
        ({"left": NAMES[1], "right": RIGHT}, (NAMES[1], NAMES[0]), ["right"]),
        ({"left": LEFT, "right": NAMES[0]}, (LEFT, RIGHT), ["right"]),
        ({"left": NAMES[1], "dataset": FASHION}, (NAMES[1], NAMES[0]), ["dataset"]),
        ({"dataset": "kmnist"}, (NAMES[1], NAMES[0]), ["dataset"]),
        ({"dataset": "../fashion-mnist"}, (NAMES[1], NAMES[0]), ["dataset"]),
        ({"dataset": "<b>", "left": LEFT}, (LEFT, RIGHT), ["dataset"]),
    ],
)
def test_an_address_names_models_or_a_data_set(
    asked: dict[str, str], sides: tuple[str, str], refused: list[str], both: Path
) -> None:
    names = models.available()
    state, said = parse_explorer(asked, names)
    assert state.sides == sides
    assert [message.field for message in said] == refused
    assert state.source == source_of(sides)
    assert parse_explorer(to_params(state, names), names) == (state, [])


def test_the_usual_address_says_nothing_new(both: Path) -> None:
    names = models.available()
    assert to_params(parse_explorer({}, names)[0], names) == {}
    assert to_params(parse_explorer({"dataset": FASHION}, names)[0], names) == {"left": LEFT}
    assert facing({"left": NAMES[1], "eps": "0.1"}, RIGHT, names) == {"right": RIGHT, "eps": "0.1"}
    wished = {"dataset": FASHION, "index": "3"}
    assert facing(wished, RIGHT, names) == {"right": RIGHT, "index": "3"}
    assert facing(wished, NAMES[2], names) == {"right": NAMES[2]}


def test_compare_and_inspect_take_a_data_set_too(both: Path) -> None:
    names, there = models.available(), kinds(models.available())
    chosen, said = parse_compare({"dataset": FASHION}, there)
    assert (chosen.models, chosen.lead, chosen.asked.source, said) == (
        (LEFT, RIGHT, THIRD),
        RIGHT,
        BOOT,
        [],
    )
    mixed, said = parse_compare({"models": f"{RIGHT},{NAMES[0]}"}, there)
    assert mixed.models == (RIGHT,)
    assert "data sets" in said[0].text
    state, _ = parse_explorer({"left": THIRD}, names)
    assert compare_address(state, there)["models"] == f"{THIRD},{RIGHT},{LEFT}"
    there = {"models": names, "images": {}, "layout": lambda name: Layout(4, ("mu",))}
    look, said = INSPECT.parse({"dataset": FASHION}, **there)
    assert (look.model, look.source, said) == (LEFT, BOOT, [])
    assert INSPECT.address(look, **there) == {"model": LEFT}


def test_the_explorer_shows_classes_by_name_and_no_digits(both: Path) -> None:
    app = opened("explorer", dataset=FASHION, **CHEAP).run()
    assert not app.exception
    assert not app.warning
    assert picker(app).value == FASHION
    assert {"Class", "Which Ankle boot", "Next Ankle boot"} <= {e.label for e in (*app.pills, *app.button)}
    assert app.pills(key="digit").options == list(samples.CLASSES[FASHION])
    assert "digit" not in words(app).lower()
    assert [side["name"] for side in stage(app)["sides"]] == [
        "Fashion: Standard MLP",
        "Fashion: Robust MLP (eps 0.1)",
    ]
    assert stage(app)["models"]["right"] == sorted((LEFT, RIGHT, THIRD))
    assert len(feeds(app, "film")) == 2


def test_one_control_leads_to_the_other_data_set_and_back(both: Path) -> None:
    app = opened("explorer", index="400", **CHEAP).run()
    assert picker(app).value == "mnist"
    picker(app).set_value(FASHION).run()
    assert not app.exception
    assert not app.warning
    assert (app.session_state["left"], app.session_state["right"]) == (LEFT, RIGHT)
    assert app.session_state["index"] == 400
    assert address(app) == CHEAP | {"left": LEFT, "index": "400"}
    picker(app).set_value("mnist").run()
    assert (app.session_state["left"], app.session_state["right"]) == (NAMES[1], NAMES[0])
    assert not app.warning
    assert address(app) == CHEAP | {"index": "400"}


def test_a_left_model_of_another_data_set_brings_its_partner(both: Path) -> None:
    app = opened("explorer", **CHEAP).run()
    app.selectbox(key="left").set_value(THIRD).run()
    assert not app.exception
    assert app.session_state["right"] == RIGHT
    assert picker(app).value == FASHION
    assert not app.warning


def test_a_key_that_brings_a_left_model_of_the_other_data_set_brings_its_partner(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session: dict[str, Any] = {"stage": {"ask": {"serial": 1, "left": LEFT}}, "present-norm": "linf"}
    session |= {"present-left": NAMES[1], "present-right": NAMES[0], "present-index": 7, "present-own": ""}
    monkeypatch.setattr(st, "session_state", session)
    Panel(models.available()).answer()
    assert (session["present-left"], session["present-right"]) == (LEFT, RIGHT)
    assert session["present-index"] == 7


@pytest.mark.parametrize("page", ["explorer", "attack", "inspect", "compare"])
def test_where_all_models_are_of_one_data_set_nothing_is_to_be_chosen(page: str) -> None:
    key = {"explorer": "dataset"}.get(page, f"{page}-dataset")
    cheap = {} if page == "inspect" else CHEAP
    app = opened(page, **cheap).run()
    assert not app.exception
    assert picker(app, key) is None


@pytest.mark.parametrize("page", ["attack", "inspect", "compare", "present"])
def test_every_page_about_an_image_shows_the_data_set(page: str, both: Path) -> None:
    app = opened(page, dataset=FASHION, **({} if page == "inspect" else CHEAP)).run()
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert "digit" not in words(app).lower()
    if page != "present":
        assert picker(app, f"{page}-dataset").value == FASHION
    if page in ("inspect", "compare"):
        assert "Which Ankle boot" in words(app)


def test_compare_forgets_what_belongs_to_the_other_models_and_images(both: Path) -> None:
    asked = {"pin": NAMES[0], "of": NAMES[0], "against": "7", "classes": "3", "part": "gallery"}
    app = opened("compare", count="25", **asked, **CHEAP).run()
    picker(app, "compare-dataset").set_value(FASHION).run()
    assert not app.exception
    assert not app.warning
    assert app.session_state["compare-models"] == [LEFT, RIGHT, THIRD]
    assert (app.session_state["compare-pin"], app.session_state["compare-against"]) == ("", None)
    assert app.session_state["compare-classes"] == []


def test_the_navigation_takes_the_data_set_along(both: Path) -> None:
    app = opened("explorer", left=LEFT, index="3", **CHEAP).run()
    app.query_params.clear()
    app.switch_page("entries/inspect.py").run()
    assert not app.exception
    assert app.session_state["inspect-model"] == LEFT
    assert app.session_state["inspect-index"] == 3
    assert not app.warning


def test_words_files_and_python_say_which_data_set(both: Path) -> None:
    there = Digit(3, source=BOOT)
    assert claim.image(there) == "Fashion-MNIST test image 3, Trouser"
    assert claim.image(Digit(0)) == "MNIST test image 0, a 7"
    assert of_image(there) == (FASHION, "image-3")
    script = as_python.images(BOOT)
    assert script == ['images = core.load_samples("fashion-mnist")[0]']
    found: dict[str, Any] = {"core": core}
    exec("\n".join(script), found)
    assert torch.equal(found["images"], core.load_samples(FASHION)[0])
    assert compute.labels((LEFT, NAMES[1])) == {LEFT: "Fashion: Standard MLP", NAMES[1]: "Standard MLP"}
    assert compute.usual_threshold(LEFT, BOOT) == -600


def test_what_a_model_says_of_its_data_set_is_no_markup(both: Path) -> None:
    config = json.loads((both / LEFT / "config.json").read_text())
    for said in ("<b>", ["fashion-mnist"], {"a": 1}, None, "x" * 100_000):
        config["training"]["dataset"] = said
        (both / LEFT / "config.json").write_text(json.dumps(config))
        st.cache_data.clear()
        name = compute.labels((LEFT,))[LEFT]
        assert name in ("Standard MLP", LEFT)
        assert source_of((LEFT,)) == SHIPPED_IMAGES


def test_damaged_images_are_a_sentence(both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "samples"
    broken.mkdir()
    for path in samples.SAMPLES.glob("*.npz"):
        (broken / path.name).write_bytes(
            path.read_bytes()[: 500 if path.name.startswith("fashion") else None]
        )
    monkeypatch.setattr(samples, "SAMPLES", broken)
    app = opened("explorer", left=LEFT, **CHEAP).run()
    assert not app.exception
    assert "damaged; restore it" in app.error[0].value.replace("\\", "")
    picker(app).set_value("mnist").run()
    assert not app.exception
    assert not app.error


@pytest.fixture
def two(tmp_path: Path, both: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of both data sets; the folder of the second."""
    root, weights = tmp_path / "results", {}
    for names in (NAMES[:2], (LEFT, RIGHT)):
        contents = ((name, (both / name / "weights.safetensors").read_bytes()) for name in names)
        weights[names] = {name: hashlib.sha256(content).hexdigest() for name, content in contents}
    monkeypatch.setattr(results_files, "RESULTS", write_results(root / "paper", weights=weights[NAMES[:2]]))
    made = (Made(LEFT), Made(RIGHT, "ibp", 0.1))
    folder = write_results(root / "fashion", made, weights=weights[LEFT, RIGHT])
    return of_dataset(folder, FASHION)


def of_dataset(folder: Path, dataset: str) -> Path:
    suite = json.loads((folder / "suite.json").read_text()) | {"dataset": dataset}
    (folder / "suite.json").write_text(json.dumps(suite))
    return folder


def test_results_have_the_choice_and_lead_to_the_explorer(two: Path) -> None:
    app = opened("results").run()
    assert not app.exception
    control = picker(app, "results-dataset")
    assert (control.value, control.options) == ("mnist", ["MNIST", "Fashion-MNIST"])
    app.radio(key="results-target").set_value("reconstruction").run()
    picker(app, "results-dataset").set_value(FASHION).run()
    assert not app.exception
    assert not app.warning
    assert address(app)["dataset"] == FASHION
    assert app.session_state["results-target"] == "reconstruction"
    assert app.session_state["results-models"] == [LEFT, RIGHT]
    linked = " ".join(app.table[0].value.index)
    assert f"/?left={LEFT}&right={RIGHT}&eps=0.1&target=reconstruction" in linked
    assert "mnist-mlp" not in linked
    again = opened("results", dataset=FASHION).run()
    assert again.session_state["results-models"] == [LEFT, RIGHT]


def test_the_script_of_a_table_reads_the_results_of_its_data_set(two: Path) -> None:
    every, wrong = compute.evaluations()
    assert (list(every), wrong) == (["mnist", FASHION], [])
    for dataset in every:
        choice, _ = results.PAGE.parse({"dataset": dataset}, every=every)
        found: dict[str, Any] = {}
        exec(of_table(every[dataset], choice, {}), found)
        assert found["results"].suite.dataset == dataset


@pytest.mark.parametrize("broken", ["damaged", "of another data set", "gone"])
def test_results_that_cannot_be_read_spoil_no_others(broken: str, two: Path) -> None:
    if broken == "damaged":
        (two / "summary.csv").write_text("model\n")
    elif broken == "gone":
        two.rename(two.with_name("elsewhere"))
    else:
        of_dataset(two, "mnist")
    app = opened("results", dataset=FASHION).run()
    assert not app.exception
    assert picker(app, "results-dataset") is None
    said = [warning.value for warning in app.warning]
    assert "`dataset` in the address is `fashion-mnist`" in said[0]
    assert len(said) == (1 if broken == "gone" else 2)
    if broken == "damaged":
        again = "core evaluate --suite paper --dataset fashion-mnist --results assets/results/fashion"
        assert again in said[1].replace("\\", "")


def test_a_lecture_learns_from_the_data_set_that_is_chosen(both: Path) -> None:
    asked, said = TRAIN.parse({"dataset": FASHION, "epochs": "1", "width": "32"})
    assert said == []
    learned, held_out = training.split(FASHION)
    x = core.load_samples(FASHION)[0]
    assert torch.equal(held_out, x[::5])
    assert len(learned) == 400
    assert training.classes(FASHION)[0] == "Ankle boot"
    assert training.settings(asked).dataset == FASHION
    ours, digits = training.limits(FASHION, 0.05), training.limits("mnist", 0.05)
    assert ours.constant < ours.ceiling < digits.constant < digits.ceiling
    running = training.Training(asked)
    assert running.wait(120)
    assert running.name.startswith("lecture-fashion-mnist-crown-ibp")
    folder = both / "lecture"
    running.write(folder)
    assert source_of(("lecture",)) == BOOT
    assert replace(asked, dataset="mnist") == TRAIN.parse({"epochs": "1", "width": "32"})[0]


def test_the_page_that_trains_has_the_choice() -> None:
    app = opened("train").run()
    picker(app, "train-dataset").set_value(FASHION).run()
    assert not app.exception
    assert address(app)["dataset"] == FASHION
    assert "Ankle boot, Trouser" in words(app)
