"""The witness in a certificate: what was found by chance or search, for a program that cannot search.

    noise                    (S, k) the draws
    encoder.i, decoder.i     (n,), (S, n): slope of the line below ReLU number i, in [0, 1]
    mix                      (S, d): which plane below the likelihood, in [0, 1]
    mu, logvar               (k,): what is added to the usual slope for the KL's terms

All but the noise are there only where the slopes of the last pass were optimised. float32, as safetensors,
zlib, base64. core/claims/checker.py reads it on its own and trusts none of it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from math import prod

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from core.bounds.rule_table import is_relu
from core.errors import ClaimError
from core.vae.model import VAE

MOST = 700_000
"""Characters of a witness; a certificate that needs more has none, and is not checked independently."""
_MOST_RAW = 16_000_000


def pack(tensors: Mapping[str, Tensor]) -> str:
    """The witness as text; "" if it is too large."""
    raw = safetensors.torch.save({name: value.contiguous() for name, value in tensors.items()})
    text = base64.b64encode(zlib.compress(raw, 9)).decode()
    return text if len(raw) <= _MOST_RAW and len(text) <= MOST else ""


def unpack(witness: str) -> dict[str, Tensor]:
    """What `pack` packed. Raises ClaimError for anything else, and for what is larger than any witness."""
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.b64decode(witness, validate=True), _MOST_RAW)
        if not inflate.eof or inflate.unused_data:
            raise ClaimError("The certificate's witness is truncated, or larger than any.")
        return safetensors.torch.load(raw)
    except (ValueError, KeyError, TypeError, RuntimeError, zlib.error, SafetensorError) as error:
        raise ClaimError(f"The certificate's witness is damaged ({error}).") from error


def check_witness(witness: str, vae: VAE, draws: int) -> Tensor:
    """The noise (S, k) of a witness. Raises ClaimError for one that is damaged, of another model or
    question, or with values that no search gives."""
    found = unpack(witness)
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    if any(value.dtype is not torch.float32 for value in found.values()):
        raise ClaimError("The certificate's witness holds other numbers than float32.")
    if not all(bool(torch.isfinite(value).all()) for value in found.values()):
        raise ClaimError("The certificate's witness holds what is no number; make the certificate again.")
    noise = {"noise": (draws, vae.config.latent)}
    if shapes not in (noise, noise | _slope_shapes(vae, draws)):
        raise ClaimError("The certificate's witness is that of another model or question.")
    shares = [value for name, value in found.items() if name not in ("noise", "mu", "logvar")]
    if not all(bool(((value >= 0) & (value <= 1)).all()) for value in shares):
        raise ClaimError("The certificate's witness has slopes outside of [0, 1]; make it again.")
    return found["noise"]


def _slope_shapes(vae: VAE, draws: int) -> dict[str, tuple[int, ...]]:
    """Of all that `slopes_of` gives for a model."""
    k = vae.config.latent
    shapes: dict[str, tuple[int, ...]] = {
        "mix": (draws, prod(vae.config.natural_shape)),
        "mu": (k,),
        "logvar": (k,),
    }
    like = next(vae.parameters())
    for part, shape in {"encoder": vae.config.shape, "decoder": (k,)}.items():
        value, number = like.new_zeros(1, *shape), 0
        for layer in getattr(vae, part):
            if is_relu(layer):
                size = value.numel()
                shapes[f"{part}.{number}"] = (size,) if part == "encoder" else (draws, size)
                number += 1
            value = layer(value)
    return shapes


def same_noise(found: Tensor, noise: Tensor) -> bool:
    """Whether two noises (S, k) are the same up to what random number generators leave to the machine: a
    rounding or two of float32."""
    return bool(((found - noise).abs() <= 2.0**-21 * (1 + noise.abs())).all())
