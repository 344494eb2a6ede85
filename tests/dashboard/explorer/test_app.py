from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import core
from core import read_claim, verify_claim
from core.claims.opinion import FAILS, HOLDS, NOT_COVERED, UNREADABLE
from core.vae import checkpoint
from core.vae.config import VAEConfig
from core.vae.model import VAE
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import USUAL, State
from dashboard.shared import compute, text
from tests.dashboard.page_parts import HOSTILE, NAMES, badge, count, metric, refused, rounds, stage, verdict

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_opens_with_two_models_and_a_verdict_each(opened: AppTest):
    app = opened.run()
    assert not app.exception
    assert not app.warning
    assert not app.error
    assert [label for label, _ in stage(app)["words"]["numbers"]] == [
        "Clean",
        "Attacked",
        "Proved",
        "Open",
    ]
    assert count(app) == 8
    for i, name in enumerate(("Standard MLP", "Robust MLP (eps 0.1)")):
        assert name in stage(app)["sides"][i]["name"]
        assert re.search(r"([Bb]elow|above) −[\d,.]+ nats.*\.$", verdict(app, i))
        assert badge(app, i) in ("holds", "open", "broken")
    assert dict(app.query_params) == {}


def test_the_first_words_need_no_torch():
    code = "import sys, dashboard.shared.text; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("page", ["explorer", "results"])
def test_the_first_words_come_before_the_slow_imports(page: str):
    code = (ROOT / "dashboard" / "entries" / f"{page}.py").read_text()
    assert (
        code.index("from dashboard.shared import text")
        < max(code.find("st.html(text.head("), code.find("st.html(text.HEAD)"))
        < code.index("import view")
    )


def test_the_numbers_are_those_of_core(app: AppTest):
    app.query_params["eps"] = "0.037"
    app.query_params["index"] = "3"
    app.query_params["draws"] = "2"
    app.run()
    vae = core.load_model(NAMES[1])
    x, noise = core.load_samples("mnist")[0][3:4], core.sample_noise(vae, 2, 0)
    assert metric(app, "Clean", 0) == text.nats(core.elbo(vae, x, noise).total.item(), 1)
    assert metric(app, "Attacked", 0) == text.nats(core.attack(vae, x, noise, eps=0.037).elbo.item(), 1)
    lower = core.certify(vae, x, noise, eps=0.037).lower.item()
    assert metric(app, "Proved", 0) == text.proved_nats(lower, 1)
    assert not app.warning


def test_eps_moves_the_numbers_without_a_new_attack(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    curve = core.elbo_curve
    monkeypatch.setattr(core, "elbo_curve", lambda *a, **k: calls.append(1) or curve(*a, **k))
    app.run()
    before = metric(app, "Attacked", 0)
    app.number_input(key="eps_box").set_value(0.25).run()
    assert not app.exception
    assert metric(app, "Attacked", 0) != before
    assert app.query_params["eps"] in ("0.25", ["0.25"])
    assert len(calls) == 2


def test_the_address_restores_every_setting(app: AppTest):
    wanted = {
        "left": NAMES[2],
        "right": NAMES[1],
        "index": "17",
        "eps": "0.123",
        "target": "reconstruction",
        "attack": "fgsm",
        "steps": "3",
        "restarts": "2",
        "draws": "5",
        "seed": "9",
        "threshold": "-321",
        "upto": "0.6",
        "method": "crown-ibp",
        "states": "coverage",
        "norm": "l2",
    }
    for key, value in wanted.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    assert not app.warning
    assert app.selectbox(key="left").value == NAMES[2]
    assert app.number_input(key="index").value == 17
    assert app.number_input(key="eps_box").value == 0.123
    assert app.number_input(key="threshold").value == -321
    assert app.radio(key="target").value == "reconstruction"
    assert app.number_input(key="seed").value == 9
    assert app.selectbox(key="method").value == "crown-ibp"
    assert app.selectbox(key="states").value == "coverage"
    assert app.button_group(key="norm").value == "l2"
    assert {k: v if isinstance(v, str) else v[0] for k, v in app.query_params.items()} == wanted


@pytest.mark.parametrize("bad", rounds(HOSTILE))
def test_a_bad_address_gets_a_message_for_each_value_and_a_page(app: AppTest, bad: dict[str, str]):
    app.query_params |= bad
    app.run()
    assert not app.exception
    assert refused(app) == sorted(bad)
    assert count(app) == 8


def test_a_message_goes_when_a_control_is_used(app: AppTest):
    app.query_params["eps"] = "abc"
    app.run()
    assert app.warning
    app.number_input(key="eps_box").set_value(0.07).run()
    assert not app.warning


def test_back_in_the_browser_is_followed(app: AppTest):
    app.run()
    app.number_input(key="eps_box").set_value(0.2).run()
    app.query_params.pop("eps")
    app.run()
    assert stage(app)["eps"] == USUAL["eps"]


def test_reset_returns_to_the_default(app: AppTest):
    app.query_params["eps"] = "0.2"
    app.query_params["left"] = NAMES[2]
    app.query_params["threshold"] = "-100"
    app.run()
    next(b for b in app.button if b.label == "Reset").click().run()
    assert dict(app.query_params) == {}
    assert app.selectbox(key="left").value == "mnist-mlp-standard"
    assert stage(app)["eps"] == USUAL["eps"]
    assert app.radio(key="kind").value == "5 % quantile of each model"
    assert app.selectbox(key="method").value == "alpha-crown"


def test_a_digit_is_found_by_its_class(app: AppTest):
    app.run()
    _, labels = core.load_samples("mnist")
    app.button_group(key="digit").set_value(3).run()
    first = app.number_input(key="index").value
    assert first is not None
    assert labels[int(first)] == 3
    next(b for b in app.button if b.label == "Next 3").click().run()
    second = app.number_input(key="index").value
    assert second is not None
    assert int(second) > int(first)
    assert labels[int(second)] == 3


def test_a_damaged_model_is_a_sentence_and_the_other_is_shown(app: AppTest, models: Path):
    weights = models / NAMES[1] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    app.run()
    assert not app.exception
    assert [("damaged" in e.value) for e in app.error] == [True]
    assert count(app) == 4


def test_a_model_without_metrics_gets_its_threshold_from_the_samples(app: AppTest, models: Path):
    config = models / NAMES[1] / "config.json"
    config.write_text(config.read_text().replace('"metrics"', '"other"'))
    app.run()
    assert not app.exception
    assert not app.error
    assert count(app) == 8


def test_models_of_different_likelihoods_are_said_to_be_incomparable(app: AppTest, models: Path):
    app.run()
    assert text.INCOMPARABLE not in [note.value for note in app.info]
    vae = VAE(VAEConfig(latent=4, widths=(8,), likelihood="gaussian"))
    training, metrics = {"eps": 0.0, "target": "likelihood"}, {"elbo_quantiles": {"0.05": 100.0}}
    shutil.rmtree(models / NAMES[1])
    checkpoint.save_model(vae, models / NAMES[1], {"training": training, "metrics": metrics})
    app.run()
    assert not app.exception
    assert text.INCOMPARABLE in [note.value for note in app.info]


def test_no_models_is_a_sentence(app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint, "MODELS", tmp_path / "none")
    app.run()
    assert not app.exception
    assert len(app.error) == 1


def test_an_infinite_gap_is_said_in_words(app: AppTest):
    app.query_params["eps"] = "1"
    app.run()
    proved = metric(app, "Proved", 0)
    assert (proved == "nothing") == (metric(app, "Open", 0) == "–")


@pytest.mark.parametrize(
    ("key", "value"),
    [("draws", 10**6), ("steps", -3), ("restarts", 10**9), ("index", 10**9), ("eps_box", 7.0)],
)
def test_a_control_beyond_its_limits_is_brought_back(app: AppTest, key: str, value: float):
    app.run()
    app.number_input(key=key).set_value(value).run()
    assert not app.exception
    assert count(app) == 8
    box = app.number_input(key=key)
    assert box.min is not None
    assert box.max is not None
    assert box.value is not None
    assert box.min <= box.value <= box.max


def test_what_is_proved_can_be_taken_away_and_verified(app: AppTest):
    app.query_params["draws"] = "2"
    app.query_params["eps"] = "0.01"
    app.run()
    assert not app.exception
    buttons = [b for b in app.get("download_button") if b.proto.label == "Certificate (JSON)"]
    proved = [metric(app, "Proved", i) for i in (0, 1)]
    assert len(buttons) == sum(value != "nothing" for value in proved) > 0
    state = State(NAMES[0], NAMES[1])
    result = compute.explore(NAMES[0], Digit(3), state.settings, (0.0, 0.01), lambda now: None)
    proof = result.curve.best(0.01)
    assert proof is not None
    claim = read_claim(compute.claim(NAMES[0], Digit(3), state.settings.proof, proof))
    assert (claim.model, claim.eps, claim.draws) == (NAMES[0], 0.01, state.settings.draws)
    assert claim.statement.startswith(proof.statement)
    verdict = verify_claim(claim)
    assert verdict.holds, verdict.sentence
    assert verdict.bound == pytest.approx(proof.bound, abs=1e-6)


def test_a_second_program_checks_what_is_proved(app: AppTest):
    app.query_params["draws"] = "1"
    app.query_params["eps"] = "0.01"
    app.query_params["method"] = "crown-ibp"
    app.run()
    asked = [b for b in app.button if b.label == text.CHECK]
    assert asked
    assert not app.success
    asked[0].click().run()
    assert not app.exception
    assert text.OPINIONS[HOLDS] in app.success[0].value
    assert "Found here" in app.success[0].value


@pytest.mark.parametrize(
    ("code", "kind"), [(FAILS, "error"), (NOT_COVERED, "info"), (UNREADABLE, "warning")]
)
def test_what_a_second_program_does_not_confirm_is_said(code: int, kind: str):
    def page(code: int) -> None:
        import streamlit as st

        from core.claims.opinion import Opinion
        from dashboard.explorer import panels

        panels.opinion(st.empty(), Opinion(code, "Because *of* -1."))

    app = AppTest.from_function(page, kwargs={"code": code}).run()
    assert [element.proto.body for element in app.get(kind)] == [
        f"{text.OPINIONS[code]} Because \\*of\\* −1."
    ]
