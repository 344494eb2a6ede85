from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import core
from core.certificates.certificate import STATES, Certificate
from core.certificates.methods import METHODS
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import FAST, Settings
from dashboard.server.background import Now
from dashboard.shared import tighter_bounds
from tests.dashboard.page_parts import NAMES

SETTINGS = Settings(draws=2, target="reconstruction")


def ignore(now: Now) -> None:
    pass


def certified(eps: float, method: str) -> Certificate:
    vae = core.load_model(NAMES[0])
    x, noise = core.load_samples("mnist")[0][3:4], core.sample_noise(vae, 2, 0)
    return core.certify(vae, x, noise, eps=eps, target="reconstruction", method=method)


@pytest.mark.parametrize("method", FAST)
def test_the_grid_is_what_core_proves_radius_by_radius(method: str):
    found = tighter_bounds.grid(NAMES[0], Digit(3), SETTINGS.proof, method, (0.0, 0.05, 0.1), ignore)
    assert [(p.eps, p.method) for p in found] == [(0.0, method), (0.05, method), (0.1, method)]
    assert found[1].bound == pytest.approx(certified(0.05, method).lower.item())


def test_a_point_has_the_bound_of_every_method_on_the_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(tighter_bounds.ROUNDS, "bab", 10)
    seen: list[Now] = []
    found = tighter_bounds.point(NAMES[0], Digit(3), SETTINGS.proof, "bab", 0.05, seen.append)
    assert [p.method for p in found] == list(METHODS)
    # Which of them a visitor sees depends on how fast they come: each time what is in, in order.
    assert seen
    assert all([p.method for p in now.proofs] == list(METHODS[: len(now.proofs)]) for now in seen)
    counts = [len(now.proofs) for now in seen]
    assert counts == sorted(counts)
    assert all(0 <= now.share <= 1 for now in seen)
    assert [p.bound for p in found] == sorted(p.bound for p in found)
    assert {p.eps for p in found} == {0.05}
    for proof in found[:4]:
        assert proof.bound == pytest.approx(certified(0.05, proof.method).lower.item(), abs=1.0)
        assert f"({proof.method}," in proof.statement


def test_the_second_time_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch):
    first = tighter_bounds.point(NAMES[0], Digit(3), SETTINGS.proof, "crown", 0.05, ignore)
    monkeypatch.delattr(core, "refine")
    assert tighter_bounds.point(NAMES[0], Digit(3), SETTINGS.proof, "crown", 0.05, ignore) == first
    # Another attack asks for no other proof.
    other = replace(SETTINGS, attack="apgd", steps=9, restarts=2)
    assert tighter_bounds.point(NAMES[0], Digit(3), other.proof, "crown", 0.05, ignore) == first


@pytest.mark.parametrize("states", STATES[1:])
@pytest.mark.parametrize("method", METHODS)
def test_a_statement_on_the_noise_is_by_one_method_fixed_beforehand(method: str, states: str):
    used = tighter_bounds.sampled_method(method, states)
    assert METHODS.index(used) <= METHODS.index(method)
    assert used == "ibp" or method != "ibp"
    if method in FAST or states == "coverage":
        return
    (found,) = tighter_bounds.statement(NAMES[0], Digit(3), SETTINGS.proof, used, states, 0.05, ignore)
    assert found.method == used
    assert "99 %" in found.statement
    assert torch.isfinite(torch.tensor(found.bound))


def test_the_seed_is_that_of_the_page():
    ask = (Digit(3), SETTINGS.proof, "ibp", "coverage", 0.05, ignore)
    (first,) = tighter_bounds.statement(NAMES[0], *ask)
    (other,) = tighter_bounds.statement(NAMES[0], ask[0], replace(SETTINGS, seed=1).proof, *ask[2:])
    assert first.bound != other.bound
    assert first.bound == pytest.approx(other.bound, abs=50)
