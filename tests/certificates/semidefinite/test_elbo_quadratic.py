"""The quadratic below the ELBO, and the bounds that are proved from it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import core
from core.bounds.interval import Interval
from core.bounds.relaxations import half_exp_form, relu_form
from core.bounds.rounding import ARITHMETICS
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.question import pose
from core.certificates.semidefinite.arrowhead import BlockVector
from core.certificates.semidefinite.build_quadratic import Choices, QuadraticBuilder
from core.certificates.semidefinite.dual_ascent import DualAscent
from core.certificates.semidefinite.elbo_quadratic import Quadratic
from core.errors import Cancelled
from core.network.graph import Network
from core.vae.latent import kl_parabolas, kl_terms
from core.vae.model import VAE
from tests.certificates.semidefinite.test_arrowhead import dense
from tests.conftest import make_images, make_vae

models = pytest.mark.parametrize(
    ("arch", "likelihood", "target"),
    [
        ("mlp", "bernoulli", "likelihood"),
        ("mlp", "gaussian", "reconstruction"),
        ("mlp", "gaussian", "likelihood"),
        ("conv", "bernoulli", "reconstruction"),
        ("conv", "bernoulli", "likelihood"),
    ],
)


class Setting:
    """One image of a random model, its bounds, and random choices for the quadratic."""

    def __init__(
        self,
        arch: str,
        likelihood: str,
        target: str,
        eps: float = 0.05,
        seed: int = 0,
        posterior: float = 1.0,
    ) -> None:
        self.vae = make_vae(arch, likelihood, size=8, seed=seed, scale=1.5)
        last = self.vae.encoder[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(posterior)
        self.x, self.noise = make_images(self.vae, 1, seed), core.sample_noise(self.vae, 2, seed)
        self.eps, self.target = eps, target
        question = pose(
            self.vae,
            self.x,
            self.noise,
            eps,
            target=target,
            method="quadratic",
            norm="linf",
            side="lower",
            arithmetic="float64",
        )
        self.relaxation = question.relaxation()
        self.bounds = self.relaxation.tighten(self.relaxation.interval_bounds())
        self.builder = QuadraticBuilder(self.relaxation, self.bounds)
        self.slopes = start(self.relaxation.vae, self.bounds)

    def choices(self, seed: int) -> Choices:
        choices = self.builder.start(self.x.double(), self.slopes)
        generator = torch.Generator().manual_seed(seed)
        for tensor in [*choices.slow(), choices.touch, *choices.points()]:
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype))
        return choices

    def quadratic(self, choices: Choices) -> Quadratic:
        return self.builder.quadratic(self.builder.system(choices), choices)

    def points(self, count: int) -> Tensor:
        """Random points of the ball, half of them corners."""
        generator = torch.Generator().manual_seed(1)
        share = torch.rand(count, *self.x.shape[1:], generator=generator, dtype=torch.float64)
        share[::2] = share[::2].round()
        box = self.relaxation.ball.box
        return box.lower + share * box.width

    def elbo(self, x: Tensor) -> Tensor:
        t = None if self.target == "likelihood" else self.x.double().expand_as(x)
        return core.elbo(self.relaxation.vae, x, self.noise.double(), t).total


def start(vae: VAE, bounds: LayerBounds) -> Slopes:
    encoder, decoder = bounds.halves(vae)
    return Slopes(encoder.relu_slopes(), decoder.relu_slopes())


def errors(
    network: Network, value: Tensor, inputs: list[Interval], shares: dict[int, Tensor]
) -> tuple[Tensor, Tensor]:
    """The output for one input, and the e of every open unit, the last layer's first, (N, E)."""
    found = []
    for index, layer in enumerate(network):
        if isinstance(layer, nn.ReLU):
            slope, radius = relu_form(inputs[index], shares[index])
            e = (value.relu() - slope * value - radius) / torch.where(radius > 0, radius, 1)
            e = torch.where(radius > 0, e, 0)
            found.append(e.flatten(1)[:, (radius > 0).flatten(1).any(0)])
        value = layer(value)
    return value, torch.cat(found[::-1], 1)


def variables(setting: Setting, choices: Choices, x: Tensor) -> BlockVector:
    """v for a point x of the ball: what the network really does, as shared and own variables."""
    vae, box, bounds = setting.relaxation.vae, setting.relaxation.ball.box, setting.bounds
    posterior, first = errors(vae.encoder, x, bounds.encoder, choices.encoder)
    mu, logvar = posterior.chunk(2, 1)
    slope, middle, radius = half_exp_form(bounds.posterior[1], choices.sigma)
    sigma = ((logvar / 2).exp() - slope * logvar - middle) / radius
    pixels = ((x - box.center) / box.radius).flatten(1)
    z = mu + (logvar / 2).exp() * setting.noise.double()
    _, own = errors(vae.decoder, z, bounds.decoder, choices.decoder)
    return BlockVector(torch.cat([pixels, first, sigma], 1)[0], own)


def value(q: Quadratic, v: BlockVector) -> Tensor:
    turned = q.times(BlockVector(v.shared[:, None], v.own[..., None]))
    bent = (v * BlockVector(turned.shared[:, 0], turned.own[..., 0])).sum()
    return q.constant + (q.linear * v).sum() - bent


@models
def test_the_quadratic_is_below_the_elbo(arch: str, likelihood: str, target: str) -> None:
    for seed in range(3):
        setting = Setting(arch, likelihood, target, seed=seed)
        choices = setting.choices(seed)
        q = setting.quadratic(choices)
        points = setting.points(20)
        for x, elbo in zip(points.split(1), setting.elbo(points), strict=True):
            v = variables(setting, choices, x)
            assert v.flat().abs().max() <= 1 + 1e-6
            assert value(q, v) <= elbo + 1e-9 * elbo.abs()


def test_posteriors_that_move_far() -> None:
    for seed in range(5):
        setting = Setting("mlp", "bernoulli", "likelihood", eps=0.3, seed=seed, posterior=6.0)
        assert setting.bounds.posterior[1].width.max() > 2
        choices = setting.choices(seed)
        q, points = setting.quadratic(choices), setting.points(20)
        for x, elbo in zip(points.split(1), setting.elbo(points), strict=True):
            assert value(q, variables(setting, choices, x)) <= elbo


def test_the_parabolas_of_the_kl_hold_wherever_the_forms_are_centred() -> None:
    setting = Setting("mlp", "bernoulli", "likelihood", eps=0.3, posterior=6.0)
    box = Interval(
        *(torch.cat(ends, 1)[0] for ends in zip(*map(ends_of, setting.bounds.posterior), strict=True))
    )
    size = (1 + box.magnitude) ** 2 + (1 + box.magnitude) * box.upper.exp()
    for share in (0.0, 0.2, 0.5, 1.0):
        centre = box.lower + share * box.width
        slope, bend, rest = kl_parabolas(centre, setting.bounds.posterior[1].map(lambda v: v[0]))
        for to in torch.linspace(0, 1, 21, dtype=torch.float64):
            point = box.lower + to * box.width
            move = point - centre
            below = rest + slope * move - bend * move**2
            mu, logvar = point.chunk(2)
            zero = torch.zeros_like(mu)
            exact = torch.cat([-kl_terms(mu, zero), -kl_terms(zero, logvar)])
            assert bool((below <= exact + 1e-15 * size).all())
            if to in (0, 1):  # the chord of the exponential is exact at both ends
                assert bool(((below - exact).abs() <= 1e-14 * size).all())


def ends_of(x: Interval) -> tuple[Tensor, Tensor]:
    return x.lower, x.upper


@models
def test_the_affine_forms_are_what_the_network_does(arch: str, likelihood: str, target: str) -> None:
    setting = Setting(arch, likelihood, target)
    choices, vae = setting.choices(0), setting.relaxation.vae
    system = setting.builder.system(choices)
    for x in setting.points(4).split(1):
        v = variables(setting, choices, x)
        posterior = torch.cat(vae.encode(x), 1)[0]
        torch.testing.assert_close(system.posterior + system.spread @ v.shared, posterior)
        z = posterior[:3] + (posterior[3:] / 2).exp() * setting.noise.double()
        natural = system.natural + torch.einsum("sdk,skn,n->sd", system.decode, system.lift, v.shared)
        natural = natural + torch.einsum("sdm,sm->sd", system.errors, v.own)
        torch.testing.assert_close(natural, vae.decode(z).flatten(1))


def test_it_is_the_elbo_where_the_parabolas_touch_and_the_ball_is_small() -> None:
    setting = Setting("mlp", "bernoulli", "likelihood", eps=1e-4)
    choices = setting.builder.start(setting.x.double(), setting.slopes)
    q, x = setting.quadratic(choices), setting.points(1)
    assert (setting.elbo(x) - value(q, variables(setting, choices, x))).abs() < 1e-6


@models
def test_products_blocks_and_sums_are_those_of_one_matrix(arch: str, likelihood: str, target: str) -> None:
    setting = Setting(arch, likelihood, target)
    q = setting.quadratic(setting.choices(0))
    whole = dense(q.matrix())
    shape = q.linear
    unit = shape.like(torch.eye(len(whole), dtype=torch.float64))
    torch.testing.assert_close(q.times(unit).flat(), whole)
    assert bool((q.row_sums().flat() >= whole.abs().sum(1) - 1e-12).all())


def test_nothing_is_below_the_separable_bound() -> None:
    setting = Setting("mlp", "bernoulli", "likelihood")
    choices = setting.choices(3)
    q = setting.quadratic(choices)
    generator = torch.Generator().manual_seed(0)
    for strength in (1.0, 0.1, 0.0):  # a strong linear part hides what the rest does
        weak = replace(q, linear=BlockVector(strength * q.linear.shared, strength * q.linear.own))
        sums = weak.matrix().row_sums()
        for point in (choices.point, BlockVector(-choices.point.shared, -choices.point.own)):
            lowest = weak.lowest(sums, point)
            assert lowest <= value(weak, point)
            for _ in range(20):
                flat = 2 * torch.rand(len(q.linear.flat()), generator=generator, dtype=torch.float64) - 1
                for corner in (flat, flat.sign()):
                    assert lowest <= value(weak, q.linear.like(corner))


def test_the_separable_bound_is_exact_for_a_diagonal() -> None:
    setting = Setting("mlp", "bernoulli", "likelihood")
    q = setting.quadratic(setting.choices(3))
    none = replace(q, bend=0 * q.bend, cross=0 * q.cross, square=0 * q.square, curve=0 * q.curve)
    zero, rng = q.linear.like(0 * q.linear.flat()), torch.Generator().manual_seed(0)
    exact = none.lowest(zero, zero)
    torch.testing.assert_close(exact, q.constant - q.linear.flat().abs().sum())
    # A point p = -sign(linear) pays nothing for D up to |linear| / 2.
    point = q.linear.like(-q.linear.flat().sign())
    share = torch.rand(len(q.linear.flat()), generator=rng, dtype=torch.float64)
    large = q.linear.like(share * q.linear.flat().abs() / 2)
    torch.testing.assert_close(none.lowest(large, point), exact)


@pytest.mark.slow
@models
@pytest.mark.parametrize("eps", [1e-6, 0.03, 0.3])
def test_what_is_proved_holds_whatever_the_choices(
    arch: str, likelihood: str, target: str, eps: float
) -> None:
    setting = Setting(arch, likelihood, target, eps=eps)
    found = core.attack(setting.vae, setting.x, setting.noise, eps=eps, target=target, steps=20).elbo
    search = DualAscent(setting.builder, setting.x.double(), setting.slopes, 12)
    bound, _ = search.prove()
    assert bool((bound <= found).all())
    for _ in search.run():
        bound, margin = search.prove()
        assert bool((bound <= found).all())
        assert 0 <= margin.item() < 1e-3 * (1 + bound.abs().item())
    assert math.isfinite(bound.item())


def test_float32_costs_a_margin() -> None:
    setting = Setting("mlp", "bernoulli", "likelihood")
    deployed = pose(
        setting.vae,
        setting.x,
        setting.noise,
        setting.eps,
        target="likelihood",
        method="quadratic",
        norm="linf",
        side="lower",
        arithmetic="float32",
    ).relaxation()
    assert deployed.arithmetic == ARITHMETICS["float32"]
    wide = DualAscent(QuadraticBuilder(deployed, setting.bounds), setting.x.double(), setting.slopes, 1)
    tight = DualAscent(setting.builder, setting.x.double(), setting.slopes, 1)
    assert wide.prove()[1] > 1e3 * tight.prove()[1]


@pytest.mark.slow
def test_far_tighter_than_linear_bounds_on_a_standard_model() -> None:
    vae = core.load_model("mnist-mlp-standard")
    x, noise = core.load_samples("mnist")[0][:1], core.sample_noise(vae, 2)
    found = core.attack(vae, x, noise, eps=0.01, steps=100).elbo
    proved = core.certify(vae, x, noise, eps=0.01, method="quadratic", iterations=20)
    gaps = {name: (found - bound).item() for name, bound in proved.by_method.items()}
    assert 0 <= gaps["quadratic"] < 0.5 * gaps["alpha-crown"]


def test_cancel_keeps_what_is_proved() -> None:
    vae = core.load_model("mnist-mlp-standard")
    x, noise = core.load_samples("mnist")[0][:1], core.sample_noise(vae, 1)

    def stop(done: int, total: int) -> None:
        assert 0 <= done <= total
        if done >= 9:
            raise Cancelled

    proved = core.certify(vae, x, noise, eps=0.01, method="quadratic", progress=stop)
    assert proved.method in ("alpha-crown", "quadratic")
    assert bool(proved.lower.isfinite().all())


def test_relaxations_of_huge_values_are_left_to_linear_bounds() -> None:
    vae = make_vae(scale=300.0)
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    proved = core.certify(vae, x, noise, eps=0.1, method="quadratic", iterations=3)
    assert "quadratic" not in proved.by_method
    assert not bool(proved.lower.isnan().any())
