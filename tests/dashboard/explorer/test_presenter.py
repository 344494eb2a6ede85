"""The explorer's screen for a room: scenes, guesses, and what is not in the page before it is revealed."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
import segno
import streamlit as st
import zxingcpp
from PIL import Image
from streamlit.testing.v1 import AppTest

import core
from core.evaluation.curve import Verdict
from dashboard.addresses import scenes
from dashboard.addresses.digit import own_name
from dashboard.addresses.present import ALL, PAGE, PARTS, explorer_address
from dashboard.addresses.scales import SCALES
from dashboard.explorer import presenter
from dashboard.explorer.stage import reveal
from dashboard.explorer.stage.event import read_ask
from dashboard.shared import destinations
from dashboard.shared.qr_code import qr_code
from tests.dashboard.page_parts import (
    HOSTILE,
    NAMES,
    address,
    curve,
    feeds,
    refused,
    rounds,
    stage,
    verdict,
)

APP = Path(__file__).resolve().parents[3] / "dashboard" / "pages.py"


@pytest.fixture
def page() -> AppTest:
    """The presenter's page with its fast part alone, not yet run."""
    app = AppTest.from_file(str(APP), default_timeout=60).switch_page(destinations.PRESENT)
    app.query_params |= {"method": "ibp", "draws": "1", "steps": "2"}
    return app


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def everything(app: AppTest) -> str:
    """All that is sent to the browser."""
    sent = [element.proto.json for element in app.get("bidi_component")]
    return " ".join([*sent, *(m.value for m in (*app.markdown, *app.caption))])


def test_it_is_the_explorer_with_all_that_is_known(page: AppTest):
    page.query_params |= {"eps": "0.02", "index": "3"}
    page.run()
    assert not page.exception
    assert not page.warning
    assert not page.sidebar.children
    vae = core.load_model(NAMES[1])
    x, noise = core.load_samples("mnist")[0][3:4], core.sample_noise(vae, 1, 0)
    assert curve(page, 0)["clean"] == pytest.approx(core.elbo(vae, x, noise).total.item(), abs=1e-9)
    found = core.attack(vae, x, noise, eps=0.02, steps=2).elbo.item()
    assert curve(page, 0)["attained"][2] == pytest.approx(found, abs=1e-9)
    assert stage(page)["room"]["step"] == ALL


def test_what_is_hidden_is_not_in_the_page(page: AppTest):
    page.query_params |= {"eps": "0.02"}
    page.run()
    whole = [curve(page, side) for side in (0, 1)]
    said = [verdict(page, side) for side in (0, 1)]
    secret = {
        "attacks": [str(value) for line in whole for value in line["attained"][1:]],
        "proofs": [str(value) for line in whole for value in line["proved"] if value is not None],
    }
    assert all(any(value in everything(page) for value in values) for values in secret.values())
    for step in range(ALL + 1):
        page.query_params["step"] = str(step)
        page.run()
        assert not page.exception
        sent = everything(page)
        for side, line in enumerate(whole):
            attack, proof = step >= 1 + side, step >= 3
            now = curve(page, side)
            assert now["clean"] == line["clean"]
            assert now["attained"] == (line["attained"] if attack else line["attained"][:1])
            assert now["proved"] == (line["proved"] if proof else None)
            assert bool(now["methods"]) == proof
            assert len(feeds(page, "film")[side]["radii"]) == (31 if attack else 1)
            assert verdict(page, side) == (said[side] if step == ALL else "")
            readings = feeds(page, "numbers")[side]["readings"]
            shown = [value for value, _ in readings[-1][0]]
            assert [value == reveal.HIDDEN for value in shown] == [False, not attack, not proof, not proof]
            assert all((state is None) == (not proof) for _, state in readings)
            if not attack:
                assert not any(str(value) in sent for value in line["attained"][1:])
        assert any(value in sent for value in secret["proofs"]) == (step >= 3)


def test_a_talk_goes_step_by_step_and_from_scene_to_scene(page: AppTest):
    page.query_params |= {"scene": "1", "step": "0"}
    page.run()
    for step in range(ALL):
        assert stage(page)["room"]["step"] == step
        press(page, reveal.NEXT[step])
        assert not page.exception
    assert "step" not in address(page)
    press(page, presenter.AGAIN)
    assert address(page)["step"] == "0"
    page.button_group(key="present-picked").set_value(5).run()
    assert not page.exception
    assert address(page) | {"index": "18", "side": "upper", "scene": "5", "step": "0"} == address(page)
    assert stage(page)["room"]["scene"] == 5


def test_keys_ask_for_steps_and_scenes(monkeypatch: pytest.MonkeyPatch):
    session: dict[str, Any] = {"stage": {"ask": {"serial": 1, "step": 2}}, "present-norm": "linf"}
    monkeypatch.setattr(st, "session_state", session)
    panel = presenter.Panel(NAMES)
    panel.write(PAGE.parse({"scene": "1", "step": "1"}, models=NAMES, images={})[0])
    panel.answer()
    assert (session["present-step"], session["present-scene"]) == (2, 1)
    session["stage"] = {"ask": {"serial": 2, "scene": 3}}
    panel.answer()
    assert (session["present-step"], session["present-scene"], session["present-method"]) == (0, 3, "ibp")
    for bad in (-1, ALL + 1, 1e9, "2", None, True, [1]):
        asked = read_ask({"step": bad, "scene": bad}, NAMES, SCALES["linf"])
        assert (asked.step, asked.scene) == (None, None) or asked.scene == bad


@pytest.mark.parametrize("number", range(1, len(scenes.SCENES) + 1))
def test_a_scene_is_its_number_and_what_is_changed_in_it_stays(number: int):
    there = {"models": NAMES, "images": {}}
    room, messages = PAGE.parse(scenes.address(number), **there)
    assert not messages
    assert (room.scene, room.step) == (number, 0)
    found = scenes.scene(number)
    assert found is not None
    said = explorer_address(room, NAMES)
    assert said == dict(found.asks)
    assert PAGE.address(room, **there) == {**scenes.address(number), **found.asks}
    # What the page opens with is said where the scene asks for something else.
    moved = replace(room, asked=replace(room.asked, eps=0.05, upto="0.15"), step=ALL)
    assert PAGE.parse(PAGE.address(moved, **there), **there) == (moved, [])


def test_there_is_no_scene_beyond_the_last():
    assert scenes.scene(0) is scenes.scene(len(scenes.SCENES) + 1) is None
    for number in ("0", "6", "-1", "x", "", "1" * 5000):
        assert not scenes.asks(number)


@pytest.mark.parametrize(
    ("guess", "certified", "wanted"),
    [
        ("", 0.05, ""),
        ("0", None, "You guessed nowhere; it is proved nowhere: right."),
        ("0", 0.0, "You guessed nowhere; it is proved nowhere: right."),
        ("0", 0.02, "You guessed nowhere; it is proved up to 0.02: not far enough, by 0.02."),
        ("1", 0.05, "You guessed up to 0.05; it is proved up to 0.05: right."),
        ("1", None, "You guessed up to 0.05; it is proved nowhere: too far, but only just."),
        ("2", 0.05, "You guessed 0.05 to 0.1; it is proved up to 0.05: too far, but only just."),
        ("3", 0.04, "You guessed 0.1 to 0.15; it is proved up to 0.04: too far, by 0.06."),
        ("2", 0.3, "You guessed 0.05 to 0.1; it is proved up to 0.15: not far enough, by 0.05."),
        ("7", 0.3, ""),
    ],
)
def test_a_guess_is_judged(guess: str, certified: float | None, wanted: str):
    assert reveal.judge(Verdict(-100.0, certified, None, 0.3), guess, 0.15) == wanted


@pytest.mark.parametrize("most", [0.05, 0.15, 0.3, 0.6, 1.0])
def test_one_guess_is_right_wherever_the_proof_ends(most: float):
    for certified in (None, *np.linspace(0, most, 31).tolist(), most / 3, 2 * most / 3):
        found = Verdict(-100.0, certified, None, most)
        right = [guess for guess in PARTS if reveal.judge(found, guess, most).endswith("right.")]
        assert len(right) == 1, certified


def test_the_guess_stays_and_is_judged_at_the_end(page: AppTest):
    page.query_params |= {"step": "0"}
    page.run()
    page.button_group(key="present-guess").set_value("3").run()
    assert address(page)["guess"] == "3"
    assert stage(page)["room"]["guess"] == pytest.approx([0.1, 0.15])
    assert "You guessed" not in everything(page)
    page.query_params["step"] = str(ALL)
    page.run()
    assert "You guessed 0.1 to 0.15; it is proved " in everything(page)


def test_an_image_of_ones_own_stays(page: AppTest):
    pixels = np.full((28, 28), 0.25, dtype=np.float32).tobytes()
    page.session_state["own images"] = {own_name(pixels): pixels}
    page.query_params["own"] = own_name(pixels)
    page.run()
    assert not page.exception
    assert not page.warning
    found = parse_qs(link(page, presenter.LEAVE))
    assert found["own"] == [own_name(pixels)]
    # Nobody else has it.
    assert own_name(pixels) not in page.caption[0].value


def link(app: AppTest, label: str) -> str:
    (found,) = [link for link in app.get("page_link") if link.proto.label == label]
    return found.proto.query_string


# What a bad method falls back to takes seconds; its message is tested with the explorer.
BAD = [*(bad for bad in HOSTILE if bad[0] != "method"), ("step", "9"), ("guess", "4"), ("scene", "-1")]


@pytest.mark.parametrize("bad", rounds(BAD))
def test_a_bad_address_gets_a_message_for_each_value_and_a_page(page: AppTest, bad: dict[str, str]):
    page.query_params |= bad
    page.run()
    assert not page.exception
    assert refused(page) == sorted(bad)
    assert len(feeds(page, "numbers")) == 2


def test_a_damaged_model_is_a_sentence_and_the_other_is_shown(page: AppTest, models: Path):
    weights = models / NAMES[1] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    page.run()
    assert not page.exception
    assert ["damaged" in e.value for e in page.error] == [True]
    assert feeds(page, "film")[0]["failed"]
    assert len(feeds(page, "numbers")) == 1


def test_the_explorer_leads_here_and_back_with_its_state(app: AppTest, page: AppTest):
    app.query_params |= {"index": "5", "eps": "0.037"}
    app.run()
    assert parse_qs(link(app, destinations.TO_PRESENT)) == {
        "index": ["5"],
        "eps": ["0.037"],
        "method": ["ibp"],
    }
    page.query_params |= {"index": "5", "eps": "0.03", "step": "2", "guess": "1"}
    page.run()
    back = parse_qs(link(page, presenter.LEAVE))
    assert (back["index"], back["eps"]) == (["5"], ["0.03"])
    assert not {"step", "guess", "scene"} & set(back)


def test_a_qr_code_says_its_address():
    url = "https://example.org/elbo/?left=mnist-mlp-standard&index=3&eps=0.037&seed=12345&draws=16"
    assert "<svg" in qr_code(url)
    drawn = BytesIO()
    segno.make(url, error="m", micro=False).save(drawn, kind="png", scale=6, border=4)
    (found,) = zxingcpp.read_barcodes(np.asarray(Image.open(drawn).convert("L")))
    assert found.text == url
