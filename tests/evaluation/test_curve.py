"""Curves over eps, and the sentences that are read off them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import core
from core.errors import InputError
from core.evaluation.curve import Curve, Proof, Verdict, proofs_of
from tests.conftest import make_images, make_vae

GRID = [0.0, 0.01, 0.03, 0.1, 0.5]


@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
@pytest.mark.parametrize("method", ["fgsm", "pgd"])
@pytest.mark.parametrize("arch", ["mlp", "conv"])
def test_falls_and_keeps_the_order(target: str, method: str, arch: str) -> None:
    vae = make_vae(arch, scale=1.5)
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    curve = core.elbo_curve(vae, x, noise, GRID, target=target, method=method, steps=3)
    assert curve.eps.tolist() == GRID
    assert bool((curve.attained.diff() <= 0).all())
    assert bool((curve.proved().diff() <= 0).all())
    assert bool((curve.proved() <= curve.attained).all())
    assert bool((curve.attained <= curve.clean + 1e-9).all())
    assert curve.attained[0].item() == pytest.approx(curve.clean, rel=1e-12)
    assert curve.attained[-1] < curve.clean
    for i, eps in enumerate(GRID):
        point = curve.x_adv[i : i + 1]
        assert (point - x).abs().max() <= eps + 1e-6
        t = point if target == "likelihood" else x
        assert core.elbo(vae, point, noise, t).total.item() == pytest.approx(curve.attained[i].item())
        proved = core.certify(vae, x, noise, eps=eps, target=target).lower.item()
        assert curve.proved()[i].item() >= proved - 1e-9 * abs(proved)


def test_a_stronger_result_at_another_radius_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # An attack that fails at the middle radius, and a certificate that is loose at the first.
    vae = make_vae()
    x, noise, eps = make_images(vae, 1), core.sample_noise(vae), [0.0, 0.1, 0.2, 0.3]
    found = core.attack(vae, x.expand(4, -1, -1, -1), noise, eps=torch.tensor(eps), steps=1)
    proved = core.certify(vae, x.expand(4, -1, -1, -1), noise, eps=torch.tensor(eps))
    points = torch.arange(4.0).view(4, 1, 1, 1).expand_as(found.x_adv)
    values = torch.tensor([-1.0, -5, -3, -6]), torch.tensor([-20.0, -10, -30, -torch.inf])
    found, proved = (
        replace(found, elbo=values[0], x_adv=points),
        replace(proved, lower=values[1], vacuous=values[1].isinf()),
    )
    module = importlib.import_module("core.evaluation.curve")
    monkeypatch.setattr(module, "find_worst", lambda *args, **kwargs: found)
    monkeypatch.setattr(module, "prove", lambda *args, **kwargs: proved)
    curve = core.elbo_curve(vae, x, noise, eps)
    assert curve.attained.tolist() == [-1, -5, -5, -6]
    assert curve.x_adv[:, 0, 0, 0].tolist() == [0, 1, 1, 3]
    assert curve.proved().tolist() == [-10, -10, -30, -torch.inf]


def made(attained: list[float], certified: Sequence[float]) -> Curve:
    eps = torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64)
    proofs = tuple(proof(e, "ibp", lower) for e, lower in zip(eps.tolist(), certified, strict=True))
    return Curve(eps, attained[0], torch.tensor(attained), torch.zeros(3, 1, 28, 28), proofs)


def proof(eps: float, method: str, lower: float) -> Proof:
    return Proof(eps, method, lower, lower, 0.0, f"{method} at {eps:g}", 0.0)


@pytest.mark.parametrize(
    ("certified", "attained", "verdict", "sentence"),
    [
        (
            [-80, -90, -99],
            [-70, -75, -80],
            (0.2, None),
            "Proved to stay above -100 nats up to eps 0.2, the whole range.",
        ),
        (
            [-100, -100, -100],
            [-70, -75, -80],
            (0.2, None),
            "Proved to stay above -100 nats up to eps 0.2, the whole range.",
        ),
        (
            [-80, -90, -101],
            [-70, -75, -80],
            (0.1, None),
            "Proved to stay above -100 nats up to eps 0.1. Open up to 0.2: the attack tried failed.",
        ),
        (
            [-80, -101, -999],
            [-70, -75, -100.5],
            (0.0, 0.2),
            "An attack gets below -100 nats at eps 0.2; no eps is proved.",
        ),
        (
            [-80, -99, -999],
            [-70, -99, -101],
            (0.1, 0.2),
            "Proved to stay above -100 nats up to eps 0.1. An attack gets below at 0.2.",
        ),
        (
            [-101, -999, -torch.inf],
            [-100, -101, -102],
            (None, 0.1),
            "An attack gets below -100 nats at eps 0.1; no eps is proved.",
        ),
        (
            [-101, -999, -torch.inf],
            [-70, -71, -72],
            (None, None),
            "The attack tried did not get below -100 nats up to eps 0.2; no eps is proved.",
        ),
        ([-120, -130, -torch.inf], [-110, -120, -130], (None, 0.0), "Below -100 nats without any attack."),
    ],
)
def test_verdicts(certified: list[float], attained: list[float], verdict: Any, sentence: str) -> None:
    found = made(attained, certified).verdict(-100)
    assert (found.certified, found.broken) == pytest.approx(verdict)
    assert found.most == pytest.approx(0.2)
    assert found.sentence() == sentence


def test_a_verdict_never_contradicts_itself() -> None:
    vae = make_vae(scale=1.5)
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    curve = core.elbo_curve(vae, x, noise, GRID, steps=2)
    for threshold in torch.linspace(curve.proved()[1].item(), curve.clean + 5, 50).tolist():
        verdict: Verdict = curve.verdict(threshold)
        if verdict.certified is not None and verdict.broken is not None:
            assert verdict.certified < verdict.broken
        assert verdict.sentence()


@pytest.mark.parametrize(
    "eps", [[], [0.1, 0.1], [0.2, 0.1], 0.1, [[0.1]], [float("nan")], [0.1, 2.0], [-0.1]]
)
def test_bad_grids(eps: Any) -> None:
    vae = make_vae()
    with pytest.raises(InputError, match=r"ascending eps|eps is"):
        core.elbo_curve(vae, make_images(vae, 1), core.sample_noise(vae), eps)


def test_one_image_and_progress() -> None:
    vae = make_vae()
    with pytest.raises(InputError, match="one image"):
        core.elbo_curve(vae, make_images(vae, 2), core.sample_noise(vae), GRID)
    seen: list[tuple[int, int]] = []
    x = make_images(vae, 1)
    core.elbo_curve(vae, x, core.sample_noise(vae), GRID, steps=2, progress=lambda *now: seen.append(now))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_best_proof_covers_every_smaller_radius() -> None:
    curve = made([-80, -90, -99], [-100, -200, -torch.inf])
    assert curve.best(0.2) is None
    tight = curve.add([proof(0.15, "crown", -150), proof(0.2, "alpha-crown", -300)])
    assert tight.proved().tolist() == [-100, -150, -300]
    assert tight.proved("ibp").tolist() == [-100, -200, -torch.inf]
    assert tight.proved("crown").tolist() == [-150, -150, -torch.inf]
    assert tight.methods == ("ibp", "crown", "alpha-crown")
    best = tight.best(0.1)
    assert best is not None
    assert best.statement == "crown at 0.15"
    assert tight.best(0.05, "alpha-crown") == proof(0.2, "alpha-crown", -300)
    assert tight.best(0.25) is None
    assert curve.proved().tolist() == [-100, -200, -torch.inf]


def test_proofs_carry_what_the_certificate_says() -> None:
    vae = make_vae()
    x, noise, eps = make_images(vae, 1), core.sample_noise(vae, 2), torch.tensor([0.01, 0.02])
    certificate = core.certify(vae, x.expand(2, -1, -1, -1), noise, eps=eps, method="crown")
    first, second = proofs_of(certificate)
    assert (first.method, second.eps) == ("crown", pytest.approx(0.02))
    assert (first.bound, second.bound) == tuple(certificate.lower.tolist())
    assert second.statement == certificate.statement(1)
    assert (first.recon, first.kl) == (certificate.recon[0].item(), certificate.kl[0].item())


@pytest.mark.parametrize("last", range(10))
def test_the_verdict_is_settled_in_a_few_proofs(last: int) -> None:
    # Proved by crown up to grid[last], whatever the threshold says of ibp: bisection has to find that.
    grid = torch.arange(10, dtype=torch.float64) / 10
    falls = torch.full((10,), -50.0)
    curve = Curve(grid, -50.0, falls, torch.zeros(10, 1, 28, 28), (proof(0.0, "ibp", -60.0),))
    tried = []
    while (eps := curve.undecided(-100, "crown")) is not None:
        tried.append(eps)
        curve = curve.add([proof(eps, "crown", -70 if eps <= grid[last] else -130)])
    assert curve.verdict(-100).certified == pytest.approx(grid[last].item())
    assert len(tried) <= 4
    assert len(set(tried)) == len(tried)


def test_nothing_is_tried_where_the_verdict_is_known() -> None:
    proved, failed = [-90, -95, -99.5], [-90, -120, -130]
    assert made([-80, -90, -99], proved).undecided(-100, "crown") is None
    assert made([-80, -101, -110], failed).undecided(-100, "crown") is None
    assert made([-120, -120, -130], failed).undecided(-100, "crown") is None
    assert made([-80, -90, -110], failed).undecided(-100, "crown") == pytest.approx(0.1)
    assert made([-80, -90, -110], failed).undecided(-100, "ibp") is None


def test_the_curve_of_an_l2_ball() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    curve = core.elbo_curve(vae, x, noise, [0.0, 0.5, 1.0], norm="l2", steps=3)
    assert (curve.x_adv[2] - x).norm() <= 1 + 1e-5
    assert (curve.x_adv[2] - x).abs().max() > 0.01
    exact = core.certify(vae, x, noise, eps=1.0, norm="l2").lower.item()
    assert curve.proved()[2].item() == pytest.approx(exact)
    assert bool((curve.proved() <= curve.attained).all())


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.3]), st.sampled_from([-math.inf, -9.0, -5.0, -1.0])),
        max_size=8,
    ),
    st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.4]),
)
def test_the_best_proof_is_the_highest_of_all_that_cover_a_radius(
    known: list[tuple[float, float]], eps: float
):
    proofs = tuple(Proof(at, "ibp", lower, 0.0, 0.0, str(i), 0.0) for i, (at, lower) in enumerate(known))
    curve = Curve(torch.tensor([0.0]), 0.0, torch.zeros(1), torch.zeros(1, 1, 1, 1), proofs)
    covering = [p.bound for p in proofs if p.eps >= eps]
    best = curve.best(eps)
    assert (-math.inf if best is None else best.bound) == max(covering, default=-math.inf)
    assert best is None or best.eps >= eps


def test_a_verdict_names_its_threshold_to_the_last_digit():
    said = Verdict(-245.476, 0.05, 0.06, 0.1).sentence()
    assert said.startswith("Proved to stay above -245.476 nats up to eps 0.05")


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_a_failed_attack_is_never_said_to_be_all_attacks(side: str):
    """What is open is not proved: "no attack" would be a claim about every image in the ball."""
    for certified in (None, 0.0, 0.05):
        said = Verdict(-100.0, certified, None, 0.2, side).sentence()
        assert "no attack" not in said.lower()
        assert "the attack tried" in said.lower()
