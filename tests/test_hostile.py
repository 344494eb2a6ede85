"""Hostile inputs, all of them: refused with a sentence or taken as what they are; nothing else happens."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import safetensors.torch

from benchmarks.hostile import __main__ as hostile
from benchmarks.hostile.cases import CRASHED, REFUSED, TAKEN, Case, Outcome, hand_in
from benchmarks.hostile.watch import Watch
from core.errors import InputError

pytestmark = pytest.mark.slow

KINDS = (
    *(f"address of {page}" for page in ("explorer", "inspect", "compare", "lessons", "train")),
    *(f"address of {page}" for page in ("attack", "present", "results")),
    *("model name", "model folder"),
    *("upload", "drawing", "certificate", "dropped model"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def outcomes(place: Path) -> list[Outcome]:
    return hostile.run(place)


def test_there_are_many_of_every_kind(outcomes: list[Outcome]) -> None:
    count = Counter(outcome.case.kind for outcome in outcomes)
    assert set(count) >= set(KINDS)
    assert len(outcomes) > 2000
    assert min(count.values()) > 20


def test_none_crashes(outcomes: list[Outcome]) -> None:
    assert [(o.case.name, o.words) for o in outcomes if o.verdict == CRASHED] == []


def test_none_touches_a_file_outside_of_the_allowed_folders(outcomes: list[Outcome]) -> None:
    assert [(o.case.name, o.touched) for o in outcomes if o.touched] == []


def test_none_takes_long(outcomes: list[Outcome]) -> None:
    assert max(outcomes, key=lambda o: o.seconds).seconds < 30


def test_what_is_refused_is_told_so_in_a_sentence(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.verdict == REFUSED:
            assert outcome.words[0].isalnum() or outcome.words[0] in "/`", outcome
            assert outcome.words.rstrip()[-1] in ".)", outcome
            assert "Traceback" not in outcome.words


def test_models_are_only_those_that_are_listed(outcomes: list[Outcome]) -> None:
    verdicts = {o.case.name: o.verdict for o in outcomes if o.case.kind == "model folder"}
    taken = [name for name, verdict in verdicts.items() if verdict == TAKEN]
    assert taken == ["config.json: a Gaussian likelihood"]  # the same weights fit it
    assert {o.verdict for o in outcomes if o.case.kind == "model name"} == {REFUSED}


def test_the_list_that_is_kept_is_of_these_inputs(outcomes: list[Outcome], place: Path) -> None:
    """Encoders differ between machines, and with them which bits are turned: the numbers are the same."""
    kept, made = (
        list(csv.DictReader(lines))
        for lines in (
            hostile.OUT.read_text("utf-8").splitlines(),
            hostile.table(outcomes, place).splitlines(),
        )
    )
    assert list(kept[0]) == list(hostile.COLUMNS)
    assert Counter(row["kind"] for row in kept) == Counter(row["kind"] for row in made)
    assert {row["outcome"] for row in kept} == {TAKEN, REFUSED}
    ends = [
        {(row["kind"], row["input"]): row["outcome"] for row in rows if "turned" not in row["input"]}
        for rows in (kept, made)
    ]
    assert ends[0] == ends[1]
    # Every chunk of a PNG has a checksum: whatever bit is turned, it is another file's.
    turned = [row for row in kept if row["input"].startswith("PNG with bit")]
    assert turned
    assert {row["outcome"] for row in turned} == {REFUSED}
    assert {row["touched"] for row in kept} == {"0"}


def hand_in_one(run: object, allowed: Path) -> Outcome:
    case = Case("test", "one", run)  # type: ignore[arg-type]
    return hand_in([case], Watch([allowed]))[0]


def test_the_watch_sees_what_it_must(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "x").write_text("x")
    (inside / "link").symlink_to(outside / "x")
    safetensors.torch.save_file({}, outside / "w.safetensors")

    def start() -> str:
        return str(subprocess.run([sys.executable, "-c", ""], check=True))

    seen = {
        "open": lambda: (outside / "x").read_text(),
        "open through a link": lambda: (inside / "link").read_text(),
        "list": lambda: str(os.listdir(outside)),
        "make": lambda: str((outside / "new").mkdir()),
        "safetensors": lambda: str(safetensors.torch.load_file(outside / "w.safetensors")),
        "start": start,
    }
    for name, run in seen.items():
        outcome = hand_in_one(run, inside)
        assert outcome.verdict == TAKEN, name
        assert outcome.touched, name
    assert hand_in_one(lambda: str(list(inside.iterdir())), inside).touched == ()
    (outside / "x").read_text()  # nobody watches any more


def test_a_crash_is_told_from_a_refusal(tmp_path: Path) -> None:
    def crash() -> str:
        raise KeyError("x")

    def refuse() -> str:
        raise InputError("No.")

    assert hand_in_one(crash, tmp_path).verdict == CRASHED
    assert hand_in_one(refuse, tmp_path).verdict == REFUSED
