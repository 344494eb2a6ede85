"""The configuration of a VAE that somebody else built: what its networks do not say themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from core.errors import ConfigError
from core.scalars import LARGEST_FLOAT32, real, whole
from core.vae.config import LIKELIHOODS, ModelConfig

KIND = "graph"
WRAPPED_LIKELIHOODS = (*LIKELIHOODS, "continuous_bernoulli")
"""Likelihoods of wrapped VAEs; those that are trained here have the first ones."""
MOST_VALUES = 4_000_000
"""No image is larger."""


@dataclass(frozen=True)
class WrappedConfig(ModelConfig):
    """What is known of a wrapped VAE beside its networks.

    likelihood  "bernoulli" or "continuous_bernoulli" (the decoder gives logits) or "gaussian" (it gives
                means).
    image       (channels, height, width). latent: k, all dimensions of the latent code together.
    sigma       of the Gaussian likelihood on the model's own scale of pixels; unused by Bernoulli.
    pixels_from, pixels_to  the model's own values of black and white.
    learned_variance  whether a Gaussian decoder gives the log variance of each pixel beside its mean.

    Raises ConfigError for what cannot be.
    """

    likelihood: str
    image: tuple[int, int, int]
    latent: int
    own_sigma: float = 1.0
    pixels_from: float = 0.0
    pixels_to: float = 1.0
    learned_variance: bool = False

    def __post_init__(self) -> None:
        if self.likelihood not in WRAPPED_LIKELIHOODS:
            raise ConfigError(
                f"likelihood is {self.likelihood!r}; choose one of {', '.join(WRAPPED_LIKELIHOODS)}."
            )
        image = tuple(self.image) if isinstance(self.image, list | tuple) else ()
        if len(image) != 3 or any(whole(size) is None or size < 1 for size in image):
            raise ConfigError(f"shape is {self.image!r}; it must be (channels, height, width).")
        if math.prod(image) > MOST_VALUES or image[0] not in (1, 3):
            raise ConfigError(
                f"shape is {image}; images have 1 or 3 channels and up to {MOST_VALUES:,} values."
            )
        object.__setattr__(self, "image", tuple(int(size) for size in image))
        if whole(self.latent) is None or not 1 <= self.latent <= 65_536:
            raise ConfigError(f"latent is {self.latent!r}; it must be a whole number from 1 to 65,536.")
        for name in ("own_sigma", "pixels_from", "pixels_to"):
            number = real(getattr(self, name))
            if number is None or not abs(number) <= LARGEST_FLOAT32:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be a finite number.")
        if not 1e-3 <= self.pixels_to - self.pixels_from <= 1e3:
            raise ConfigError(
                f"pixels is {(self.pixels_from, self.pixels_to)}; white must be 0.001 to 1000 above black."
            )
        if not 1e-3 <= self.own_sigma <= 1e3:
            raise ConfigError(f"sigma is {self.own_sigma}; it must be from 0.001 to 1000.")
        if type(self.learned_variance) is not bool:
            raise ConfigError(f"learned_variance is {self.learned_variance!r}; it is true or false.")
        if self.learned_variance and self.likelihood != "gaussian":
            raise ConfigError(f"A {self.likelihood} likelihood has no variance to learn.")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.image

    @property
    def stretch(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How many of the model's own units go from black to white."""
        return self.pixels_to - self.pixels_from

    @property
    def sigma(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.own_sigma / self.stretch

    def to_dict(self) -> dict[str, Any]:
        known = {"kind": KIND, **asdict(self), "image": list(self.image)}
        if not self.learned_variance:
            del known["learned_variance"]  # as before there was one: digests stay
        return known

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WrappedConfig:
        """Build from the "model" entry of a config.json; unknown or missing keys raise ConfigError."""
        names = {field.name for field in fields(cls)} | {"kind"}
        if set(values) | {"learned_variance"} != names:  # written where it is
            raise ConfigError(
                f"The model configuration must have the keys {', '.join(sorted(names))} and no others."
            )
        return cls(**{name: value for name, value in values.items() if name != "kind"})
