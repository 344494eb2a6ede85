"""A training as it is watched: after each epoch what held-out images score, clean, attacked and proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from core.attacks import attack
from core.certificates.prove import certify
from core.isolation import isolated_steps
from core.training.loop import EpochReport, train_epochs
from core.training.settings import TrainSettings
from core.vae.elbo import elbo, sample_noise
from core.vae.model import VAE


@dataclass(frozen=True)
class Watch:
    """What every epoch is held against.

    x       images (B, C, H, W) in [0, 1] that are not trained on.
    eps     radius of the adversary, whatever the training is for.
    draws   noise draws, the same (seed 0) in every epoch.
    steps   gradient steps of the attack, PGD. method: of the certificate, see `core.certify`.
    """

    x: Tensor
    eps: float
    draws: int = 4
    steps: int = 10
    method: str = "ibp"


@dataclass(frozen=True)
class Watched:
    """An epoch and what it is worth: proved <= attained <= clean, each (B,) float64 nats.

    x_adv   the attacked images, (B, C, H, W). noise: the draws (S, k).
    """

    report: EpochReport
    vae: VAE
    clean: Tensor
    attained: Tensor
    proved: Tensor
    x_adv: Tensor
    noise: Tensor


@isolated_steps
def watch_epochs(
    settings: TrainSettings, x: Tensor, watch: Watch, on_step: Callable[[str], None] = lambda _: None
) -> Iterator[Watched]:
    """Train as `train_epochs`, epoch 0 first, and score each epoch's model on images that it has not seen.

    x        images (N, C, H, W) to train on.
    on_step  called with what is being done, before and after each step of it; raise in it to stop.

    Raises what `train_epochs`, `core.attack` and `core.certify` raise.

    >>> x, settings = core.load_samples("mnist")[0], TrainSettings(model=VAEConfig(widths=(8,)), epochs=1)
    >>> last = list(watch_epochs(settings, x[:64], Watch(x[64:66], eps=0.1)))[-1]
    >>> bool((last.proved <= last.attained).all() and (last.attained <= last.clean).all())
    True
    """
    for epoch in train_epochs(settings, x, lambda done, total: on_step("training")):
        on_step("attack")
        noise = sample_noise(epoch.vae, watch.draws, seed=0)
        clean = elbo(epoch.vae, watch.x, noise).total
        found = attack(
            *(epoch.vae, watch.x, noise),
            eps=watch.eps,
            target=settings.target,
            steps=watch.steps,
            progress=lambda done, total: on_step("attack"),
        )
        on_step("proof")
        proved = certify(
            *(epoch.vae, watch.x, noise),
            eps=watch.eps,
            target=settings.target,
            method=watch.method,
            progress=lambda done, total: on_step("proof"),
        )
        yield Watched(epoch.report, epoch.vae, clean, found.elbo, proved.lower, found.x_adv, noise)
