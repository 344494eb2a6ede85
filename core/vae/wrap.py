"""Anybody's VAE as one of ours: its encoder and decoder traced, its heads and scales understood."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from core.errors import InputError
from core.isolation import isolated
from core.network.trace import Part, modules_of
from core.vae.model import VAE
from core.vae.validate import check_choice
from core.vae.wrapped import WRAPPED_LIKELIHOODS, WrappedConfig
from core.vae.wrapped_decoder import decoder_network
from core.vae.wrapped_encoder import encoder_network

HEADS = ("two", "chunk", "interleaved")
SCALES = ("logvar", "logsigma", "sigma")
OUTPUTS = ("logits", "probabilities", "mean", "mean_logvar")
# Images that a module and its graph are compared on.
_EXAMPLES = 3


@isolated()
def wrap(
    encoder: Part,
    decoder: Part,
    *,
    shape: Sequence[int],
    likelihood: str = "bernoulli",
    output: str = "logits",
    heads: str = "two",
    scale: str = "logvar",
    sigma: float | None = None,
    pixels: tuple[float, float] = (0.0, 1.0),
) -> VAE:
    """A VAE of anybody's encoder and decoder, which all of core takes.

    encoder, decoder  nn.Modules in evaluation mode, or functions of tensors: images (B, C, H, W) -> mu and
            its scale; latent codes (B, ...) in the shape of mu -> the decoder's output. Traced by
            torch.export; their weights are copied.
    shape   of one image, (channels, height, width).
    likelihood  "bernoulli", "continuous_bernoulli" or "gaussian".
    output  what the decoder gives: "logits" or "probabilities" (a last sigmoid is taken off, of others the
            logit is bounded) of the first two, "mean" of a Gaussian of given sigma, "mean_logvar" of one
            whose log variances it gives, too: as a second output, or behind the means, as the second half
            of the channels.
    heads   how mu (first) and its scale come: "two" outputs, the two halves of one ("chunk"), or in turns
            ("interleaved": mu_0, s_0, mu_1, ...).
    scale   what the second head is: "logvar", "logsigma" or "sigma" (positive).
    sigma   standard deviation of a Gaussian, on the model's own scale of pixels; see `sigma_of_loss`.
    pixels  the model's own values of black and white. Images, and eps, stay in [0, 1] everywhere else.

    Raises InputError for arguments that are not as above and weights that are no float32 numbers,
    UnsupportedLayerError for an operation without a rule, with its name and its place,
    UnsupportedModelError for what cannot be traced or does not compute what was understood.

    >>> encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ELU(),
    ...                               torch.nn.Linear(8, 4)).eval()
    >>> decoder = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ELU(), torch.nn.Linear(8, 64),
    ...                               torch.nn.Sigmoid()).eval()
    >>> vae = core.wrap(encoder, decoder, shape=(1, 8, 8), output="probabilities", heads="chunk")
    >>> x, noise = torch.rand(2, 1, 8, 8), core.sample_noise(vae, draws=2)
    >>> proved = core.certify(vae, x, noise, eps=0.01, method="crown").lower
    >>> bool((proved <= core.elbo(vae, x, noise).total).all())
    True
    """
    check_choice("likelihood", likelihood, WRAPPED_LIKELIHOODS)
    check_choice("output", output, OUTPUTS[2:] if likelihood == "gaussian" else OUTPUTS[:2])
    check_choice("heads", heads, HEADS)
    check_choice("scale", scale, SCALES)
    if output == "mean" and sigma is None:
        raise InputError("A Gaussian needs its sigma; core.sigma_of_loss says which one a loss has.")
    if output == "mean_logvar" and sigma is not None:
        raise InputError("A decoder that gives log variances has no sigma; leave it out.")
    config = _config(shape, 1, likelihood, sigma, pixels, output)
    for name, part in (("encoder", encoder), ("decoder", decoder)):
        for module in modules_of(part):
            check_part(module, name)
    generator = torch.Generator("cpu").manual_seed(0)
    x = torch.rand(_EXAMPLES, *config.shape, generator=generator, dtype=torch.float32, device="cpu")
    network, code = encoder_network(encoder, x, config, heads, scale)
    k = network(x).shape[1] // 2
    z = torch.randn(_EXAMPLES, k, generator=generator, dtype=torch.float32, device="cpu")
    back = decoder_network(decoder, z, code, config, output)
    config = _config(shape, k, likelihood, sigma, pixels, output)
    return VAE.of_networks(config, network, back).eval().requires_grad_(False)


def sigma_of_loss(
    squares: str = "mean",
    *,
    pixels: int,
    kl_weight: float = 1.0,
    kl: str = "sum",
    latent: int = 1,
) -> float:
    """The sigma of the Gaussian whose negative ELBO a training loss is, but for a factor and a constant.

    squares  how squared errors are reduced: "mean" over all `pixels` values of an image, "sum", or
             "half-sum" (0.5 times the sum). kl_weight: of the KL, which is the "sum" over the latent
             dimensions or their "mean" (then say `latent`).

    c sum (t - g)^2 + w KL is w times sum (t - g)^2 / (2 sigma^2) + KL for sigma^2 = w / (2 c).

    >>> core.sigma_of_loss("half-sum", pixels=784)
    1.0
    """
    check_choice("squares", squares, ("mean", "sum", "half-sum"))
    check_choice("kl", kl, ("sum", "mean"))
    factor = {"mean": 1 / pixels, "sum": 1.0, "half-sum": 0.5}[squares]
    weight = kl_weight / (latent if kl == "mean" else 1)
    if not weight > 0:
        raise InputError(f"kl_weight is {kl_weight!r}; without a KL a loss has no Gaussian.")
    return (weight / (2 * factor)) ** 0.5


def check_part(module: nn.Module, name: str) -> None:
    """Raises InputError for a module that is being trained, or whose numbers are none of float32."""
    for path, part in module.named_modules():
        if part.training:
            raise InputError(
                f"The {name} is in training mode{f' (at {path})' if path else ''}; call .eval() first: "
                "dropout and batch statistics are no part of what is certified."
            )
    for path, weight in [*module.named_parameters(), *module.named_buffers()]:
        if not weight.dtype.is_floating_point and not weight.dtype.is_complex:
            continue  # counters
        if weight.dtype is not torch.float32:
            raise InputError(f"The {name}'s {path} is {weight.dtype}; give float32: module.float().")
        if not bool(weight.isfinite().all()):
            raise InputError(
                f"The {name}'s {path} has NaN or infinite values: nothing can be proved of it."
            )


def _config(
    shape: Sequence[int],
    latent: int,
    likelihood: str,
    sigma: float | None,
    pixels: tuple[float, float],
    output: str,
) -> WrappedConfig:
    image = tuple(shape) if isinstance(shape, Sequence) else (0, 0, 0)
    low, high = pixels
    return WrappedConfig(
        *(likelihood, image, latent, 1.0 if sigma is None else sigma),
        pixels_from=low,
        pixels_to=high,
        learned_variance=output == "mean_logvar",
    )  # pyright: ignore[reportArgumentType]
