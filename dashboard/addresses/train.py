"""What is trained on the page; read from and written to the URL. Nothing here trusts its input."""

from __future__ import annotations

from dataclasses import dataclass

from core.data.samples import list_samples
from core.training.recipes import RECIPES
from dashboard.addresses.page import Page
from dashboard.addresses.settings import Among, OneOf, Whole
from dashboard.shared.text import DATASET_LABELS, EPS_LABELS, HELP, RECIPE_LABELS

STANDARD = "standard"
"""The plain ELBO; all other recipes are of core."""
EPS = (0.01, 0.02, 0.05, 0.1, 0.2)
WIDTHS = (32, 64, 128, 256)
MOST_EPOCHS = 40
MOST_SEED = 9999


@dataclass(frozen=True)
class Lecture:
    """Everything that the URL can say.

    dataset  whose shipped images are learned from.
    recipe   STANDARD or one of core.training.recipes. eps: of the adversary, whatever the recipe.
    width    units of the hidden layer of both networks.
    """

    dataset: str = "mnist"
    recipe: str = "crown-ibp"
    eps: float = 0.05
    epochs: int = 20
    width: int = 128
    seed: int = 0


_OPENS = Lecture()
PAGE = Page(
    Lecture,
    (
        OneOf(
            name="dataset",
            label="Data set",
            options=lambda seen: list_samples() or (_OPENS.dataset,),
            names=DATASET_LABELS,
            default=_OPENS.dataset,
            help="What is learned from: the shipped test images of MNIST, handwritten digits, or of "
            "Fashion-MNIST, clothes.",
        ),
        OneOf(
            name="recipe",
            label="Training",
            options=(STANDARD, *RECIPES),
            names=RECIPE_LABELS,
            default=_OPENS.recipe,
            help="What is maximised: the ELBO of the clean images alone (Standard), or mixed with a bound "
            "on the worst image of the ball (IBP, CROWN-IBP), of a part of it (SABR, MTL-IBP), with the "
            "worst image that an attack finds (Adversarial), or with a random one (Noise).",
        ),
        Among(name="eps", label=EPS_LABELS["linf"], options=EPS, default=_OPENS.eps, help=HELP["eps"]),
        Whole(
            name="epochs",
            label="Epochs",
            low=1,
            high=MOST_EPOCHS,
            default=_OPENS.epochs,
            help="How often all images are learned from. A robust training looks for more and more of eps "
            "in the first 60 % of them.",
        ),
        OneOf(
            name="width",
            label="Width",
            options=WIDTHS,
            default=_OPENS.width,
            help="Units in the hidden layer of the encoder, and of the decoder.",
        ),
        Whole(
            name="seed",
            label="Seed",
            low=0,
            high=MOST_SEED,
            default=_OPENS.seed,
            help="Of the first weights, the order of the images and the noise. The same seed gives the "
            "same training, bit for bit, on the same machine.",
        ),
    ),
)
