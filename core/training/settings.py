"""What a training depends on, as one validated value; and the command line that repeats it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from core.data.samples import SHAPES
from core.errors import ConfigError
from core.scalars import make_plain, real, whole
from core.training.recipes import RECIPES
from core.vae.config import VAEConfig
from core.vae.validate import TARGETS

INITS = ("default", "ibp")
_CHOICES = {"target": TARGETS, "recipe": tuple(RECIPES), "init": INITS, "dataset": tuple(SHAPES)}
_LIMITS = {
    "eps": (real, 0, 1),
    "kappa": (real, 0, 1),
    "share": (real, 0, 1),
    "attack_steps": (whole, 1, 1000),
    "regularise": (real, 0, 1e6),
    "beta": (real, 0, 1e3),
    "kl_warmup": (real, 0, 10_000),
    "epochs": (whole, 1, 10_000),
    "warmup": (real, 0, 10_000),
    "ramp": (real, 0, 10_000),
    "batch": (whole, 1, 100_000),
    "lr": (real, 1e-8, 1),
    "seed": (whole, 0, 2**31),
}
# Only robust training has them.
_ROBUST = ("target", "recipe", "kappa", "warmup", "ramp")
# Left out of the command where they are what they are by default.
_RARE = ("share", "attack_steps", "init", "regularise", "beta", "kl_warmup")


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides what a training produces, on one kind of machine.

    dataset  one of core.data.samples.DATASETS.
    model    what is trained.
    eps      radius to be robust against; 0 trains the plain ELBO.
    target   "likelihood" or "reconstruction": what the robust term scores.
    recipe   one of core.training.recipes.RECIPES: how the robust term is computed.
    kappa    weight of the clean ELBO against the robust term, in [0, 1].
    share    recipe "sabr": radius of the small box, as a share of eps; "mtl-ibp": weight of the bound
             against what is attained.
    attack_steps  gradient steps of the attack in recipes that have one.
    init     "default", torch's, or "ibp", the one of Shi et al. 2021.
    regularise  weight, in nats, of their regularisers, which fade while eps is ramped; 0 is none.
    beta     weight of the KL: 1 trains the ELBO, more a beta-VAE.
    kl_warmup  epochs over which the weight of the KL rises to beta, against posterior collapse.
    epochs   passes over the training images.
    warmup   epochs before eps leaves 0.
    ramp     epochs over which eps and kappa go to their final values.
    batch    images a step, of all workers together.
    lr       peak learning rate of Adam.
    seed     of weights, order and noise.

    Raises ConfigError for values that cannot be trained with.
    """

    dataset: str = "mnist"
    model: VAEConfig = field(default_factory=VAEConfig)
    eps: float = 0.0
    target: str = "likelihood"
    recipe: str = "ibp"
    kappa: float = 0.2
    share: float = 0.5
    attack_steps: int = 4
    init: str = "default"
    regularise: float = 0.0
    beta: float = 1.0
    kl_warmup: float = 0.0
    epochs: int = 30
    warmup: float = 1.0
    ramp: float = 10.0
    batch: int = 256
    lr: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
        if (self.model.channels, self.model.size) != SHAPES[self.dataset]:
            raise ConfigError(
                f"{self.dataset} has {SHAPES[self.dataset][0]} channels of size "
                f"{SHAPES[self.dataset][1]}, but the model is built for {self.model.shape}."
            )
        for name, (kind, low, high) in _LIMITS.items():
            make_plain(self, name, kind)
            value = getattr(self, name)
            if kind(value) is None or not low <= value <= high:  # False for NaN too
                what = "whole number" if kind is whole else "number"
                raise ConfigError(f"{name} is {value!r}; it must be a {what} in {low:g}..{high:g}.")
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
            options |= {name: getattr(self, name) for name in _ROBUST}
        usual = {field.name: field.default for field in fields(self)}
        options |= {name: getattr(self, name) for name in _RARE if getattr(self, name) != usual[name]}
        options |= {name: getattr(self, name) for name in ("epochs", "batch", "lr", "seed")}
        return "python -m core train " + " ".join(
            f"--{k.replace('_', '-')} {v}" for k, v in options.items()
        )
