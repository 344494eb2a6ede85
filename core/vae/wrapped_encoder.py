"""The encoder of a wrapped VAE: a network from images in [0, 1] to mu and logvar, whatever its heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.network.builder import Builder, Layout, Value, number
from core.network.graph import Network
from core.network.operations import Concatenate, Elementwise, Gather, Permute, Reshape, Scale, Slice
from core.network.trace import Part, trace
from core.vae.traced_part import batch_first, called, compare, constants, size_of
from core.vae.wrapped import WrappedConfig


def encoder_network(
    part: Part, x: Tensor, config: WrappedConfig, heads: str, scale: str
) -> tuple[Network, tuple[int, ...]]:
    """The network from images in [0, 1] to mu and logvar (N, 2k), and the shape of a latent code."""
    own = config.pixels_from + config.stretch * x
    wanted = called(part, own, "encoder")
    if len(wanted) != (2 if heads == "two" else 1):
        raise InputError(
            f"The encoder gives {len(wanted)} tensor(s); heads={heads!r} is for "
            f"{2 if heads == 'two' else 1}."
        )
    build = Builder(config.shape)
    start = build.start
    if (config.pixels_from, config.pixels_to) != (0, 1):
        start = build.add(Scale(*constants(config.stretch, config.pixels_from)), start.layout, start)
    outputs = trace(part, own, "encoder", build, start)
    rows = [build.reshape(batch_first(build, value), ((None,), (size_of(value),))) for value in outputs]
    mu, spread, code = _two_heads(build, rows, outputs, heads)
    if size_of(mu) != size_of(spread):
        raise InputError(
            f"mu has {size_of(mu)} values and its scale {size_of(spread)}; they must be as many."
        )
    for value, found in zip(rows, wanted, strict=True):
        compare("encoder", build.network(value)(x), found.flatten(1))
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
    whole, size = rows[0], size_of(rows[0])
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
    k = size_of(mu)
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
