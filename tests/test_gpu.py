"""On a GPU: the same values as on the CPU, up to rounding, and bounds that hold. Skipped without one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import core
from core.data.samples import load_levels
from core.evaluation.evaluate import evaluate
from core.evaluation.suite.plan import Suite
from core.evaluation.suite.run import run_suite

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

MODELS = ("mnist-mlp-robust-0.1", "mnist-conv-robust-0.1", "mnist-mlp-standard", "mnist-conv-standard")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
@pytest.mark.parametrize("method", ["ibp", "crown-ibp", "crown", "alpha-crown"])
def test_bounds_are_those_of_the_cpu(name: str, target: str, method: str) -> None:
    vae, x = core.load_model(name), core.load_samples("mnist")[0][:4]
    noise = core.sample_noise(vae, 2)
    question = {"eps": 0.01, "target": target, "method": method}
    ours = core.certify(vae, x, noise, **question)
    theirs = core.certify(vae.cuda(), x, noise, **question)
    assert torch.equal(ours.vacuous, theirs.vacuous.cpu())
    if method == "alpha-crown":  # its ascent goes its own way
        assert torch.allclose(ours.lower, theirs.lower.cpu(), rtol=1e-2)
    else:
        assert torch.allclose(ours.lower, theirs.lower.cpu(), rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["pgd", "strongest"])
def test_no_attack_gets_below(name: str, method: str) -> None:
    vae, x = core.load_model(name).cuda(), core.load_samples("mnist")[0][:20]
    noise = core.sample_noise(vae, 2)
    found = core.attack(vae, x, noise, eps=0.02, method=method)
    proved = core.certify(vae, x, noise, eps=0.02, method="alpha-crown")
    clean = core.elbo(vae, x, noise).total
    assert bool((proved.lower <= found.elbo).all())
    assert bool((found.elbo < clean).all())
    assert torch.allclose(core.elbo(vae.cpu(), found.x_adv.cpu(), noise).total, found.elbo.cpu(), rtol=1e-9)


def test_evaluation() -> None:
    x, y = core.load_samples("mnist")
    rows = [
        list(evaluate(MODELS[:2], x[:8], y[:8], eps=[0.05], certificate="crown-ibp", device=device))
        for device in ("cpu", "cuda")
    ]
    for ours, theirs in zip(*rows, strict=True):
        assert theirs.clean == pytest.approx(ours.clean, rel=1e-9)
        assert theirs.attacked == pytest.approx(ours.attacked, rel=1e-3)
        assert theirs.certified == pytest.approx(ours.certified, rel=1e-6)
        assert theirs.certified <= theirs.attacked <= theirs.clean


def test_suite(tmp_path: Path) -> None:
    x, y = core.load_samples("mnist")
    suite = Suite(
        "small", eps=(0.05,), targets=("likelihood",), subset=4, effort=2, block=10, subset_block=2
    )
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        run_suite(MODELS[:2], x[:20], y[:20], load_levels("mnist"), out=out, suite=suite, device=device)
    lines = [(tmp_path / device / "summary.csv").read_text().splitlines() for device in ("cpu", "cuda")]
    assert len(lines[0]) == len(lines[1]) > 10
    for ours, theirs in zip(*(map(str.split, text, [","] * len(text)) for text in lines), strict=True):
        assert ours[:7] == theirs[:7]
        if ours[7] not in ("mean", "-inf"):
            assert float(theirs[7]) == pytest.approx(float(ours[7]), rel=1e-3)
