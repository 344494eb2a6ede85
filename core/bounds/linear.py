"""Linear bounds pulled backward through layers (CROWN, Zhang et al. 2018, arXiv 1811.00866).

A linear bound on a layer's output, f >= <A, y> + c, becomes one on its input: affine layers are pulled
back exactly, a ReLU by a line below it where A is positive and a line above it where A is negative.
One implementation serves lower and upper bounds: an upper bound on f is a lower bound on -f.
"""

from __future__ import annotations

from functools import singledispatch
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from core.bounds.interval import Interval
from core.bounds.relaxations import relu_lower, relu_upper
from core.errors import UnsupportedLayerError


@singledispatch
def pull(layer: nn.Module, a: Tensor, x: Interval, share: Tensor | None) -> tuple[Tensor, Tensor]:
    """Coefficients of a layer's output -> coefficients of its input, and what is added to the constant.

    a      (R, N, ...): R linear functions of each of N outputs.
    x      bounds on the layer's input, (N, ...).
    share  slopes of the lines below the activations, (N, ...) or (R, N, ...); None for other layers.

    Returns (R, N, ...) in the shape of the input and (R, N). Raises UnsupportedLayerError for a layer
    kind that has no rule.
    """
    raise UnsupportedLayerError(
        f"Linear relaxation (methods 'crown-ibp', 'crown', 'alpha-crown', 'bab') has no rule for layer "
        f"{type(layer).__name__}; register one with core.bounds.linear.pull.register."
    )


@pull.register
def _linear(layer: nn.Linear, a: Tensor, x: Interval, share: Tensor | None) -> tuple[Tensor, Tensor]:
    return a @ layer.weight, _constant(a[..., None], layer.bias)


def _constant(a: Tensor, bias: Tensor | None) -> Tensor:
    """<a, bias>, a (R, N, channels, ...) -> (R, N)."""
    if bias is None:
        return a.new_zeros(a.shape[:2])
    return a.flatten(3).sum(3) @ bias


@pull.register
def _conv(layer: nn.Conv2d, a: Tensor, x: Interval, share: Tensor | None) -> tuple[Tensor, Tensor]:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise UnsupportedLayerError(
            f"Linear relaxation (methods 'crown-ibp', 'crown', 'alpha-crown', 'bab') has no rule for Conv2d "
            f"with padding {layer.padding!r}, mode {layer.padding_mode!r}; use numbers and zeros."
        )
    size, sizes = a.shape[3:], x.lower.shape[2:]
    rest = [
        sizes[i]
        - ((size[i] - 1) * layer.stride[i] - 2 * layer.padding[i])
        - (layer.dilation[i] * (layer.kernel_size[i] - 1) + 1)
        for i in range(2)
    ]
    back = F.conv_transpose2d(
        a.flatten(0, 1), layer.weight, None, layer.stride, layer.padding, rest, layer.groups, layer.dilation
    )
    return back.unflatten(0, a.shape[:2]), _constant(a, layer.bias)


@pull.register
def _conv_transpose(
    layer: nn.ConvTranspose2d, a: Tensor, x: Interval, share: Tensor | None
) -> tuple[Tensor, Tensor]:
    padding = cast(tuple[int, ...], layer.padding)
    back = F.conv2d(
        a.flatten(0, 1), layer.weight, None, layer.stride, padding, layer.dilation, layer.groups
    )
    height, width = x.lower.shape[2:]
    return back[..., :height, :width].unflatten(0, a.shape[:2]), _constant(a, layer.bias)


@pull.register
def _relu(layer: nn.ReLU, a: Tensor, x: Interval, share: Tensor | None) -> tuple[Tensor, Tensor]:
    assert share is not None
    above, intercept = relu_upper(x)
    positive, negative = a.clamp(min=0), a.clamp(max=0)
    back = positive * relu_lower(x, share) + negative * above
    return back, (negative * intercept).flatten(2).sum(2)


@pull.register(nn.Flatten)
@pull.register(nn.Unflatten)
def _reshape(
    layer: nn.Flatten | nn.Unflatten, a: Tensor, x: Interval, share: Tensor | None
) -> tuple[Tensor, Tensor]:
    return a.reshape(*a.shape[:2], *x.lower.shape[1:]), a.new_zeros(a.shape[:2])


def pull_through(
    network: nn.Sequential, a: Tensor, inputs: list[Interval], shares: dict[int, Tensor], layers: int
) -> tuple[Tensor, Tensor]:
    """Pull coefficients of the output of the first `layers` layers back to the network's input.

    inputs[i] bounds the input of layer i; shares[i] are the lower slopes of the ReLU at i.
    """
    constant = a.new_zeros(a.shape[:2])
    for index in reversed(range(layers)):
        a, more = pull(network[index], a, inputs[index], shares.get(index))
        constant = constant + more
    return a, constant
