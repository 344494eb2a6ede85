"""python -m core train | evaluate | certify | attack."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from core.attacks import ATTACKS, attack
from core.certificate import METHODS, certify
from core.checkpoint import list_models, load_model
from core.config import ARCHITECTURES, DEFAULT_WIDTHS, LIKELIHOODS, VAEConfig
from core.data import (
    DATASETS,
    SHAPES,
    levels,
    load_dataset,
    load_image,
    load_levels,
    load_samples,
    save_image,
)
from core.elbo import elbo, sample_noise
from core.errors import CoreError, DataError, InputError
from core.evaluate import Row, Summary, evaluate, summarise, write_rows
from core.model import VAE
from core.train import EpochReport, TrainSettings, train
from core.validate import TARGETS, check_count


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 2 for a named error, 130 for Ctrl-C."""
    options = _parser().parse_args(argv)
    try:
        options.run(options)
    except CoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def _train(options: argparse.Namespace) -> None:
    channels, size = SHAPES[options.dataset]
    settings = TrainSettings(
        dataset=options.dataset,
        model=VAEConfig(
            arch=options.arch,
            likelihood=options.likelihood,
            channels=channels,
            size=size,
            latent=options.latent,
            widths=tuple(options.widths or DEFAULT_WIDTHS[options.arch]),
            sigma=options.sigma,
        ),
        eps=options.eps,
        target=options.target,
        kappa=options.kappa,
        epochs=options.epochs,
        warmup=options.warmup,
        ramp=options.ramp,
        batch=options.batch,
        lr=options.lr,
        seed=options.seed,
    )
    with tqdm(unit="step", disable=None) as bar:

        def on_step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        def on_epoch(report: EpochReport) -> None:
            line = f"epoch {report.epoch}/{report.epochs}  ELBO {report.clean:.2f} nats"
            if report.eps > 0:
                line += f"  proved {report.robust:.2f} at eps {report.eps:.3g}"
            bar.write(line)

        try:
            train(
                settings,
                options.out,
                data=options.data,
                resume=options.resume,
                on_epoch=on_epoch,
                on_step=on_step,
            )
        except KeyboardInterrupt:
            bar.write(
                f"The last whole epoch is in {options.out}; go on with the same command and --resume."
            )
            raise
    print(f"Trained model in {options.out}: load it with core.load_model({options.out!r}).")


def _evaluate(options: argparse.Namespace) -> None:
    samples = check_count("--samples", options.samples)
    x, y, histogram = _test_images(options, samples)
    settings = {
        "eps": options.eps,
        "targets": options.targets,
        "draws": check_count("--draws", options.draws, 10_000),
        "seed": options.seed,
        "attack": options.attack,
        "steps": options.steps,
        "restarts": options.restarts,
        "certificate": options.certificate,
    }
    rows = evaluate(options.models, x, y, levels=histogram, **settings)
    total = (len(options.models) + 1) * len(options.targets) * len(options.eps) * samples
    watched = tqdm(write_rows(rows, options.out, Row), total=total, unit="row", disable=None)
    means = summarise(watched)
    if options.summary:
        means = list(write_rows(means, options.summary, Summary))
    for line in table(means):
        print(line)
    print(f"Rows in {options.out}.")


def _test_images(options: argparse.Namespace, samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """The first images of the test part, their labels, and the training part's histogram."""
    if options.data is not None:
        x, y = load_dataset(options.dataset, "test", options.data)
        histogram = levels(load_dataset(options.dataset, "train", options.data)[0])
    else:
        x, y = load_samples(options.dataset)
        histogram = load_levels(options.dataset)
    if samples > len(x):
        raise InputError(
            f"--samples {samples} is more than the {len(x)} images there are; name the whole data set's "
            "folder with --data DIR."
        )
    return x[:samples], y[:samples], histogram


def table(summaries: Sequence[Summary]) -> list[str]:
    """Lines of a table of means in nats."""
    lines = [
        f"{'model':<28} {'target':<14} {'eps':>6} {'images':>6} {'clean':>9} {'attacked':>9} "
        f"{'certified':>10}"
    ]
    for s in summaries:
        certified = f"vacuous {s.vacuous}" if s.vacuous else f"{s.certified:.2f}"
        lines.append(
            f"{s.model:<28} {s.target:<14} {s.eps:>6g} {s.images:>6} {s.clean:>9.2f} "
            f"{s.attacked:>9.2f} {certified:>10}"
        )
    return lines


def _certify(options: argparse.Namespace) -> None:
    vae, x, noise = _one_image(options)
    proved = certify(
        vae,
        x,
        noise,
        eps=options.eps,
        target=options.target,
        method=options.method,
        arithmetic=options.arithmetic,
    )
    print(f"clean      {elbo(vae, x, noise).total.item():.2f} nats")
    print(f"certified  {'vacuous' if proved.vacuous[0] else f'{proved.lower.item():.2f} nats'}")
    print(proved.statement())


def _attack(options: argparse.Namespace) -> None:
    vae, x, noise = _one_image(options)
    with tqdm(unit="step", disable=None) as bar:

        def on_step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = attack(
            vae,
            x,
            noise,
            eps=options.eps,
            target=options.target,
            method=options.method,
            steps=options.steps,
            restarts=options.restarts,
            seed=options.seed,
            progress=on_step,
        )
    clean = elbo(vae, x, noise).total.item()
    print(f"clean     {clean:.2f} nats")
    print(f"attacked  {found.elbo.item():.2f} nats ({found.elbo.item() - clean:+.2f}, {found.method})")
    if options.out:
        save_image(found.x_adv, options.out)
        print(f"attacked image in {options.out}")


def _one_image(options: argparse.Namespace) -> tuple[VAE, Tensor, Tensor]:
    vae = load_model(options.model)
    if options.image is not None:
        x = load_image(options.image, vae.config.shape)
    else:
        samples, _ = load_samples("mnist")
        if not 0 <= options.index < len(samples):
            raise DataError(
                f"--index is {options.index}; shipped are the test images 0..{len(samples) - 1}."
            )
        x = samples[options.index : options.index + 1]
    return vae, x, sample_noise(vae, check_count("--draws", options.draws, 10_000), options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core",
        description="Robust variational auto-encoders: train them, attack them, certify them.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, text, fill in (
        ("train", "train a VAE, plainly or provably robust", _add_train),
        ("evaluate", "clean, attacked and certified ELBO as CSV", _add_evaluate),
        ("certify", "certify one image", _add_certify),
        ("attack", "attack one image", _add_attack),
    ):
        style = argparse.ArgumentDefaultsHelpFormatter
        fill(commands.add_parser(name, help=text, description=text, formatter_class=style))
    return parser


def _add_train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dataset", choices=tuple(DATASETS), default="mnist", help="images to train on")
    add("--data", type=Path, default=Path("data"), help="folder of the data set, downloaded if absent")
    add("--out", required=True, default=argparse.SUPPRESS, help="folder for the trained model")
    add("--arch", choices=ARCHITECTURES, default="mlp", help="fully connected or convolutional")
    add("--widths", type=int, nargs="+", help="hidden widths (conv: channels, channels, width)")
    add("--latent", type=int, default=16, help="number of latent dimensions")
    add("--likelihood", choices=LIKELIHOODS, default="bernoulli", help="what the decoder describes")
    add("--sigma", type=float, default=0.2, help="standard deviation of the gaussian likelihood")
    add("--eps", type=float, default=0.0, help="radius to be provably robust against; 0 trains plainly")
    add("--target", choices=TARGETS, default="likelihood", help="what the robust term scores")
    add("--kappa", type=float, default=0.2, help="weight of the clean ELBO against the robust one")
    add("--epochs", type=int, default=30, help="passes over the training images")
    add("--warmup", type=float, default=1.0, help="epochs before eps leaves 0")
    add("--ramp", type=float, default=10.0, help="epochs over which eps and kappa reach their values")
    add("--batch", type=int, default=256, help="images a step")
    add("--lr", type=float, default=1e-3, help="peak learning rate of Adam")
    add("--seed", type=int, default=0, help="seed of weights, order and noise")
    add("--resume", action="store_true", help="go on with an interrupted training in --out")
    parser.set_defaults(run=_train)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--models", nargs="+", default=list_models(), help="shipped names or folders")
    add("--eps", type=float, nargs="+", default=[0.0, 0.01, 0.05, 0.1], help="radii of the ball")
    add("--targets", nargs="+", choices=TARGETS, default=list(TARGETS), help="what is scored")
    add("--dataset", choices=tuple(DATASETS), default="mnist", help="test images to use")
    add("--data", type=Path, help="folder of the whole data set; without it the shipped samples")
    add("--samples", type=int, default=100, help="number of images, from the first test image on")
    _add_draws(parser)
    _add_search(parser)
    add("--attack", choices=tuple(ATTACKS), default="pgd", help="attack method")
    add("--certificate", choices=METHODS, default="ibp", help="certification method")
    add("--out", default="results.csv", help="CSV file for the rows")
    add("--summary", help="CSV file for the means that are printed at the end")
    parser.set_defaults(run=_evaluate)


def _add_certify(parser: argparse.ArgumentParser) -> None:
    _add_one_image(parser)
    parser.add_argument("--method", choices=METHODS, default="ibp", help="certification method")
    parser.add_argument(
        "--arithmetic",
        choices=("float64", "float32"),
        default="float64",
        help="precision of the forward pass that the bound has to cover",
    )
    parser.set_defaults(run=_certify)


def _add_attack(parser: argparse.ArgumentParser) -> None:
    _add_one_image(parser)
    _add_search(parser)
    parser.add_argument("--method", choices=tuple(ATTACKS), default="pgd", help="attack method")
    parser.add_argument("--out", help="file for the attacked image: .npy exactly, .png rounded")
    parser.set_defaults(run=_attack)


def _add_one_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, default=argparse.SUPPRESS, help="shipped name or folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--image", default=argparse.SUPPRESS, help="PNG or JPEG file")
    source.add_argument("--index", type=int, default=argparse.SUPPRESS, help="shipped MNIST test image")
    parser.set_defaults(image=None)
    parser.add_argument("--eps", type=float, default=0.1, help="radius of the ball")
    parser.add_argument("--target", choices=TARGETS, default="likelihood", help="what is scored")
    _add_draws(parser)


def _add_draws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", type=int, default=1, help="noise draws, shared by all images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws and of random starts")


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=40, help="gradient steps of a pgd restart")
    parser.add_argument("--restarts", type=int, default=1, help="pgd starts, the first at the image")
