"""The network that is certified is the network that is scored.

Bounds walk through the layers of `vae.encoder` and `vae.decoder`; scores call `vae.encode` and
`vae.decode`. What can make the two differ is refused, and both are compared at one point before anything
is proved.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from core.bounds.interval import Interval, propagate_through
from core.bounds.rounding import FLOAT64
from core.errors import UnsupportedModelError
from core.network.graph import Graph, sources_of
from core.network.operations import OPERATIONS
from core.vae.continuous_bernoulli import ContinuousBernoulli
from core.vae.elbo import decoded, encoded
from core.vae.latent import reparameterise
from core.vae.learned_variance import LearnedVariance
from core.vae.likelihood import Bernoulli, Gaussian
from core.vae.model import VAE
from core.vae.validate import check_copies, check_vae

# What layer.compile() leaves on a layer; copies, which are scored, are without it.
_COMPILED = "_compiled_call_impl"
_WEIGHTED = {nn.Linear: 2, nn.Conv2d: 4, nn.ConvTranspose2d: 4}
"""Layers with weights, and how many dimensions their input has to have."""
_SCORE = ("log_prob", "lower", "upper", "magnitude", "peak", "plane", "plane_size", "parabola")
"""What a likelihood class has to define together: a bound of a parent's log_prob is none of its own."""
_METHODS = {
    **dict.fromkeys(
        (*_WEIGHTED, nn.ReLU, nn.Flatten, nn.Unflatten, nn.Sequential, Graph, *OPERATIONS),
        ("__call__", "_call_impl", "forward", "_conv_forward", "_output_padding"),
    ),
    **dict.fromkeys((Bernoulli, ContinuousBernoulli, Gaussian, LearnedVariance), _SCORE),
    VAE: ("encode", "decode"),
}
_WRITTEN = {kind: [getattr(kind, name, None) for name in names] for kind, names in _METHODS.items()}
"""The methods that a call goes through, as they were written: a class can be patched, too."""


def check_structure(vae: VAE) -> None:
    """Raises UnsupportedModelError for what bounds do not see when they walk through the layers: hooks,
    encode, decode or forward of one's own. It names what it found."""
    check_vae(vae)
    check_copies(vae)
    _check_objects(vae)
    for name, call in zip(_METHODS[VAE], _WRITTEN[VAE], strict=True):
        if getattr(type(vae), name) is not call:
            raise UnsupportedModelError(
                f"{type(vae).__name__} has its own {name}(), and bounds are of the layers in vae.encoder "
                "and vae.decoder only; put into a layer what it does."
            )
    for name in ("encoder", "decoder"):
        _check_plain_sequence(name, getattr(vae, name))
    for name, layer in _modules(vae):
        _check_called_as_it_is(name, layer)
    _check_likelihood(type(vae.likelihood))


def _check_objects(vae: VAE) -> None:
    """No object has, in place of a method of its class, another one."""
    objects = [("The model", vae), *_modules(vae), ("vae.likelihood", vae.likelihood)]
    for name, item in objects:
        for key, value in getattr(item, "__dict__", {}).items():
            if callable(value) and hasattr(type(item), key) and key != _COMPILED:
                raise UnsupportedModelError(
                    f"{name} ({type(item).__name__}) has a {key}() of its own, on the object; make it a "
                    "class: bounds go by classes."
                )
        if isinstance(item, nn.Module) and item is not vae and None in item._modules.values():
            raise UnsupportedModelError(f"{name} has a part that is None.")


def _check_plain_sequence(name: str, network: object) -> None:
    if type(network) not in (nn.Sequential, Graph):
        raise UnsupportedModelError(
            f"vae.{name} is a {type(network).__name__}; bounds walk through a plain nn.Sequential only, or "
            "through what core.wrap makes of a module."
        )


def _modules(vae: VAE) -> Iterator[tuple[str, nn.Module]]:
    for part in ("encoder", "decoder"):
        yield from getattr(vae, part).named_modules(prefix=part)


def _check_called_as_it_is(name: str, layer: nn.Module) -> None:
    """A call of a module is its class's forward, and nothing before or after it."""
    hooks = {
        "forward hook": (layer._forward_hooks, torch_module._global_forward_hooks),
        "forward pre-hook": (layer._forward_pre_hooks, torch_module._global_forward_pre_hooks),
    }
    for kind, tables in hooks.items():
        if any(tables):
            raise UnsupportedModelError(
                f"{name} ({type(layer).__name__}) has a {kind}, which bounds do not see; remove it "
                "(handle.remove(); remove_weight_norm, remove_spectral_norm), or certify a copy without it."
            )
    _check_class(type(layer))
    if type(layer) in _WEIGHTED:
        _check_options(name, layer)


def _check_class(kind: type) -> None:
    """A class that is known here has the methods that it was written with."""
    if kind in _WRITTEN and [getattr(kind, name, None) for name in _METHODS[kind]] != _WRITTEN[kind]:
        raise UnsupportedModelError(f"The class {kind.__name__} was patched; undo that.")


def _check_options(name: str, layer: nn.Module) -> None:
    """Weights are parameters, and sizes are pairs, as the layer's class makes them."""
    for part in ("weight", "bias"):
        if part not in layer._parameters:
            raise UnsupportedModelError(
                f"{name}.{part} is no parameter of its layer; make it one: nn.Parameter(...)."
            )
    for size in ("kernel_size", "stride", "padding", "dilation", "output_padding"):
        if not isinstance(value := getattr(layer, size, ()), tuple | str):
            raise UnsupportedModelError(f"{name}.{size} is {value!r}; make it a pair of numbers.")


def _check_likelihood(kind: type) -> None:
    _check_class(kind)
    owners = {next(c for c in kind.__mro__ if name in vars(c)) for name in _SCORE if hasattr(kind, name)}
    if len(owners) > 1:
        raise UnsupportedModelError(
            f"The likelihood {kind.__name__} changes part of its parent's score and bounds; it has to "
            f"define all of {', '.join(_SCORE)}."
        )


@torch.no_grad()
def check_agreement(vae: VAE, x: Tensor, noise: Tensor) -> None:
    """Raises UnsupportedModelError unless calling the model gives, at the images x (B, C, H, W) and draws
    (S, k), what interval propagation through its layers allows at these points; all in float64."""
    mu, logvar = encoded(vae, x)
    _compare(vae, "encode", torch.cat([mu, logvar], -1), x)
    z = reparameterise(mu, logvar, noise[:, None]).flatten(0, 1)
    _compare(vae, "decode", decoded(vae, z), z)


def _compare(vae: VAE, name: str, called: Tensor, v: Tensor) -> None:
    part = f"{name}r"
    network = getattr(vae, part)
    values = [Interval(v, v), *propagate_through(network, Interval(v, v), FLOAT64)]
    shapes = [tuple(x.lower.shape) for x in values]
    for index, layer in enumerate([*network, None]):
        shape = shapes[index if layer is None else sources_of(network, index)[0]]
        wanted = (
            None if isinstance(network, Graph) and type(layer) is nn.Linear else _WEIGHTED.get(type(layer))
        )
        if shape[:1] != v.shape[:1] or wanted not in (None, len(shape)):
            raise UnsupportedModelError(
                f"A layer of vae.{part} gets values of shape {shape}; bounds are of one row an image: "
                "linear layers take (N, features), convolutions (N, channels, height, width)."
            )
    walked, call = values[-1], f"vae.{name}"
    if called.shape != walked.lower.shape:
        raise UnsupportedModelError(
            f"{call} gives shape {tuple(called.shape)}, the layers of vae.{part} "
            f"{tuple(walked.lower.shape)}: nothing that is proved of the layers would hold for it."
        )
    # Written so that values that are no numbers pass: an overflow is proved to be nothing later.
    apart = (called < walked.lower) | (called > walked.upper)
    if bool(apart.any()):
        raise UnsupportedModelError(
            f"{call} computes something else than the layers of vae.{part}: nothing that is proved of the "
            "layers would hold for it. Load the model again, or put into layers what the call does."
        )
