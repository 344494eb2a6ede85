"""Training: the plain ELBO, or the paper's mix of clean and robust ELBO with a ramped radius."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from core.data.files import check_folder
from core.data.samples import load_dataset
from core.errors import OutputError
from core.isolation import isolated
from core.training.distributed import Workers, restarts, workers
from core.training.loop import EpochReport, Loop, Tick
from core.training.metrics import model_metrics
from core.training.resume import RESUME, record, restore_state, save_state
from core.training.settings import TrainSettings
from core.vae.checkpoint import CONFIG, load_config, save_model
from core.vae.model import VAE
from core.vae.model_images import images_seal, load_images

Report = Callable[[EpochReport], None]


@isolated()
def train(
    settings: TrainSettings,
    out: Path | str,
    *,
    data: Path | str = "data",
    resume: bool = False,
    device: str = "cpu",
    on_epoch: Report | None = None,
    on_step: Tick | None = None,
) -> VAE:
    """Train a VAE and write a checkpoint folder; returns the trained model.

    Under torchrun the images of each batch are shared among the processes: the same training, but for
    rounding. After torchrun has replaced a lost worker it goes on from the last whole epoch.

    out       folder for weights.safetensors and config.json, a model after every epoch and none before.
    data      folder of the data set in torchvision's layout, downloaded there if it is not.
    resume    go on where an interrupted training of the same settings in `out` stopped; the result is
              the one of an uninterrupted run.
    device    "cpu" or "cuda". The same command gives the same weights on the CPU only.
    on_epoch, on_step  progress, in the first process; on_step(done, total) counts steps over the whole
              training. An exception raised in them (KeyboardInterrupt too) leaves the last whole epoch.

    Raises DataError, OutputError (`out` cannot be written, or holds a model), CheckpointError (nothing
    to resume), ConfigError (other settings), InputError (no such device).

    >>> settings = TrainSettings(model=VAEConfig(widths=(8,)), epochs=1, eps=0.1)
    >>> vae = core.train(settings, folder / "mine", data=data)
    >>> core.load_model(folder / "mine").config == vae.config
    True
    """
    check_folder(out)
    out = Path(out)
    with workers(device) as group:
        resume = resume or (restarts() > 0 and (out / RESUME).exists())
        if not resume and (out / CONFIG).exists():
            raise OutputError(
                f"{out} already holds a model. Go on with an interrupted training with --resume, or choose "
                "another folder for a new one."
            )
        shown = _shown_with(settings)  # before hours of training: they may be damaged
        x_train, x_test = _images(settings, data, group)
        loop = Loop(settings, group)
        first = restore_state(loop.vae, loop.optimiser, settings, out) if resume else 0
        group.wait()  # all have read what the first one is about to write
        if first == 0 and group.first:
            save_state(loop.vae, loop.optimiser, settings, out, epoch=0)
        loop.share_gradients()
        for epoch in range(first, settings.epochs):
            report = loop.epoch(x_train, epoch, on_step)
            if not group.first:
                continue
            save_state(loop.vae, loop.optimiser, settings, out, epoch + 1)
            if on_epoch is not None:
                on_epoch(report)
        vae = loop.finish()
        if group.first:
            metrics = model_metrics(vae, x_test, settings.eps)
            save_model(vae, out, record(settings, settings.epochs) | {"metrics": metrics}, **shown)
            (out / RESUME).unlink(missing_ok=True)
        group.wait()
    return vae


def _images(settings: TrainSettings, data: Path | str, group: Workers) -> tuple[Tensor, Tensor]:
    """Images to train and to test on. One process at most downloads them."""
    if not group.first:
        group.wait()
    try:
        parts = [load_dataset(settings.dataset, part, data)[0] for part in ("train", "test")]
    finally:
        if group.first:
            group.wait()
    train, test = (resized(part, settings.model.shape) for part in parts)
    return train.to(group.device), test


def resized(x: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Images (N, C, H, W) as large as a model's, bilinear where they are not; still in [0, 1]."""
    if tuple(x.shape[1:]) == shape:
        return x
    parts = [F.interpolate(part, shape[1:], mode="bilinear", antialias=True) for part in x.split(1000)]
    return torch.cat(parts).clamp(0, 1)


def _shown_with(settings: TrainSettings) -> dict[str, Any]:
    """The images of the model that a training goes on from, which go with it, as save_model is told."""
    if not settings.start or not images_seal(load_config(settings.start)):
        return {}
    return load_images(settings.start).given()
