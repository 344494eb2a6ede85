"""certify and refine are anytime: each step is at least as tight, and stopping keeps what is proved."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import core
from core.certificates.certificate import Certificate
from core.certificates.methods import METHODS
from core.errors import Cancelled
from tests.certificates.elbo_bounds.test_linear_certificates import extremes
from tests.conftest import make_images, make_vae
from tests.covering import covering


@pytest.mark.slow
@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_refining_only_ever_tightens(side: str, norm: str) -> None:
    vae = make_vae(size=16, scale=1.5)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 2)
    eps, sign = (0.03 if norm == "linf" else 0.5), (1 if side == "lower" else -1)
    found = extremes(vae, x, noise, eps, norm, "likelihood", sign)
    steps = list(core.refine(vae, x, noise, eps=eps, norm=norm, side=side, method="bab", iterations=5))
    assert len(steps) >= 6
    assert steps[0].method == "ibp"
    by_intervals = core.certify(vae, x, noise, eps=eps, norm=norm, side=side).bound
    torch.testing.assert_close(steps[0].bound, by_intervals, rtol=1e-12, atol=1e-9)
    last: Tensor | None = None
    for step in steps:
        assert bool((sign * step.bound <= sign * found).all())
        if last is not None:
            assert bool((sign * step.bound >= sign * last).all())
        last = step.bound
    assert last is not None
    assert bool((sign * last > sign * steps[0].bound).all())
    assert all(name in METHODS for name in steps[-1].by_method)
    assert next(iter(steps[-1].by_method)) == "ibp"
    whole = core.certify(vae, x, noise, eps=eps, norm=norm, side=side, method="bab", iterations=5)
    torch.testing.assert_close(last, whole.bound, rtol=1e-12, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_cancelling_at_any_step_keeps_the_best_so_far(method: str) -> None:
    vae = make_vae(size=16, scale=1.5)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    clean = core.elbo(vae, x, noise).total
    previous: Certificate | None = None
    calls: list[tuple[int, int]] = []

    def count(done: int, total: int) -> None:
        calls.append((done, total))

    core.certify(vae, x, noise, eps=0.03, method=method, iterations=5, progress=count)
    done = [now for now, _ in calls]
    assert done == sorted(done)
    assert all(now <= total for now, total in calls)
    assert len({total for _, total in calls}) == 1
    assert calls[-1][0] == calls[-1][1] or method in ("quadratic", "bab")  # they may be done early
    for after in sorted({0, 1, len(calls) // 2, len(calls) - 1}):
        left = after

        def stop(done: int, total: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Cancelled

        proved = core.certify(vae, x, noise, eps=0.03, method=method, iterations=5, progress=stop)
        assert bool((proved.lower <= clean).all())
        assert not bool(proved.vacuous.any())
        assert previous is None or bool((proved.lower >= previous.lower - 1e-9).all())
        previous = proved

    def fail(done: int, total: int) -> None:
        raise RuntimeError("not a cancel")

    with pytest.raises(RuntimeError, match="not a cancel"):
        core.certify(vae, x, noise, eps=0.03, method=method, iterations=5, progress=fail)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["alpha-crown", "quadratic", "bab"])
def test_a_time_budget_ends_with_a_bound(method: str) -> None:
    vae = make_vae(size=16, scale=1.5)
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    crown = core.certify(vae, x, noise, eps=0.03, method="crown").lower

    def stop_at_last(done: int, total: int) -> None:
        calls.append(done)
        assert len(calls) < 2_000, "it goes on"

    calls: list[int] = []
    asked: dict[str, Any] = {"eps": 0.03, "method": method, "iterations": 100_000}
    proved = core.certify(vae, x, noise, seconds=0.5, progress=stop_at_last, **asked)
    assert bool((proved.lower >= crown).all())
    none = core.certify(vae, x, noise, seconds=1e-9, **asked)
    assert bool((none.lower >= crown).all())
    unlimited = core.certify(vae, x, noise, eps=0.03, method="alpha-crown", iterations=5, seconds=math.inf)
    assert bool((unlimited.lower >= crown).all())


SENTENCES = {
    "draws": (
        "is at least {bound} nats, as a mean over these 3 noise draws (crown, evaluated in float32; ",
    ),
    "expectation": (
        "the expectation over the noise of the ELBO that scores the clean image is at least {bound} nats",
        "with confidence 97 % over a sample of 400 noise draws (crown, evaluated in float32)",
    ),
    "coverage": (
        "With probability at least 80 % over a fresh noise draw, the ELBO that scores the clean image",
        "is at least {bound} nats for every image x'",
        "with confidence 97 % over a sample of 400 noise draws",
    ),
}


@pytest.mark.parametrize("states", SENTENCES)
def test_the_sentence_says_what_is_stated_and_of_which_ball(states: str) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 2), core.sample_noise(vae, 3)
    proved = core.certify(
        vae,
        x,
        noise,
        eps=0.02,
        target="reconstruction",
        method="crown",
        states=states,
        arithmetic="float32",
        alpha=0.03,
        delta=0.2,
        draws=400,
    )
    sentence, bound = proved.statement(1), f"{math.floor(proved.lower[1].item() * 100) / 100:.2f}"
    assert "every image x' with pixels in [0, 1] within 0.02 of this one" in sentence
    for part in SENTENCES[states]:
        assert part.format(bound=bound) in sentence
    assert proved.states == states
    assert proved.draws == (3 if states == "draws" else 400)
    assert proved.alpha == (0 if states == "draws" else 0.03)
    assert proved.delta == (0.2 if states == "coverage" else 0)


@pytest.mark.parametrize(
    ("model", "target", "norm"),
    covering(
        2,
        ["mnist-mlp-robust-0.1", "mnist-conv-standard", "mnist-mlp-robust-rec-0.1"],
        ["likelihood", "reconstruction"],
        ["linf", "l2"],
    ),
)
def test_no_attack_raises_the_elbo_of_a_shipped_model_above_the_upper_bound(
    model: str, target: str, norm: str
) -> None:
    eps = 0.01 if norm == "linf" else 0.3
    vae = core.load_model(model)
    x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, 1)
    raised = extremes(vae, x, noise, eps, norm, target, -1)
    clean = core.elbo(vae, x, noise).total
    assert bool((raised >= clean).all())
    assert bool((raised > clean).any())
    bounds = [
        core.certify(vae, x, noise, eps=eps, norm=norm, target=target, side="upper", method=method).upper
        for method in ("ibp", "crown-ibp")
    ]
    for bound in bounds:
        assert bool((bound >= raised).all())
    assert bool((bounds[1] <= bounds[0] + 1e-9).all())


def test_images_that_are_relaxed_together_keep_their_own_bounds() -> None:
    vae = make_vae("mlp", seed=3)
    x, noise = make_images(vae, 70), core.sample_noise(vae, 2)  # 32 at once, then 32, then 6
    eps = torch.linspace(0.01, 0.1, 70)
    together = core.certify(vae, x, noise, eps=eps, method="crown-ibp")
    for i in (0, 31, 32, 69):
        alone = core.certify(vae, x[i : i + 1], noise, eps=eps[i : i + 1], method="crown-ibp")
        assert together.lower[i].item() == pytest.approx(alone.lower.item(), abs=1e-8)
        assert together.minimiser is not None
        assert alone.minimiser is not None
        assert torch.equal(together.minimiser[i], alone.minimiser[0])


def test_seconds_are_counted_by_the_clock_that_is_given() -> None:
    vae, now = make_vae(scale=1.5), [0.0]
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    def bound(seconds: float) -> float:
        run = core.refine(vae, x, noise, eps=0.1, iterations=100, seconds=seconds, clock=clock)
        *_, last = run
        return last.lower.item()

    assert bound(seconds=5.0) < bound(seconds=1e9)
    assert now[0] > 100
