"""Networks made to fool verifiers ("No Soundness in the Real World", ICML 2025; SoundnessBench): each beats
a naive bound, which is computed here, and none of ours. A bound may be vacuous there, not false."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import core
from core.attacks import ATTACKS
from core.bounds.ball import NORMS, Ball
from core.certificates.methods import METHODS, Effort, stages
from core.certificates.question import pose
from core.vae.elbo import score
from core.vae.model import VAE
from core.vae.threat import SIDES
from core.vae.validate import TARGETS
from tests.conftest import zero_vae

pytestmark = pytest.mark.slow

NOISE = torch.tensor([[0.5], [-1.0]])


@dataclass(frozen=True)
class Question:
    """A model, an image (1, 1, 28, 28), a ball, and images of it whose scores are known to be far off."""

    vae: VAE
    x: Tensor
    eps: float
    points: Sequence[Tensor]
    norm: str = "linf"


Bounds = dict[str, tuple[float, float]]
"""Method -> a lower and an upper bound, nats."""


def proved(question: Question, arithmetic: str, target: str) -> Bounds:
    """Ours by every method: the last two go through all others, and say what each of them gave."""
    q, found = question, list[dict[str, Tensor]]()
    for side in SIDES:
        how: dict[str, Any] = {"eps": q.eps, "norm": q.norm, "side": side, "target": target}
        by_method = dict[str, Tensor]()
        for method in METHODS[-2:]:
            how |= {"method": method, "arithmetic": arithmetic, "iterations": 1}
            certificate = core.certify(q.vae, q.x, NOISE, **how)
            by_method |= certificate.by_method | {method: certificate.bound}
        found.append(by_method)
    assert set(found[0]) == set(found[1]) == set(METHODS)
    return {method: (found[0][method].item(), found[1][method].item()) for method in METHODS}


def naive(question: Question, eps: float, target: str) -> Bounds:
    """The same without any margin for rounding, for a ball of radius eps."""
    q, found = question, list[dict[str, float]]()
    for side in SIDES:
        how: dict[str, Any] = {"norm": q.norm, "side": side, "target": target}
        problem = pose(q.vae, q.x, NOISE, eps, method="alpha-crown", arithmetic="float64", **how)
        all_stages = stages(problem.relaxation().exact(), Effort("alpha-crown", iterations=1))
        found.append({stage.method: problem.weight * stage.value.item() for stage in all_stages})
    return {method: (lower, found[1][method]) for method, lower in found[0].items()}


def beaten(bounds: Bounds, values: Tensor) -> list[str]:
    """The methods whose bounds do not hold for all of the values."""
    low, high = values.min().item(), values.max().item()
    return [method for method, (lower, upper) in bounds.items() if not lower <= low <= high <= upper]


def scores(question: Question, target: str, dtype: torch.dtype, orders: int = 40) -> Tensor:
    """The ELBO of each known point, nats, float64: the same sums in many orders, in batches of 1 and 5."""
    found = []
    for vae, x, points in permuted(question, orders):
        model, noise = copy.deepcopy(vae).to(dtype), NOISE.to(dtype)[:, None]
        for point in points:
            for batch in (1, 5):
                seen = point.to(dtype).expand(batch, -1, -1, -1)
                t = seen if target == "likelihood" else x.to(dtype).expand_as(seen)
                found.append(score(model, seen, noise, t).total[-1:].double())
    return torch.cat(found)


def permuted(question: Question, orders: int) -> Iterator[tuple[VAE, Tensor, list[Tensor]]]:
    """The same network with its pixels and its hidden units in other orders, and the images so."""
    yield question.vae, question.x, [*question.points]
    generator = torch.Generator().manual_seed(0)
    for _ in range(orders):
        vae = copy.deepcopy(question.vae)
        first, second, _, last = linear(vae)
        pixels, units = (torch.randperm(count, generator=generator) for count in (784, len(first.weight)))
        first.weight.copy_(first.weight[units][:, pixels])
        first.bias.copy_(first.bias[units])
        second.weight.copy_(second.weight[:, units])
        last.weight.copy_(last.weight[pixels])
        last.bias.copy_(last.bias[pixels])

        def moved(x: Tensor, order: Tensor = pixels) -> Tensor:
            return x.flatten(1)[:, order].view_as(x)

        yield vae, moved(question.x), [moved(point) for point in question.points]


def linear(vae: VAE) -> list[torch.nn.Linear]:
    return [layer for layer in vae.modules() if isinstance(layer, torch.nn.Linear)]


def small_decoder(vae: VAE) -> None:
    """Natural parameters around 1/2 that move a little with z: what goes wrong shows in both terms."""
    _, _, first, last = linear(vae)
    first.weight.fill_(1.0)
    last.weight.fill_(0.001)
    last.bias.fill_(0.5)


def cancelling(bits: int, likelihood: str) -> Question:
    """mu = 2^bits + h - 2^bits, h about 1: in floats with that many bits 0, 1 or 2, as the order has it.

    The large terms come from biases, so that nothing is large that an adversary can move."""
    vae = zero_vae(widths=(6,), likelihood=likelihood)
    first, second, *_ = linear(vae)
    first.bias.copy_(torch.tensor([2.0**bits, 2.0**bits, 0, 0, 0, 0]))
    first.weight[2:5, 100:200] = 0.02 / 3
    second.weight[0] = torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0, 0.0])
    small_decoder(vae)
    x = torch.full((1, 1, 28, 28), 0.5)
    eps = 1e-4
    return Question(vae, x, eps, [x, x + eps / 2])


LIKELIHOODS = ("bernoulli", "gaussian")


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("arithmetic", "bits"), [("float64", 51), ("float32", 22)])
def test_terms_that_cancel_in_some_orders_only(
    arithmetic: str, bits: int, target: str, likelihood: str
) -> None:
    question = cancelling(bits, likelihood)
    values = scores(question, target, getattr(torch, arithmetic))
    without = naive(question, question.eps, target)
    assert beaten(without, values) == [*without]
    ours = proved(question, arithmetic, target)
    assert beaten(ours, values) == []
    assert ours["ibp"][0] > -torch.inf


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("target", TARGETS)
def test_what_float32_absorbs_and_float64_does_not(target: str, likelihood: str) -> None:
    question = cancelling(24, likelihood)
    deployed, scored = (scores(question, target, dtype) for dtype in (torch.float32, torch.float64))
    of_float64 = proved(question, "float64", target)
    assert beaten(of_float64, deployed) == [*METHODS]  # it does not speak of float32
    assert beaten(of_float64, scored) == []
    assert beaten(proved(question, "float32", target), torch.cat([deployed, scored])) == []


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("small", ["weight", "pixel"])
def test_what_a_processor_may_take_for_0(small: str, target: str, likelihood: str) -> None:
    """mu is 1, of a subnormal number times a huge one: 0 where subnormal numbers are flushed."""
    vae, x = zero_vae(widths=(1, 1), likelihood=likelihood), torch.full((1, 1, 28, 28), 0.5)
    first, second, third, *_, last = linear(vae)
    if small == "weight":
        first.bias[0], second.weight[0, 0], third.weight[0, 0] = 2.0**100, 2.0**-127, 2.0**27
    else:
        x[..., 0, 0], first.weight[0, 0] = 2.0**-127, 2.0**100
        second.weight[0, 0], third.weight[0, 0] = 1.0, 2.0**27
    last.bias.fill_(0.5)
    question = Question(vae, x, 0.0, [x])
    torch.set_flush_denormal(True)
    try:
        flushed = scores(question, target, torch.float32, orders=0)
    finally:
        torch.set_flush_denormal(False)
    values = torch.cat([flushed, scores(question, target, torch.float32, orders=0)])
    without = naive(question, 0.0, target)
    assert beaten(without, values) == [*without]
    ours = proved(question, "float32", target)
    assert beaten(ours, values) == []
    assert ours["ibp"][0] > -torch.inf


def thin(side: str, norm: str, likelihood: str) -> Question:
    """A unit that opens in the last thousandth of the way to one corner of the ball: no gradient leads
    there, and of random corners one in 2^60 is it. There it moves mu by 20."""
    vae, eps = zero_vae(widths=(2,), likelihood=likelihood), 0.1 if norm == "linf" else 0.8
    first, second, *_ = linear(vae)
    x, way = torch.full((1, 784), 0.5), torch.zeros(1, 784)
    generator = torch.Generator().manual_seed(1)
    way[:, 300:360] = torch.randint(2, (60,), generator=generator) * 2.0 - 1
    length = 60.0 if norm == "linf" else 60**0.5
    corner = x + eps * (way if norm == "linf" else way / length)
    gain = 20 / (1e-3 * eps * length)
    first.weight[0] = gain * way[0]
    first.bias[0] = -gain * ((x * way).sum() + (1 - 1e-3) * eps * length)
    second.weight[0, 0], second.bias[0] = (1.0, 0.0) if side == "lower" else (-1.0, 20.0)
    small_decoder(vae)
    x, corner = x.view(1, 1, 28, 28), corner.view(1, 1, 28, 28)
    ball = Ball(x, torch.tensor([eps], dtype=torch.float64), norm)
    return Question(vae, x, eps, [ball.project(corner)], norm)


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("side", SIDES)
def test_a_counterexample_behind_a_thin_activation(side: str, norm: str, likelihood: str) -> None:
    question, target = thin(side, norm, likelihood), TARGETS[norm == "l2"]
    x, ball = question.x, Ball(question.x, torch.tensor([question.eps]), norm)
    generator = torch.Generator().manual_seed(0)
    tried = [ball.random(generator) for _ in range(20)]
    tried += [ball.minimiser(torch.randn(x.shape, generator=generator)) for _ in range(20)]
    t = None if target == "likelihood" else x.expand(40, -1, -1, -1)
    seen = [core.elbo(question.vae, torch.cat(tried), NOISE, t).total]
    for method in (name for name, kind in ATTACKS.items() if side == "lower" or kind.directed):
        how: dict[str, Any] = {"norm": norm, "target": target, "side": side, "method": method, "steps": 2}
        seen.append(core.attack(question.vae, x, NOISE, eps=question.eps, **how).elbo)
    known, attained = scores(question, target, torch.float64, orders=2), torch.cat(seen)
    # A bound that is made of what was seen is beaten.
    assert known.max() < attained.min() - 100 if side == "lower" else known.min() > attained.max() + 100
    assert beaten(proved(question, "float64", target), known) == []


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_ball_that_is_smaller_than_the_grid_of_the_floats(target: str, likelihood: str) -> None:
    vae, eps, gain = zero_vae(likelihood=likelihood), 1e-8, 5e8
    first, second, *_ = linear(vae)
    first.weight[0, 0], first.bias[0], second.weight[0, 0] = gain, -gain / 2, 1.0
    small_decoder(vae)
    x = torch.full((1, 1, 28, 28), 0.5)
    assert torch.equal(x + eps, x)
    point = x.double()
    point[..., 0, 0] += eps
    question = Question(vae, x, eps, [point])
    known = scores(question, target, torch.float64, orders=2)
    at_the_point = naive(question, 0.0, target)
    assert beaten(at_the_point, known) == [*at_the_point]
    ours = proved(question, "float64", target)
    assert beaten(ours, known) == []
    assert ours["ibp"][0] > -torch.inf


def test_a_divergence_that_is_negative_in_floats() -> None:
    """exp(v) - v - 1 of a small v can be below 0; with a perfect reconstruction the ELBO then is above."""
    vae, x = zero_vae(), torch.zeros(1, 1, 28, 28)
    _, second, _, last = linear(vae)
    last.bias.fill_(-800.0)
    second.bias[1] = 4e-7
    question = Question(vae, x, 0.0, [x])
    deployed = scores(question, "likelihood", torch.float32, orders=0)
    assert deployed.min() > 0  # above every bound that takes the divergence for at least 0
    assert beaten(proved(question, "float32", "likelihood"), deployed) == []
