"""No model, certificate or attack is above the ceiling, and no image of the ball makes it lower."""

from __future__ import annotations

import functools
import math
import sys

import pytest
import torch
from torch import Tensor

import core
from core.bounds.ball import Ball
from core.errors import InputError
from core.evaluation.ceiling import grey_image, highest_worst, share_of_way
from core.vae.continuous_bernoulli import ContinuousBernoulli
from core.vae.learned_variance import LearnedVariance
from core.vae.likelihood import Bernoulli, Gaussian, Likelihood
from core.vae.threat import Threat
from tests.conftest import make_vae

pytestmark = pytest.mark.slow

X = core.load_samples("mnist")[0][:6]
RADII = {"linf": (0.0, 0.03, 0.1, 0.5, 1.0), "l2": (0.0, 0.3, 2.0, 9.0, 28.0)}
ROUNDING = 1e-6
LIKELIHOODS = (Bernoulli(), ContinuousBernoulli(), Gaussian(0.1), Gaussian(0.7, 2.0), LearnedVariance())


def balls(norm: str, eps: float) -> Ball:
    return Ball(X.double(), torch.full((len(X),), eps, dtype=torch.float64), norm)


@functools.cache
def grey(norm: str, eps: float) -> Tensor:
    return grey_image(balls(norm, eps))


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda each: type(each).__name__)
def test_no_parameter_scores_an_image_higher(likelihood: Likelihood):
    chance = torch.Generator().manual_seed(0)
    t = torch.rand(200, 1, 4, 4, generator=chance, dtype=torch.float64)
    t[:40] = t[:40].round()
    best = likelihood.highest(t)
    wide = 2 if isinstance(likelihood, LearnedVariance) else 1
    for scale in (0.1, 1.0, 5.0, 50.0):
        a = scale * torch.randn(200, wide, 4, 4, generator=chance, dtype=torch.float64)
        assert bool((likelihood.log_prob(t, a) <= best + ROUNDING).all())


@pytest.mark.parametrize("likelihood", [Bernoulli(), ContinuousBernoulli(), Gaussian(0.1)])
def test_the_best_parameter_reaches_it(likelihood: Bernoulli | ContinuousBernoulli | Gaussian):
    t = torch.linspace(0.01, 0.99, 64, dtype=torch.float64).reshape(4, 1, 4, 4)
    assert torch.allclose(likelihood.highest(t), likelihood.log_prob(t, likelihood.natural(t)), atol=1e-9)


@pytest.mark.parametrize("name", core.list_models())
def test_what_is_certified_is_below(name: str):
    vae = core.load_model(name)
    noise = core.sample_noise(vae, 2)
    for norm, radii in RADII.items():
        for target in ("likelihood", "reconstruction"):
            for eps in radii[:3]:
                proved = core.certify(
                    vae, X[:2], noise, eps=eps, target=target, norm=norm, method="crown-ibp"
                )
                scored = grey(norm, eps) if target == "likelihood" else X.double()
                assert bool((proved.lower <= vae.likelihood.highest(scored[:2])).all())


@pytest.mark.parametrize("name", core.list_models())
def test_no_model_scores_the_greyest_image_above_it(name: str):
    vae = core.load_model(name)
    noise = core.sample_noise(vae, 2)
    for norm, radii in RADII.items():
        for eps in radii:
            for target, scored in (("likelihood", None), ("reconstruction", X)):
                top = vae.likelihood.highest(grey(norm, eps) if scored is None else X.double())
                total = core.elbo(vae, grey(norm, eps).float(), noise, scored).total
                assert bool((total <= top + 1e-3).all()), (norm, eps, target)  # of a float32 image


def test_a_model_that_is_made_for_one_image_comes_to_the_ceiling_and_not_above():
    """The best decoder there is for one grey image: KL 0, logits of its pixels."""
    vae = make_vae()
    top = core.ceiling(vae, X[:1], 0.1)
    image = grey("linf", 0.1)[:1]
    final = [layer for layer in vae.decoder.modules() if isinstance(layer, torch.nn.Linear)][-1]
    ends = [layer for layer in vae.encoder.modules() if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for layer in (final, ends[-1]):
            layer.weight.zero_()
            layer.bias.zero_()
        final.bias.copy_(torch.logit(image.flatten()).float())
    total = core.elbo(vae, image.float(), core.sample_noise(vae, 3)).total
    assert total.item() == pytest.approx(top.item(), abs=1e-2)
    proved = core.certify(vae, X[:1], core.sample_noise(vae, 3), eps=0.1)
    assert proved.lower.item() <= top.item()


@pytest.mark.parametrize(("norm", "eps"), [(norm, eps) for norm in RADII for eps in RADII[norm]])
def test_the_greyest_image_is_of_the_ball_and_none_of_it_says_less(norm: str, eps: float):
    ball = balls(norm, eps)
    image = grey(norm, eps)
    assert bool(Ball(ball.center, ball.eps * (1 + 1e-12) + 1e-15, norm).holds(image).all())
    least = Bernoulli().highest(image)
    chance = torch.Generator().manual_seed(1)

    def others() -> list[Tensor]:
        way = torch.randn(20, *X.shape, generator=chance, dtype=torch.float64)
        ways = [*way, 0.5 - X.double(), (0.5 - X.double()).sign(), *(image + 0.05 * each for each in way)]
        return [ball.project(X.double() + 100 * each) for each in ways[:22]] + [
            ball.project(each) for each in ways[22:]
        ]

    for other in others():
        assert bool((Bernoulli().highest(other) >= least - 1e-6).all())


def test_many_radii_take_few_steps_and_are_those_of_each_alone(monkeypatch: pytest.MonkeyPatch):
    module, calls = sys.modules["core.evaluation.ceiling"], list[Tensor]()
    step = module._towards_grey

    def counted(x: Tensor, multiplier: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(multiplier)
        return step(x, multiplier, score)

    monkeypatch.setattr(module, "_towards_grey", counted)
    radii = torch.tensor([0.0, 0.02, 0.3, 0.6, 2.0, 28.0], dtype=torch.float64)
    x = X[:1].double().expand(6, -1, -1, -1)
    together = grey_image(Ball(x, radii, "l2"))
    assert len(calls) <= 20
    for one, eps in zip(together, radii.tolist(), strict=True):
        assert torch.allclose(one, grey("l2", eps)[0], atol=1e-8)


def test_it_falls_with_the_radius_and_ends_at_grey():
    vae = core.load_model("mnist-mlp-robust-0.1")
    for norm, radii in RADII.items():
        tops = torch.stack([core.ceiling(vae, X, eps, norm=norm) for eps in radii])
        assert bool((tops.diff(dim=0) <= 0).all())
        assert tops[-1].tolist() == pytest.approx([-784 * math.log(2)] * len(X))
        flat = torch.stack([core.ceiling(vae, X, eps, "reconstruction", norm) for eps in radii])
        assert bool((flat == tops[0]).all())


def test_densities_without_a_maximum_have_no_ceiling():
    assert LearnedVariance().highest(X.double()).tolist() == [math.inf] * len(X)
    assert ContinuousBernoulli().highest(X.double()).tolist() == [math.inf] * len(X)
    assert bool(
        ContinuousBernoulli().highest(torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)).isfinite()
    )


def test_the_share_of_the_way():
    assert share_of_way(-343.1, -364.4, -279.5) == pytest.approx(0.25, abs=0.001)
    assert share_of_way(-400, -364.4, -279.5) < 0
    assert math.isnan(share_of_way(1, 2, 2))
    assert math.isnan(share_of_way(1, 2, math.inf))


@pytest.mark.parametrize(
    "bad", [{"eps": -0.1}, {"eps": math.nan}, {"target": "x"}, {"norm": "l1"}, {"eps": 2.0}]
)
def test_bad_questions_are_refused(bad: dict[str, object]):
    vae = core.load_model("mnist-mlp-robust-0.1")
    with pytest.raises(InputError):
        core.ceiling(vae, X, **{"eps": 0.1, **bad})  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError):
        core.ceiling(vae, X * 255, 0.1)
    with pytest.raises(InputError):
        highest_worst(vae.likelihood, X, Threat(0.1, side="upper"))
