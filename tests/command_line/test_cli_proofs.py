"""certify and radius on the command line: every option reaches the proof, Ctrl-C keeps what is proved."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import core
from core.certificates.certificate import shown_bound, shown_radius
from core.claims import verify
from core.command_line import cli
from core.command_line.cli import main
from core.vae.checkpoint import load_config
from tests.command_line.test_cli_errors import refused

Capture = pytest.CaptureFixture[str]
ROBUST = "mnist-mlp-robust-0.1"


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("method", ["ibp", "crown", "alpha-crown"])
def test_certify_proves_what_was_asked_for(
    method: str, norm: str, side: str, model: str, capsys: Capture
) -> None:
    argv = [
        "certify",
        "--model",
        model,
        "--index",
        "2",
        "--eps",
        "0.02",
        "--draws",
        "2",
        "--method",
        method,
    ]
    argv += ["--norm", norm, "--side", side, "--iterations", "3", "--seconds", "100"]
    assert main([*argv, "--target", "reconstruction"]) == 0
    out = capsys.readouterr().out
    vae, x = core.load_model(model), core.load_samples("mnist")[0][2:3]
    noise = core.sample_noise(vae, 2)
    options: dict[str, Any] = {"norm": norm, "side": side, "method": method, "target": "reconstruction"}
    proved = core.certify(vae, x, noise, eps=0.02, iterations=3, **options)
    assert f"certified  {shown_bound(proved.bound, side)} nats" in out
    assert proved.statement() in out
    assert ("at most" in out) == (side == "upper")
    assert ("in Euclidean distance" in out) == (norm == "l2")


@pytest.mark.parametrize("states", ["expectation", "coverage"])
def test_certify_states_what_was_asked_for(states: str, model: str, capsys: Capture) -> None:
    argv = ["certify", "--model", model, "--index", "2", "--eps", "0.02", "--states", states]
    argv += ["--alpha", "0.02", "--delta", "0.1", "--sample-draws", "300", "--seed", "4"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    vae, x = core.load_model(model), core.load_samples("mnist")[0][2:3]
    noise = core.sample_noise(vae, 1, 4)
    options: dict[str, Any] = {"states": states, "alpha": 0.02, "delta": 0.1, "draws": 300, "seed": 4}
    proved = core.certify(vae, x, noise, eps=0.02, **options)
    assert proved.statement() in out
    assert "with confidence 98 % over a sample of 300 noise draws" in out
    assert ("With probability at least 90 %" in out) == (states == "coverage")


def test_radius(capsys: Capture) -> None:
    argv = ["radius", "--model", ROBUST, "--index", "1", "--method", "ibp", "--draws", "2"]
    argv += ["--most", "0.1", "--halvings", "5"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    vae, x = core.load_model(ROBUST), core.load_samples("mnist")[0][1:2]
    usual = load_config(ROBUST)["metrics"]["elbo_quantiles"]["0.05"]
    options: dict[str, Any] = {"method": "ibp", "most": 0.1, "steps": 5}
    found = core.certified_radius(vae, x, core.sample_noise(vae, 2), threshold=usual, **options)
    assert found.eps.item() > 0
    assert f"radius     {shown_radius(found.eps)}\n" in out
    assert f"threshold  {shown_bound(usual, 'lower')} nats" in out
    assert found.statement() in out
    assert main([*argv, "--threshold", "-300"]) == 0
    milder = capsys.readouterr().out
    assert "threshold  -300.00 nats" in milder
    assert float(re.findall(r"radius +(\S+)", milder)[0]) > found.eps.item()
    assert main([*argv, "--side", "upper"]) == 0
    assert "radius     none\nIt is not proved" in capsys.readouterr().out


def test_radius_of_a_model_without_quantiles_needs_a_threshold(model: str, capsys: Capture) -> None:
    assert "give a --threshold" in refused(["radius", "--model", model, "--index", "1"], capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["certify", "--alpha", "0", "--states", "expectation"], "alpha is 0.0"),
        (["certify", "--delta", "0.7", "--states", "coverage"], "delta is 0.7"),
        (["certify", "--sample-draws", "0"], "--sample-draws is 0"),
        (["certify", "--states", "expectation", "--sample-draws", "1"], "at least 2"),
        (["certify", "--states", "coverage", "--sample-draws", "10"], "draws"),
        (["certify", "--states", "coverage", "--side", "upper"], "side 'lower' only"),
        (["certify", "--iterations", "0"], "iterations is 0"),
        (["certify", "--seconds", "0"], "seconds is 0.0"),
        (["certify", "--seconds", "nan"], "seconds is nan"),
        (["certify", "--norm", "l2", "--eps", "28.1"], "eps is 28.1"),
        (["radius", "--threshold", "nan"], "threshold is nan"),
        (["radius", "--threshold", "-200", "--most", "-1"], "most is -1.0"),
        (["radius", "--threshold", "-200", "--halvings", "0"], "--halvings is 0"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], sentence: str, model: str, capsys: Capture) -> None:
    assert sentence in refused([*words, "--model", model, "--index", "0"], capsys)


def press() -> None:
    """Ctrl-C, and wait until Python has run its handler: that comes between any two instructions."""
    handler, end = signal.getsignal(signal.SIGINT), time.monotonic() + 10
    signal.raise_signal(signal.SIGINT)
    while signal.getsignal(signal.SIGINT) is handler and time.monotonic() < end:
        time.sleep(0.001)


def pressed(call: Callable[..., Any], after: int) -> Callable[..., Any]:
    """`call`, with Ctrl-C pressed in its progress callback at that step."""

    def run(*args: Any, progress: Callable[[int, int], None], **options: Any) -> Any:
        def step(done: int, total: int) -> None:
            if done >= after:
                press()
            progress(done, total)

        return call(*args, progress=step, **options)

    return run


def test_ctrl_c_keeps_the_best_bound(model: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    before = signal.getsignal(signal.SIGINT)
    argv = ["certify", "--model", model, "--index", "0", "--eps", "0.01", "--method", "alpha-crown"]
    monkeypatch.setattr(cli, "certify", pressed(core.certify, 2))
    assert main(argv) == 0
    out = capsys.readouterr()
    assert out.err == "Stopped: what follows is what was proved by then.\n"
    vae = core.load_model(model)
    x, noise = core.load_samples("mnist")[0][:1], core.sample_noise(vae)
    assert core.certify(vae, x, noise, eps=0.01, method="crown-ibp").statement() in out.out
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_keeps_the_radius_so_far(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    argv = ["radius", "--model", model, "--index", "0", "--threshold", "-2000", "--method", "ibp"]
    monkeypatch.setattr(cli, "certified_radius", pressed(core.certified_radius, 5))
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert 0 < float(re.findall(r"radius +(\S+)", out)[0]) < 1
    monkeypatch.undo()
    assert main(argv) == 0
    assert capsys.readouterr().out != out


def test_a_second_ctrl_c_ends_at_once(model: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def twice(*args: Any, **options: Any) -> None:
        press()
        press()

    monkeypatch.setattr(cli, "certify", twice)
    assert main(["certify", "--model", model, "--index", "0"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_ctrl_c_during_a_sample_leaves_nothing_proved(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    argv = ["certify", "--model", model, "--index", "0", "--states", "expectation", "--sample-draws", "600"]
    monkeypatch.setattr(cli, "certify", pressed(core.certify, 1))
    assert main(argv) == 130
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err == "Stopped by Ctrl-C.\n"


def test_ctrl_c_during_verify_is_no_verdict(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """What was proved by then is less than what is claimed: that is not "Not verified"."""
    file = tmp_path / "certificate.json"
    argv = ["certify", "--model", model, "--index", "0", "--eps", "0.01", "--method", "alpha-crown"]
    assert main([*argv, "--iterations", "5", "--out", str(file)]) == 0
    capsys.readouterr()
    asked: list[int] = []
    again = verify.prove

    def counted(*args: Any, **options: Any) -> Any:
        asked.append(args[4].iterations)
        return pressed(again, 1)(*args, **options)

    monkeypatch.setattr(verify, "prove", counted)
    assert main(["verify", str(file), "--model", model]) == 130
    out = capsys.readouterr()
    assert out.out == ""
    assert (
        out.err == "The check was stopped before it had an answer: that says nothing of the certificate.\n"
    )
    assert asked == [5]


def test_what_is_proved_when_verify_is_stopped_counts(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = tmp_path / "certificate.json"
    argv = ["certify", "--model", model, "--index", "0", "--eps", "0.01"]
    assert main([*argv, "--out", str(file)]) == 0
    monkeypatch.setattr(verify, "prove", pressed(verify.prove, 0))
    assert main(["verify", str(file), "--model", model]) == 0
    assert "Holds." in capsys.readouterr().out
