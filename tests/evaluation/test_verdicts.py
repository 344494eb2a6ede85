"""Verdicts: what is certified no attack breaks, what is broken was reached, and nothing is skipped."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

import core
from core.errors import InputError
from core.evaluation.curve import Verdict
from core.evaluation.verdicts import BROKEN, CERTIFIED, OPEN, Finding, find_verdicts
from tests.conftest import make_images, make_vae

GRID = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3)


@pytest.mark.slow
@given(
    seed=some.integers(0, 50),
    share=some.floats(0.0, 1.2),
    scale=some.sampled_from([0.5, 1.0, 3.0]),
    target=some.sampled_from(["likelihood", "reconstruction"]),
    norm=some.sampled_from(["linf", "l2"]),
)
def test_what_is_certified_no_attack_breaks(seed: int, share: float, scale: float, target: str, norm: str):
    vae = make_vae(size=16, seed=seed, scale=scale)
    x, noise = make_images(vae, 3, seed), core.sample_noise(vae, 2, seed)
    clean = core.elbo(vae, x, noise).total
    worst = core.attack(vae, x, noise, eps=GRID[-1], steps=5, target=target, norm=norm).elbo
    # Anywhere from below what an attack reaches to above what is clean.
    threshold = (clean + share * (worst - clean)).mean().item()
    found = find_verdicts(vae, x, noise, GRID, threshold=threshold, steps=3, target=target, norm=norm)
    safe_of = [[eps for eps in GRID if finding.at(eps) == CERTIFIED] for finding in found]
    pairs = [(i, eps) for i, safe in enumerate(safe_of) for eps in safe]
    if pairs:  # all at once is a tenth of the time
        rows, radii = (list(part) for part in zip(*pairs, strict=True))
        asked: dict[str, Any] = {
            "eps": torch.tensor(radii, dtype=torch.float64),
            "target": target,
            "norm": norm,
        }
        attacked = core.attack(vae, x[rows], noise, steps=10, **asked)
        assert bool((attacked.elbo >= threshold).all())
    for i, (finding, safe) in enumerate(zip(found, safe_of, strict=True)):
        certified, broken = finding.verdict.certified, finding.verdict.broken
        assert certified is None or broken is None or certified < broken
        assert (certified is None) == (not safe)
        if certified is not None:
            proof = core.certify(
                vae, x[i : i + 1], noise, eps=certified, method="crown-ibp", target=target, norm=norm
            )
            assert proof.lower.item() == pytest.approx(finding.bound, abs=1e-6)
            assert finding.bound >= threshold
        if broken is not None:
            assert finding.attained < threshold
            assert finding.at(broken) == BROKEN
        assert finding.clean == pytest.approx(clean[i].item())
        assert (finding.verdict.broken == 0) == (finding.clean < threshold)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_radii_are_those_of_the_whole_grid(count: int):
    vae, grid = make_vae(size=16, scale=2.0), GRID[:count]
    x, noise = make_images(vae, 4), core.sample_noise(vae, 2, 0)
    lower = torch.stack([core.certify(vae, x, noise, eps=e, method="crown-ibp").lower for e in grid])
    found = torch.stack([core.attack(vae, x, noise, eps=e, steps=5).elbo for e in grid])
    # Beside the values, not on them: batches of other sizes round the last bits otherwise.
    values = torch.cat([lower, found]).flatten().nan_to_num(neginf=-900.0)
    for threshold in torch.cat([values - 0.01, values + 0.01])[::4].tolist():
        for i, finding in enumerate(find_verdicts(vae, x, noise, grid, threshold=threshold, steps=5)):
            safe = [e for e, value in zip(grid, lower[:, i], strict=True) if value >= threshold]
            below = [e for e, value in zip(grid, found[:, i], strict=True) if value < threshold]
            wanted = Verdict(threshold, max(safe, default=None), min(below, default=None), grid[-1])
            assert finding.verdict == wanted


def test_a_verdict_covers_the_radii_it_implies_and_no_others():
    finding = Finding(Verdict(-200.0, 0.02, 0.05, 0.3), -100.0, -190.0, -210.0)
    assert [finding.at(eps) for eps in (0.0, 0.02, 0.021, 0.049, 0.05, 0.3)] == [
        *(CERTIFIED, CERTIFIED, OPEN, OPEN, BROKEN, BROKEN)
    ]
    nothing = Finding(Verdict(-200.0, None, None, 0.3), -100.0, -math.inf, math.inf)
    assert nothing.at(0.0) == nothing.at(1.0) == OPEN
    # A find counts more than a proof: were they ever to contradict, the page must not say "certified".
    wrong = Finding(Verdict(-200.0, 0.1, 0.05, 0.3), -100.0, -190.0, -210.0)
    assert wrong.at(0.07) == BROKEN


def test_progress_rises_to_the_end_and_can_cancel():
    vae = make_vae()
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1, 0)
    told: list[float] = []
    find_verdicts(
        vae,
        x,
        noise,
        GRID,
        threshold=-545.0,
        steps=2,
        progress=lambda done, total: told.append(done / total),
    )
    assert told == sorted(told)
    assert told[0] == 0
    assert 0.9 < told[-1] <= 1

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_verdicts(vae, x, noise, GRID, threshold=-545.0, progress=cancel)


@pytest.mark.parametrize(
    "grid", [(), (0.1, 0.1), (0.2, 0.1), (0.0, 2.0), (-0.1, 0.1), (0.0, math.nan, 0.1), (math.nan,)]
)
def test_a_grid_that_is_none_is_refused(grid: tuple[float, ...]):
    vae = make_vae()
    with pytest.raises(InputError):
        find_verdicts(vae, make_images(vae, 1), core.sample_noise(vae, 1, 0), grid, threshold=-1.0)


def test_a_threshold_that_is_no_number_is_refused():
    vae = make_vae()
    with pytest.raises(InputError, match="threshold"):
        find_verdicts(vae, make_images(vae, 1), core.sample_noise(vae, 1, 0), GRID, threshold=math.nan)
