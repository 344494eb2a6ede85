"""The options of the command line, each explained in a sentence."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from core.attacks import ATTACKS
from core.bounds.ball import NORMS
from core.bounds.rounding import ARITHMETICS
from core.certificates.certificate import STATES
from core.certificates.methods import METHODS
from core.data.samples import DATASETS
from core.device import DEVICES
from core.evaluation.suite.plan import SUITES
from core.scalars import whole
from core.training.settings import TrainSettings
from core.vae.config import VAEConfig
from core.vae.threat import SIDES
from core.vae.validate import TARGETS
from core.vae.wrap import HEADS, OUTPUTS, SCALES
from core.vae.wrapped import WRAPPED_LIKELIHOODS

# As float reads them; argparse on its own takes -1e3 for an option.
_NEGATIVE = re.compile(
    r"-(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(e[-+]?[\d_]+)?$|-(inf|infinity|nan)$", re.IGNORECASE
)


class _Parser(argparse.ArgumentParser):
    """A parser for which every negative number is a value, -2.45e2 and -inf too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = _NEGATIVE


Run = Callable[[argparse.Namespace], int | None]
Described = TypeVar("Described", VAEConfig, TrainSettings)


def parser(
    train: Run, bring: Run, evaluate: Run, certify: Run, verify: Run, radius: Run, attack: Run
) -> argparse.ArgumentParser:
    """The parser; `run` of the parsed options is the function of the chosen command."""
    parser = _Parser(
        prog="python -m core",
        description="Robust variational auto-encoders: train them, attack them, certify them.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, text, fill, run in (
        ("train", "train a VAE, plainly or provably robust", _add_train, train),
        ("import", "take in a VAE that is not ours", _add_import, bring),
        ("evaluate", "clean, attacked and certified ELBO as CSV", _add_evaluate, evaluate),
        ("certify", "certify one image", _add_certify, certify),
        ("verify", "compute a certificate that was written to a file again", _add_verify, verify),
        ("radius", "largest ball in which a verdict on one image is proved", _add_radius, radius),
        ("attack", "attack one image", _add_attack, attack),
    ):
        style = argparse.ArgumentDefaultsHelpFormatter
        command = commands.add_parser(name, help=text, description=text, formatter_class=style)
        command.set_defaults(run=run)
        fill(command)
    return parser


def _add_train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=Path, default=Path("data"), help="folder of the data set, downloaded if absent")
    add("--out", required=True, default=argparse.SUPPRESS, help="folder for the trained model")
    _add_settings(parser, VAEConfig)
    add("--widths", type=int, nargs="+", help="hidden widths (conv: channels, channels, width)")
    _add_settings(parser, TrainSettings)
    add("--device", choices=DEVICES, default="cpu", help="where to train; under torchrun a GPU a process")
    add("--resume", action="store_true", help="go on with an interrupted training in --out")


def _add_import(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    usual: dict[str, Any] = {"default": argparse.SUPPRESS}
    text = "FILE.py:NAME, your own code, run in this process: a function without arguments that gives "
    other = "or a model's folder, to give it images"
    add("source", nargs="?", help=f"{text}(encoder, decoder), or a module that has them; {other}", **usual)
    add("--pythae", help="instead: a folder that pythae saved; needs pythae", **usual)
    add("--weights", type=Path, help="state_dict, .pt or .safetensors; nothing is unpickled", **usual)
    add("--shape", type=int, nargs=3, metavar=("C", "H", "W"), help="of one image", **usual)
    add("--likelihood", choices=WRAPPED_LIKELIHOODS, help="of a pixel; bernoulli, unless given", **usual)
    add("--output", choices=OUTPUTS, help="what the decoder gives; logits, of a Gaussian mean", **usual)
    add("--heads", choices=HEADS, help="how mu and its scale come; two outputs, unless given", **usual)
    add("--scale", choices=SCALES, help="what comes beside mu; logvar, unless given", **usual)
    add("--sigma", type=float, help="of a Gaussian, on the model's own scale of pixels", **usual)
    text = "the model's own values of black and white; 0 1, unless given"
    add("--pixels", type=float, nargs=2, metavar=("LOW", "HIGH"), help=text, **usual)
    text = "PNGs of the model's shape to show it with, up to 200; sub-folders are classes"
    add("--images", type=Path, metavar="FOLDER", help=text, **usual)
    text = "instead: the first 100 test images of a data set, made as large as the model's"
    add("--dataset", choices=tuple(DATASETS), help=text, **usual)
    add("--data", type=Path, default=Path("data"), help="folder of that data set, downloaded if absent")
    add("--out", required=True, help="folder for the model", **usual)
    add("--force", action="store_true", help="replace a model that is there")
    parser.set_defaults(source=None, pythae=None, weights=None, images=None, dataset=None)


def _add_settings(parser: argparse.ArgumentParser, kind: type[VAEConfig | TrainSettings]) -> None:
    """An option for each field that describes itself; what it takes is checked with its dataclass."""
    for known in fields(kind):
        if (text := known.metadata.get("help")) is not None:
            limits, choices = known.metadata["limits"], known.metadata["choices"]
            number = None if limits is None else int if limits[0] is whole else float
            name = f"--{known.name.replace('_', '-')}"
            takes: dict[str, Any] = {"type": number} if number else {"choices": choices} if choices else {}
            parser.add_argument(name, default=known.default, help=text, **takes)


def settings_of(kind: type[Described], options: argparse.Namespace, **more: Any) -> Described:
    """The dataclass that the options of `_add_settings` describe."""
    names = [known.name for known in fields(kind) if "help" in known.metadata]
    return kind(**{name: getattr(options, name) for name in names}, **more)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = "shipped names or folders; without it all that are shipped of the data set"
    add("--models", nargs="+", default=None, help=text)
    add("--eps", type=float, nargs="+", default=[0.0, 0.01, 0.05, 0.1], help="radii of the ball")
    add("--targets", nargs="+", choices=TARGETS, default=list(TARGETS), help="what is scored")
    add("--dataset", choices=tuple(DATASETS), default="mnist", help="test images to use")
    add(
        "--data",
        type=Path,
        help="folder of the whole data set; without it the shipped samples, for a suite the folder data",
    )
    add("--samples", type=int, help="number of images, from the first test image on; 100, of a suite all")
    _add_draws(parser)
    _add_search(parser)
    add("--attack", choices=tuple(ATTACKS), default="pgd", help="attack method")
    add("--certificate", choices=METHODS, default="ibp", help="certification method")
    add("--device", choices=DEVICES, default="cpu", help="where to compute; under torchrun a GPU a process")
    add("--out", help="CSV file for the rows, results.csv; of a suite the folder, runs/SUITE")
    add("--summary", help="CSV file for the means that are printed at the end")
    # What a suite decides itself, with the values that these options have where they are not given.
    fixed = ("eps", "targets", "draws", "seed", "steps", "restarts", "attack", "certificate", "summary")
    parser.set_defaults(fixed={name: parser.get_default(name) for name in fixed})
    add("--suite", choices=tuple(SUITES), help="a full evaluation, resumable; the options below are for it")
    add("--jobs", type=int, help="its worker processes; without it one a core, on a GPU one")
    add("--results", help="folder for its tables and pictures; without it the one of --out")


def _add_certify(parser: argparse.ArgumentParser) -> None:
    _add_one_image(parser)
    _add_eps(parser)
    _add_proof(parser, "ibp")
    parser.add_argument("--out", help="file for the certificate, JSON, see `verify`; - is standard output")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    text = "file that `certify --out` or the explorer wrote"
    parser.add_argument("claim", type=Path, nargs="?", help=text)
    parser.add_argument(
        "--counterexample",
        type=Path,
        metavar="FILE",
        help="instead: a file that the page `attack` wrote, an image that contradicts a certificate; exit "
        "code 0: it does, 1: it does not",
    )
    parser.add_argument("--model", help="folder of its weights, where they are not a shipped model's")
    parser.add_argument(
        "--independent",
        action="store_true",
        help="checked by a second program that shares no code with this one; exit code 0: holds, 1: does "
        "not, 2: unreadable, 3: not covered",
    )


def _add_radius(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_one_image(parser)
    add("--threshold", type=float, help="nats; without it the model's own 5 %% quantile of test images")
    add("--most", type=float, help="largest radius to try; without it the whole pixel box")
    add("--halvings", type=int, default=12, help="the radius is found to MOST / 2^HALVINGS")
    _add_proof(parser, "crown")


def _add_proof(parser: argparse.ArgumentParser, method: str) -> None:
    add = parser.add_argument
    add("--method", choices=METHODS, default=method, help="certification method, from fast to tight")
    add("--norm", choices=NORMS, default="linf", help="norm that the radius is measured in")
    add("--side", choices=SIDES, default="lower", help="bound from below, or from above (outliers)")
    add("--states", choices=STATES, default="draws", help="these draws, their expectation, or a fresh one")
    add("--alpha", type=float, default=0.01, help="chance that expectation or coverage is wrong")
    add("--delta", type=float, default=0.05, help="share of fresh draws that coverage leaves out")
    add(
        "--sample-draws",
        type=int,
        default=16_384,
        help="noise draws that expectation and coverage take for themselves",
    )
    add(
        "--iterations",
        type=int,
        default=50,
        help="steps of alpha-crown, a quarter of those of quadratic, rounds of bab",
    )
    add("--seconds", type=float, default=math.inf, help="time for one image, from alpha-crown on")
    add(
        "--arithmetic",
        choices=tuple(ARITHMETICS),
        default="float64",
        help="precision of the forward pass that the bound has to cover",
    )


def _add_attack(parser: argparse.ArgumentParser) -> None:
    _add_one_image(parser)
    _add_eps(parser)
    _add_search(parser)
    parser.add_argument("--method", choices=tuple(ATTACKS), default="pgd", help="attack method")
    parser.add_argument("--norm", choices=NORMS, default="linf", help="norm that the radius is measured in")
    parser.add_argument("--side", choices=SIDES, default="lower", help="upper: raise the ELBO")
    parser.add_argument("--out", help="file for the attacked image: .npy exactly, .png rounded")


def _add_one_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, default=argparse.SUPPRESS, help="shipped name or folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--image", default=argparse.SUPPRESS, help="PNG or JPEG file")
    source.add_argument(
        "--index",
        type=int,
        default=argparse.SUPPRESS,
        help="number of an image of the model's own, else of a shipped test image of its data set",
    )
    parser.set_defaults(image=None)
    parser.add_argument(
        "--as-is",
        action="store_true",
        help="take the whole of --image; else a digit is read as on the page: dark ink on light paper is "
        "turned round, and what has not 28 x 28 pixels is centred",
    )
    parser.add_argument("--target", choices=TARGETS, default="likelihood", help="what is scored")
    _add_draws(parser)


def _add_eps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--eps", type=float, default=0.1, help="radius of the ball")


def _add_draws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", type=int, default=1, help="noise draws, shared by all images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws and of random starts")


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=40, help="gradient steps of an attack's restart")
    parser.add_argument("--restarts", type=int, default=1, help="its starts, the first at the image")
