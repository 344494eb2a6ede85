"""Weights that were read from a file -> a model: names, shapes, types and values, each as it has to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from core.errors import CheckpointError
from core.network.untrue import untrue_values
from core.vae.model import VAE

_NAMED, _MOST_NAME = 3, 60
"""So many tensors are named in a sentence; and so much of each name, which anybody may have written."""


def fill(vae: VAE, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give a model without values (device meta) its weights. Raises CheckpointError, with what was expected
    and what is there."""
    wanted = vae.state_dict()
    missing, extra = sorted(wanted.keys() - weights.keys()), sorted(weights.keys() - wanted.keys())
    if missing:
        instead = f"; it holds {_listed(extra, weights)} instead" if extra else ""
        raise CheckpointError(f"{path} lacks {_listed(missing, wanted)}{instead}. {_ASKED}")
    if extra:
        raise CheckpointError(f"{path} holds {_listed(extra, weights)}, which the model has not. {_ASKED}")
    for name, value in weights.items():
        if value.shape != wanted[name].shape:
            raise CheckpointError(
                f"{path}: {name} is {_size(value)}, the config says {_size(wanted[name])}."
                + (" Turn it round: .T.contiguous()." if _size(value) == _size(wanted[name], -1) else "")
            )
        if value.dtype != wanted[name].dtype:
            raise CheckpointError(
                f"{path}: {name} is {_kind(value)}, it has to be {_kind(wanted[name])}: tensor.float()."
            )
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(
                f"{path}: {name} contains NaN or infinite values; save or train it again."
            )
    vae.to_empty(device="cpu").load_state_dict(dict(weights))
    for part in ("encoder", "decoder"):
        for index, operation in enumerate(getattr(vae, part)):
            if reason := untrue_values(operation):
                place = f"{part}, operation {index} ({type(operation).__name__})"
                raise CheckpointError(f"{path}: {place} {reason}; save the model again.")


_ASKED = "Which tensors there are, and how large, follows from its config."


def _listed(names: Iterable[str], tensors: Mapping[str, Tensor]) -> str:
    """Tensors with their shapes, the first of them."""
    names = list(names)
    shown = ", ".join(f"{name[:_MOST_NAME]} {_size(tensors[name])}" for name in names[:_NAMED])
    more = len(names) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _size(value: Tensor, step: int = 1) -> str:
    return str(tuple(value.shape)[::step])


def _kind(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
