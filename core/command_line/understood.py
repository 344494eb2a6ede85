"""What was understood of somebody's VAE, beside what his own module gives, and what can be proved of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, ContinuousBernoulli, Normal, kl_divergence

from core.certificates.methods import METHODS
from core.command_line.foreign import Foreign
from core.inspection.handed_in import some_images
from core.inspection.rules import kinds_of, no_expectation, refused_methods
from core.network.graph import Network
from core.vae.elbo import elbo, sample_noise
from core.vae.model import VAE

_IMAGES = 4


@dataclass(frozen=True)
class _Own:
    """What the module itself gives for some images, in float32: mu and logvar (N, k), the output for
    codes z (N, k); and the ELBO from these, in float64."""

    mu: Tensor
    logvar: Tensor
    z: Tensor
    output: Tensor
    elbo: Tensor


class Understood:
    """A foreign VAE, what core.wrap made of it, and with which arguments."""

    def __init__(
        self, found: Foreign, vae: VAE, settings: dict[str, Any], shown: Tensor | None = None
    ) -> None:
        """shown: images that the model is shown with, (N, C, H, W), if there are any."""
        self._found, self._vae, self._settings, self._shown = found, vae, settings, shown

    def lines(self) -> list[str]:
        """The report, a line for each thing that is said."""
        said = {**self._found.said, **dict(self._model()), **dict(self._scores()), **dict(self._proofs())}
        return [f"{name:<13} {text}" for name, text in said.items()]

    def _model(self) -> Iterator[tuple[str, str]]:
        config, asked = self._vae.config, self._settings
        low, high = asked["pixels"]
        size = " x ".join(map(str, config.shape))
        yield "images", f"{size}, black and white are {low:g} and {high:g} for the model"
        yield "latent", f"{config.latent} dimensions; heads {asked['heads']}, scale {asked['scale']}"
        sigma = f", sigma {asked['sigma']:g}" if asked["output"] == "mean" else ""
        yield "likelihood", f"{asked['likelihood']}{sigma}; the decoder gives {asked['output']}"
        yield "encoder", operations(self._vae.encoder)
        yield "decoder", operations(self._vae.decoder)

    @torch.no_grad()
    def _scores(self) -> Iterator[tuple[str, str]]:
        x, what = some_images(self._vae.config.shape) if self._shown is None else _first_of(self._shown)
        noise = sample_noise(self._vae, 1)
        own, found = self._own(x, noise), elbo(self._vae, x, noise).total
        yield "clean ELBO", f"{found.mean().item():.2f} nats, mean of {what}, one draw"
        mu, logvar = self._vae.encode(x)
        pairs = {"mu": (mu, own.mu), "logvar": (logvar, own.logvar)}
        pairs["output"] = (self._output(own.z).flatten(1), own.output)
        apart = [_apart(name, *pair) for name, pair in pairs.items()]
        yield "the module", f"{own.elbo.mean().item():.2f} nats from its own outputs; {', '.join(apart)}"

    def _output(self, z: Tensor) -> Tensor:
        """The decoder's output as the module gives it."""
        found, (low, high) = self._vae.decode(z), self._settings["pixels"]
        if self._settings["output"] == "probabilities":
            return found.sigmoid()
        if self._settings["likelihood"] != "gaussian" or (low, high) == (0, 1):
            return found
        if self._settings["output"] == "mean":
            return low + (high - low) * found
        mean, logvar = found.chunk(2, 1)
        return torch.cat([low + (high - low) * mean, logvar], 1)

    def _own(self, x: Tensor, noise: Tensor) -> _Own:
        low, high = self._settings["pixels"]
        own = low + (high - low) * x
        mu, spread, code = _heads(self._found.encoder(own), self._settings["heads"])
        scale = self._settings["scale"]
        logvar = {
            "logvar": lambda: spread,
            "logsigma": lambda: 2 * spread,
            "sigma": lambda: 2 * spread.log(),
        }
        logvar = logvar[scale]()
        posterior = Normal(mu.double(), (logvar.double() / 2).exp())
        z = (posterior.loc + posterior.scale * noise.double()).float()
        output = _whole(self._found.decoder(z.reshape(len(z), *code)))
        kl = kl_divergence(posterior, Normal(torch.zeros_like(posterior.loc), 1.0)).sum(1)
        t = own if self._settings["likelihood"] == "gaussian" else x
        log_prob = self._distribution(output.double()).log_prob(t.flatten(1).double()).sum(1)
        return _Own(mu, logvar, z, output, log_prob - kl)

    def _distribution(self, output: Tensor) -> Bernoulli | ContinuousBernoulli | Normal:
        if self._settings["output"] == "mean":
            return Normal(output, self._settings["sigma"])
        if self._settings["output"] == "mean_logvar":
            mean, logvar = output.chunk(2, 1)
            return Normal(mean, (logvar / 2).exp())
        kind = "probs" if self._settings["output"] == "probabilities" else "logits"
        if self._settings["likelihood"] == "continuous_bernoulli":
            distribution = partial(ContinuousBernoulli, validate_args=False)
            return distribution(probs=output) if kind == "probs" else distribution(logits=output)
        return Bernoulli(**{kind: output}, validate_args=False)  # grey values are scored, too

    def _proofs(self) -> Iterator[tuple[str, str]]:
        refused = refused_methods(self._vae)
        yield "certificates", ", ".join(method for method in METHODS if method not in refused) or "none"
        if refused:
            yield "refused", f"{', '.join(refused)}: {next(iter(refused.values()))}"
        reason = no_expectation(self._vae)
        yield (
            "on all noise",
            f"coverage; {reason}" if reason else "expectation and coverage, as well as given draws",
        )


def operations(network: Network) -> str:
    """The operations of a network, counted by kind, and how each is bounded."""
    groups = dict[str, list[str]]()
    for kind in kinds_of(network):
        groups.setdefault(kind.how, []).append(f"{kind.count} {kind.name}")
    return "; ".join(f"{how}: {', '.join(names)}" for how, names in groups.items())


def _first_of(shown: Tensor) -> tuple[Tensor, str]:
    x = shown[:_IMAGES]
    return x, f"the first {len(x)} of the images it is shown with"


def _whole(found: Any) -> Tensor:
    """What a decoder gives, (N, d), of a pair one after the other."""
    parts = [found] if isinstance(found, Tensor) else found
    return torch.cat([part.flatten(1) for part in parts], 1)


def _first(found: Any) -> Any:
    return found if isinstance(found, Tensor) else found[0]


def _heads(found: Any, heads: str) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """mu and its scale (N, k), and the shape that the decoder takes a code in; as core.wrap reads them."""
    if heads == "two":
        mu, spread = found
        return mu.flatten(1), spread.flatten(1), tuple(mu.shape[1:])
    whole = _first(found)
    flat = whole.flatten(1)
    if heads == "interleaved":
        return flat[:, ::2], flat[:, 1::2], (flat.shape[1] // 2,)
    mu, spread = flat.chunk(2, 1)
    spatial = whole.ndim > 2 and whole.shape[1] % 2 == 0
    return mu, spread, (whole.shape[1] // 2, *whole.shape[2:]) if spatial else (mu.shape[1],)


def _apart(name: str, found: Tensor, own: Tensor) -> str:
    if torch.equal(found, own):
        return f"{name} equal to the bit"
    return f"{name} up to {(found - own).abs().max().item():.1e}"
