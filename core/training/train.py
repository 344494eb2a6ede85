"""Training: the plain ELBO, or the paper's mix of clean and robust ELBO with a ramped radius."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from core.data.files import check_folder
from core.data.samples import load_dataset
from core.errors import ConfigError, CoreError, OutputError
from core.isolation import isolated
from core.network.operations import BatchNorm, Elementwise
from core.training import schedule
from core.training.distributed import Workers, restarts, workers
from core.training.fast_ibp import initialise
from core.training.metrics import model_metrics
from core.training.objective import BatchShare, ScheduleStep, TrainingObjective
from core.training.resume import RESUME, record, restore_state, save_state
from core.training.settings import TrainSettings
from core.vae.checkpoint import CONFIG, load_config, load_model, save_model
from core.vae.config import VAEConfig
from core.vae.model import VAE, fresh_vae
from core.vae.model_images import images_seal, load_images


@dataclass(frozen=True)
class EpochReport:
    """After each epoch: training means, nats. `robust` is what the recipe scores, in the network's own
    arithmetic, while eps rises to the epoch's last one; the clean value without a radius. clean is NaN
    where kappa leaves no image to be scored clean."""

    epoch: int
    epochs: int
    clean: float
    robust: float
    eps: float


_TRAINED: dict[type[nn.Module], tuple[str, ...]] = {
    **dict.fromkeys((nn.Linear, nn.Conv2d, nn.ConvTranspose2d, BatchNorm), ("weight", "bias")),
    Elementwise: ("weight",),
}
"""What is trained of a model that a training goes on from."""
Report = Callable[[EpochReport], None]
Tick = Callable[[int, int], None]


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
        # Convolutions are faster with channels last; nothing else notices.
        vae = _fresh(settings).to(group.device).to(memory_format=torch.channels_last)
        trained = [weight for weight in vae.parameters() if weight.requires_grad]
        optimiser = torch.optim.Adam(trained, lr=settings.lr, fused=True)
        first = restore_state(vae, optimiser, settings, out) if resume else 0
        group.wait()  # all have read what the first one is about to write
        if first == 0 and group.first:
            save_state(vae, optimiser, settings, out, epoch=0)
        objective: nn.Module = TrainingObjective(vae, settings)
        if group.size > 1:
            objective = DistributedDataParallel(objective)
        for epoch in range(first, settings.epochs):
            report = _epoch(objective, optimiser, settings, x_train, epoch, group, on_step)
            if not group.first:
                continue
            save_state(vae, optimiser, settings, out, epoch + 1)
            if on_epoch is not None:
                on_epoch(report)
        vae.cpu().to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
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


def _fresh(settings: TrainSettings) -> VAE:
    """The model before its training."""
    if settings.start:
        return _going_on(load_model(settings.start), settings)
    assert isinstance(settings.model, VAEConfig)
    vae = fresh_vae(settings.model, settings.seed)
    if settings.init == "ibp":
        initialise(vae, torch.Generator("cpu").manual_seed(settings.seed))
    return vae


def _going_on(vae: VAE, settings: TrainSettings) -> VAE:
    """A model that is there, its weights to be trained. What a traced network has as constants, scales of
    pixels and what a normalisation has seen, stays."""
    if vae.config != settings.model:
        raise ConfigError(f"settings.model is not the configuration of {settings.start}; give that.")
    for module in vae.modules():
        for name, weight in module.named_parameters(recurse=False):
            weight.requires_grad_(name in _TRAINED.get(type(module), ()))
    return vae


def _epoch(
    objective: nn.Module,
    optimiser: torch.optim.Adam,
    settings: TrainSettings,
    x: Tensor,
    epoch: int,
    group: Workers,
    on_step: Tick | None,
) -> EpochReport:
    """One pass. Order and noise depend on (seed, epoch) alone, so that a resumed run repeats it, and all
    workers draw them alike."""
    generator = torch.Generator("cpu").manual_seed(settings.seed * 1_000_003 + epoch)
    order = torch.randperm(len(x), generator=generator, dtype=torch.int64, device="cpu")
    batches = order.split(settings.batch)
    sums, now = torch.zeros(4, dtype=torch.float64, device="cpu"), ScheduleStep(0.0, 1.0, settings.beta)
    for index, images in enumerate(batches):
        at = epoch + index / len(batches)
        now = _step(settings, at)
        for options in optimiser.param_groups:
            options["lr"] = schedule.lr_at(at, settings.lr, settings.epochs)
        part = _part(x, images, settings, generator, group)
        loss, added = objective(part, now)
        sums += added.cpu()
        if not math.isfinite(loss.item()):
            raise CoreError(
                f"The loss is {loss.item()} in epoch {epoch + 1}; try a lower --lr, or a longer "
                "--warmup and --ramp. What whole epochs there were are kept."
            )
        optimiser.zero_grad()
        (loss * group.size).backward()  # workers' gradients are averaged, their losses add up
        if settings.clip > 0:
            trained = [weight for weight in objective.parameters() if weight.requires_grad]
            nn.utils.clip_grad_norm_(trained, settings.clip)
        optimiser.step()
        if on_step is not None and group.first:
            on_step(epoch * len(batches) + index + 1, settings.epochs * len(batches))
    clean, scored_clean, robust, scored_robust = group.total(sums).tolist()
    return EpochReport(
        epoch + 1,
        settings.epochs,
        clean=clean / scored_clean if scored_clean else math.nan,
        robust=robust / scored_robust if scored_robust else math.nan,
        eps=now.eps,
    )


def _step(settings: TrainSettings, at: float) -> ScheduleStep:
    """The schedules at a point of the training, in epochs."""
    beta = settings.beta * schedule.ramp(at, 0, settings.kl_warmup)
    if settings.eps == 0:
        return ScheduleStep(0.0, 1.0, beta)
    when = settings.warmup, settings.ramp
    eps = schedule.eps_at(at, settings.eps, *when, settings.ramp_power)
    return ScheduleStep(eps, schedule.kappa_at(at, settings.kappa, *when), beta)


def _part(
    x: Tensor, images: Tensor, settings: TrainSettings, generator: torch.Generator, group: Workers
) -> BatchShare:
    """This worker's share of a batch, with the numbers that it would have in one process."""
    mine = group.share(len(images))
    count, latent, shape = len(images), settings.model.latent, settings.model.shape
    size = (count, *(shape if settings.trained == "noise" else (0,)))
    noise = torch.randn(1, count, latent, generator=generator, dtype=torch.float32, device="cpu")
    jitter = torch.rand(size, generator=generator, dtype=torch.float32, device="cpu")
    noise, jitter = noise[:, mine].to(x.device), jitter[mine].to(x.device)
    return BatchShare(x[images[mine].to(x.device)], noise, jitter, mine.start, len(images))
