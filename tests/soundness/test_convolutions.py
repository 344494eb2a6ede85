"""Certificates of random convolutional VAEs, by substitution: never beaten, those of a backward pass,
and the same for images together as for each alone."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn

import core
from core.certificates.certificate import Certificate
from core.certificates.elbo_bounds import relaxation
from core.errors import Cancelled
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

pytestmark = pytest.mark.slow


def convolutional(seed: int) -> VAE:
    """A VAE of one to three convolutions with strides, groups, dilation and output padding, down to
    images of one pixel."""
    dice = random.Random(seed)
    size, channels = dice.choice([(1, 1), (5, 1), (8, 3), (20, 1)]), dice.choice([1, 3])
    vae = make_vae(latent=dice.choice([1, 3]), size=size[0], channels=channels, widths=(2,), seed=seed)
    shape, encoder = (channels, size[0], size[0]), list[nn.Module]()
    for _ in range(dice.choice([1, 2, 3])):
        kernel, groups = min(dice.choice([1, 2, 3, 4]), shape[1]), dice.choice([1, shape[0]])
        far = 2 if 2 * (kernel - 1) < shape[1] else 1
        out, padding = groups * dice.choice([1, 2, 3]), dice.choice([0, 1])
        layer = nn.Conv2d(shape[0], out, kernel, dice.choice([1, 2, 3]), padding, far, groups)
        encoder += [layer, nn.ReLU()]
        shape = tuple(layer(torch.zeros(1, *shape)).shape[1:])
    flat = shape[0] * shape[1] * shape[2]
    encoder += [nn.Flatten(), nn.Linear(flat, 6), nn.ReLU(), nn.Linear(6, 2 * vae.config.latent)]
    stride = dice.choice([1, 2])
    extra = dice.choice([0, 1]) if stride > 1 else 0
    upward = nn.ConvTranspose2d(4, 4, 3, stride, 1, extra, groups=dice.choice([1, 2]))
    side = upward(torch.zeros(1, 4, 3, 3)).shape[-1]
    decoder = [nn.Linear(vae.config.latent, 36), nn.ReLU(), nn.Unflatten(1, (4, 3, 3)), upward, nn.ReLU()]
    decoder += [
        nn.Flatten(),
        nn.Linear(4 * side * side, vae.config.pixels),
        nn.Unflatten(1, vae.config.shape),
    ]
    vae.encoder, vae.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
    vae.eval().requires_grad_(False)
    generator = torch.Generator("cpu").manual_seed(seed)
    for weight in vae.parameters():
        weight.copy_(
            torch.randn(weight.shape, generator=generator)
            * dice.choice([0.5, 1.0])
            / weight[0].numel() ** 0.5
        )
    return vae


def images(vae: VAE, seed: int) -> Tensor:
    """Three images, the first with every pixel on an edge of the box, the second on one of them."""
    x = make_images(vae, 3, seed)
    return torch.stack([x[0].round(), x[1].clamp(0.5, 1.0).round(), x[2]])


def certified(vae: VAE, x: Tensor, noise: Tensor, **asked: object) -> Certificate:
    return core.certify(vae, x, noise, method="crown", **asked)  # pyright: ignore[reportArgumentType]


QUESTIONS = [
    {"eps": eps, "norm": norm, "side": side, "target": target, "arithmetic": arithmetic}
    for eps, norm, side, target, arithmetic in (
        (0.0, "linf", "lower", "likelihood", "float64"),
        (0.02, "linf", "lower", "likelihood", "float32"),
        (0.1, "linf", "upper", "likelihood", "float64"),
        (0.1, "linf", "lower", "reconstruction", "float64"),
        (0.5, "l2", "lower", "likelihood", "float64"),
        (0.3, "l2", "upper", "reconstruction", "float64"),
        (1.0, "linf", "lower", "likelihood", "float64"),
    )
]


@pytest.mark.parametrize("seed", range(8))
@torch.no_grad()
def test_no_image_beats_a_certificate(seed: int) -> None:
    vae = convolutional(seed)
    x, noise = images(vae, seed), core.sample_noise(vae, 2, seed=seed)
    asked = QUESTIONS[seed % len(QUESTIONS)]
    proved = certified(vae, x, noise, **asked)
    for attack in ("pgd", "fgsm"):
        where = {k: v for k, v in asked.items() if k != "arithmetic"}
        found = core.attack(vae, x, noise, method=attack, steps=10, **where)  # pyright: ignore[reportArgumentType]
        if asked["side"] == "lower":
            assert bool((proved.lower <= found.elbo).all())
        else:
            assert bool((proved.upper >= found.elbo).all())
    assert bool(proved.bound.isfinite().all())


@pytest.mark.parametrize("seed", range(8))
@torch.no_grad()
def test_every_unit_is_inside_its_interval(seed: int) -> None:
    """Corners and random images of the ball, through both networks layer by layer."""
    vae = convolutional(seed)
    x, noise, eps = images(vae, seed), core.sample_noise(vae, 2, seed=seed), (0.0, 0.01, 0.1, 0.6)[seed % 4]
    proved, exact = certified(vae, x, noise, eps=eps), vae.double()
    lower, upper = (x.double() - eps).clamp(0, 1), (x.double() + eps).clamp(0, 1)
    generator = torch.Generator("cpu").manual_seed(seed)
    for turn in range(20):
        share = torch.rand(x.shape, generator=generator, dtype=torch.float64)
        value = lower + (share.round() if turn % 2 else share) * (upper - lower)
        values = [value]
        for layer in exact.encoder:
            values.append(layer(values[-1]))
        mu, logvar = values[-1].chunk(2, 1)
        for draw in range(2):
            after = [mu + (logvar / 2).exp() * noise[draw].double()]
            for layer in exact.decoder:
                after.append(layer(after[-1]))
            told = [*values, mu, logvar, *after]
            for name, found, v in zip(
                [i.name for i in proved.intervals], proved.intervals, told, strict=True
            ):
                low, high = found.interval.lower, found.interval.upper
                if name.per_draw:
                    low, high = low[draw], high[draw]
                assert bool(((low <= v) & (v <= high)).all()), name


@pytest.mark.parametrize("seed", range(8))
def test_substitution_loses_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = convolutional(seed)
    x, noise = images(vae, seed), core.sample_noise(vae, 2, seed=seed)
    asked = QUESTIONS[seed % len(QUESTIONS)]
    found = certified(vae, x, noise, **asked)
    monkeypatch.setattr(relaxation, "can_substitute", lambda *about: False)
    wanted = certified(vae, x, noise, **asked)
    sign = 1 if asked["side"] == "lower" else -1
    assert bool((sign * (found.bound - wanted.bound) >= -1e-7 * wanted.bound.abs()).all())


@pytest.mark.parametrize("method", ["crown", "alpha-crown"])
@pytest.mark.parametrize("draws", [1, 3])
@pytest.mark.parametrize("seed", [1, 2, "mlp", "dead"])
def test_images_together_get_what_each_gets_alone(seed: int | str, draws: int, method: str) -> None:
    vae = convolutional(seed) if isinstance(seed, int) else make_vae(size=16, widths=(12, 8))
    if seed == "dead":
        vae.encoder[1].get_parameter("bias")[::2] = -100.0
    x = torch.cat([make_images(vae, 3, seed=s) for s in range(2)])
    noise, eps = core.sample_noise(vae, draws), torch.tensor([0.0, 0.01, 0.02, 0.05, 0.1, 0.3])
    together = core.certify(vae, x, noise, eps=eps, method=method, iterations=12)
    for i in range(len(x)):
        alone = core.certify(vae, x[i : i + 1], noise, eps=eps[i : i + 1], method=method, iterations=12)
        torch.testing.assert_close(together.lower[i : i + 1], alone.lower, rtol=1e-7, atol=1e-7)
        for one, both in zip(alone.intervals, together.intervals, strict=True):
            mine = both.interval.lower[:, i] if one.name.per_draw else both.interval.lower[i]
            wanted = one.interval.lower[:, 0] if one.name.per_draw else one.interval.lower[0]
            torch.testing.assert_close(mine, wanted, rtol=1e-7, atol=1e-7)
        assert (together.witness[i] is None) == (alone.witness[0] is None)


def test_many_images_can_be_stopped_between_some_of_them() -> None:
    vae = make_vae(size=16, widths=(12, 8))
    x, noise, calls = make_images(vae, 12), core.sample_noise(vae, 1), list[tuple[int, int]]()

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == 3:
            raise Cancelled

    found = core.certify(vae, x, noise, eps=0.05, method="crown", progress=progress)
    assert len(calls) == 3
    assert found.method == "crown-ibp"
    assert bool(found.lower.isfinite().all())
    calls.clear()
    whole = core.certify(vae, x, noise, eps=0.05, method="crown", progress=lambda *v: calls.append(v))
    assert calls[-1][0] == calls[-1][1]
    assert [c[0] for c in calls] == sorted(c[0] for c in calls)
    assert bool((whole.lower >= found.lower).all())
