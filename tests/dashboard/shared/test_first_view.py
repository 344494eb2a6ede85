"""What the explorer opens with is computed ahead; whatever is not about what is here now is left alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

import core
from core.data.samples import ASSETS
from core.evaluation.curve import Proof
from core.vae import checkpoint
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import default_state
from dashboard.explorer.stage import precompute
from dashboard.shared import compute, first_view, tighter_bounds
from tests.dashboard.page_parts import count, metric

MODELS = ASSETS / "models"


def quiet(now: object) -> None:
    pass


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped models in place of the tiny ones."""
    monkeypatch.setattr(checkpoint, "MODELS", MODELS)
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is shipped."""
    for name in (first_view.WORDS, first_view.ARRAYS):
        shutil.copy(ASSETS / "results" / name, tmp_path / name)
    monkeypatch.setattr(first_view, "FOLDER", tmp_path)
    return tmp_path


def found(name: str = "mnist-mlp-standard") -> bool:
    state = default_state(core.list_models())
    return first_view.result(name, state.digit, state.settings, state.grid) is not None


@pytest.mark.usefixtures("real")
def test_the_page_opens_without_computing_anything(opened: AppTest, monkeypatch: pytest.MonkeyPatch):
    for name in ("elbo_curve", "certify", "refine", "attack"):
        monkeypatch.delattr(core, name)
    app = opened.run()
    assert not app.exception
    assert not app.error
    assert count(app) == 8
    assert metric(app, "Proved", 1) == "−242.6 nats"
    assert "Proofs complete." in [said.value for said in app.caption]


@pytest.mark.usefixtures("real")
def test_what_is_shipped_is_what_is_computed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    view = first_view.read(first_view.FOLDER)
    state = default_state(core.list_models())
    assert (view.index, view.settings) == (state.index, state.settings)
    assert list(view.results) == [state.left, state.right]
    monkeypatch.setattr(first_view, "FOLDER", tmp_path / "none")
    for name, kept in view.results.items():
        again = compute.explore(name, state.digit, state.settings, state.grid, quiet)
        assert kept.curve.clean == pytest.approx(again.curve.clean, abs=1e-3)
        assert torch.allclose(kept.curve.attained, again.curve.attained, rtol=0.01, atol=0.5)
        assert kept.recon_image == pytest.approx(again.recon_image, abs=1e-4)
        for was, now in zip(kept.curve.proofs, again.curve.proofs, strict=True):
            assert same(was, now)
        whole = tighter_bounds.grid(name, state.digit, state.settings.proof, "crown-ibp", state.grid, quiet)
        for was, now in zip(view.bounds[name, "crown-ibp", state.grid], whole, strict=True):
            assert same(was, now)
    points = [(name, radii[0]) for name, method, radii in view.bounds if method == "alpha-crown"]
    for name, eps in (points[0], points[-1]):
        again = tighter_bounds.point(name, state.digit, state.settings.proof, "alpha-crown", eps, quiet)
        for was, now in zip(view.bounds[name, "alpha-crown", (eps,)], again, strict=True):
            assert same(was, now)


def same(was: Proof, now: Proof) -> bool:
    assert (was.eps, was.method) == (now.eps, now.method)
    return was.bound == pytest.approx(now.bound, rel=1e-3, abs=0.1)


@pytest.mark.usefixtures("real")
def test_no_shipped_bound_is_beaten_by_what_is_attained():
    state = default_state(core.list_models())
    view = first_view.read(first_view.FOLDER)
    for name, kept in view.results.items():
        _, x, noise = compute.question(name, Digit(view.index), state.settings.proof)
        attacked = torch.from_numpy(kept.attacked)[:, None]
        scored = core.elbo(core.load_model(name), attacked, noise).total
        assert torch.allclose(scored, kept.curve.attained, atol=1e-3)
        radii = kept.curve.eps
        assert bool(((attacked - x).abs().flatten(1).amax(1) <= radii + 1e-6).all())
        proofs = [p for (model, _, _), all_ in view.bounds.items() if model == name for p in all_]
        curve = kept.curve.add(proofs)
        assert bool((curve.proved() <= curve.attained).all())
        assert len(proofs) > 31


@pytest.mark.usefixtures("real")
def test_another_question_is_not_answered(folder: Path):
    state = default_state(core.list_models())
    settings, grid, name = state.settings, state.grid, state.left
    assert first_view.result(name, Digit(0), settings, grid) is not None
    assert first_view.result(name, Digit(1), settings, grid) is None
    assert first_view.result(name, Digit(0, b"own"), settings, grid) is None
    assert first_view.result(name, Digit(0), replace(settings, seed=1), grid) is None
    assert first_view.result(name, Digit(0), settings, grid[:-1]) is None
    assert first_view.result("mnist-conv-standard", Digit(0), settings, grid) is None
    assert first_view.proofs(name, Digit(0), settings.proof, "alpha-crown", (state.eps,)) is not None
    assert first_view.proofs(name, Digit(0), settings.proof, "alpha-crown", (0.11,)) is None


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("name", [first_view.WORDS, first_view.ARRAYS])
@pytest.mark.parametrize("damage", ["gone", "empty", "short", "changed"])
def test_a_damaged_file_is_left_alone(folder: Path, name: str, damage: str):
    assert found()
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "short":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        middle = content.rindex(b"1")
        path.write_bytes(content[:middle] + b"2" + content[middle + 1 :])
    assert not found()


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("image", "0" * 64),
        ("models", {"mnist-mlp-standard": "0" * 64}),
        ("settings", {"x": 1}),
    ],
)
def test_a_stale_file_is_left_alone(folder: Path, field: str, value: object):
    words = json.loads((folder / first_view.WORDS).read_text())
    words[field] = value
    words["checksum"] = first_view.checksum(words, (folder / first_view.ARRAYS).read_bytes())
    (folder / first_view.WORDS).write_text(json.dumps(words))
    assert not found()


def test_other_models_of_the_same_name_are_not_taken_for_them(opened: AppTest):
    """The tiny models of these tests have the names of the shipped ones."""
    assert not found()
    assert metric(opened.run(), "Clean", 0) != "−75 nats"


def test_it_is_written_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(first_view, "FOLDER", tmp_path / "there")
    precompute.main()
    view = first_view.read(tmp_path / "there")
    assert found()
    state = default_state(core.list_models())
    monkeypatch.setattr(first_view, "FOLDER", tmp_path / "none")
    for name, kept in view.results.items():
        again = compute.explore(name, state.digit, state.settings, state.grid, quiet)
        assert torch.equal(kept.curve.eps, again.curve.eps)
        assert kept.curve.proofs == again.curve.proofs
        assert torch.equal(kept.curve.x_adv, again.curve.x_adv)
        assert (kept.attacked == again.attacked).all()
        assert (kept.terms.kl == again.terms.kl).all()
    assert {method for _, method, _ in view.bounds} == {"crown-ibp", "alpha-crown"}
