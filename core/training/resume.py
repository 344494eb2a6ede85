"""The state of a training between two epochs: written beside the model, read to go on from there."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import CheckpointError, ConfigError
from core.training.settings import TrainSettings
from core.vae.checkpoint import read_metadata, read_tensors, save_model, write_tensors
from core.vae.model import VAE

RESUME = "resume.safetensors"


def record(settings: TrainSettings, epochs_done: int) -> dict[str, Any]:
    """What config.json says of a training."""
    training = {key: value for key, value in asdict(settings).items() if key != "model"}
    return {
        "command": settings.command(),
        "training": training | {"recipe": settings.trained, "epochs_done": epochs_done},
    }


def save_state(
    vae: VAE, optimiser: torch.optim.Adam, settings: TrainSettings, out: Path, epoch: int
) -> None:
    """The state to resume from in one file, then, once anything is trained, the usable checkpoint."""
    state = {f"model.{key}": value for key, value in vae.state_dict().items()}
    for index, entry in optimiser.state_dict()["state"].items():
        state |= {f"adam.{index}.{key}": value for key, value in entry.items()}
    write_tensors(out / RESUME, state, {"epoch": str(epoch), "settings": _fingerprint(settings)})
    if epoch > 0:
        save_model(vae, out, record(settings, epoch))


def restore_state(vae: VAE, optimiser: torch.optim.Adam, settings: TrainSettings, out: Path) -> int:
    """Load what `save_state` wrote, in place; returns the number of finished epochs.

    Raises CheckpointError if there is nothing to resume or it is damaged, ConfigError for other settings.
    """
    path = out / RESUME
    if not path.is_file():
        raise CheckpointError(
            f"{out} has no {RESUME}: there is no interrupted training to resume. Leave out --resume "
            "to start one."
        )
    tensors, metadata = read_tensors(path), read_metadata(path)
    if metadata.get("settings") != _fingerprint(settings):
        raise ConfigError(
            f"The training in {out} was started with other settings; resume it with the options in "
            "its config.json, or choose another --out."
        )
    try:
        return _load_state(vae, optimiser, tensors, metadata, settings.epochs)
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit its own settings ({error}); train anew.") from error


def _load_state(
    vae: VAE,
    optimiser: torch.optim.Adam,
    tensors: dict[str, Tensor],
    metadata: dict[str, str],
    epochs: int,
) -> int:
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    vae.load_state_dict(weights)
    adam: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("adam."):
            _, index, name = key.split(".")
            adam.setdefault(int(index), {})[name] = value
    epoch, shapes = int(metadata["epoch"]), [p.shape for p in vae.parameters() if p.requires_grad]
    if not 0 <= epoch <= epochs:
        raise ValueError(f"epoch {epoch} of {epochs}")
    for index, shape in enumerate(shapes if epoch > 0 else []):
        for name in ("exp_avg", "exp_avg_sq"):
            if adam[index][name].shape != shape:
                raise ValueError(f"adam.{index}.{name} is {tuple(adam[index][name].shape)}")
    optimiser.load_state_dict(optimiser.state_dict() | {"state": adam})
    for weight in (p for p in vae.parameters() if p.requires_grad and epoch > 0):
        state = optimiser.state[weight]
        for name in ("exp_avg", "exp_avg_sq"):
            # In the weight's own memory format, which Adam's fused steps take for granted.
            state[name] = torch.empty_like(weight, requires_grad=False).copy_(state[name])
    return epoch


def _fingerprint(settings: TrainSettings) -> str:
    return json.dumps(asdict(settings), sort_keys=True)
