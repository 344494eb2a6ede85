"""Operations of traced networks beside torch's own layers: modules of one row an image, batch first.

Each is built from plain options and tensors, so that a graph can be written to a file and read again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.network.functions import FUNCTIONS, Function


class Monotone(nn.Module):
    """A linear operation without a negative coefficient, plus what it gives for 0: the ends of an interval
    go through it as they are.

    terms  no output is a sum of more than so many products; copies has one.
    """

    terms: int = 1


class Reshape(Monotone):
    """Another shape of the same values, row by row."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, v: Tensor) -> Tensor:
        return v.reshape(len(v), *self.shape)


class Permute(Monotone):
    """Another order of the dimensions; those of a row are numbered from 1."""

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.order = tuple(order)

    def forward(self, v: Tensor) -> Tensor:
        return v.permute(0, *self.order)


class Expand(Monotone):
    """Copies along dimensions of size 1."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, v: Tensor) -> Tensor:
        return v.expand(len(v), *self.shape)


class Slice(Monotone):
    """Every step-th value from start to stop along a dimension."""

    def __init__(self, dim: int, start: int, stop: int, step: int = 1) -> None:
        super().__init__()
        self.dim, self.start, self.stop, self.step = dim, start, stop, step

    def forward(self, v: Tensor) -> Tensor:
        index = [slice(None)] * self.dim + [slice(self.start, self.stop, self.step)]
        return v[tuple(index)]


class Gather(Monotone):
    """Values at some places along a dimension, in any order."""

    def __init__(self, dim: int, places: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.places = dim, tuple(places)

    def forward(self, v: Tensor) -> Tensor:
        return v.index_select(self.dim, torch.tensor(self.places, device=v.device, dtype=torch.int64))


class Pad(Monotone):
    """Values around an image: a constant, or copies of what is inside."""

    def __init__(self, amounts: Sequence[int], mode: str = "constant", value: float = 0.0) -> None:
        super().__init__()
        self.amounts, self.mode = tuple(amounts), mode
        # As float32 holds it: the same number in every arithmetic.
        self.value = torch.tensor(value, dtype=torch.float32, device="cpu").item()

    def forward(self, v: Tensor) -> Tensor:
        constant = self.value if self.mode == "constant" else None
        return F.pad(v, self.amounts, self.mode, constant)


class Concatenate(Monotone):
    """Values one after the other along a dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, self.dim)


class Add(Monotone):
    """The sum of two values, which broadcast."""

    terms = 2

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Sum(Monotone):
    """The sum, or the mean, over dimensions."""

    def __init__(self, dims: Sequence[int], keepdim: bool, mean: bool, terms: int) -> None:
        super().__init__()
        self.dims, self.keepdim, self.mean, self.terms = tuple(dims), keepdim, mean, terms

    def forward(self, v: Tensor) -> Tensor:
        reduce = torch.mean if self.mean else torch.sum
        return reduce(v, self.dims, self.keepdim)


class AveragePool(Monotone):
    """F.avg_pool2d."""

    def __init__(
        self,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        ceil: bool,
        count_pad: bool,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = tuple(kernel), tuple(stride), tuple(padding)
        self.ceil, self.count_pad, self.terms = ceil, count_pad, math.prod(kernel)

    def forward(self, v: Tensor) -> Tensor:
        return F.avg_pool2d(v, self.kernel, self.stride, self.padding, self.ceil, self.count_pad)


class AdaptiveAveragePool(Monotone):
    """F.adaptive_avg_pool2d."""

    def __init__(self, size: Sequence[int], terms: int) -> None:
        super().__init__()
        self.size, self.terms = tuple(size), terms

    def forward(self, v: Tensor) -> Tensor:
        height, width = self.size
        return F.adaptive_avg_pool2d(v, (height, width))


class Upsample(Monotone):
    """F.interpolate, nearest or bilinear, to a size."""

    def __init__(
        self,
        size: Sequence[int],
        mode: str,
        align_corners: bool = False,
        scales: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.size, self.mode, self.align_corners = tuple(size), mode, align_corners
        self.scales = None if scales is None else tuple(scales)
        self.terms = 1 if mode == "nearest" else 4

    def forward(self, v: Tensor) -> Tensor:
        size = None if self.scales else list(self.size)
        scales = list(self.scales) if self.scales else None
        if self.mode == "nearest":
            return torch.ops.aten.upsample_nearest2d.vec(v, size, scales)
        return torch.ops.aten.upsample_bilinear2d.vec(v, size, self.align_corners, scales)


class PixelShuffle(Monotone):
    """F.pixel_shuffle: channels become pixels."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, v: Tensor) -> Tensor:
        return F.pixel_shuffle(v, self.factor)


class PixelUnshuffle(Monotone):
    """F.pixel_unshuffle: pixels become channels."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, v: Tensor) -> Tensor:
        return F.pixel_unshuffle(v, self.factor)


class Scale(nn.Module):
    """v * factor + shift, value by value, with constants that broadcast against a row, or None."""

    def __init__(self, factor: Tensor | None, shift: Tensor | None) -> None:
        super().__init__()
        self.factor = None if factor is None else nn.Parameter(factor, requires_grad=False)
        self.shift = None if shift is None else nn.Parameter(shift, requires_grad=False)

    def forward(self, v: Tensor) -> Tensor:
        v = v if self.factor is None else v * self.factor
        return v if self.shift is None else v + self.shift


class Divide(nn.Module):
    """v / divisor, value by value, with constants that broadcast against a row."""

    def __init__(self, divisor: Tensor) -> None:
        super().__init__()
        self.divisor = nn.Parameter(divisor, requires_grad=False)

    def forward(self, v: Tensor) -> Tensor:
        return v / self.divisor


class BatchNorm(nn.Module):
    """Batch normalisation in evaluation, (v - mean) / sqrt(var + eps) * weight + bias, a channel each."""

    def __init__(
        self, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> None:
        super().__init__()
        self.eps = eps
        self.mean = nn.Parameter(mean, requires_grad=False)
        self.var = nn.Parameter(var, requires_grad=False)
        self.weight = None if weight is None else nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, v: Tensor) -> Tensor:
        return F.batch_norm(v, self.mean, self.var, self.weight, self.bias, False, 0.0, self.eps)

    def factor(self) -> Tensor:
        """What a channel is multiplied by, (C,)."""
        inverse = (self.var + self.eps).rsqrt()
        return inverse if self.weight is None else self.weight * inverse


class Subtract(nn.Module):
    """The difference of two values, which broadcast."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b


class Differences(nn.Module):
    """x_j - x_k for each pair j < k along the last dimension: (..., n) -> (..., n (n - 1) / 2)."""

    def forward(self, v: Tensor) -> Tensor:
        first, second = pairs(v.shape[-1], v.device)
        return v.index_select(-1, first) - v.index_select(-1, second)


class InverseSoftmax(nn.Module):
    """1 / softmax(x)_k = sum over j of exp(x_j - x_k) along the last dimension, from x and its
    `Differences`. What is capped is above e^60, where softmax is below 1e-26, and nothing overflows."""

    def forward(self, x: Tensor, differences: Tensor) -> Tensor:
        first, second = pairs(x.shape[-1], x.device)
        found = differences.new_zeros(*x.shape, x.shape[-1])
        found[..., second, first] = differences  # at k, j
        found[..., first, second] = -differences
        return capped_exp(found).sum(-1)


def capped_exp(v: Tensor) -> Tensor:
    """exp(min(v, CAP))."""
    return v.clamp(max=CAP).exp()


CAP = 60.0


@lru_cache(maxsize=64)
def pairs(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """j and k of all pairs j < k < count, in order."""
    with torch.inference_mode(False):  # kept, for callers in any mode
        first, second = torch.triu_indices(count, count, 1, dtype=torch.int64, device=device)
    return first, second


class Multiply(nn.Module):
    """The product of two values, which broadcast."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b


class Maximum(nn.Module):
    """The larger of two values, which broadcast."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)


class Minimum(nn.Module):
    """The smaller of two values, which broadcast."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.minimum(a, b)


@lru_cache(maxsize=256)
def _made(made_by: Callable[..., Function], *options: tuple[str, float | str]) -> Function:
    return made_by(**dict(options))


class Elementwise(nn.Module):
    """A function of each value (core.network.functions), by name and with its options."""

    def __init__(self, name: str, weight: Tensor | None = None, **options: float | str) -> None:
        super().__init__()
        self.name, self.options = name, options
        self.weight = None if weight is None else nn.Parameter(weight, requires_grad=False)
        if weight is None:
            FUNCTIONS[name](**options)  # which looks at its options

    @property
    def function(self) -> Function:
        tensors = {} if self.weight is None else {"weight": self.weight}
        made_by = FUNCTIONS[self.name]
        return made_by(**tensors, **self.options) if tensors else _made(made_by, *self.options.items())

    def forward(self, v: Tensor) -> Tensor:
        return self.function.value(v)


class Center(nn.Module):
    """Each value minus the mean of `terms` of them, over some dimensions."""

    def __init__(self, dims: Sequence[int], terms: int) -> None:
        super().__init__()
        self.dims, self.terms = tuple(dims), terms

    def forward(self, v: Tensor) -> Tensor:
        return v - v.mean(self.dims, keepdim=True)


OPERATIONS: tuple[type[nn.Module], ...] = (
    *(Reshape, Permute, Expand, Slice, Gather, Pad, Concatenate, Add, Sum),
    *(AveragePool, AdaptiveAveragePool, Upsample, PixelShuffle, PixelUnshuffle),
    *(Scale, Divide, BatchNorm, Center),
    *(Differences, InverseSoftmax),
    *(Subtract, Multiply, Maximum, Minimum, Elementwise),
)
"""All of them; each has rules in core.bounds."""
