"""Checks of arguments. Each returns the argument ready for use or raises InputError."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from core.errors import InputError, UnsupportedModelError
from core.isolation import own
from core.scalars import whole
from core.vae.config import ModelConfig
from core.vae.model import VAE

TARGETS = ("likelihood", "reconstruction")

# Pixels that are no farther outside of [0, 1] were meant to be in it.
_ROUNDING = 1e-3


def check_vae(vae: object) -> VAE:
    """A VAE, not its name, its weights or another network, with all its parts."""
    if not isinstance(vae, VAE):
        raise InputError(
            f"The model is a {type(vae).__name__}, not a VAE; load one with core.load_model(name)."
        )
    for name, kind in {"config": ModelConfig, "encoder": nn.Module, "decoder": nn.Module}.items():
        if not isinstance(part := getattr(vae, name, None), kind):
            raise UnsupportedModelError(
                f"vae.{name} is a {type(part).__name__}, no {kind.__name__}; load a model with "
                "core.load_model(name)."
            )
    if not callable(getattr(getattr(vae, "likelihood", None), "log_prob", None)):
        raise UnsupportedModelError("vae.likelihood has no log_prob(); make one with core.vae.likelihood.")
    return vae


def check_copies(vae: VAE) -> None:
    """Raises UnsupportedModelError for what a copy in float64, which is scored, would not be the same with:
    calls that were put on an object, which go on to use the original's weights, and plain weights."""
    for name, item in vae.named_modules():
        for key in ("forward", "encode", "decode", "__deepcopy__", "__copy__"):
            if key in vars(item):
                raise UnsupportedModelError(
                    f"{name or 'The model'} ({type(item).__name__}) has a {key}() of its own, on the "
                    "object; make it a class, so that it can be copied."
                )
        plain = type(item).__module__.startswith("torch.") and not item._forward_pre_hooks
        loose = [key for key in ("weight", "bias") if plain and isinstance(vars(item).get(key), Tensor)]
        if loose:
            raise UnsupportedModelError(
                f"{name}.{loose[0]} is a plain tensor, no parameter of its layer; make it an nn.Parameter."
            )


def check_home(vae: VAE) -> Tensor:
    """A weight, which says in what precision and where the model computes: all of them have to agree."""
    home = None
    for name, weight in [*vae.named_parameters(), *vae.named_buffers()]:
        if is_lazy(weight):
            raise UnsupportedModelError(f"The model's {name} has no values yet; call the model once first.")
        if weight.dtype not in (torch.float32, torch.float64):
            if not isinstance(weight, nn.Parameter) and not weight.dtype.is_floating_point:
                continue  # counters
            raise UnsupportedModelError(
                f"The model's {name} is {weight.dtype}; scores and certificates are of float32 and float64 "
                "models. Use vae.float(), and deploy that."
            )
        if weight.is_meta or weight.layout != torch.strided:
            kind = "has no values (device meta)" if weight.is_meta else f"is {weight.layout}"
            raise UnsupportedModelError(f"The model's {name} {kind}; its weights have to be dense tensors.")
        home = weight if home is None else home
        if (weight.dtype, weight.device) != (home.dtype, home.device):
            raise UnsupportedModelError(
                f"The model's {name} is {weight.dtype} on {weight.device}, another one {home.dtype} on "
                f"{home.device}; bring it into one: vae.float().to(device)."
            )
    if home is None:
        raise UnsupportedModelError("The model has no weights; load one with core.load_model(name).")
    return home


def check_images(vae: VAE, x: Tensor, like: Tensor | None = None) -> Tensor:
    """Images (B, C, H, W), floating point, finite, in [0, 1], B >= 1 -> the model's dtype and device."""
    shape = check_vae(vae).config.shape
    check_dense("Images", x)
    if x.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"Images are {x.dtype}; they must be float32 in [0, 1] (for bytes: x.float() / 255)."
        )
    if x.ndim != 4 or tuple(x.shape[1:]) != shape:
        raise InputError(
            f"Images have shape {tuple(x.shape)}; this model needs (B, {', '.join(map(str, shape))})."
        )
    if len(x) == 0:
        raise InputError("The batch is empty; give at least one image.")
    if like is not None and x.shape != like.shape:
        raise InputError(f"t has shape {tuple(x.shape)} but x has {tuple(like.shape)}.")
    if not bool(torch.isfinite(x).all()):
        raise InputError("Images contain NaN or infinite values.")
    low, high = x.min().item(), x.max().item()
    if low < 0 or high > 1:
        rounded = low > -_ROUNDING and high < 1 + _ROUNDING
        todo = "what rounding does is undone by x.clamp(0, 1)" if rounded else "for bytes: x.float() / 255"
        raise InputError(f"Images range from {low!r} to {high!r}; they must lie in [0, 1] ({todo}).")
    return own(x, check_home(vae))


def check_dense(name: str, v: object) -> None:
    """Raises InputError for what is no tensor of numbers that can be looked at."""
    if not isinstance(v, Tensor):
        raise InputError(f"{name} must be a float torch.Tensor, not {type(v).__name__}.")
    if v.is_meta or v.layout != torch.strided or v.is_nested or hasattr(v, "_masked_data"):
        raise InputError(
            f"{name} are a tensor of device {v.device} and layout {v.layout}, without plain values; give a "
            "dense one."
        )


def check_labels(x: Tensor, y: Tensor) -> None:
    """One label an image."""
    if not isinstance(y, Tensor):
        raise InputError(f"Labels must be a torch.Tensor, not {type(y).__name__}.")
    if len(x) != len(y):
        raise InputError(f"There are {len(x)} images but {len(y)} labels; give one label an image.")


def check_noise(vae: VAE, noise: Tensor) -> Tensor:
    """Noise (S, k), floating point, finite, S >= 1."""
    k = check_vae(vae).config.latent
    check_dense("Noise", noise)
    if noise.dtype not in (torch.float32, torch.float64):
        raise InputError("Noise must be a float tensor (S, k); make it with sample_noise(vae, draws).")
    if noise.ndim != 2 or noise.shape[1] != k or len(noise) == 0:
        raise InputError(
            f"Noise has shape {tuple(noise.shape)}; this model needs (S, {k}) with S >= 1. "
            "Make it with sample_noise(vae, draws)."
        )
    ready = own(noise, check_home(vae))
    if not bool(torch.isfinite(ready).all()):
        raise InputError("Noise contains NaN or infinite values, or such as the model's precision has not.")
    return ready


def check_weights(vae: VAE, largest: float = math.inf) -> None:
    """Raises InputError if a weight is NaN or infinite, UnsupportedModelError as `check_home`, or for one
    above the largest number of the arithmetic that a bound covers."""
    check_home(vae)
    for name, weight in vae.named_parameters():
        # A finite sum, the cheaper check, has finite terms; the sum of finite ones may overflow.
        if not bool(weight.sum().isfinite()) and not bool(weight.isfinite().all()):
            raise InputError(
                f"The model's {name} has NaN or infinite values: nothing can be proved of it. "
                "Load it again, or train it again with a smaller learning rate."
            )
        if weight.dtype is torch.float64 and bool((weight.abs() > largest).any()):
            raise UnsupportedModelError(
                f"The model's {name} has values above {largest:.3g}, which float32 has not: run there, it "
                "computes nothing. Ask for arithmetic='float64'."
            )


def check_eps(eps: float | Tensor, x: Tensor, norm: str = "linf", name: str = "eps") -> Tensor:
    """A number, or one number an image (B,), each in [0, 1] -> (B,) float64 on x's device.

    For norm "l2" up to sqrt(pixels): no two images are farther apart. `name` is what errors call it.
    """
    most = 1.0 if norm == "linf" else math.sqrt(x[0].numel())
    if isinstance(eps, Tensor):
        check_dense(name, eps)
        if eps.shape not in ((), (len(x),)):
            raise InputError(f"{name} has shape {tuple(eps.shape)}; give a number or one per image.")
        if not eps.dtype.is_floating_point:
            raise InputError(f"{name} is a tensor of {eps.dtype}; it must be floating point.")
        values = own(eps, torch.empty(0, dtype=torch.float64, device=x.device)).expand(len(x)) + 0.0
    elif isinstance(eps, numbers.Real) and not isinstance(eps, bool):
        number = (
            float(min(max(eps, -1), 2 * most)) + 0.0
        )  # no -0.0; a whole number beyond any float is out of range too
        values = torch.full((len(x),), number, dtype=torch.float64, device=x.device)
    else:
        raise InputError(f"{name} is {eps!r}; it must be a number in [0, {most:g}].")
    if not bool(((values >= 0) & (values <= most)).all()):  # False for NaN too
        bad = next(v for v in values.tolist() if not 0 <= v <= most)
        shown = repr(bad) if isinstance(eps, Tensor) else str(eps)[:20]
        raise InputError(f"{name} is {shown}; it must be a number in [0, {most:g}].")
    return values


def check_grid(eps: Any, x: Tensor, norm: str = "linf") -> Tensor:
    """A list, array or tensor of ascending radii, see `check_eps` -> (E,) float64, E >= 1."""
    ordered = isinstance(eps, Iterable) and not isinstance(eps, str | bytes | Set | Mapping)
    radii: list[Any] = list(eps) if ordered and getattr(eps, "ndim", 1) == 1 else []
    radii = [radius.double() if isinstance(radius, Tensor) else radius for radius in radii]
    grid = [check_eps(radius, x[:1], norm) for radius in radii]
    if not grid or bool(((values := torch.cat(grid).cpu()).diff() <= 0).any()):
        raise InputError(f"eps is {str(eps)[:40]}; it must be a list of ascending radii, [0, 0.05, 0.1].")
    return values


def check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in tuple(choices):
        raise InputError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
    return value


def check_seconds(seconds: float) -> float:
    """A time budget: a number above 0, math.inf for none; more than 30 years is none."""
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real) or not seconds > 0:
        raise InputError(f"seconds is {seconds!r}; a time budget must be a number above 0.")
    return float(min(seconds, 1e9))


def check_threshold(threshold: float) -> float:
    """A finite number of nats."""
    if isinstance(threshold, bool) or not isinstance(threshold, numbers.Real):
        raise InputError(f"threshold is {threshold!r}; it must be a number of nats.")
    number = float(min(max(threshold, -1e300), 1e300))  # a whole number beyond any float is no threshold
    if not abs(number) < 1e300:
        raise InputError(f"threshold is {str(threshold)[:20]}; it must be a finite number of nats.")
    return number


def check_target(target: str) -> str:
    return check_choice("target", target, TARGETS)


def check_count(name: str, value: int, most: int = 1_000_000) -> int:
    """A whole number from 1 to `most`."""
    number = whole(value)
    if number is None or not 1 <= number <= most:
        raise InputError(f"{name} is {value!r}; it must be a whole number from 1 to {most:,}.")
    return number


def check_seed(seed: int) -> int:
    """A whole number from 0 to 2^63 - 1."""
    number = whole(seed)
    if number is None or not 0 <= number < 2**63:
        raise InputError(f"seed is {str(seed)[:30]}; it must be a whole number from 0 to 2^63 - 1.")
    return number
