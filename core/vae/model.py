"""The variational auto-encoder (Kingma & Welling 2014, arXiv 1312.6114)."""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from core.network.graph import Network
from core.vae.config import ModelConfig, VAEConfig
from core.vae.likelihood import Likelihood, make_likelihood

# In float32 whatever torch's default is: that is what checkpoints hold.
_Linear = partial(nn.Linear, dtype=torch.float32)
_Conv2d = partial(nn.Conv2d, dtype=torch.float32)
_ConvTranspose2d = partial(nn.ConvTranspose2d, dtype=torch.float32)


class VAE(nn.Module):
    """Encoder q(z|x) = N(mu(x), diag exp(logvar(x))), decoder p(x|z), prior N(0, I).

    `encoder` and `decoder` are plain nn.Sequential, so that a bound can walk through their layers, or
    graphs of operations (core.network.graph).
    The encoder ends in 2k values: mu first, logvar second. Images are float in [0, 1].
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.likelihood: Likelihood = make_likelihood(config.likelihood, config.sigma)
        build = _mlp if config.arch == "mlp" else _conv
        self.encoder, self.decoder = build(config)

    @classmethod
    def of_networks(cls, config: ModelConfig, encoder: Network, decoder: Network) -> VAE:
        """A VAE of networks that somebody else made (core.vae.wrap).

        Its configuration is a ModelConfig and its networks may be graphs; to a type checker a VAE is one of
        ours, so that whoever asks more of it than that has to look.
        """
        vae = cls.__new__(cls)
        nn.Module.__init__(vae)
        vae.config = cast(VAEConfig, config)
        vae.likelihood = make_likelihood(
            config.likelihood, config.sigma, config.stretch, config.learned_variance
        )
        vae.encoder, vae.decoder = (cast(nn.Sequential, network) for network in (encoder, decoder))
        return vae

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> mu, logvar, each (B, k)."""
        mu, logvar = self.encoder(x).chunk(2, dim=-1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """z (N, k) -> natural parameters (N, C, H, W): logits (Bernoulli) or means (Gaussian); with a
        learned variance (N, 2C, H, W), means first, log variances second."""
        return self.decoder(z)


def fresh_vae(config: VAEConfig, seed: int) -> VAE:
    """A VAE on the CPU with the weights that torch's layers start from, after torch.manual_seed(seed): the
    same numbers, but the generator that others draw from is left alone."""
    with torch.device("meta"):
        vae = VAE(config)
    vae.to_empty(device="cpu")
    generator = torch.Generator("cpu").manual_seed(seed)
    for layer in vae.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            assert layer.bias is not None
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return vae


def _mlp(config: VAEConfig) -> tuple[nn.Sequential, nn.Sequential]:
    encoder: list[nn.Module] = [nn.Flatten()]
    decoder: list[nn.Module] = []
    width = config.pixels
    for hidden in config.widths:
        encoder += [_Linear(width, hidden), nn.ReLU()]
        width = hidden
    encoder.append(_Linear(width, 2 * config.latent))
    width = config.latent
    for hidden in reversed(config.widths):
        decoder += [_Linear(width, hidden), nn.ReLU()]
        width = hidden
    decoder += [_Linear(width, config.pixels), nn.Unflatten(1, config.shape)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


def _conv(config: VAEConfig) -> tuple[nn.Sequential, nn.Sequential]:
    first, second, hidden = config.widths
    side = config.size // 4
    flat = second * side * side
    encoder = nn.Sequential(
        _Conv2d(config.channels, first, 4, stride=2, padding=1),
        nn.ReLU(),
        _Conv2d(first, second, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        _Linear(flat, hidden),
        nn.ReLU(),
        _Linear(hidden, 2 * config.latent),
    )
    decoder = nn.Sequential(
        _Linear(config.latent, hidden),
        nn.ReLU(),
        _Linear(hidden, flat),
        nn.ReLU(),
        nn.Unflatten(1, (second, side, side)),
        _ConvTranspose2d(second, first, 4, stride=2, padding=1),
        nn.ReLU(),
        _ConvTranspose2d(first, config.channels, 4, stride=2, padding=1),
    )
    return encoder, decoder
