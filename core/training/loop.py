"""The loop over epochs: a model learns from images, pass after pass; nothing is written here."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from core.errors import ConfigError, CoreError
from core.isolation import isolated_steps
from core.network.operations import BatchNorm, Elementwise
from core.training import schedule
from core.training.distributed import Workers
from core.training.fast_ibp import initialise
from core.training.objective import BatchShare, ScheduleStep, TrainingObjective
from core.training.settings import TrainSettings
from core.vae.checkpoint import load_model
from core.vae.config import VAEConfig
from core.vae.model import VAE, fresh_vae
from core.vae.validate import check_images


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


@dataclass(frozen=True)
class Epoch:
    """After an epoch: its report and the model, a copy in evaluation mode on the CPU, which stays as it
    is."""

    report: EpochReport
    vae: VAE


Tick = Callable[[int, int], None]


@isolated_steps
def train_epochs(settings: TrainSettings, x: Tensor, on_step: Tick | None = None) -> Iterator[Epoch]:
    """Train a VAE in memory, on the CPU; the model after each epoch, which is trained when it is asked for.

    First comes epoch 0, the model before its first step, of which nothing was scored: its report's clean
    and robust are NaN. The last model is bit for bit the one that `core.train` gives for these images and
    as many torch threads.

    x        images (N, C, H, W) in [0, 1] of the model's shape, in place of the data set in `settings`.
    on_step  called as on_step(done, total) after each step of the whole training; raise in it to stop.

    Raises InputError for images that are none, ConfigError and CoreError as `core.train` does.

    >>> settings = TrainSettings(model=VAEConfig(widths=(8,)), epochs=2, eps=0.1)
    >>> [epoch.report.epoch for epoch in train_epochs(settings, core.load_samples("mnist")[0][:64])]
    [0, 1, 2]
    """
    loop = Loop(settings, Workers(0, 1, torch.device("cpu")))
    x = check_images(loop.vae, x)
    yield Epoch(EpochReport(0, settings.epochs, math.nan, math.nan, 0.0), loop.snapshot())
    for epoch in range(settings.epochs):
        report = loop.epoch(x, epoch, on_step)
        yield Epoch(report, loop.snapshot())


class Loop:
    """A model in training, its optimiser, and this worker's part in it."""

    def __init__(self, settings: TrainSettings, group: Workers) -> None:
        self._settings, self._group = settings, group
        # Convolutions are faster with channels last; nothing else notices.
        self.vae = _fresh(settings).to(group.device).to(memory_format=torch.channels_last)
        trained = [weight for weight in self.vae.parameters() if weight.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=settings.lr, fused=True)
        self._objective: nn.Module = TrainingObjective(self.vae, settings)

    def share_gradients(self) -> None:
        """From now on the workers, all of which call this, average their gradients."""
        if self._group.size > 1:
            self._objective = DistributedDataParallel(self._objective)

    def finish(self) -> VAE:
        """The model itself, ready for use."""
        return _ready(self.vae)

    def snapshot(self) -> VAE:
        """A copy of the model as it is now, ready for use."""
        return _ready(copy.deepcopy(self.vae))

    def epoch(self, x: Tensor, epoch: int, on_step: Tick | None) -> EpochReport:
        """One pass over x. Order and noise depend on (seed, epoch) alone, so that a resumed run repeats it,
        and all workers draw them alike."""
        settings, group, objective = self._settings, self._group, self._objective
        generator = torch.Generator("cpu").manual_seed(settings.seed * 1_000_003 + epoch)
        order = torch.randperm(len(x), generator=generator, dtype=torch.int64, device="cpu")
        batches = order.split(settings.batch)
        sums, now = torch.zeros(4, dtype=torch.float64, device="cpu"), ScheduleStep(0.0, 1.0, settings.beta)
        for index, images in enumerate(batches):
            at = epoch + index / len(batches)
            now = _step(settings, at)
            for options in self.optimiser.param_groups:
                options["lr"] = schedule.lr_at(at, settings.lr, settings.epochs)
            part = _part(x, images, settings, generator, group)
            loss, added = objective(part, now)
            sums += added.cpu()
            if not math.isfinite(loss.item()):
                raise CoreError(
                    f"The loss is {loss.item()} in epoch {epoch + 1}; try a lower --lr, or a longer "
                    "--warmup and --ramp. What whole epochs there were are kept."
                )
            self.optimiser.zero_grad()
            (loss * group.size).backward()  # workers' gradients are averaged, their losses add up
            if settings.clip > 0:
                trained = [weight for weight in objective.parameters() if weight.requires_grad]
                nn.utils.clip_grad_norm_(trained, settings.clip)
            self.optimiser.step()
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


_TRAINED: dict[type[nn.Module], tuple[str, ...]] = {
    **dict.fromkeys((nn.Linear, nn.Conv2d, nn.ConvTranspose2d, BatchNorm), ("weight", "bias")),
    Elementwise: ("weight",),
}
"""What is trained of a model that a training goes on from."""


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


def _ready(vae: VAE) -> VAE:
    """The model on the CPU, in a row in memory, in evaluation mode."""
    return vae.cpu().to(memory_format=torch.contiguous_format).eval().requires_grad_(False)


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
