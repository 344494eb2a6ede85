"""The page: what it shows of what arrives, and that nobody's numbers but the server's count."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

import core
from core.claims.counterexample import read_counterexample, verify_counterexample
from core.command_line.cli import main
from dashboard.addresses import models
from dashboard.addresses.attack import FIXED
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings
from dashboard.addresses.paint import UNITS, decode, encode
from dashboard.attack_by_hand import board, canvas, scores
from dashboard.shared import tighter_bounds
from tests.dashboard.attack_by_hand.hands import fills, message
from tests.dashboard.page_parts import HOSTILE, NAMES, refused, rounds
from tests.dashboard.test_other_images import tiny

ENTRY = Path(__file__).resolve().parents[3] / "dashboard" / "entries" / "attack.py"
CHEAP = {"steps": "3", "draws": "2", "method": "ibp"}
X = Digit(0).image()


class Hand:
    """What the browser sends, in place of a browser."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: object = None
        show = canvas.show

        def shown(*args: Any) -> object:
            show(*args)
            return self.sent

        monkeypatch.setattr(canvas, "show", shown)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    return Hand(monkeypatch)


@pytest.fixture
def page(opened: AppTest) -> AppTest:
    """The page with cheap settings, not yet run."""
    for name, value in CHEAP.items():
        opened.query_params[name] = value
    return opened.switch_page("entries/attack.py")


def told(page: AppTest, name: str = "elbo_attack_answer") -> dict[str, Any]:
    """What the browser was told last."""
    elements = [element.proto for element in page.get("bidi_component")]
    return json.loads([proto.json for proto in elements if proto.component_name == name][-1])


def you(page: AppTest) -> list[float]:
    """The numbers of the left model, then of the right one."""
    rulers = told(page)["rulers"]
    marks = ({m["kind"]: m["value"] for m in rulers[side]["marks"]} for side in sorted(rulers))
    return [each["you"] for each in marks]


def sides() -> tuple[str, str]:
    return NAMES[1], NAMES[0]  # the first choices


def test_the_first_words_come_before_the_slow_imports():
    code = ENTRY.read_text()
    assert code.index("import places, text") < code.index("head(text.TITLE") < code.index("import view")


def test_the_page_opens_with_the_clean_image(page: AppTest, hand: Hand):
    page.run()
    assert not page.exception
    assert not page.error
    noise = core.sample_noise(core.load_model(NAMES[0]), 2)
    clean = [core.elbo(core.load_model(name), X, noise).total.item() for name in sides()]
    assert you(page) == pytest.approx(clean)
    assert len(told(page)["goals"]) == 4
    shown = told(page, "elbo_attack")
    assert [one["origin"] for one in shown["starts"]] == ["machine"] * 4
    assert "paint" not in page.query_params


def test_both_models_score_the_same_painted_image_on_the_explorers_draws(page: AppTest, hand: Hand):
    page.run()
    hand.sent = message(fills(X))
    page.run()
    settings = ProofSettings(draws=2)
    point = scores.painted(X, fills(X), settings.threat(0.1))
    mine = [scores.score(name, Digit(0), settings, point) for name in sides()]
    assert you(page) == pytest.approx(mine)
    assert told(page)["serial"] == 1
    kept = decode(told(page)["link"]["paint"], (1, 28, 28))
    assert kept is not None
    assert (kept == fills(X)).all()


def test_a_link_opens_with_its_painting(page: AppTest, hand: Hand):
    page.query_params["paint"] = encode(fills(X))
    page.run()
    first = you(page)
    hand.sent = message(np.zeros_like(fills(X)))
    page.run()
    assert you(page) != first
    assert "paint" not in told(page)["link"]


def test_an_old_message_or_one_about_another_painting_changes_nothing(page: AppTest, hand: Hand):
    page.run()
    clean = you(page)
    hand.sent = message(fills(X), version=7)
    page.run()
    assert you(page) == clean
    hand.sent = message(fills(X), serial=5)
    page.run()
    painted = you(page)
    hand.sent = message(np.zeros_like(fills(X)), serial=4)
    page.run()
    assert you(page) == painted != clean


def test_another_image_has_another_painting(page: AppTest, hand: Hand):
    page.run()
    hand.sent = message(fills(X))
    page.run()
    page.number_input(key="attack-index").set_value(3).run()
    noise, other = core.sample_noise(core.load_model(NAMES[0]), 2), Digit(3).image()
    clean = [core.elbo(core.load_model(name), other, noise).total.item() for name in sides()]
    assert you(page) == pytest.approx(clean)


def test_eps_is_moved_by_the_hand_once(page: AppTest, hand: Hand):
    page.run()
    hand.sent = message(fills(X), eps=0.05)
    page.run()
    assert told(page)["eps"] == 0.05
    assert told(page, "elbo_attack")["eps"] == 0.05
    page.number_input(key="attack-eps_box").set_value(0.2).run()
    assert told(page)["eps"] == 0.2


def test_a_machines_image_is_no_best_of_ones_own(page: AppTest, hand: Hand):
    page.run()
    hand.sent = message(fills(X), origin="machine")
    page.run()
    assert "attack best" not in page.session_state
    hand.sent = message(fills(X), serial=2)
    page.run()
    best = page.session_state["attack best"]
    assert sorted(each.hand for radii in best.values() for each in radii.values()) == sorted(you(page))


def test_a_machine_that_is_beaten_goes_on_from_the_image(
    page: AppTest, hand: Hand, monkeypatch: pytest.MonkeyPatch
):
    starts: list[torch.Tensor] = []
    go_on = scores.go_on

    def watched(*args: Any) -> float:
        starts.append(args[4])
        return go_on(*args)

    monkeypatch.setattr(scores, "go_on", watched)
    page.run()
    monkeypatch.setattr(board, "beats", lambda score, attained: True)
    hand.sent = message(fills(X), serial=2)
    page.run()
    point = scores.painted(X, fills(X), ProofSettings().threat(0.1))
    assert len(starts) == 2
    assert all(torch.equal(start, point) for start in starts)
    machine = [
        mark["value"]
        for ruler in told(page)["rulers"].values()
        for mark in ruler["marks"]
        if mark["kind"] == "machine"
    ]
    assert all(value <= mine + 1e-9 for value, mine in zip(machine, you(page), strict=True))


BAD = [*(bad for bad in HOSTILE if bad[0] not in FIXED), ("paint", "x" * 100_000), ("paint", "eNo<b>")]


@pytest.mark.parametrize("bad", rounds(BAD))
def test_a_hostile_address_is_refused_in_sentences(page: AppTest, bad: dict[str, str]):
    page.query_params |= bad
    page.run()
    assert not page.exception
    assert refused(page) == sorted(bad)


@pytest.mark.parametrize(
    "sent", [{"levels": "x" * 1_000_000}, [], "x", {"serial": 1}, message(fills(X)) | {"eps": float("nan")}]
)
def test_a_hostile_message_is_refused_in_a_sentence(page: AppTest, hand: Hand, sent: object):
    page.run()
    clean = you(page)
    hand.sent = sent
    page.run()
    assert not page.exception
    assert ["Reload the page" in error.value for error in page.error] == [True]
    assert you(page) == clean


@pytest.mark.slow
def test_a_false_proof_is_caught_and_its_file_is_verified(
    page: AppTest,
    hand: Hand,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    grid = tighter_bounds.grid

    def lifted(name: str, *args: Any) -> Any:
        clean = grid(name, *args)[0].bound
        return tuple(replace(proof, bound=clean - 0.02) for proof in grid(name, *args))

    monkeypatch.setattr(tighter_bounds, "grid", lifted)
    page.query_params["method"] = "crown-ibp"
    page.run()
    assert not page.error
    lower = scores.first_step(sides()[0], Digit(0), ProofSettings(draws=2), 0.1, lambda now: None)
    hand.sent = message(lower)
    page.run()
    assert not page.exception
    assert ["The proof is false" in " ".join(e.value.split("\\")) for e in page.error] == [True]
    found = list(page.session_state["attack contradictions"].values())
    assert len(found) == 1
    for each in found:
        example = read_counterexample(each.file)
        verdict = verify_counterexample(example)
        assert verdict.holds, verdict.sentence
        assert verdict.bound == pytest.approx(example.attained)
        assert any(verdict.bound == pytest.approx(mine) for mine in you(page))
        file = tmp_path / each.name
        file.write_text(each.file)
        assert main(["verify", "--counterexample", str(file)]) == 0
        file.write_text(each.file.replace(f'"attained": {example.attained!r}', '"attained": -1.0'))
        assert main(["verify", "--counterexample", str(file)]) == 2
    assert "Confirmed: the certificate in the file is false." in capsys.readouterr().out
    # It stays when the painting is gone.
    hand.sent = message(np.zeros_like(fills(X)), serial=2)
    page.run()
    assert len(page.error) == 1


@pytest.mark.parametrize("shape", [(3, 12, 10), (1, 6, 9)])
def test_images_of_another_shape_are_painted_too(
    page: AppTest, hand: Hand, shape: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    images = torch.randint(
        0, 256, (3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    core.save_model(tiny(shape), tmp_path / "lab" / "other", images=images)
    monkeypatch.setenv(models.ROOTS, str(tmp_path / "lab"))
    page.query_params["left"] = "lab/other"
    page.run()
    assert not page.exception
    clean = you(page)
    assert len(clean) == 1
    assert told(page, "elbo_attack")["shape"] == list(shape)
    assert ("all colours alike" in told(page)["status"]) == (shape[0] == 3)
    hand.sent = message(np.full(shape, -UNITS, "<i2"))
    page.run()
    assert not page.error
    assert you(page) != clean
    # A painting of another shape is refused.
    hand.sent = message(fills(X), serial=2)
    page.run()
    assert ["Reload the page" in error.value for error in page.error] == [True]
