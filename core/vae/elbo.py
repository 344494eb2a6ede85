"""The evidence lower bound of a batch over shared noise draws."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.device import plain_convolutions
from core.errors import UnsupportedModelError
from core.isolation import isolated
from core.vae.latent import kl_divergence, reparameterise
from core.vae.model import VAE
from core.vae.validate import (
    check_copies,
    check_count,
    check_home,
    check_images,
    check_noise,
    check_seed,
    check_vae,
)

# Rows (images x draws) that go through the decoder at once; bounds the memory of a large batch.
ROWS = 4096


@dataclass(frozen=True)
class ELBO:
    """ELBO per image in nats, (B,) float64, mean over the draws: total = recon - kl.

    Where the network overflows, recon is -inf, kl is +inf; never NaN.
    """

    total: Tensor
    recon: Tensor
    kl: Tensor


def elbo_terms(vae: VAE, x: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstruction term and KL of ELBO(x; t, noise), each (B,), differentiable.

        ELBO(x; t, noise) = mean_s log p(t | a(z(x, noise_s))) - KL(x)

    x, t (B, C, H, W); noise (S, 1, k) shared by all images, or (S, B, k).
    """
    recon, kl = elbo_terms_by_draw(vae, x, noise, t)
    return recon.mean(0), kl


def elbo_terms_by_draw(vae: VAE, x: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The same with the reconstruction term of each draw, (S, B)."""
    mu, logvar = encoded(vae, x)
    z = reparameterise(mu, logvar, noise)
    a = decoded(vae, z.flatten(0, 1))
    return vae.likelihood.log_prob(t, a.unflatten(0, z.shape[:2])), kl_divergence(mu, logvar)


def encoded(vae: VAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """vae.encode(x), if it has the shapes that the configuration says: nothing is broadcast unseen."""
    found = vae.encode(x)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise UnsupportedModelError(
            f"vae.encode gives a {type(found).__name__}, not the two tensors mu and logvar."
        )
    mu, logvar = found
    for part in (mu, logvar):
        _check_shape("encode", part, (len(x), vae.config.latent))
    return mu, logvar


def decoded(vae: VAE, z: Tensor) -> Tensor:
    """vae.decode(z) likewise."""
    a = vae.decode(z)
    _check_shape("decode", a, (len(z), *vae.config.natural_shape))
    return a


def _check_shape(name: str, found: object, wanted: tuple[int, ...]) -> None:
    shape = tuple(found.shape) if isinstance(found, Tensor) else f"of a {type(found).__name__}"
    if shape != wanted:
        raise UnsupportedModelError(f"vae.{name} gives shape {shape}, its configuration says {wanted}.")


def as_double(vae: VAE) -> VAE:
    """A copy of the model in float64, same weights: what scores and certificates are computed with."""
    return in_dtype(check_vae(vae), torch.float64)


def in_dtype(vae: VAE, dtype: torch.dtype) -> VAE:
    """A copy of the model, same weights as far as the numbers allow."""
    weights = {}  # in place of copies in the model's own precision
    for weight in vae.parameters():
        values = weight.detach().to(dtype).clone(memory_format=torch.contiguous_format)
        weights[id(weight)] = nn.Parameter(values, weight.requires_grad)
    check_copies(vae)
    try:
        copied = copy.deepcopy(vae, weights)
        nn.Module.to(copied, dtype)  # whatever a subclass makes of them
        nn.Module.train(copied, False)
        return copied
    except (RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedModelError(
            "The model cannot be copied to float64; where a weight is computed from others, make "
            f"it a plain one (remove_weight_norm): {error}"
        ) from error


def evaluating(vae: VAE) -> VAE:
    """The model if all of it is in evaluation mode and gradients go through it, else such a copy: dropout
    is no part of what is scored, a search for an adversary must not move batch statistics, and weights that
    were made in inference mode let no gradient through."""
    check_copies(check_vae(vae))
    training = any(module.training for module in vae.modules())
    closed = any(weight.is_inference() for weight in vae.parameters())
    return in_dtype(vae, check_home(vae).dtype) if training or closed else vae


@isolated()
def sample_noise(vae: VAE, draws: int = 1, seed: int = 0) -> Tensor:
    """Noise (S, k) ~ N(0, I), float32, shared by every image (common random numbers).

    The same seed gives the same draws; the first draws of a longer sample are those of a shorter one.
    Raises InputError unless vae is a VAE, draws a whole number >= 1 and seed one >= 0.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> core.sample_noise(vae, draws=4).shape
    torch.Size([4, 16])
    """
    latent = check_vae(vae).config.latent
    generator = torch.Generator("cpu").manual_seed(check_seed(seed))
    rows = [
        torch.randn(latent, generator=generator, dtype=torch.float32, device="cpu")
        for _ in range(check_count("draws", draws))
    ]
    return torch.stack(rows)


@isolated()
@plain_convolutions()
@torch.no_grad()
def elbo(vae: VAE, x: Tensor, noise: Tensor, t: Tensor | None = None) -> ELBO:
    """ELBO(x; t, noise) per image, in nats, evaluated in float64 over the shared draws.

    x      images (B, C, H, W) in [0, 1].
    noise  draws (S, k), see `sample_noise`.
    t      the image whose likelihood is scored, shape of x; x itself if omitted. With an attacked x
           and the clean image as t this is the value of target="reconstruction".

    The same image in a batch of another size can differ in the last bits (1e-12 nats).

    Raises InputError for images or noise of a wrong shape, range or dtype.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> found = core.elbo(vae, x, noise)
    >>> torch.equal(found.total, found.recon - found.kl)
    True
    """
    x = check_images(vae, x)
    t = x if t is None else check_images(vae, t, like=x)
    noise = check_noise(vae, noise)
    return score(as_double(vae), x.double(), noise.double()[:, None], t.double())


def score(vae: VAE, x: Tensor, noise: Tensor, t: Tensor) -> ELBO:
    """`elbo` in the model's own precision, of what is already checked; noise (S, 1, k)."""
    size = max(1, ROWS // len(noise))
    parts = [elbo_terms(vae, xs, noise, ts) for xs, ts in zip(x.split(size), t.split(size), strict=True)]
    recon, kl = (torch.cat(column) for column in zip(*parts, strict=True))
    recon = recon.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    kl = kl.nan_to_num(nan=torch.inf, posinf=torch.inf)
    total = (recon - kl).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return ELBO(total, recon, kl)
