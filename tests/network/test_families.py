"""A small network of each family that people build: wrapped, equal to the module, certified, attacked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import core

SHAPE, K = (1, 8, 8), 2


class Flat(nn.Sequential):
    """An encoder with both heads in one output."""

    def __init__(self, *layers: nn.Module, width: int) -> None:
        super().__init__(*layers, nn.Flatten(), nn.Linear(width, 2 * K))


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.elu(self.conv(x))


class Gated(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x))


class Attention(nn.Module):
    """Attention between the pixels of a small image, as in the middle of an AutoencoderKL."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv = nn.GroupNorm(1, channels), nn.Linear(channels, 3 * channels)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x).view(b, c, h * w).transpose(1, 2)).chunk(3, -1)
        found = F.scaled_dot_product_attention(q, k, v)
        return x + found.transpose(1, 2).reshape(b, c, h, w)


class Sigma(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Softplus())
        self.mu, self.sigma = nn.Linear(6, K), nn.Linear(6, K)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.hidden(x)
        return self.mu(h), F.softplus(self.sigma(h)) + 0.05


class GroupSort(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], -1, 2).sort(-1)[0].flatten(1)


class Pooled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


@dataclass(frozen=True)
class Family:
    """How to build both parts, and how core.wrap is to read them; exact: outputs keep their bits."""

    encoder: Callable[[], nn.Module]
    decoder: Callable[[], nn.Module]
    asked: dict[str, Any] = field(default_factory=dict)
    exact: bool = True
    latent: tuple[int, ...] = (K,)


GAUSSIAN = {"likelihood": "gaussian", "output": "mean", "sigma": 0.5}
VARIANCES = {"likelihood": "gaussian", "output": "mean_logvar"}
FAMILIES = {
    "batch norm, leaky, output padding": Family(
        lambda: Flat(nn.Conv2d(1, 3, 3, 2, 1), nn.BatchNorm2d(3), nn.LeakyReLU(0.2), width=48),
        lambda: nn.Sequential(
            *(nn.Linear(K, 48), nn.Unflatten(1, (3, 4, 4)), nn.BatchNorm2d(3), nn.LeakyReLU()),
            *(nn.ConvTranspose2d(3, 1, 3, 2, 1, output_padding=1), nn.Sigmoid()),
        ),
        {"output": "probabilities"},
    ),
    "elu residual, upsampling, tanh": Family(
        lambda: Flat(nn.Conv2d(1, 2, 4, 2, 1), Residual(2), nn.ELU(), width=32),
        lambda: nn.Sequential(
            *(nn.Linear(K, 32), nn.Unflatten(1, (2, 4, 4)), Residual(2), nn.Upsample(scale_factor=2)),
            *(nn.Conv2d(2, 1, 3, padding=1), nn.Tanh()),
        ),
        {**GAUSSIAN, "pixels": (-1.0, 1.0)},
    ),
    "gated": Family(
        lambda: nn.Sequential(nn.Flatten(), Gated(64, 6), nn.Linear(6, 2 * K)),
        lambda: nn.Sequential(Gated(K, 6), nn.Linear(6, 64)),
    ),
    "group norm, silu, attention, spatial latent": Family(
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 2, 4, 4), nn.GroupNorm(2, 2), nn.SiLU(), Attention(2), nn.Conv2d(2, 2, 1)),
        ),
        lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.SiLU(), nn.ConvTranspose2d(2, 1, 4, 4)),
        exact=False,
        latent=(1, 2, 2),
    ),
    "softplus, sigma": Family(
        Sigma,
        lambda: nn.Sequential(nn.Linear(K, 6), nn.Softplus(), nn.Linear(6, 64), nn.Sigmoid()),
        {**GAUSSIAN, "heads": "two", "scale": "sigma"},
    ),
    "learned variance, swish": Family(
        lambda: Flat(nn.Conv2d(1, 3, 3, 2, 1), nn.SiLU(), width=48),
        lambda: nn.Sequential(
            *(nn.Linear(K, 48), nn.SiLU(), nn.Unflatten(1, (3, 4, 4)), nn.ConvTranspose2d(3, 2, 4, 2, 1)),
        ),
        VARIANCES,
    ),
    "gelu, layer norm": Family(
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(64, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 2 * K)
        ),
        lambda: nn.Sequential(nn.Linear(K, 6), nn.GELU("tanh"), nn.Linear(6, 64)),
        exact=False,
    ),
    "prelu, average pool, pixel shuffle": Family(
        lambda: Flat(nn.Conv2d(1, 3, 3, padding=1), nn.PReLU(3), nn.AvgPool2d(2), width=48),
        lambda: nn.Sequential(
            *(nn.Linear(K, 64), nn.PReLU(), nn.Unflatten(1, (4, 4, 4)), nn.Conv2d(4, 4, 3, padding=1)),
            nn.PixelShuffle(2),
        ),
    ),
    "group sort, max pool": Family(
        lambda: Flat(
            nn.Conv2d(1, 2, 3, 2, 1), Pooled(), nn.Flatten(), nn.Linear(8, 6), GroupSort(), width=6
        ),
        lambda: nn.Sequential(nn.Linear(K, 6), GroupSort(), nn.Linear(6, 64)),
    ),
}


def images(count: int) -> Tensor:
    """Strokes of random place and length, somewhat blurred, in [0, 1]."""
    generator = torch.Generator("cpu").manual_seed(0)
    at = torch.randint(1, 7, (count, 2), generator=generator)
    rows = torch.arange(8)
    marks = (rows[None, :, None] - at[:, :1, None]).abs() + (rows[None, None] - at[:, 1:, None]).abs()
    return (1.2 - 0.4 * marks).clamp(0, 1)[:, None]


def heads(family: Family, found: Any) -> tuple[Tensor, Tensor]:
    mu, spread = found if family.asked.get("heads") == "two" else found.chunk(2, 1)
    return mu, spread.log() * 2 if family.asked.get("scale") == "sigma" else spread


def trained(family: Family) -> tuple[nn.Module, nn.Module]:
    """Both parts after a few steps of Adam on the ELBO."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        encoder, decoder = family.encoder(), family.decoder()
        adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
        low, high = family.asked.get("pixels", (0.0, 1.0))
        x = images(32)
        for _ in range(15):
            own = low + (high - low) * x
            mu, logvar = heads(family, encoder(own))
            z = mu + (logvar / 2).exp() * torch.randn_like(mu)
            a = decoder(z).reshape(len(x), -1, *SHAPE[1:])
            if family.asked.get("output") == "mean_logvar":
                mean, spread = a.chunk(2, 1)
                score = F.gaussian_nll_loss(mean, own, spread.exp(), reduction="sum")
            elif family.asked.get("likelihood") == "gaussian":
                score = 2 * ((own - a) ** 2).sum()
            elif family.asked.get("output") == "probabilities":
                score = F.binary_cross_entropy(a, x, reduction="sum")
            else:
                score = F.binary_cross_entropy_with_logits(a, x, reduction="sum")
            loss = score + 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return encoder.eval(), decoder.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_wrapped_saved_certified_and_attacked(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    encoder, decoder = trained(family)
    vae = core.wrap(encoder, decoder, shape=SHAPE, **{"heads": "chunk", **family.asked})
    low, high = family.asked.get("pixels", (0.0, 1.0))
    x = images(40)[-3:]
    with torch.no_grad():
        mu, logvar = heads(family, encoder(low + (high - low) * x))
        a = decoder(mu).reshape(len(x), -1, *SHAPE[1:])
    found = vae.decode(mu.flatten(1))
    if family.asked.get("output") == "probabilities":
        found = found.sigmoid()
    pairs = [*zip(vae.encode(x), (mu.flatten(1), logvar.flatten(1)), strict=True)]
    pairs.append((low + (high - low) * found if (low, high) != (0, 1) else found, a))
    for ours, own in pairs:
        close = 0.0 if family.exact and (low, high) == (0, 1) else 1e-5
        torch.testing.assert_close(ours, own, rtol=0, atol=close)
    core.save_model(vae, tmp_path)
    loaded = core.load_model(tmp_path)
    assert all(torch.equal(*both) for both in zip(loaded.encode(x), vae.encode(x), strict=True))
    assert torch.equal(loaded.decode(mu.flatten(1)), vae.decode(mu.flatten(1)))
    noise, eps = core.sample_noise(vae, 2), 1e-3
    clean = core.elbo(vae, x, noise).total
    attacked = core.attack(vae, x, noise, eps=eps, steps=5).elbo
    assert (attacked <= clean).all()
    for method in ("ibp", "crown-ibp", "crown"):
        proved = core.certify(vae, x, noise, eps=eps, method=method)
        assert (proved.lower <= attacked).all(), method
        assert not proved.vacuous.any(), method
