"""The decoder of a wrapped VAE: a network from latent codes to natural parameters, whatever it gives."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.network.builder import Builder, Value, plain_layout
from core.network.graph import Network
from core.network.operations import Concatenate, Elementwise, Scale
from core.network.trace import Part, trace
from core.vae.traced_part import batch_first, called, compare, constants
from core.vae.wrapped import WrappedConfig


def decoder_network(
    part: Part, z: Tensor, code: tuple[int, ...], config: WrappedConfig, output: str
) -> Network:
    """The network from latent codes (N, k) to natural parameters (N, C, H, W)."""
    own = z.reshape(len(z), *code)
    wanted = called(part, own, "decoder")
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
    values = [batch_first(build, value) for value in trace(part, own, "decoder", build, start)]
    for value, found in zip(values, wanted, strict=True):
        compare("decoder", build.network(value)(z), found)
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
    of_means = constants(1 / config.stretch, -config.pixels_from / config.stretch)
    if not config.learned_variance:
        return of_means
    of_variances = constants(1.0, 0.0)
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
