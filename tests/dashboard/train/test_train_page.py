"""The page that trains: what is shown before, while and after; what an address can say."""

from __future__ import annotations

import functools
import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

import core
from core.data.samples import list_samples
from core.training.recipes import RECIPES
from dashboard.addresses import models, session_models
from dashboard.addresses.train import EPS, MOST_EPOCHS, MOST_SEED, PAGE, STANDARD, WIDTHS, Lecture
from dashboard.server import long_runs
from dashboard.server.fair_queue import Turns
from dashboard.shared.text import RECIPE_LABELS
from dashboard.train import compute, figures, text
from dashboard.train.compute import Limits, Snapshot, Training

ROOT = Path(__file__).resolve().parents[3]
QUICK = {"epochs": "2", "width": "32"}
HOSTILE = [
    ("dataset", "cifar10"),
    ("dataset", "../mnist"),
    ("recipe", "../../etc"),
    ("recipe", "beta"),
    ("recipe", "<script>alert(1)</script>"),
    ("eps", "nan"),
    ("eps", "0.03"),
    ("eps", "x" * 100_000),
    ("epochs", "0"),
    ("epochs", str(MOST_EPOCHS + 1)),
    ("epochs", "1e9"),
    ("epochs", "1.5"),
    ("width", "100000"),
    ("seed", "-1"),
    ("seed", "inf"),
]
LECTURES = some.builds(
    Lecture,
    some.sampled_from(list_samples()),
    some.sampled_from((STANDARD, *RECIPES)),
    some.sampled_from(EPS),
    some.integers(1, MOST_EPOCHS),
    some.sampled_from(WIDTHS),
    some.integers(0, MOST_SEED),
)


@pytest.fixture
def page() -> Iterator[AppTest]:
    """The page, not yet run; its training is over when the test is."""
    app = AppTest.from_file(str(ROOT / "dashboard" / "pages.py"), default_timeout=60)
    app.switch_page("entries/train.py")
    for name, value in QUICK.items():
        app.query_params[name] = value
    yield app
    if "training" in app.session_state:
        training: Training = app.session_state["training"]
        training.cancel()
        assert training.wait(30)


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def trained_through(app: AppTest) -> Training:
    """Look until it is over, as a browser does."""
    training: Training = app.session_state["training"]
    end = time.monotonic() + 120
    while training.going:
        assert time.monotonic() < end
        training.wait(0.2)
        app.run()
    app.run()
    assert not app.exception
    return training


@functools.cache
def once(recipe: str) -> Training:
    """A training that several tests look at."""
    return lecture(recipe=recipe)


def lecture(**asked: str) -> Training:
    """A training of one epoch, when it is over."""
    training = Training(PAGE.parse(QUICK | {"epochs": "1"} | asked)[0])
    assert training.wait(120)
    return training


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_the_words_are_true(dataset: str) -> None:
    x, held_out = compute.split(dataset)
    assert f"**{len(x)} of the {len(x) + len(held_out)} test images**" in text.FEW
    assert f"{len(held_out)} judge" in text.FEW
    apart = {image.numpy().tobytes() for image in x} & {image.numpy().tobytes() for image in held_out}
    assert not apart
    assert torch.equal(held_out[1], core.load_samples(dataset)[0][5])
    assert set(PAGE.settings["recipe"].options) <= set(RECIPE_LABELS)


@given(LECTURES)
def test_an_address_says_everything(asked: Lecture) -> None:
    assert PAGE.parse(PAGE.address(asked)) == (asked, [])


@pytest.mark.parametrize(("name", "value"), HOSTILE)
def test_what_makes_no_sense_is_refused_with_a_sentence(name: str, value: str) -> None:
    state, messages = PAGE.parse({name: value})
    assert state == Lecture()
    assert len(messages) == 1
    assert name in messages[0].text
    assert len(messages[0].text) < 300


def test_hostile_addresses_are_refused_on_the_page(page: AppTest) -> None:
    page.query_params["recipe"], page.query_params["seed"] = HOSTILE[4][1], "-1"
    page.run()
    assert not page.exception
    assert [warning.value.split("`")[1] for warning in page.warning] == ["recipe", "seed"]


@pytest.mark.parametrize("recipe", [STANDARD, "crown-ibp", "adversarial"])
def test_proved_attained_and_clean_are_in_order_in_every_epoch(recipe: str) -> None:
    training = once(recipe)
    assert [shot.epoch for shot in training.items] == [0, 1]
    assert training.error is None
    for shot in training.items:
        assert shot.proved <= shot.attained <= shot.clean
        assert shot.rows.shape == (4, compute.SHOWN, 28, 28)
        moved = np.abs(shot.rows[2].astype(int) - shot.rows[0])
        assert 0 < moved.max() <= round(training.asked.eps * 255) + 1
    assert training.items[-1].clean > training.items[0].clean + 50


def test_the_same_seed_gives_the_same_curve_and_pictures_bit_for_bit() -> None:
    first, again, other = once("crown-ibp"), lecture(), lecture(seed="1")
    for one, two, three in zip(first.items, again.items, other.items, strict=True):
        assert (one.clean, one.attained, one.proved) == (two.clean, two.attained, two.proved)
        assert np.array_equal(one.rows, two.rows)
        assert one.clean != three.clean


def test_the_page_before_while_and_after(page: AppTest) -> None:
    page.run()
    assert not page.exception
    assert text.READY in [bar.proto.text for bar in page.get("progress")]
    press(page, text.TRAIN)
    assert not page.exception
    training = trained_through(page)
    assert page.get("progress")[0].proto.text.startswith(text.done(2, 2, False))
    slider = page.slider(key="train-epoch")
    assert slider.value == 2
    last = shown(page)
    assert f"{training.items[2].clean:.1f}"[1:] in last
    slider.set_value(0).run()
    assert f"{training.items[0].clean:.1f}"[1:] in shown(page)
    assert not page.exception
    page.run()
    assert page.slider(key="train-epoch").value == 0
    # Other settings leave what was trained in its place.
    page.number_input(key="train-epochs").set_value(5).run()
    assert text.OTHER in page.get("progress")[0].proto.text
    assert page.query_params["epochs"] in ("5", ["5"])


def shown(app: AppTest) -> str:
    """The numbers."""
    return "".join(part.proto.body for part in app.get("html"))


def test_a_training_is_cancelled_and_its_epochs_stay(page: AppTest) -> None:
    page.query_params["epochs"] = str(MOST_EPOCHS)
    page.run()
    press(page, text.TRAIN)
    training: Training = page.session_state["training"]
    end = time.monotonic() + 60
    while not training.items:
        assert time.monotonic() < end
        time.sleep(0.05)
    press(page, text.CANCEL)
    assert training.wait(30)
    page.run()
    assert not page.exception
    assert 1 <= len(training.items) < MOST_EPOCHS
    assert "Cancelled" in page.get("progress")[0].proto.text


def test_too_many_are_refused_with_a_sentence(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "LONG_TURNS", Turns(1, 0))
    page.run()
    press(page, text.TRAIN)
    assert not page.exception
    assert "Try again in a minute" in page.error[0].value


def test_the_queue_is_told(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(1, 8)
    monkeypatch.setattr(long_runs, "LONG_TURNS", turns)
    first, second = turns.join(True), turns.join(True)
    assert turns.wait(first, 1)
    page.run()
    press(page, text.TRAIN)
    assert page.get("progress")[0].proto.text == "Waiting: 2 lectures are before you."
    turns.leave(first)
    assert turns.wait(second, 1)
    page.run()
    assert page.get("progress")[0].proto.text == "Waiting: 1 lecture is before you."
    turns.leave(second)
    while page.session_state["training"].before:
        time.sleep(0.02)
    page.run()
    assert page.get("progress")[0].proto.text.startswith(("Epoch", "Done"))


def test_the_model_goes_to_the_explorer_of_this_session(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory() as place:
        monkeypatch.setattr(session_models, "root", lambda: Path(place))
        monkeypatch.setattr(session_models, "_KEPT", {})
        page.run()
        press(page, text.TRAIN)
        training = trained_through(page)
        # The explorer was left with settings that are quick to compute.
        page.session_state["url of explorer"] = {"method": "ibp", "steps": "2", "draws": "1"}
        press(page, text.OPEN)
        assert not page.exception
        (folder,) = Path(place).iterdir()
        name = folder.name.replace("-", "/")
        assert name in page.query_params["right"]
        assert "0.05" in page.query_params["eps"]
        vae = core.load_model(folder)
        assert training.vae is not None
        for key, value in vae.state_dict().items():
            assert torch.equal(value, training.vae.state_dict()[key])
        assert name not in models.available()  # outside of that session


def test_the_archive_is_a_folder_of_a_model(tmp_path: Path) -> None:
    training = once("adversarial")
    with zipfile.ZipFile(io.BytesIO(training.archive())) as file:
        file.extractall(tmp_path / "archive")
    (folder,) = (tmp_path / "archive").iterdir()
    assert folder.name == training.name
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "weights.safetensors"]
    vae = core.load_model(folder)
    x = compute.split("mnist")[1]
    clean = core.elbo(vae, x, core.sample_noise(vae, 4)).total.mean().item()
    assert clean == training.items[-1].clean


LIMITS = Limits(-290.0, -190.0)


def test_the_chart_follows_what_is_attained_and_proofs_leave_it() -> None:
    rows = np.zeros((4, 1, 2, 2), dtype=np.uint8)
    shots = [Snapshot(0, -550.0, -560.0, -3000.0, rows), Snapshot(1, -180.0, -320.0, -np.inf, rows)]
    low, high = figures.frame(shots, LIMITS)
    assert -400 < low < -290
    assert high > -180
    figure = figures.epochs_figure(shots, 4, LIMITS, 1).to_dict()
    assert figure["layout"]["xaxis"]["range"][1] > 4
    assert all(np.isfinite(trace["y"]).all() for trace in figure["data"])
    assert "Nothing is proved of the way" in figures.describe(shots, shots[1], LIMITS)
    assert "vacuous" in figures.describe(shots, shots[1], LIMITS)
    assert "epochs, yet" in figures.describe([], None, LIMITS)


@pytest.mark.parametrize(
    ("proved", "said"),
    [(-241.0, "49 % is"), (-240.0, "50 % is"), (-290.0, "Nothing is"), (-np.inf, "Nothing is")],
)
def test_how_much_of_the_way_is_proved_is_never_rounded_up(proved: float, said: str) -> None:
    share = LIMITS.share(proved)
    assert text.way(share, LIMITS.constant, LIMITS.ceiling).startswith(f"{said} proved of the way")


def test_the_ceiling_is_above_what_is_trained() -> None:
    training = once("adversarial")
    limits = compute.limits("mnist", training.asked.eps)
    assert limits.constant < limits.ceiling
    for shot in training.items:
        assert shot.proved < limits.ceiling
