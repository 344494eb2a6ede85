"""Anybody's VAE as one of ours: its encoder and decoder traced, its heads and scales understood."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from core.errors import InputError, UnsupportedModelError
from core.isolation import isolated
from core.network.builder import Builder, Layout, Value, number, plain_layout
from core.network.graph import Network
from core.network.operations import Concatenate, Elementwise, Gather, Permute, Reshape, Scale, Slice
from core.network.trace import Part, modules_of, trace
from core.vae.model import VAE
from core.vae.validate import check_choice
from core.vae.wrapped import WRAPPED_LIKELIHOODS, WrappedConfig

HEADS = ("two", "chunk", "interleaved")
SCALES = ("logvar", "logsigma", "sigma")
OUTPUTS = ("logits", "probabilities", "mean", "mean_logvar")
# Images that a module and its graph are compared on, and how far apart they may be.
_EXAMPLES, _APART = 3, 1e-4


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
    network, code = _encoder(encoder, x, config, heads, scale)
    k = network(x).shape[1] // 2
    z = torch.randn(_EXAMPLES, k, generator=generator, dtype=torch.float32, device="cpu")
    back = _decoder(decoder, z, code, config, output)
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


def _called(part: Part, v: Tensor, name: str) -> list[Tensor]:
    """What a module gives, twice the same."""
    with torch.no_grad():
        try:
            found, again = (_tensors(part(v)) for _ in range(2))
        except Exception as error:
            reason = str(error).splitlines()
            raise InputError(
                f"The {name} does not take shape {tuple(v.shape)}: "
                f"{reason[0] if reason else type(error).__name__}"
            ) from error
    if not all(bool(v.isfinite().all()) for v in found):
        raise InputError(f"The {name} gives NaN or infinite values; nothing can be proved of it.")
    if len(found) != len(again) or any(not torch.equal(a, b) for a, b in zip(found, again, strict=True)):
        raise UnsupportedModelError(
            f"The {name} gives another result each time; give the part that ends before noise is drawn: "
            "mu and its scale."
        )
    return found


def _tensors(found: object) -> list[Tensor]:
    outputs = [found] if isinstance(found, Tensor) else list(found) if isinstance(found, Sequence) else []
    if not outputs or not all(isinstance(part, Tensor) for part in outputs):
        raise InputError(f"It gives a {type(found).__name__}; it has to give tensors.")
    return outputs


def _encoder(
    part: Part, x: Tensor, config: WrappedConfig, heads: str, scale: str
) -> tuple[Network, tuple[int, ...]]:
    """The network from images in [0, 1] to mu and logvar (N, 2k), and the shape of a latent code."""
    own = config.pixels_from + config.stretch * x
    wanted = _called(part, own, "encoder")
    if len(wanted) != (2 if heads == "two" else 1):
        raise InputError(
            f"The encoder gives {len(wanted)} tensor(s); heads={heads!r} is for "
            f"{2 if heads == 'two' else 1}."
        )
    build = Builder(config.shape)
    start = build.start
    if (config.pixels_from, config.pixels_to) != (0, 1):
        start = build.add(Scale(*_constants(config.stretch, config.pixels_from)), start.layout, start)
    outputs = trace(part, own, "encoder", build, start)
    rows = [build.reshape(_in_front(build, value), ((None,), (_size(value),))) for value in outputs]
    mu, spread, code = _two_heads(build, rows, outputs, heads)
    if _size(mu) != _size(spread):
        raise InputError(f"mu has {_size(mu)} values and its scale {_size(spread)}; they must be as many.")
    for value, found in zip(rows, wanted, strict=True):
        _compare("encoder", build.network(value)(x), found.flatten(1))
    if scale == "logsigma":
        spread = build.add(Scale(number(2.0), None), spread.layout, spread)
    elif scale == "sigma":
        spread = build.add(Elementwise("log"), spread.layout, spread)
        spread = build.add(Scale(number(2.0), None), spread.layout, spread)
    plain = heads == "chunk" and scale == "logvar"
    whole = rows[0] if plain else _merged(build, mu, spread, x)
    return build.network(whole), code


def _two_heads(
    build: Builder, rows: list[Value], outputs: list[Value], heads: str
) -> tuple[Value, Value, tuple[int, ...]]:
    """mu and its scale, flat, and the shape that the decoder takes a code in."""
    if heads == "two":
        return rows[0], rows[1], outputs[0].row
    whole, size = rows[0], _size(rows[0])
    if size % 2:
        raise InputError(
            f"The encoder gives {size} values, an odd number: no mu and scale of the same size."
        )
    half: Layout = ((None,), (size // 2,))
    if heads == "chunk":
        parts = [Slice(1, start, start + size // 2) for start in (0, size // 2)]
    else:
        parts = [Gather(1, range(start, size, 2)) for start in (0, 1)]
    mu, spread = (build.add(part, half, whole) for part in parts)
    first, *rest = outputs[0].row
    spatial = heads == "chunk" and first % 2 == 0 and bool(rest)
    return mu, spread, (first // 2, *rest) if spatial else (size // 2,)


def _merged(build: Builder, mu: Value, spread: Value, x: Tensor) -> Value:
    """mu and logvar one after the other: by one linear layer where both are linear layers of one value, or
    parts of one, and that gives the same bits; the network is a chain then, of which more is proved."""
    k = _size(mu)
    layout: Layout = ((None,), (2 * k,))
    both = build.add(Concatenate(1), layout, mu, spread)
    first, second = (_linear_part(build, value) for value in (mu, spread))
    if first is None or second is None or first[2] != second[2]:
        return both
    weight, bias = torch.cat([first[0], second[0]]), torch.cat([first[1], second[1]])
    layer = nn.Linear(weight.shape[1], 2 * k, device="meta", dtype=torch.float32)
    layer.weight, layer.bias = (nn.Parameter(v, requires_grad=False) for v in (weight, bias))
    joined = build.add(layer, layout, first[2])
    same = torch.equal(build.network(joined)(x), build.network(both)(x))
    return joined if same else both


def _linear_part(build: Builder, value: Value) -> tuple[Tensor, Tensor, Value] | None:
    """Weight, bias and input of the linear layer whose outputs a value is some of, or twice them. What
    picks them picks the rows of the weight."""
    picks, factor = list[nn.Module](), 1.0
    while not isinstance(operation := build.made_by(value), nn.Linear):
        if isinstance(operation, Slice | Gather | Permute | Reshape | nn.Flatten | nn.Unflatten):
            picks.insert(0, operation)
        elif isinstance(operation, Scale) and operation.shift is None and operation.factor is not None:
            factor *= operation.factor.item()
        else:
            return None
        value = build.before(value)
    weight = operation.weight.detach()
    bias = weight.new_zeros(len(weight)) if operation.bias is None else operation.bias.detach()
    both = torch.cat([weight, bias[:, None]], 1).T
    for pick in picks:
        both = pick(both)
    return factor * both[:-1].T, factor * both[-1], build.before(value)


def _decoder(part: Part, z: Tensor, code: tuple[int, ...], config: WrappedConfig, output: str) -> Network:
    """The network from latent codes (N, k) to natural parameters (N, C, H, W)."""
    own = z.reshape(len(z), *code)
    wanted = _called(part, own, "decoder")
    sizes = [v[0].numel() for v in wanted]
    pair = config.learned_variance and sizes == [config.pixels, config.pixels]
    if sizes != [prod(config.natural_shape)] and not pair:
        found = [tuple(v.shape[1:]) for v in wanted]
        other = f", or two of {config.shape}" if config.learned_variance else ""
        raise InputError(
            f"The decoder gives {found} an image; one output of {config.natural_shape}{other} is needed."
        )
    build = Builder(z.shape[1:])
    start = build.reshape(build.start, plain_layout(code))
    values = [_in_front(build, value) for value in trace(part, own, "decoder", build, start)]
    for value, found in zip(values, wanted, strict=True):
        _compare("decoder", build.network(value)(z), found)
    if output == "probabilities":
        values = [_logits(build, values[0])]
    layout = plain_layout(config.natural_shape)
    parts = [build.reshape(value, plain_layout(config.shape) if pair else layout) for value in values]
    value = build.add(Concatenate(1), layout, *parts) if pair else parts[0]
    if config.likelihood == "gaussian" and (config.pixels_from, config.pixels_to) != (0, 1):
        value = build.add(Scale(*_to_unit_scale(config)), layout, value)
    return build.network(value)


def _to_unit_scale(config: WrappedConfig) -> tuple[Tensor, Tensor]:
    """Factor and shift from means on the model's scale of pixels to those on [0, 1]; log variances stay."""
    of_means = _constants(1 / config.stretch, -config.pixels_from / config.stretch)
    if not config.learned_variance:
        return of_means
    of_variances = _constants(1.0, 0.0)
    channels = config.shape[0]
    factor, shift = (
        torch.cat([mean.expand(channels), variance.expand(channels)]).view(-1, 1, 1)
        for mean, variance in zip(of_means, of_variances, strict=True)
    )
    return factor, shift


def _logits(build: Builder, value: Value) -> Value:
    """What a last sigmoid is of, else the logit of a value."""
    before = value
    while isinstance(operation := build.made_by(before), nn.Flatten | nn.Unflatten):
        before = build.before(before)
    if isinstance(operation, Elementwise) and operation.name == "sigmoid":
        return build.before(before)
    return build.add(Elementwise("logit"), value.layout, value)


def _compare(name: str, found: Tensor, wanted: Tensor) -> None:
    """Raises UnsupportedModelError where a graph computes something else than the module."""
    apart = (
        (found - wanted.reshape(found.shape)).abs().max().item() if found.numel() == wanted.numel() else 1e9
    )
    if not apart <= _APART * (1 + wanted.abs().max().item()):
        raise UnsupportedModelError(
            f"The graph of the {name} gives other values than the module (by {apart:.3g}); that is a fault "
            "of this program: please report it with the module."
        )


def _in_front(build: Builder, value: Value) -> Value:
    """The value with the batch as its first dimension."""
    at = next(dim for dim, group in enumerate(value.layout) if None in group)
    if value.layout[at] != (None,):
        raise UnsupportedModelError("A part gives the images of a batch mixed with something else.")
    order = [at, *(dim for dim in range(len(value.layout)) if dim != at)]
    return build.permute(value, order)


def _size(value: Value) -> int:
    size = 1
    for factor in value.row:
        size *= factor
    return size


def _constants(factor: float, shift: float) -> tuple[Tensor, Tensor]:
    return number(factor), number(shift)
