"""Rows of an evaluation: order, columns, the chain, the constant decoder."""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import core
from core.data.samples import load_levels
from core.errors import CoreError, InputError, ModelNotFoundError, OutputError
from core.evaluation.evaluate import CONSTANT, Row, Summary, summarise, write_rows
from core.training.baseline import fit_constant_decoder
from core.vae.checkpoint import save_model
from core.vae.likelihood import Bernoulli
from tests.conftest import make_vae

EPS = (0.0, 0.03)
TARGETS = ("likelihood", "reconstruction")
Digits = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("models")
    for name, vae in {
        "one": make_vae(),
        "two": make_vae("conv", seed=1),
        "three": make_vae(likelihood="gaussian", sigma=0.5),
    }.items():
        save_model(vae, root / name, {})
    return [root / "one", root / "two", root / "three"]


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    x, y = core.load_samples("mnist")
    return x[:4], y[:4]


@pytest.fixture(scope="module")
def rows(models: list[Path], digits: Digits) -> list[Row]:
    return list(core.evaluate(models, *digits, eps=EPS, draws=2, seed=5, steps=3, levels=load_levels()))


def test_every_row_once_and_in_order(rows: list[Row], digits: Digits) -> None:
    names = [f"{CONSTANT}-bernoulli", f"{CONSTANT}-gaussian", "one", "two", "three"]
    expected = [(n, t, e, i) for n in names for t in TARGETS for e in EPS for i in range(4)]
    assert [(r.model, r.target, r.eps, r.image) for r in rows] == expected
    assert [r.label for r in rows] == digits[1].tolist() * (len(rows) // 4)
    assert {(r.draws, r.seed) for r in rows} == {(2, 5)}
    assert all(r.seconds >= 0 for r in rows)


def test_the_chain_holds_in_every_row(rows: list[Row]) -> None:
    for row in rows:
        assert row.certified <= row.attacked <= row.clean + 1e-9, row
        assert not any(map(math.isnan, (row.clean, row.attacked, row.certified)))
    assert any(row.attacked < row.clean - 0.1 for row in rows if row.model == "one")


def test_rows_are_what_the_functions_say(rows: list[Row], digits: Digits, models: list[Path]) -> None:
    vae = core.load_model(models[1])
    noise = core.sample_noise(vae, 2, 5)
    some = [r for r in rows if (r.model, r.target, r.eps) == ("two", "reconstruction", 0.03)]
    found = core.attack(vae, digits[0], noise, eps=0.03, target="reconstruction", steps=3, seed=5)
    proved = core.certify(vae, digits[0], noise, eps=0.03, target="reconstruction")
    assert [r.clean for r in some] == core.elbo(vae, digits[0], noise).total.tolist()
    assert [r.attacked for r in some] == found.elbo.tolist()
    assert [r.certified for r in some] == proved.lower.tolist()
    assert {(r.attack, r.certificate) for r in some} == {("pgd", "ibp")}


def test_the_ceiling_is_that_of_the_model_and_nothing_is_certified_above(
    rows: list[Row], digits: Digits, models: list[Path]
) -> None:
    assert all(row.certified <= row.ceiling for row in rows)
    for name, path in zip(("one", "two", "three"), models, strict=True):
        vae = core.load_model(path)
        for target in TARGETS:
            some = [r for r in rows if (r.model, r.target, r.eps) == (name, target, EPS[-1])]
            assert [r.ceiling for r in some] == core.ceiling(vae, digits[0], EPS[-1], target).tolist()


def test_constant_decoder_rows_are_exact(rows: list[Row], digits: Digits) -> None:
    constant = [r for r in rows if r.model == f"{CONSTANT}-bernoulli"]
    assert {(r.attack, r.certificate) for r in constant} == {("closed-form", "closed-form")}
    assert all(r.attacked == r.certified for r in constant)
    for target in TARGETS:
        for eps in EPS:
            decoder = fit_constant_decoder(load_levels(), Bernoulli(), eps, target)
            some = [r for r in constant if (r.target, r.eps) == (target, eps)]
            assert [r.certified for r in some] == decoder.lower(digits[0].double(), eps, target).tolist()
            assert [r.clean for r in some] == decoder.elbo(digits[0].double()).tolist()


def test_batches_do_not_show(
    rows: list[Row], models: list[Path], digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["core.evaluation.evaluate"], "BATCH", 3)
    again = list(core.evaluate(models[:1], *digits, eps=EPS, draws=2, seed=5, steps=3))
    before = [r for r in rows if r.model == "one"]
    assert [r.image for r in again] == [r.image for r in before]
    for new, old in zip(again, before, strict=True):
        assert new.certified == pytest.approx(old.certified, rel=1e-12)
        assert new.attacked == pytest.approx(old.attacked, rel=1e-5)
        assert new.certified <= new.attacked <= new.clean


def test_clean_and_attacked_are_scored_in_the_same_batches(
    models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another batch size changes the last bits; at eps = 0 the two values are one.
    x, y = core.load_samples("mnist")
    monkeypatch.setattr(sys.modules["core.evaluation.evaluate"], "BATCH", 1)
    for row in core.evaluate(models, x[:12], y[:12], eps=[0.0], draws=3, steps=1):
        assert row.attacked == row.clean


def test_written_rows_can_be_read_back(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.csv"
    vacuous = replace(rows[0], certified=-math.inf)
    passed = list(write_rows([*rows, vacuous], path, Row))
    assert passed == [*rows, vacuous]
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        back: list[dict[str, Any]] = list(reader)
    assert reader.fieldnames == [f.name for f in fields(Row)]
    assert len(back) == len(passed)
    kinds = {"int": int, "float": float, "str": str}
    for text, row in zip(back, passed, strict=True):
        assert Row(**{f.name: kinds[str(f.type)](text[f.name]) for f in fields(Row)}) == row


def test_a_row_is_in_the_file_as_soon_as_it_is_known(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for count, _ in enumerate(write_rows(rows, path, Row), 1):
        assert len(path.read_text().splitlines()) == 1 + count


def test_rows_that_came_before_a_failure_are_kept(rows: list[Row], tmp_path: Path) -> None:
    def failing() -> Any:
        yield rows[0]
        raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        list(write_rows(failing(), tmp_path / "rows.csv", Row))
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 2


def test_a_file_is_kept_until_there_is_a_first_row(rows: list[Row], tmp_path: Path) -> None:
    def failing() -> Any:
        raise InputError("stop")
        yield rows[0]

    path = tmp_path / "rows.csv"
    list(write_rows(rows, path, Row))
    before = path.read_text()
    with pytest.raises(InputError, match="stop"):
        list(write_rows(failing(), path, Row))
    assert path.read_text() == before
    list(write_rows(rows[:1], path, Row))
    assert path.read_text().splitlines() == before.splitlines()[:2]


def test_a_file_that_cannot_be_written(rows: list[Row], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "rows.csv", tmp_path):
        with pytest.raises(OutputError, match="cannot be written"):
            list(write_rows(rows, path, Row))


def test_summaries_can_be_written_too(rows: list[Row], tmp_path: Path) -> None:
    means = summarise(rows)
    assert list(write_rows(means, tmp_path / "means.csv", Summary)) == means
    lines = (tmp_path / "means.csv").read_text().splitlines()
    assert lines[0] == "model,target,eps,images,clean,attacked,certified,vacuous,ceiling"
    assert len(lines) == len(means) + 1


def test_summary_by_hand(rows: list[Row]) -> None:
    a = replace(rows[0], model="m", target="likelihood", eps=0.1, clean=-1, attacked=-2, certified=-3)
    a = replace(a, ceiling=-0.5)
    b = replace(a, clean=-3, attacked=-4, certified=-9, ceiling=-1.5)
    c = replace(a, eps=0.2, certified=-math.inf, ceiling=math.inf)
    assert summarise([a, c, b]) == [
        Summary("m", "likelihood", 0.1, 2, -2, -3, -6, 0, -1),
        Summary("m", "likelihood", 0.2, 1, -1, -2, -math.inf, 1),
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"eps": [2.0]}, InputError),
        ({"targets": ["both"]}, InputError),
        ({"draws": 0}, InputError),
        ({"seed": -1}, InputError),
        ({"steps": 0}, InputError),
        ({"attack": "none"}, InputError),
        ({"certificate": "none"}, InputError),
        ({"models": ["nowhere"]}, ModelNotFoundError),
        ({"device": "tpu"}, InputError),
    ],
)
def test_bad_arguments(
    change: dict[str, Any], error: type[CoreError], models: list[Path], digits: Digits
) -> None:
    with pytest.raises(error):
        list(core.evaluate(**{"models": models[:1], "x": digits[0], "y": digits[1], "eps": [0.1]} | change))


def test_models_are_loaded_before_the_first_row(models: list[Path], digits: Digits) -> None:
    with pytest.raises(ModelNotFoundError):
        next(core.evaluate([models[0], "nowhere"], *digits, eps=[0.0], steps=1))
    with pytest.raises(InputError, match="this model needs"):
        next(core.evaluate(models[:1], torch.zeros(1, 3, 32, 32), digits[1][:1], eps=[0.0]))


def test_two_folders_of_one_name_are_both_evaluated(
    models: list[Path], digits: Digits, tmp_path: Path
) -> None:
    save_model(make_vae(seed=9), tmp_path / "one", {})
    both = [models[0], tmp_path / "one"]
    found = list(core.evaluate(both, *digits, eps=[0.0], targets=["likelihood"], steps=1))
    assert len({row.clean for row in found}) == 8
