"""Training: the plain ELBO, or the paper's mix of clean and robust ELBO with a ramped radius."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core import schedule
from core.ball import Ball
from core.bounds.interval import Interval
from core.checkpoint import CONFIG, read_metadata, read_tensors, save_model, write_tensors
from core.config import VAEConfig
from core.data import SHAPES, load_dataset
from core.elbo import elbo_terms
from core.errors import CheckpointError, ConfigError, CoreError, OutputError
from core.metrics import model_metrics
from core.model import VAE
from core.robust import robust_elbo
from core.validate import TARGETS

RESUME = "resume.safetensors"
_LIMITS = {
    "eps": ((int, float), 0, 1),
    "kappa": ((int, float), 0, 1),
    "epochs": (int, 1, 10_000),
    "warmup": ((int, float), 0, 10_000),
    "ramp": ((int, float), 0, 10_000),
    "batch": (int, 1, 100_000),
    "lr": ((int, float), 1e-8, 1),
    "seed": (int, 0, 2**31),
}


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides what a training produces, on one kind of machine.

    dataset  one of core.data.DATASETS.
    model    what is trained.
    eps      radius to be robust against; 0 trains the plain ELBO.
    target   "likelihood" or "reconstruction": what the robust term scores.
    kappa    weight of the clean ELBO against the robust one, in [0, 1].
    epochs   passes over the training images.
    warmup   epochs before eps leaves 0.
    ramp     epochs over which eps and kappa go to their final values.
    batch    images a step.
    lr       peak learning rate of Adam.
    seed     of weights, order and noise.

    Raises ConfigError for values that cannot be trained with.
    """

    dataset: str = "mnist"
    model: VAEConfig = field(default_factory=VAEConfig)
    eps: float = 0.0
    target: str = "likelihood"
    kappa: float = 0.2
    epochs: int = 30
    warmup: float = 1.0
    ramp: float = 10.0
    batch: int = 256
    lr: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dataset not in tuple(SHAPES):
            raise ConfigError(f"dataset is {self.dataset!r}; choose one of {', '.join(SHAPES)}.")
        if (self.model.channels, self.model.size) != SHAPES[self.dataset]:
            raise ConfigError(
                f"{self.dataset} has {SHAPES[self.dataset][0]} channels of size "
                f"{SHAPES[self.dataset][1]}, but the model is built for {self.model.shape}."
            )
        if self.target not in TARGETS:
            raise ConfigError(f"target is {self.target!r}; choose one of {', '.join(TARGETS)}.")
        for name, (kinds, low, high) in _LIMITS.items():
            value = getattr(self, name)
            right = isinstance(value, kinds) and not isinstance(value, bool)
            if not right or not low <= value <= high:  # False for NaN too
                what = "whole number" if kinds is int else "number"
                raise ConfigError(f"{name} is {value!r}; it must be a {what} in {low:g}..{high:g}.")

    def command(self) -> str:
        """The command line that trains this again (add --out DIR, and --data DIR for a copy)."""
        model = self.model
        options = {
            "dataset": self.dataset,
            "arch": model.arch,
            "widths": " ".join(map(str, model.widths)),
            "latent": model.latent,
            "likelihood": model.likelihood,
        }
        if model.likelihood == "gaussian":
            options["sigma"] = model.sigma
        options["eps"] = self.eps
        if self.eps > 0:
            options |= {name: getattr(self, name) for name in ("target", "kappa", "warmup", "ramp")}
        options |= {name: getattr(self, name) for name in ("epochs", "batch", "lr", "seed")}
        return "python -m core train " + " ".join(f"--{k} {v}" for k, v in options.items())


@dataclass(frozen=True)
class EpochReport:
    """After each epoch: training means, nats. `robust` is the bound at the epoch's eps."""

    epoch: int
    epochs: int
    clean: float
    robust: float
    eps: float


Report = Callable[[EpochReport], None]
Step = Callable[[int, int], None]


def robust_loss(
    vae: VAE, x: Tensor, noise: Tensor, eps: float, kappa: float, target: str
) -> tuple[Tensor, Tensor, Tensor]:
    """-(kappa ELBO(x) + (1 - kappa) L(x; eps)), mean over the batch; also both means, in nats.

    Condessa & Kolter 2020, section 3. x (B, C, H, W), noise (S, B or 1, k). With kappa = 1 the bound
    is not computed, and equals the clean value in the report. With kappa < 1 the clean term is the
    mean over the first half of the batch: the order is random, so the gradient is unbiased, and the
    step costs two and a half passes instead of three.
    """
    part = slice(len(x) if kappa == 1 else (len(x) + 1) // 2)
    recon, kl = elbo_terms(vae, x[part], noise[:, part], x[part])
    clean = (recon - kl).mean()
    if kappa == 1:
        return -clean, clean.detach(), clean.detach()
    box = Ball(x, torch.full((len(x),), eps, device=x.device)).box
    t = box if target == "likelihood" else Interval(x, x)
    robust = robust_elbo(vae, box, noise, t).total.mean()
    return -(kappa * clean + (1 - kappa) * robust), clean.detach(), robust.detach()


def train(
    settings: TrainSettings,
    out: Path | str,
    *,
    data: Path | str = "data",
    resume: bool = False,
    on_epoch: Report | None = None,
    on_step: Step | None = None,
) -> VAE:
    """Train a VAE and write a checkpoint folder; returns the trained model.

    out       folder for weights.safetensors and config.json, usable after every epoch.
    data      folder of the data set in torchvision's layout, downloaded there if it is not.
    resume    go on where an interrupted training of the same settings in `out` stopped; the result is
              the one of an uninterrupted run.
    on_epoch, on_step  progress; on_step(done, total) counts steps over the whole training. An
              exception raised in them (KeyboardInterrupt too) leaves the last whole epoch in `out`.

    Raises DataError, OutputError (`out` cannot be written, or holds a model), CheckpointError (nothing
    to resume), ConfigError (other settings).
    """
    out = Path(out)
    if not resume and (out / CONFIG).exists():
        raise OutputError(
            f"{out} already holds a model. Go on with an interrupted training with --resume, or choose "
            "another folder for a new one."
        )
    x_train, _ = load_dataset(settings.dataset, "train", data)
    x_test, _ = load_dataset(settings.dataset, "test", data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        vae = VAE(settings.model)
    optimiser = torch.optim.Adam(vae.parameters(), lr=settings.lr, fused=True)
    first = _restore(vae, optimiser, settings, out) if resume else 0
    if first == 0:
        _save(vae, optimiser, settings, out, epoch=0)
    for epoch in range(first, settings.epochs):
        report = _epoch(vae, optimiser, settings, x_train, epoch, on_step)
        _save(vae, optimiser, settings, out, epoch + 1)
        if on_epoch is not None:
            on_epoch(report)
    vae.eval().requires_grad_(False)
    metrics = model_metrics(vae, x_test, settings.eps)
    save_model(vae, out, _record(settings, settings.epochs) | {"metrics": metrics})
    (out / RESUME).unlink(missing_ok=True)
    return vae


def _epoch(
    vae: VAE,
    optimiser: torch.optim.Adam,
    settings: TrainSettings,
    x: Tensor,
    epoch: int,
    on_step: Step | None,
) -> EpochReport:
    """One pass. Order and noise depend on (seed, epoch) alone, so that a resumed run repeats it."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
    batches = torch.randperm(len(x), generator=generator).split(settings.batch)
    sums, eps = torch.zeros(2, dtype=torch.float64), 0.0
    for step, index in enumerate(batches):
        now = epoch + step / len(batches)
        eps = schedule.eps_at(now, settings.eps, settings.warmup, settings.ramp)
        kappa = 1.0
        if settings.eps > 0:
            kappa = schedule.kappa_at(now, settings.kappa, settings.warmup, settings.ramp)
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr_at(now, settings.lr, settings.epochs)
        noise = torch.randn(1, len(index), settings.model.latent, generator=generator)
        loss, clean, robust = robust_loss(vae, x[index], noise, eps, kappa, settings.target)
        if not math.isfinite(loss.item()):
            raise CoreError(
                f"The loss is {loss.item()} in epoch {epoch + 1}; try a lower --lr, or a longer "
                "--warmup and --ramp. The last whole epoch is kept."
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        sums += len(index) * torch.stack([clean, robust]).double()
        if on_step is not None:
            on_step(epoch * len(batches) + step + 1, settings.epochs * len(batches))
    clean, robust = (sums / len(x)).tolist()
    return EpochReport(epoch + 1, settings.epochs, clean, robust, eps)


def _record(settings: TrainSettings, epochs_done: int) -> dict[str, Any]:
    training = {key: value for key, value in asdict(settings).items() if key != "model"}
    return {
        "command": settings.command(),
        "training": training | {"epochs_done": epochs_done},
    }


def _save(vae: VAE, optimiser: torch.optim.Adam, settings: TrainSettings, out: Path, epoch: int) -> None:
    """The state to resume from in one file, then the usable checkpoint."""
    state = {f"model.{key}": value for key, value in vae.state_dict().items()}
    for index, entry in optimiser.state_dict()["state"].items():
        state |= {f"adam.{index}.{key}": value for key, value in entry.items()}
    write_tensors(out / RESUME, state, {"epoch": str(epoch), "settings": _fingerprint(settings)})
    save_model(vae, out, _record(settings, epoch))


def _restore(vae: VAE, optimiser: torch.optim.Adam, settings: TrainSettings, out: Path) -> int:
    """Load what `_save` wrote; returns the number of finished epochs."""
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
    epoch, shapes = int(metadata["epoch"]), [p.shape for p in vae.parameters()]
    if not 0 <= epoch <= epochs:
        raise ValueError(f"epoch {epoch} of {epochs}")
    for index, shape in enumerate(shapes if epoch > 0 else []):
        for name in ("exp_avg", "exp_avg_sq"):
            if adam[index][name].shape != shape:
                raise ValueError(f"adam.{index}.{name} is {tuple(adam[index][name].shape)}")
    optimiser.load_state_dict(optimiser.state_dict() | {"state": adam})
    return epoch


def _fingerprint(settings: TrainSettings) -> str:
    return json.dumps(asdict(settings), sort_keys=True)
