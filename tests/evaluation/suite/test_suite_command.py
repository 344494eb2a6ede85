"""python -m core evaluate --suite: options, what it prints, bad input."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.command_line.cli import main
from core.data.samples import DATASETS
from core.evaluation.suite import SUITES
from core.vae import checkpoint
from tests.conftest import make_vae
from tests.data.mnist_files import TEST, write_mnist
from tests.evaluation.suite.conftest import PLAIN
from tests.evaluation.suite.small import SMALL

Capture = pytest.CaptureFixture[str]
TINY = replace(SMALL, name="tiny", eps=(0.02,), targets=("likelihood",), subset=1)


@pytest.fixture
def argv(models: list[Path], mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A suite of a moment, on all images of a small data set, in an empty current folder."""
    monkeypatch.setitem(SUITES, "tiny", TINY)
    monkeypatch.chdir(tmp_path)
    return ["evaluate", "--suite", "tiny", "--models", str(models[0]), "--data", str(mnist), "--jobs", "1"]


def test_all_images_into_the_usual_folder(argv: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert main(argv) == 0
    assert capsys.readouterr().out == (
        "Tables and pictures in runs/tiny, values image by image in runs/tiny/rows.\n"
    )
    suite = json.loads((tmp_path / "runs" / "tiny" / "suite.json").read_text())
    assert (suite["images"], suite["subset"], suite["dataset"]) == (TEST, 1, "mnist")
    assert suite["command"] == f"python -m core evaluate --suite tiny --samples {TEST} --models plain"


def test_some_images_into_other_folders(argv: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert main([*argv, "--samples", "3", "--out", "mine", "--results", "tables"]) == 0
    assert "in tables, values image by image in mine/rows" in capsys.readouterr().out
    with (tmp_path / "tables" / "summary.csv").open(newline="") as file:
        assert {row["images"] for row in csv.DictReader(file)} == {"1", "3"}
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["log", "rows"]


def test_ctrl_c_says_how_to_go_on(
    argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("core.evaluation.suite.work.Worker.compute", interrupt)
        assert main(argv) == 130
    assert capsys.readouterr().err == (
        "Finished jobs are in runs/tiny; go on with the same command.\nStopped.\n"
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--eps", "0.1"], "--eps is decided by --suite tiny; leave it out."),
        (["--targets", "likelihood"], "--targets is decided by"),
        (["--draws", "2"], "--draws is decided by"),
        (["--seed", "1"], "--seed is decided by"),
        (["--steps", "10"], "--steps is decided by"),
        (["--restarts", "2"], "--restarts is decided by"),
        (["--attack", "apgd"], "--attack is decided by"),
        (["--certificate", "crown"], "--certificate is decided by"),
        (["--summary", "means.csv"], "--summary is decided by"),
        (["--samples", str(TEST + 1)], f"--samples {TEST + 1} is more than the {TEST} images there are."),
        (["--samples", "0"], "--samples is 0"),
        (["--jobs", "0"], "--jobs is 0"),
        (["--models", "zebra"], "There is no model 'zebra'"),
        (["--dataset", "kmnist", "--data", "nowhere"], "is not complete in nowhere"),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_bad_input_is_one_sentence(
    more: list[str], sentence: str, argv: list[str], capsys: Capture
) -> None:
    assert main([*argv, *more]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("error: ")
    assert sentence in captured.err


@pytest.mark.parametrize("more", [["--jobs", "2"], ["--results", "tables"]])
def test_options_of_a_suite_without_one(more: list[str], capsys: Capture) -> None:
    assert main(["evaluate", *more]) == 2
    assert "--jobs and --results belong to --suite" in capsys.readouterr().err


def test_an_unknown_suite(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--suite", "thesis"])
    assert stop.value.code == 2
    assert "invalid choice: 'thesis' (choose from" in capsys.readouterr().err


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_without_models_all_of_the_data_set_are_evaluated(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SUITES, "tiny", TINY)
    monkeypatch.setattr(checkpoint, "MODELS", tmp_path / "models")
    for name, of in (("a", "fashion-mnist"), ("b", "mnist"), ("c", "mnist")):
        checkpoint.save_model(
            make_vae(widths=(8,)), tmp_path / "models" / name, {"training": PLAIN | {"dataset": of}}
        )
    data = write_mnist(tmp_path / "data", DATASETS[dataset])
    asked = ["evaluate", "--suite", "tiny", "--data", str(data), "--samples", "2", "--jobs", "1"]
    chosen = [] if dataset == "mnist" else ["--dataset", dataset]
    assert main([*asked, *chosen, "--out", str(tmp_path / "out")]) == 0
    suite = json.loads((tmp_path / "out" / "suite.json").read_text())
    assert list(suite["weights"]) == (["b", "c"] if dataset == "mnist" else ["a"])
    assert suite["dataset"] == dataset
    last = "".join(f" {word}" for word in chosen)
    assert suite["command"] == f"python -m core evaluate --suite tiny --samples 2{last}"
