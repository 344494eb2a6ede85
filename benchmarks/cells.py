"""The cells that certificates are tried in: every question that `core.certify` takes, and networks to ask.

A name that core knows and no axis lists, or a layer kind that no network has, makes
tests/soundness/test_grid.py fail: what is new enters here before it lands. benchmarks.grid runs the cells.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

import core
from core.network.operations import BatchNorm
from core.vae.config import LIKELIHOODS as TRAINED
from core.vae.config import VAEConfig
from core.vae.model import VAE
from core.vae.wrapped import WrappedConfig

LEARNED = "learned_variance"
"""The Gaussian whose decoder gives log variances, which core knows by another setting than its name."""
LIKELIHOODS = ("bernoulli", "gaussian", "continuous_bernoulli", LEARNED)
TARGETS = ("likelihood", "reconstruction")
SIDES = ("lower", "upper")
NORMS = ("linf", "l2")
METHODS = ("ibp", "crown-ibp", "crown", "alpha-crown", "quadratic", "bab")
PARABOLAS = ("quadratic", "bab")
STATES = ("draws", "expectation", "coverage")
ARITHMETICS = ("float64", "float32")
AXES = (LIKELIHOODS, TARGETS, SIDES, NORMS, METHODS, STATES, ARITHMETICS)
EPS = (0.0, 5e-324, 1e-9, 0.03, 1.0)
SIGMAS = (0.2, 0.001, 10.0, 0.03, 1.0)


class Cell(NamedTuple):
    """One kind of question."""

    likelihood: str
    target: str
    side: str
    norm: str
    method: str
    states: str
    arithmetic: str

    @property
    def refused(self) -> bool:
        """Whether core has to say that it has no proof of this kind."""
        of_parabolas = self.method in PARABOLAS
        if self.likelihood == LEARNED and (of_parabolas or self.states == "expectation"):
            return True
        return self.states != "draws" and (self.side == "upper" or of_parabolas)

    @property
    def slow(self) -> bool:
        """Whether an answer takes a second rather than a hundredth of one."""
        return self.method in METHODS[3:] or (self.states == "expectation" and self.method != "ibp")

    @property
    def sign(self) -> int:
        return 1 if self.side == "lower" else -1


def cells() -> Iterator[Cell]:
    return (Cell(*names) for names in itertools.product(*AXES))


class Network(NamedTuple):
    """How a network is built: its shape, a factor for all weights, and what is changed by hand."""

    arch: str
    widths: tuple[int, ...]
    latent: int
    scale: float = 1.0
    channels: int = 1
    size: int = 28
    change: Callable[[VAE], None] | None = None

    def build(self, likelihood: str, sigma: float, seed: int) -> VAE:
        """sigma: of a Gaussian; where variances are learned, about what they are."""
        known = likelihood if likelihood in TRAINED else "gaussian"
        config = VAEConfig(self.arch, known, self.channels, self.size, self.latent, self.widths, sigma)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            vae = VAE(config)
            if likelihood not in TRAINED:
                vae = _wrapped(vae, likelihood)
            vae.eval().requires_grad_(False)
            for weight in vae.parameters():
                weight.mul_(self.scale)
            if likelihood == LEARNED:
                *_, bias = vae.decoder.parameters()
                bias[len(bias) // 2 :] += 2 * math.log(sigma * vae.config.stretch)
            if self.change is not None:
                self.change(vae)
        return vae


def _wrapped(vae: VAE, likelihood: str) -> VAE:
    """The same with a likelihood that other models have; a learned variance has a last layer of its own,
    and pixels from -1 to 1."""
    learned, known = likelihood == LEARNED, vae.config
    config = WrappedConfig(
        *("gaussian" if learned else likelihood, known.shape, known.latent),
        pixels_from=-1.0 if learned else 0.0,
        learned_variance=learned,
    )
    return VAE.of_networks(config, vae.encoder, _twice(vae.decoder, config) if learned else vae.decoder)


def _twice(decoder: nn.Sequential, config: WrappedConfig) -> nn.Sequential:
    """Its hidden layers, and a last one that gives two values a pixel."""
    *layers, last = decoder
    channels, height, width = config.natural_shape
    if isinstance(last, nn.ConvTranspose2d):
        layers += [nn.ConvTranspose2d(last.in_channels, channels, 4, 2, 1, dtype=torch.float32)]
    else:
        before = layers.pop()
        assert isinstance(before, nn.Linear)
        layers += [nn.Linear(before.in_features, channels * height * width, dtype=torch.float32)]
        layers += [nn.Unflatten(1, config.natural_shape)]
    return nn.Sequential(*layers)


def _linears(network: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in network if isinstance(layer, nn.Linear)]


def _dead(vae: VAE) -> None:
    """No unit of the decoder's first layer is ever open, half of the encoder's neither."""
    first, *_ = _linears(vae.encoder)
    first.bias[::2] = -1e3
    first, *_ = _linears(vae.decoder)
    first.bias.fill_(-1e3)


def _cancelling(vae: VAE) -> None:
    """Pairs of units that are large and nearly the same, and taken from each other."""
    for network in (vae.encoder, vae.decoder):
        first, second, *_ = _linears(network)
        first.weight[1::2] = first.weight[::2]
        first.bias[1::2] = first.bias[::2] * (1 + 2.0**-20)
        second.weight.mul_(1e4)
        second.weight[:, 1::2] = -second.weight[:, ::2] * (1 + 2.0**-22)


def _posterior(logvar: float) -> Callable[[VAE], None]:
    def change(vae: VAE) -> None:
        *_, last = _linears(vae.encoder)
        last.bias[last.out_features // 2 :] = logvar

    return change


def _bright(vae: VAE) -> None:
    """Images brighter than any: planes at the likelihood lean on the scored image."""
    *_, last = _linears(vae.decoder)
    last.bias[: vae.config.pixels].add_(3.0)


def _far(vae: VAE) -> None:
    """Codes far from the prior's, of which the decoder sees the difference."""
    *_, last = _linears(vae.encoder)
    last.bias[: last.out_features // 2] = 1e4
    first, *_ = _linears(vae.decoder)
    first.bias.sub_(first.weight @ last.bias[: last.out_features // 2])


def _normalise(vae: VAE) -> None:
    """Batch normalisation before each ReLU, and behind the first."""
    generator = torch.Generator("cpu").manual_seed(len(vae.decoder))
    for network in (vae.encoder, vae.decoder):
        places = [i for i, layer in enumerate(network) if isinstance(layer, nn.ReLU)]
        channels = [_outputs(network, place) for place in places]
        for place, count in reversed([*zip(places, channels, strict=True)]):
            network.insert(place, _batch_norm(count, generator))
        network.insert(places[0] + 2, _batch_norm(channels[0], generator))


def _outputs(network: nn.Sequential, place: int) -> int:
    """How many channels, or units, the affine layer before a ReLU has."""
    layer = next(v for v in reversed([*network][:place]) if not isinstance(v, nn.Unflatten))
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels  # type: ignore


def _batch_norm(channels: int, generator: torch.Generator) -> BatchNorm:
    def some(spread: float) -> Tensor:
        return spread * torch.randn(channels, generator=generator, dtype=torch.float32, device="cpu")

    return BatchNorm(some(0.5), some(1.0).abs() + 0.05, some(1.0), some(0.3), 1e-5)


NETWORKS = {
    "mlp": Network("mlp", (12, 8), 3),
    "one unit": Network("mlp", (1,), 1, scale=2.0),
    "deep": Network("mlp", (6, 5, 4, 3), 2, scale=1.5),
    "dead units": Network("mlp", (8, 6), 2, change=_dead),
    "large": Network("mlp", (8, 6), 2, scale=8.0),
    "huge": Network("mlp", (8, 6), 2, scale=1e3),
    "overflow": Network("mlp", (8, 6), 2, scale=1e13),
    "tiny": Network("mlp", (8, 6), 2, scale=1e-8),
    "cancelling": Network("mlp", (8, 6), 2, change=_cancelling),
    "sharp posterior": Network("mlp", (8,), 2, change=_posterior(-40.0)),
    "broad posterior": Network("mlp", (8,), 2, change=_posterior(4.0)),
    "far codes": Network("mlp", (8,), 2, change=_far),
    "conv": Network("conv", (2, 3, 8), 3, scale=1.5),
    "conv, one unit": Network("conv", (1, 1, 1), 1, scale=3.0),
    "colour": Network("mlp", (6,), 2, channels=3, size=32),
    "bright": Network("mlp", (8,), 2, change=_bright),
}
NORMALISED = {
    "mlp, normalised": Network("mlp", (12, 8), 3, scale=1.5, change=_normalise),
    "conv, normalised": Network("conv", (2, 3, 8), 3, scale=1.5, change=_normalise),
}
"""Of layers that have linear bounds only: they are not asked by methods of parabolas, and have a table of
their own."""


def network_of(name: str) -> Network:
    return NETWORKS[name] if name in NETWORKS else NORMALISED[name]


def images(vae: VAE, seed: int) -> Tensor:
    """Images (5, C, H, W): grey with black and white parts, the middle of a shipped digit, black, white,
    grey."""
    generator = torch.Generator("cpu").manual_seed(seed)
    shape = vae.config.shape
    mixed = (3 * torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu") - 1).clamp(0, 1)
    grey = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")
    digit = grey.round()
    if shape[0] == 1 and shape[1] <= 28:
        edge = (28 - shape[1]) // 2
        digit = core.load_samples("mnist")[0][seed % 500, :, edge : 28 - edge, edge : 28 - edge]
    black = torch.zeros_like(mixed)
    return torch.stack([mixed, digit, black, 1 - black, grey])
