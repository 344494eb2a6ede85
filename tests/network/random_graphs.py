"""Random graphs of all operations, so small that they are bounded in milliseconds."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from core.network import operations as ops
from core.network.functions import FUNCTIONS
from core.network.graph import Network, as_network
from core.network.operations import Elementwise
from core.vae.model import VAE
from core.vae.wrapped import WrappedConfig

SHAPE, LATENT = (1, 4, 4), 2
# No value of a row has more numbers, and none of the examples is larger.
MOST, LARGEST = 40, 2.0


class Draft:
    """A graph while it is drawn, with the values that some examples give."""

    def __init__(self, examples: Tensor, seed: int) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.values = [examples]
        self.operations: list[nn.Module] = []
        self.sources: list[tuple[int, ...]] = []

    def row(self, value: int) -> tuple[int, ...]:
        return tuple(self.values[value].shape[1:])

    def add(self, operation: nn.Module, *sources: int) -> int:
        self.operations.append(operation.requires_grad_(False))
        self.sources.append(sources)
        self.values.append(operation(*(self.values[source] for source in sources)))
        return len(self.operations)

    def numbers(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def any(self) -> int:
        """The last value, or one before it."""
        last = len(self.operations)
        return last if self.random.random() < 0.6 else self.random.randint(0, last)

    def affine(self, layer: nn.Module, value: int) -> int:
        """A layer with random weights."""
        weight = layer.get_parameter("weight")
        terms = weight[0].numel() if not isinstance(layer, nn.ConvTranspose2d) else weight[:, 0].numel()
        weight.data = self.numbers(*weight.shape) / terms**0.5
        bias = layer.get_parameter("bias")
        bias.data = self.numbers(*bias.shape) / 2
        return self.add(layer, value)

    def flat(self, value: int, size: int | None = None) -> int:
        """As a row of one dimension, of `size` numbers."""
        value = value if len(self.row(value)) == 1 else self.add(nn.Flatten(), value)
        return value if size is None else self.affine(nn.Linear(self.row(value)[0], size), value)

    def image(self, value: int, channels: int | None = None) -> int:
        """As images, of so many channels."""
        if len(self.row(value)) != 3:
            value = self.add(nn.Unflatten(1, (2, 3, 2)), self.flat(value, 12))
        if channels is not None and self.row(value)[0] != channels:
            value = self.affine(nn.Conv2d(self.row(value)[0], channels, 1), value)
        return value

    def like(self, value: int) -> int:
        """Another value of the same shape, the same one, one that broadcasts, or a mix of it."""
        same = [i for i, other in enumerate(self.values) if other.shape == self.values[value].shape]
        other, dims = self.random.choice(same), len(self.row(value))
        size = self.row(value)[dims - 1]
        if self.random.random() < 0.3 and dims > 1:
            return self.add(ops.Sum((dims,), True, True, size), value)
        if other == value and self.random.random() < 0.8:
            return self.affine(nn.Linear(size, size), value)
        return other

    def tame(self, value: int) -> int:
        """Neither large nor many."""
        size = self.values[value].abs().max().item()
        if self.values[value][0].numel() > MOST:
            value = self.flat(value, 12)
        return (
            value if size <= LARGEST else self.add(ops.Scale(torch.tensor([LARGEST / size]), None), value)
        )


Step = Callable[[Draft, int], int]
STEPS: dict[str, Step] = {}


def step(function: Step) -> Step:
    """Decorator: a step that is named after an operation."""
    STEPS[function.__name__.lstrip("_")] = function
    return function


@step
def _Linear(d: Draft, v: int) -> int:  # noqa: N802
    return d.affine(nn.Linear(d.row(v)[-1], d.random.choice([2, 3])), v)


@step
def _Conv2d(d: Draft, v: int) -> int:  # noqa: N802
    v = d.image(v)
    return d.affine(nn.Conv2d(d.row(v)[0], 2, 3, padding=1), v)


@step
def _ConvTranspose2d(d: Draft, v: int) -> int:  # noqa: N802
    v = d.image(v)
    return d.affine(nn.ConvTranspose2d(d.row(v)[0], 1, 2, stride=d.random.choice([1, 2])), v)


@step
def _ReLU(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(nn.ReLU(), v)


@step
def _Reshape(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Reshape(d.row(v)[::-1]), v)


@step
def _Permute(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Permute(d.random.choice([[2, 3, 1], [1, 3, 2], [3, 2, 1]])), d.image(v))


@step
def _Expand(d: Draft, v: int) -> int:  # noqa: N802
    v = d.image(v)
    narrow = d.add(ops.Sum((3,), True, False, d.row(v)[2]), v)
    return d.add(ops.Expand((*d.row(v)[:2], 2)), narrow)


@step
def _Slice(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Slice(len(d.row(v)), 0, d.row(v)[-1], d.random.choice([1, 2])), v)


@step
def _Gather(d: Draft, v: int) -> int:  # noqa: N802
    size = d.row(v)[-1]
    return d.add(ops.Gather(len(d.row(v)), [d.random.randrange(size) for _ in range(min(size, 5))]), v)


@step
def _Pad(d: Draft, v: int) -> int:  # noqa: N802
    v, mode = d.image(v), d.random.choice(["constant", "replicate"])
    return d.add(ops.Pad((0, 1, 1, 0), mode, d.random.choice([0.0, 0.1, -0.7])), v)


@step
def _Concatenate(d: Draft, v: int) -> int:  # noqa: N802
    other = d.like(v)
    return d.add(ops.Concatenate(len(d.row(v))), v, other)


@step
def _Sum(d: Draft, v: int) -> int:  # noqa: N802
    dims, mean = (len(d.row(v)),), d.random.choice([True, False])
    return d.add(ops.Sum(dims, len(d.row(v)) == 1, mean, d.row(v)[-1]), v)


@step
def _AveragePool(d: Draft, v: int) -> int:  # noqa: N802
    ceil, count = d.random.choice([True, False]), d.random.choice([True, False])
    return d.add(ops.AveragePool((2, 2), (2, 1), (1, 1), ceil, count), d.image(v))


@step
def _AdaptiveAveragePool(d: Draft, v: int) -> int:  # noqa: N802
    v = d.image(v)
    height, width = d.row(v)[1:]
    return d.add(ops.AdaptiveAveragePool((2, 1), (height // 2 + 2) * (width + 1)), v)


@step
def _Upsample(d: Draft, v: int) -> int:  # noqa: N802
    v = d.image(v, 1)
    size = tuple(length + 1 for length in d.row(v)[1:])
    return d.add(ops.Upsample(size, d.random.choice(["nearest", "bilinear"]), d.random.random() < 0.5), v)


@step
def _PixelShuffle(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.PixelShuffle(2), d.image(v, 4))


@step
def _PixelUnshuffle(d: Draft, v: int) -> int:  # noqa: N802
    v = d.image(v, 1)
    even = d.add(ops.AdaptiveAveragePool((4, 2), 12), v)
    return d.add(ops.PixelUnshuffle(2), even)


@step
def _Scale(d: Draft, v: int) -> int:  # noqa: N802
    row = d.row(v)
    factor = d.numbers(row[-1]) if d.random.random() < 0.7 else None
    return d.add(ops.Scale(factor, d.numbers(*row) if d.random.random() < 0.7 else None), v)


@step
def _Divide(d: Draft, v: int) -> int:  # noqa: N802
    divisor = d.numbers(d.row(v)[-1])
    return d.add(ops.Divide(torch.where(divisor < 0, divisor - 0.5, divisor + 0.5)), v)


@step
def _BatchNorm(d: Draft, v: int) -> int:  # noqa: N802
    count = d.row(v)[0]
    weights = (d.numbers(count), d.numbers(count)) if d.random.random() < 0.7 else (None, None)
    return d.add(ops.BatchNorm(d.numbers(count), d.numbers(count) ** 2 + 0.1, *weights, 1e-5), v)


@step
def _Center(d: Draft, v: int) -> int:  # noqa: N802
    dims = tuple(range(1, len(d.row(v)) + 1))[-2:]
    terms = d.values[v][0].numel() if len(dims) == len(d.row(v)) else d.row(v)[1] * d.row(v)[2]
    return d.add(ops.Center(dims, terms), v)


@step
def _normalised(d: Draft, v: int) -> int:
    """A normalisation, its results clamped to what they can be."""
    v = d.flat(v)
    size = d.row(v)[0]
    centered = d.add(ops.Center((1,), size), v)
    variance = d.add(ops.Sum((1,), True, True, size), d.add(Elementwise("square"), centered))
    inverse = d.add(Elementwise("rsqrt"), d.add(ops.Scale(None, torch.tensor([0.05])), variance))
    found, most = d.add(ops.Multiply(), centered, inverse), 1.001 * size**0.5
    return d.add(Elementwise("clamp", low=-most, high=most), found)


@step
def _Subtract(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Subtract(), v, d.like(v))


@step
def _Differences(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Differences(), v if d.row(v)[-1] > 1 else d.flat(v, 3))


@step
def _InverseSoftmax(d: Draft, v: int) -> int:  # noqa: N802
    v = v if 1 < d.row(v)[-1] < 6 else d.flat(v, 4)
    return d.add(ops.InverseSoftmax(), v, d.add(ops.Differences(), v))


@step
def _Add(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Add(), v, d.like(v))


@step
def _Multiply(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Multiply(), v, d.like(v))


@step
def _Maximum(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Maximum(), d.like(v), v)


@step
def _Minimum(d: Draft, v: int) -> int:  # noqa: N802
    return d.add(ops.Minimum(), v, d.like(v))


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "leaky_relu": [{}, {"negative_slope": -0.5}, {"negative_slope": 2.0}],
    "clamp": [{"low": -0.3, "high": 0.4}, {"low": 0.1}, {"high": -0.1}],
    "softplus": [{}, {"beta": 3.0}, {"beta": 50.0, "threshold": 2.0}],
    "elu": [{}, {"alpha": 2.5}, {"alpha": -1.0}],
    "celu": [{}, {"alpha": 0.5}],
    "gelu": [{}, {"approximate": "tanh"}],
}
"""Options that functions are tried with, {} for those that have none."""
DOMAINS = ("log", "sqrt", "rsqrt", "reciprocal", "logit")


def elementwise(name: str) -> Step:
    """A function; those that are not defined everywhere behind one with values in (0, 1)."""

    def add(d: Draft, v: int) -> int:
        if name in DOMAINS:
            v = d.add(ops.Scale(torch.tensor([2.0]), None), v)
            v = d.add(Elementwise("sigmoid"), v)
        elif d.random.random() < 0.7:
            v = d.add(ops.Scale(torch.tensor([d.random.choice([3.0, -6.0])]), None), v)
        if name == "prelu":
            return d.add(Elementwise(name, d.numbers(d.row(v)[0], *[1] * (len(d.row(v)) - 1))), v)
        return d.add(Elementwise(name, **d.random.choice(OPTIONS.get(name, [{}]))), v)

    return add


STEPS |= {name: elementwise(name) for name in FUNCTIONS}


def random_network(examples: Tensor, sizes: tuple[int, ...], names: list[str], seed: int) -> Network:
    """A network with steps of these names, and linear layers between, that gives rows of a shape."""
    d = Draft(examples, seed)
    for name in names:
        d.tame(STEPS[name](d, d.tame(d.any())))
    last = d.flat(len(d.operations))
    count = sizes[0] if len(sizes) == 1 else sizes[0] * sizes[1] * sizes[2]
    last = d.affine(nn.Linear(d.row(last)[0], count), last)
    if len(sizes) > 1:
        d.add(nn.Unflatten(1, sizes), last)
    plain = not any(
        isinstance(operation, nn.Linear) and len(d.row(sources[0])) > 1
        for operation, sources in zip(d.operations, d.sources, strict=True)
    )
    return as_network(d.operations, d.sources, plain).eval()


LEARNED = "gaussian, learned variance"
"""A likelihood beside the names in core.vae.config."""


def random_vae(seed: int, likelihood: str = "bernoulli", length: int = 4) -> VAE:
    """A VAE of two random graphs. Seeds that follow each other take turns with the operations."""
    names = list(STEPS)
    turns = [names[(seed * 2 * length + i * 7) % len(names)] for i in range(2 * length)]
    return vae_of_steps(turns[::2], turns[1::2], seed, likelihood)


def vae_of_steps(encoder: list[str], decoder: list[str], seed: int, likelihood: str = "bernoulli") -> VAE:
    """A VAE whose networks have steps of these names."""
    generator = torch.Generator().manual_seed(seed)
    examples = torch.rand(4, *SHAPE, generator=generator), torch.randn(4, LATENT, generator=generator)
    learned = likelihood == LEARNED
    kind = "gaussian" if learned else likelihood
    config = WrappedConfig(kind, SHAPE, LATENT, 0.3, learned_variance=learned)
    with torch.no_grad():
        networks = (
            random_network(examples[0], (2 * LATENT,), encoder, 2 * seed),
            random_network(examples[1], config.natural_shape, decoder, 2 * seed + 1),
        )
    return VAE.of_networks(config, *networks).eval().requires_grad_(False)
