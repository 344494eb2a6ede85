"""The command line: what it prints, writes and returns; bad input gives one sentence."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import core
from core.certificates.certificate import shown_bound
from core.command_line import cli
from core.command_line.cli import main
from core.data.samples import load_image
from core.evaluation.evaluate import Summary
from core.evaluation.suite import SUITES
from core.vae.checkpoint import load_config, save_model
from tests.conftest import make_vae
from tests.data.mnist_files import TEST, write_mnist
from tests.evaluation.suite.small import SMALL

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("train", "evaluate", "certify", "radius", "attack")


@pytest.fixture(scope="module")
def vacuous(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "steep"
    save_model(make_vae(scale=3.0), folder, {})
    return str(folder)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help(command: tuple[str, ...], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    if not command:
        assert all(name in out for name in COMMANDS)
    options = re.findall(r"^  (--[\w-]+)", out, re.MULTILINE)
    assert not command or len(options) >= 8
    assert "SUPPRESS" not in out


@pytest.mark.slow
def test_another_data_set_is_one_option_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SUITES, "paper", SMALL)  # ten seconds otherwise
    data, out, rows = write_mnist(tmp_path / "data", "FashionMNIST"), tmp_path / "model", tmp_path / "rows"
    choice = ["--dataset", "fashion-mnist", "--data", str(data)]
    training = ["--widths", "8", "6", "--latent", "2", "--eps", "0.1", "--epochs", "1", "--batch", "32"]
    assert main(["train", *choice, *training, "--out", str(out)]) == 0
    assert load_config(out)["training"]["dataset"] == "fashion-mnist"
    argv = ["evaluate", *choice, "--models", str(out), "--samples", str(TEST), "--steps", "2"]
    assert main([*argv, "--eps", "0.05", "--out", str(rows)]) == 0
    with rows.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert {row["model"] for row in found} == {"model", "constant-decoder-bernoulli"}
    assert all(float(r["certified"]) <= float(r["attacked"]) <= float(r["clean"]) for r in found)
    suite = ["--suite", "paper", "--jobs", "1", "--out", str(tmp_path / "suite")]
    results = ["--results", str(tmp_path / "results")]
    assert main(["evaluate", *choice, *suite, *results, "--models", str(out), "--samples", "2"]) == 0
    assert (tmp_path / "results" / "summary.csv").is_file()


def test_train_evaluate_resume(mnist: Path, tmp_path: Path, capsys: Capture) -> None:
    out, rows = str(tmp_path / "model"), str(tmp_path / "rows.csv")
    argv = [
        "train",
        "--data",
        str(mnist),
        "--out",
        out,
        "--widths",
        "12",
        "8",
        "--latent",
        "3",
        "--eps",
        "0.1",
    ]
    argv += ["--epochs", "2", "--warmup", "0", "--ramp", "1", "--batch", "32", "--seed", "4"]
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert re.search(r"epoch 2/2  ELBO -\d+\.\d\d nats  ibp -\d+\.\d\d, eps up to 0\.1", text)
    assert f"Trained model in {out}" in text
    assert core.load_model(out).config.to_dict()["widths"] == [12, 8]
    assert load_config(out)["training"]["epochs_done"] == 2
    again = {"no interrupted training": [*argv, "--resume"], "already holds a model": argv}
    for sentence, words in again.items():
        assert main(words) == 2
        assert sentence in capsys.readouterr().err

    argv = ["evaluate", "--models", out, "--data", str(mnist), "--samples", str(TEST), "--steps", "2"]
    assert main([*argv, "--eps", "0.01", "--targets", "likelihood", "--out", rows]) == 0
    with Path(rows).open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [r["model"] for r in read] == ["constant-decoder-bernoulli"] * TEST + ["model"] * TEST
    assert [int(r["image"]) for r in read] == list(range(TEST)) * 2


def test_evaluate_shipped_samples(model: str, vacuous: str, tmp_path: Path, capsys: Capture) -> None:
    rows = tmp_path / "rows.csv"
    argv = ["evaluate", "--models", model, vacuous, "--samples", "3", "--eps", "0", "0.2", "--draws", "2"]
    means = tmp_path / "means.csv"
    assert main([*argv, "--steps", "2", "--out", str(rows), "--summary", str(means)]) == 0
    assert len(means.read_text().splitlines()) == 1 + 3 * 2 * 2
    out = capsys.readouterr().out
    assert f"Rows in {rows}." in out
    with rows.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == 3 * 2 * 2 * 3  # constant decoder and two models, targets, radii, images
    for row in read:
        assert float(row["certified"]) <= float(row["attacked"]) <= float(row["clean"]) + 1e-9
    lines = out.splitlines()
    assert lines[0].split() == [
        "model",
        "target",
        "eps",
        "images",
        "clean",
        "attacked",
        "certified",
        "ceiling",
    ]
    assert re.search(r"^steep +likelihood +0\.2 +3 .* vacuous 3 +-\d+\.\d\d$", out, re.MULTILINE)
    assert re.search(r"^small +likelihood +0 +3 +(-\d+\.\d\d) +\1 +\1 +-\d+\.\d\d$", out, re.MULTILINE)
    x = core.load_samples("mnist")[0][:3]
    top = core.ceiling(core.load_model(model), x, 0.2).tolist()
    asked = {"model": "small", "target": "likelihood", "eps": "0.2"}
    mine = [row for row in read if {name: row[name] for name in asked} == asked]
    assert [float(row["ceiling"]) for row in mine] == top
    assert "constant-decoder-bernoulli" in out
    assert "nan" not in out


def test_table_columns() -> None:
    lines = cli.table(
        [Summary("m", "likelihood", 0.05, 7, -1, -2.5, -3.25, 0, -0.5), Summary("m", "t", 1, 7, 0, 0, 0, 2)]
    )
    assert lines[1].split() == ["m", "likelihood", "0.05", "7", "-1.00", "-2.50", "-3.25", "-0.50"]
    assert lines[2].split()[-3:] == ["vacuous", "2", "none"]


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_certify(arithmetic: str, target: str, model: str, capsys: Capture) -> None:
    argv = ["certify", "--model", model, "--index", "7", "--eps", "0.01", "--draws", "3", "--seed", "2"]
    assert main([*argv, "--target", target, "--arithmetic", arithmetic]) == 0
    out = capsys.readouterr().out
    vae, x = core.load_model(model), core.load_samples("mnist")[0][7:8]
    noise = core.sample_noise(vae, 3, 2)
    proved = core.certify(vae, x, noise, eps=0.01, target=target, arithmetic=arithmetic)
    assert f"clean      {core.elbo(vae, x, noise).total.item():.2f} nats" in out
    assert f"certified  {shown_bound(proved.lower, 'lower')} nats" in out
    assert proved.statement() in out


def test_certify_vacuous(vacuous: str, capsys: Capture) -> None:
    assert main(["certify", "--model", vacuous, "--index", "0", "--eps", "1"]) == 0
    out = capsys.readouterr().out
    assert "certified  vacuous" in out
    assert "Nothing is proved" in out


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_attack_of_a_picture_is_saved_exactly(
    method: str, model: str, tmp_path: Path, capsys: Capture
) -> None:
    x = core.load_samples("mnist")[0][3:4]
    picture, out = tmp_path / "three.png", tmp_path / "attacked.npy"
    Image.fromarray((x[0, 0].numpy() * 255).round().astype(np.uint8)).save(picture)
    argv = [
        "attack",
        "--model",
        model,
        "--image",
        str(picture),
        "--eps",
        "0.2",
        "--steps",
        "3",
        "--restarts",
        "2",
    ]
    assert main([*argv, "--method", method, "--seed", "1", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    vae = core.load_model(model)
    found = core.attack(
        vae, x, core.sample_noise(vae, 1, 1), eps=0.2, method=method, steps=3, restarts=2, seed=1
    )
    assert torch.equal(torch.from_numpy(np.load(out)), found.x_adv[0])
    assert f"attacked  {found.elbo.item():.2f} nats" in text
    assert str(out) in text
    assert main([*argv, "--out", str(tmp_path / "attacked.png")]) == 0
    assert load_image(tmp_path / "attacked.png", (1, 28, 28)).shape == x.shape


def test_attack_upwards(model: str, capsys: Capture) -> None:
    asked = ["attack", "--model", model, "--index", "3", "--steps", "3", "--side", "upper"]
    assert main(asked) == 0
    vae, x = core.load_model(model), core.load_samples("mnist")[0][3:4]
    found = core.attack(vae, x, core.sample_noise(vae), eps=0.1, steps=3, side="upper")
    raised = found.elbo.item() - found.history[0].item()
    assert raised > 0
    assert f"attacked  {found.elbo.item():.2f} nats ({raised:+.2f}, pgd)" in capsys.readouterr().out
    assert main([*asked, "--method", "damage"]) == 2
    assert "'damage' pursues another goal than the ELBO" in capsys.readouterr().err


def test_ctrl_c(model: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "certify", interrupt)
    assert main(["certify", "--model", model, "--index", "0"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"


@pytest.mark.slow
def test_as_a_process(model: str) -> None:
    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "core", *argv], capture_output=True, text=True, check=False
        )

    good = run("certify", "--model", model, "--index", "0", "--eps", "0.01")
    assert (good.returncode, good.stderr) == (0, "")
    assert "the ELBO that scores x' is at least" in good.stdout
    bad = run("certify", "--model", model, "--index", "0", "--eps", "7")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("error: eps is 7.0")
    assert "Traceback" not in bad.stderr
