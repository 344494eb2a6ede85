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
import binascii
import zlib
from collections.abc import Mapping

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from core.errors import ClaimError
from core.slopes import Slopes

MOST = 700_000
"""Characters of a witness; a certificate that needs more has none, and is not checked independently."""
_MOST_RAW = 16_000_000


def slopes_of(slopes: Slopes | None) -> dict[str, Tensor]:
    """The optimised slopes of one image by their names in the file, float32; none where there are none."""
    if slopes is None or slopes.mix is None or slopes.mu is None or slopes.logvar is None:
        return {}
    found = {"mix": slopes.mix.flatten(1), "mu": slopes.mu[0], "logvar": slopes.logvar[0]}
    for number, index in enumerate(sorted(slopes.encoder)):
        found[f"encoder.{number}"] = slopes.encoder[index].flatten()
    for number, index in enumerate(sorted(slopes.decoder)):
        found[f"decoder.{number}"] = slopes.decoder[index].flatten(1)
    return {name: value.detach().to("cpu", torch.float32) for name, value in found.items()}


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
    except (ValueError, binascii.Error, zlib.error, SafetensorError) as error:
        raise ClaimError(f"The certificate's witness is damaged ({error}).") from error


def has_noise(witness: str, noise: Tensor) -> bool:
    """Whether this noise (S, k) is the witness's, up to what random number generators leave to the machine:
    a rounding or two of float32. Raises ClaimError for a witness that is damaged or of another question."""
    found = unpack(witness)
    if not all(bool(torch.isfinite(value).all()) for value in found.values()):
        raise ClaimError("The certificate's witness holds what is no number; make the certificate again.")
    if "noise" not in found or found["noise"].shape != noise.shape:
        raise ClaimError("The certificate's witness is that of another model or question.")
    return bool(((found["noise"] - noise).abs() <= 2.0**-21 * (1 + noise.abs())).all())
