"""Bad input on the command line: exit code 2 and one sentence, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.command_line.cli import main

Capture = pytest.CaptureFixture[str]


def refused(argv: list[str], capture: Capture) -> str:
    """Run a command that has to fail; returns its one sentence."""
    assert main(argv) == 2
    out = capture.readouterr()
    assert out.out == ""
    lines = out.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("argv", [[], ["fly"], ["certify"], ["certify", "--model", "m"], ["train"]])
def test_usage_errors(argv: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "usage: python -m core" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["certify", "--model", "zebra", "--index", "0"], "There is no model 'zebra'"),
        (
            ["certify", "--model", "MODEL", "--index", "500"],
            "--index is 500; the images of the model are 0",
        ),
        (["certify", "--model", "MODEL", "--index", "-1"], "--index is -1"),
        (["certify", "--model", "MODEL", "--image", "none.png"], "none.png cannot be read"),
        (["certify", "--model", "MODEL", "--index", "0", "--eps", "1.5"], "eps is 1.5"),
        (["certify", "--model", "MODEL", "--index", "0", "--eps", "nan"], "eps is nan"),
        (["certify", "--model", "MODEL", "--index", "0", "--draws", "0"], "--draws is 0"),
        (["certify", "--model", "MODEL", "--index", "0", "--draws", "1000000"], "--draws is 1000000"),
        (["attack", "--model", "MODEL", "--index", "0", "--seed", "-1"], "seed is -1"),
        (["attack", "--model", "MODEL", "--index", "0", "--steps", "0"], "steps is 0"),
        (["attack", "--model", "MODEL", "--index", "0", "--restarts", "-1"], "restarts is -1"),
        (["evaluate", "--models", "zebra"], "There is no model 'zebra'"),
        (["evaluate", "--models", "MODEL", "--samples", "0"], "--samples is 0"),
        (["evaluate", "--models", "MODEL", "--samples", "501"], "--samples 501 is more than the 500"),
        (["evaluate", "--models", "MODEL", "--dataset", "cifar10"], "No cifar10-test.npz is shipped"),
        (["evaluate", "--models", "MODEL", "--draws", "0"], "--draws is 0"),
        (["train", "--out", "TMP/new", "--epochs", "0"], "epochs is 0"),
        (["train", "--out", "TMP/new", "--eps", "2"], "eps is 2.0"),
        (["train", "--out", "TMP/new", "--arch", "conv", "--widths", "8"], "conv needs three"),
        (["train", "--out", "TMP/new", "--data", "TMP/absent"], "--data DIR"),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_bad_input_is_one_sentence(
    argv: list[str],
    sentence: str,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [word.replace("MODEL", model).replace("TMP", str(tmp_path)) for word in argv]
    assert sentence in refused(argv, capsys)
    assert [p.name for p in tmp_path.iterdir() if p.name != "absent"] in ([], ["results.csv"])
