"""What a VAE is built from, as a validated value that goes into config.json."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from math import prod
from typing import Any

from core.errors import ConfigError
from core.scalars import check_settings, make_plain, real, setting, whole

ARCHITECTURES = ("mlp", "conv")
LIKELIHOODS = ("bernoulli", "gaussian")
SIZES = (28, 32)
DEFAULT_WIDTHS = {"mlp": (512, 512), "conv": (16, 32, 128)}
MOST_WEIGHTS = 50_000_000
"""No model is larger (200 MB): what cannot be loaded is not trained, and a hostile file gets no memory."""


class ModelConfig:
    """What all code may ask of a model's configuration, whether we built the network or somebody else did.

    likelihood  "bernoulli" or "gaussian". latent: k. sigma: of the Gaussian likelihood, on the scale of
    images in [0, 1]. stretch: how many of the model's own units go from black to white. learned_variance:
    whether the decoder of a Gaussian gives log variances, too.
    """

    likelihood: str
    latent: int
    sigma: float
    stretch: float = 1.0
    learned_variance: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image, (channels, height, width)."""
        raise NotImplementedError

    @property
    def pixels(self) -> int:
        """Number of values d in one image."""
        return prod(self.shape)

    @property
    def natural_shape(self) -> tuple[int, int, int]:
        """Shape of an image's natural parameters, which the decoder gives: of the image, with a learned
        variance with twice the channels."""
        channels, height, width = self.shape
        return (2 * channels if self.learned_variance else channels), height, width

    def to_dict(self) -> dict[str, Any]:
        """As it stands in config.json."""
        raise NotImplementedError


@dataclass(frozen=True)
class VAEConfig(ModelConfig):
    """Architecture and likelihood of a VAE.

    arch        "mlp" (fully connected) or "conv" (two strided convolutions).
    likelihood  "bernoulli" (decoder gives logits) or "gaussian" (decoder gives means).
    channels    1 or 3.
    size        28 or 32: images are (channels, size, size).
    latent      number of latent dimensions k.
    widths      mlp: the hidden widths of the encoder (the decoder mirrors them);
                conv: (channels of conv 1, channels of conv 2, width of the fully connected layer).
    sigma       standard deviation of the Gaussian likelihood; unused by Bernoulli.

    Raises ConfigError for any value that cannot be built.
    """

    arch: str = setting("mlp", "fully connected or convolutional", ARCHITECTURES)
    likelihood: str = setting("bernoulli", "what the decoder describes", LIKELIHOODS)
    channels: int = 1
    size: int = 28
    latent: int = setting(16, "number of latent dimensions", limits=(whole, 1, 1024))
    widths: tuple[int, ...] = DEFAULT_WIDTHS["mlp"]
    sigma: float = setting(0.2, "standard deviation of the gaussian likelihood", limits=(real, 1e-3, 10))

    def __post_init__(self) -> None:
        for name, allowed in {"channels": (1, 3), "size": SIZES}.items():
            make_plain(self, name, whole)
            if (value := whole(getattr(self, name))) is None or value not in allowed:
                shown = " or ".join(map(str, allowed))
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be {shown}.")
        check_settings(self)
        widths = self.widths
        if not isinstance(widths, (tuple, list)) or not all(
            whole(w) is not None and 1 <= w <= 8192 for w in widths
        ):
            raise ConfigError(f"widths is {widths!r}; it must be whole numbers in 1..8192.")
        object.__setattr__(self, "widths", tuple(map(operator.index, widths)))
        if self.arch == "conv" and len(widths) != 3:
            raise ConfigError(f"widths is {widths!r}; conv needs three: conv 1, conv 2, fully connected.")
        if not 1 <= len(widths) <= 8:
            raise ConfigError(f"widths has {len(widths)} entries; it must have 1 to 8.")
        if self.weights > MOST_WEIGHTS:
            raise ConfigError(
                f"The model would have {self.weights:,} weights, more than {MOST_WEIGHTS:,}; "
                "choose smaller widths."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image, (channels, height, width)."""
        return (self.channels, self.size, self.size)

    @property
    def weights(self) -> int:
        """Number of weights and biases of both networks."""
        if self.arch == "mlp":
            encoder = (self.pixels, *self.widths, 2 * self.latent)
            decoder = (self.latent, *reversed(self.widths), self.pixels)
            return sum((a + 1) * b for sizes in (encoder, decoder) for a, b in pairwise(sizes))
        first, second, hidden = self.widths
        flat, kernel = second * (self.size // 4) ** 2, 4 * 4
        convolutions = 2 * kernel * first * (self.channels + second) + 2 * first + second + self.channels
        encoder, decoder = (flat, hidden, 2 * self.latent), (self.latent, hidden, flat)
        return convolutions + sum((a + 1) * b for sizes in (encoder, decoder) for a, b in pairwise(sizes))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"widths": list(self.widths)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VAEConfig:
        """Build from the "model" entry of a config.json; unknown or missing keys raise ConfigError."""
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - names):
            raise ConfigError(f"The model configuration has unknown keys: {', '.join(unknown)}.")
        if missing := sorted(names - set(values)):
            raise ConfigError(f"The model configuration lacks: {', '.join(missing)}.")
        return cls(**values)
