"""Where results go: checked before the work, files replaced whole, streams passed on; printing is safe."""

from __future__ import annotations

import importlib
import io
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.claims.claim import read_claim
from core.command_line import cli
from core.command_line.cli import main
from core.data.files import check_file, check_folder, write_bytes
from core.errors import OutputError
from core.evaluation.suite import run

evaluate, training = (
    importlib.import_module(f"core.{name}") for name in ("evaluation.evaluate", "training.train")
)
Capture = pytest.CaptureFixture[str]
ONE = ["--index", "0", "--eps", "0.01"]


def writers(model: str) -> dict[str, list[str]]:
    """Each command and option that names a file or folder to write, without the name."""
    few = ["--samples", "1", "--eps", "0.01", "--steps", "1", "--targets", "likelihood"]
    return {
        "certify": ["certify", "--model", model, *ONE, "--out"],
        "attack": ["attack", "--model", model, *ONE, "--steps", "1", "--out"],
        "evaluate": ["evaluate", "--models", model, *few, "--out"],
        "summary": ["evaluate", "--models", model, *few, "--out", os.devnull, "--summary"],
        "train": ["train", "--epochs", "1", "--out"],
        "suite": ["evaluate", "--suite", "paper", "--models", model, "--samples", "1", "--out"],
        "results": ["evaluate", "--suite", "paper", "--models", model, "--samples", "1", "--results"],
    }


ROOT = Path(__file__).resolve().parents[2]
FILES, FOLDERS = ("certify", "attack", "evaluate", "summary"), ("train", "suite", "results")


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything that takes time is an error."""

    def work(*args: object, **kwargs: object) -> None:
        raise AssertionError("work was begun")

    for module, name in ((cli, "load_model"), (cli, "evaluate"), (run, "make_plan")):
        monkeypatch.setattr(module, name, work)
    monkeypatch.setattr(training, "load_dataset", work)
    monkeypatch.setattr("core.evaluation.suite.command.load_test", lambda *args: (None, None, None))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, a file in the way, a folder and a file that may not be written to."""
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "locked").mkdir()
    (tmp_path / "read-only.npy").write_text("mine")
    denied = {tmp_path / "locked", tmp_path / "read-only.npy"}
    access = os.access  # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in denied and access(path, mode))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", FILES)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        (".", "Is a directory"),
        ("folder.npy", "Is a directory"),
        ("new/", "name of a folder"),
        ("file/x.npy", "Not a directory"),
        ("locked/x.npy", "Permission denied"),
        ("locked/new/x.npy", "Permission denied"),
        ("read-only.npy", "Permission denied"),
        ("x" * 300 + ".npy", "too long"),
    ],
)
def test_a_file_is_refused_before_the_work(
    command: str, name: str, reason: str, places: Path, capsys: Capture
) -> None:
    before = sorted(places.rglob("*"))
    assert main([*writers("m")[command], name]) == 2
    assert reason in capsys.readouterr().err
    assert sorted(places.rglob("*")) == before


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("-", "is a stream"),
        ("/dev/stdout", "is a stream"),
        ("file", "Not a directory"),
        ("file/x", "Not a directory"),
        ("locked", "Permission denied"),
        ("locked/x", "Permission denied"),
    ],
)
def test_a_folder_is_refused_before_the_work(
    command: str, name: str, reason: str, places: Path, capsys: Capture
) -> None:
    before = sorted(places.rglob("*"))
    assert main([*writers("m")[command], name]) == 2
    assert reason in capsys.readouterr().err
    assert sorted(places.rglob("*")) == before


@pytest.mark.usefixtures("no_work")
def test_rows_and_means_do_not_share_a_file(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "link").symlink_to("rows.csv")
    for out, summary in ((str(tmp_path / "rows.csv"), str(tmp_path / "link")), ("-", "/dev/stdout")):
        assert main(["evaluate", "--models", "m", "--out", out, "--summary", summary]) == 2
        assert "--out and --summary are both" in capsys.readouterr().err
    assert main(["attack", "--model", "m", "--index", "0", "--out", str(tmp_path / "x.jpg")]) == 2
    assert "must end in .npy" in capsys.readouterr().err


def test_a_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    file, link, dangling = tmp_path / "deep" / "file", tmp_path / "link", tmp_path / "dangling"
    write_bytes(file, b"new")
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask()
    file.chmod(0o640)
    link.symlink_to("deep/file")
    dangling.symlink_to("deep/later")
    write_bytes(link, b"newer")
    write_bytes(dangling, b"later")
    assert (link.is_symlink(), dangling.is_symlink()) == (True, True)
    assert (file.read_bytes(), (tmp_path / "deep" / "later").read_bytes()) == (b"newer", b"later")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    write_bytes(tmp_path / ("y" * 250), b"a long name")
    assert not list(tmp_path.rglob("*.part"))


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_that_leads_to_itself_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for check in (check_file, check_folder, lambda path: write_bytes(path, b"")):
        with pytest.raises(OutputError, match="cannot be written"):
            check(tmp_path / "a")


@pytest.mark.parametrize("command", FILES)
def test_devices_and_pipes_stay_what_they_are(command: str, model: str, tmp_path: Path) -> None:
    pipe, device, found = tmp_path / "pipe", tmp_path / "device", list[bytes]()
    os.mkfifo(pipe)
    device.symlink_to(os.devnull)
    assert main([*writers(model)[command], str(device)]) == 0
    assert os.path.realpath(device) == os.devnull
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert main([*writers(model)[command], str(pipe)]) == 0
    reader.join(timeout=30)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert READ[command](found[0])
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "small") == ["device", "pipe"]


READ: dict[str, Callable[[bytes], object]] = {
    "certify": read_claim,
    "attack": lambda content: np.load(io.BytesIO(content)).shape == (1, 28, 28),
    "evaluate": lambda content: content.startswith(b"model,image,label,eps"),
    "summary": lambda content: content.startswith(b"model,target,eps,images"),
}


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
@pytest.mark.parametrize("command", FILES)
def test_standard_output_holds_the_file_alone(
    command: str, name: str, model: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    argv = writers(model)[command]
    if command == "summary":
        argv = [os.path.join(os.path.dirname(model), "rows.csv") if w == os.devnull else w for w in argv]
    assert main([*argv, name]) == 0
    out, err = capfdbinary.readouterr()
    assert READ[command](out)
    assert b"certified" in err or b"attacked" in err
    assert not os.path.exists("-")


def test_results_are_written_before_they_are_printed(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outs = {name: tmp_path / f"{name}.npy" for name in FILES}

    class Watching(io.StringIO):
        def write(self, text: str) -> int:
            assert outs[command].stat().st_size > 0
            return len(text)

    for command in FILES:
        monkeypatch.setattr(sys, "stdout", Watching())
        assert main([*writers(model)[command], str(outs[command])]) == 0


def test_results_that_cannot_be_written_are_printed(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def full(*args: object) -> None:
        raise OutputError("The disk is full.")

    monkeypatch.setattr(cli, "write_bytes", full)
    assert main([*writers(model)["certify"], str(tmp_path / "claim")]) == 2
    out, err = capsys.readouterr()
    assert "certified " in out
    assert "certificate in" not in out
    assert err.endswith("error: The disk is full.\n")


def test_rows_of_a_stream_stop_where_nobody_reads(model: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        assert main([*writers(model)["evaluate"], f"/dev/fd/{write}"]) == 141
        with pytest.raises(BrokenPipeError):
            write_bytes(f"/dev/fd/{write}", b"certificate")
    finally:
        os.close(write)


SHELL = 'exec "$0" -m core certify --model "$1" --index 0 --eps 0.01 '
"""A command as a shell starts it; what follows says where its output goes."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("| head -n 0", 0, ""),
        (">&- 2>&-", 0, ""),
        ("--out - | head -n 0", 141, "certified"),
        ("--out saved.json > /dev/full; cat saved.json", 0, "error: What is printed cannot be written"),
    ],
)
def test_a_closed_or_full_output_is_no_traceback(
    where: str, status: int, said: str, model: str, tmp_path: Path
) -> None:
    root = Path(__file__).resolve().parents[2]
    script = (
        f"set -o pipefail; {SHELL.replace('exec ', '') if '|' in where or ';' in where else SHELL}{where}"
    )
    env = os.environ | {"PYTHONPATH": str(root)}
    argv = ["bash", "-c", script, sys.executable, model]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    for sign in ("Traceback", "Exception ignored", "Errno"):
        assert sign not in done.stderr
    if "cat" in where:
        assert json.loads(done.stdout)["eps"] == 0.01


def test_letters_that_an_output_has_not_are_printed_as_numbers(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    out = tmp_path / "Käse\udcff.json"
    assert main([*writers(model)["certify"], str(out)]) == 0
    assert read_claim(out.read_bytes())
    assert b"K\\xe4se\\udcff.json" in ascii_only.buffer.getvalue()  # type: ignore[attr-defined]


def test_names_of_models_that_are_no_text_are_written_all_the_same(tmp_path: Path) -> None:
    mean = evaluate.Summary("m\udcff", "likelihood", 0.1, 1, -1.0, -2.0, -3.0, 0)
    assert list(evaluate.write_rows([mean], tmp_path / "means.csv", evaluate.Summary)) == [mean]
    assert "m\\udcff,likelihood" in (tmp_path / "means.csv").read_text(encoding="utf-8")


EACH = """
import json, sys
from core.command_line.cli import main
for words in json.loads(sys.argv[1]):
    print("status", main(words), file=sys.stderr)
"""
"""Many commands in one process, which takes seconds to start."""


@pytest.mark.slow
def test_a_closed_standard_output_is_refused_before_the_work(model: str) -> None:
    commands = [
        [*writers(model)[command], name]
        for command in ("certify", "attack", "evaluate")
        for name in ("-", "/dev/stdout", "/dev/fd/1")
    ]
    for words in (["-m", "core", *commands[0]], ["-c", EACH, json.dumps(commands)]):
        ran = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, *words],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert "Traceback" not in ran.stderr
        if words[0] == "-m":
            assert ran.returncode == 2, ran.stderr
            assert "cannot be written" in ran.stderr
        else:
            *said, rest = ran.stderr.split("status 2\n")
            assert (len(said), rest) == (len(commands), ""), ran.stderr
            assert all("cannot be written" in sentence for sentence in said), ran.stderr


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("name", ["/dev/fd/77", "/proc/self/fd/77", "a" * 300, f"{'b' * 300}/file.csv"])
@pytest.mark.parametrize("command", FILES)
def test_names_that_cannot_be_opened_are_refused_before_the_work(
    command: str, name: str, model: str, capsys: Capture
) -> None:
    assert main([*writers(model)[command], name]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", FOLDERS)
def test_folders_of_impossible_names_are_refused_before_the_work(
    command: str, model: str, capsys: Capture
) -> None:
    assert main([*writers(model)[command], f"runs/{'a' * 300}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.write_text("before")
    os.chown(path, 1234, 1234)
    path.chmod(0o600)
    write_bytes(path, b"after")
    assert (path.stat().st_uid, path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (
        1234,
        1234,
        0o600,
    )


@pytest.mark.parametrize("words", [["certify", *ONE], ["attack", *ONE], ["radius", "--index", "0"]])
def test_a_model_of_an_impossible_name_is_a_sentence(words: list[str], capsys: Capture) -> None:
    assert main([words[0], "--model", "a" * 300, *words[1:]]) == 2
    assert "There is no model" in capsys.readouterr().err


def test_a_model_of_an_impossible_name_is_not_the_outputs_fault(tmp_path: Path, capsys: Capture) -> None:
    assert main(["evaluate", "--models", "a" * 300, "--out", str(tmp_path / "rows.csv")]) == 2
    assert "There is no model" in capsys.readouterr().err


def test_a_file_that_may_not_be_given_away_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chown(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (path := tmp_path / "theirs").write_text("before")
    monkeypatch.setattr(os, "chown", chown)
    write_bytes(path, b"after")
    assert path.read_text() == "after"
