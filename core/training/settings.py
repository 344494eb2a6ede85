"""What a training depends on, as one validated value; and the command line that repeats it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from core.data.samples import SHAPES
from core.errors import ConfigError
from core.scalars import check_settings, real, setting, whole
from core.training.recipes import RECIPES
from core.vae.config import ModelConfig, VAEConfig
from core.vae.validate import TARGETS

INITS = ("default", "ibp")


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides what a training produces, on one kind of machine: `model`, what is trained,
    and what each field's help says. Where `start` names a model its weights are the first ones, and `model`
    has to be its configuration; images of another size are made as large as its own.

    Fields that are `rare` are left out of the command where they have their default; those that are
    `robust` only robust training has.

    Raises ConfigError for values that cannot be trained with.
    """

    dataset: str = setting("mnist", "images to train on", tuple(SHAPES))
    model: ModelConfig = field(default_factory=VAEConfig)
    start: str = setting(
        "", "model to go on from, a shipped name or a folder; it says what the model is", rare=True
    )
    eps: float = setting(0.0, "radius to be provably robust against; 0 trains plainly", limits=(real, 0, 1))
    target: str = setting("likelihood", "what the robust term scores", TARGETS, robust=True)
    recipe: str = setting("ibp", "how the robust term is computed", tuple(RECIPES), robust=True)
    kappa: float = setting(
        0.2, "weight of the clean ELBO against the robust one", limits=(real, 0, 1), robust=True
    )
    share: float = setting(
        0.5,
        "sabr: radius of the small box as a share of eps; mtl-ibp: weight of the bound",
        limits=(real, 0, 1),
        rare=True,
    )
    attack_steps: int = setting(
        4, "steps of the attack in sabr, mtl-ibp, adversarial", limits=(whole, 1, 1000), rare=True
    )
    init: str = setting("default", "first weights: torch's, or for interval training", INITS, rare=True)
    regularise: float = setting(
        0.0, "nats for loose and uneven intervals in the ramp", limits=(real, 0, 1e6), rare=True
    )
    beta: float = setting(1.0, "weight of the KL; 1 is the ELBO", limits=(real, 0, 1e3), rare=True)
    kl_warmup: float = setting(
        0.0, "epochs over which that weight rises from 0", limits=(real, 0, 10_000), rare=True
    )
    epochs: int = setting(30, "passes over the training images", limits=(whole, 1, 10_000))
    warmup: float = setting(1.0, "epochs before eps leaves 0", limits=(real, 0, 10_000), robust=True)
    ramp: float = setting(
        10.0, "epochs over which eps and kappa reach their values", limits=(real, 0, 10_000), robust=True
    )
    ramp_power: float = setting(
        1.0,
        "eps rises as this power of the ramp; 4 for a network whose intervals explode, as a stranger's do",
        limits=(real, 0.1, 20),
        rare=True,
    )
    clip: float = setting(
        0.0,
        "longest gradient of a step, longer ones are made as long; 0 for any",
        limits=(real, 0, 1e9),
        rare=True,
    )
    batch: int = setting(256, "images a step, of all processes together", limits=(whole, 1, 100_000))
    lr: float = setting(1e-3, "peak learning rate of Adam", limits=(real, 1e-8, 1))
    seed: int = setting(0, "seed of weights, order and noise", limits=(whole, 0, 2**31))

    def __post_init__(self) -> None:
        check_settings(self)
        channels, size = SHAPES[self.dataset]
        if self.model.shape[0] != channels or (not self.start and self.model.shape[1:] != (size, size)):
            raise ConfigError(
                f"{self.dataset} has {channels} channels of size {size}, but the model is built for "
                f"{self.model.shape}."
            )
        if self.start and self.init != "default":
            raise ConfigError("A training that goes on from a model has its weights; leave out init.")
        if self.recipe == "crown-ibp" and self.eps > 0 and (self.beta != 1 or self.kl_warmup > 0):
            raise ConfigError(
                "recipe crown-ibp bounds the ELBO as a whole: leave beta at 1 and kl_warmup at 0."
            )

    @property
    def trained(self) -> str:
        """The recipe that is at work: without a radius "plain", or "beta" where the KL has a weight."""
        return self.recipe if self.eps > 0 else "plain" if self.beta == 1 else "beta"

    def command(self) -> str:
        """The command line that trains this again (add --out DIR, and --data DIR for a copy)."""
        options: dict[str, object] = {"dataset": self.dataset}
        if isinstance(self.model, VAEConfig) and not self.start:
            model = self.model
            options |= {"arch": model.arch, "widths": " ".join(map(str, model.widths))}
            options |= {"latent": model.latent, "likelihood": model.likelihood}
            options |= {"sigma": model.sigma} if model.likelihood == "gaussian" else {}
        options["eps"] = self.eps
        if self.eps > 0:
            options |= {f.name: getattr(self, f.name) for f in fields(self) if "robust" in f.metadata}
        rare = [f for f in fields(self) if "rare" in f.metadata]
        options |= {f.name: value for f in rare if (value := getattr(self, f.name)) != f.default}
        options |= {name: getattr(self, name) for name in ("epochs", "batch", "lr", "seed")}
        return "python -m core train " + " ".join(
            f"--{k.replace('_', '-')} {v}" for k, v in options.items()
        )
