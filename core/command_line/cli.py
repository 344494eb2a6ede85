"""python -m core train | import | evaluate | certify | verify | radius | attack."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from core.attacks import attack
from core.certificates.certificate import over_draws, shown_bound, shown_radius
from core.certificates.prove import certify
from core.certificates.radius import certified_radius
from core.claims import counterexample
from core.claims.claim import MOST_BYTES, read_claim
from core.claims.counterexample import read_counterexample, verify_counterexample
from core.claims.making import make_claim
from core.claims.opinion import UNREADABLE, second_opinion
from core.claims.verify import verify_claim
from core.command_line.importing import import_model
from core.command_line.options import parser, settings_of
from core.command_line.terminal import lenient_printing
from core.data.files import check_file, is_stdout, read_bytes, streams, write_bytes
from core.data.samples import SHAPES, check_image_file, load_image, load_test, save_image
from core.errors import Cancelled, CoreError, DataError, InputError
from core.evaluation.evaluate import Row, Summary, evaluate, summarise, write_rows
from core.evaluation.suite.command import evaluate_suite
from core.training.loop import EpochReport
from core.training.resume import RESUME
from core.training.settings import TrainSettings
from core.training.train import train
from core.vae.checkpoint import find_model, load_config, load_model
from core.vae.config import DEFAULT_WIDTHS, VAEConfig
from core.vae.elbo import elbo, sample_noise
from core.vae.model import VAE
from core.vae.model_images import load_images, models_by_dataset
from core.vae.validate import check_count


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a claim that does not hold, 2 for a named error, 130
    for Ctrl-C, 141 where nobody reads on what `--out -` writes. Results are written before they are
    printed."""
    with lenient_printing():
        options = parser(_train, import_model, _evaluate, _certify, _verify, _radius, _attack).parse_args(
            argv
        )
        try:
            status = options.run(options) or 0
            sys.stdout.flush()
        except (Cancelled, KeyboardInterrupt) as stop:
            print(str(stop) or "Stopped.", file=sys.stderr)
            return 130
        except BrokenPipeError:
            sys.stdout.flush()  # to nobody, as what is still printed
            return 141
        except CoreError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return status


def _new_model(options: argparse.Namespace) -> VAEConfig:
    channels, size = SHAPES[options.dataset]
    widths = tuple(options.widths or DEFAULT_WIDTHS[options.arch])
    return settings_of(VAEConfig, options, channels=channels, size=size, widths=widths)


def _train(options: argparse.Namespace) -> None:
    model = load_model(options.start).config if options.start else _new_model(options)
    settings = settings_of(TrainSettings, options, model=model)
    with tqdm(unit="step", disable=None) as bar:

        def on_epoch(report: EpochReport) -> None:
            line = f"epoch {report.epoch}/{report.epochs}"
            if not math.isnan(report.clean):
                line += f"  ELBO {report.clean:.2f} nats"
            if report.eps > 0:
                line += f"  {options.recipe} {report.robust:.2f}, eps up to {report.eps:.3g}"
            bar.write(line)

        try:
            train(
                settings,
                options.out,
                data=options.data,
                resume=options.resume,
                device=options.device,
                on_epoch=on_epoch,
                on_step=_follow(bar),
            )
        except KeyboardInterrupt:
            if (Path(options.out) / RESUME).exists():
                bar.write(
                    f"What whole epochs there were are in {options.out}; go on with the same command and "
                    "--resume."
                )
            raise
    print(f"Trained model in {options.out}: load it with core.load_model({options.out!r}).")


def _follow(bar: tqdm) -> Callable[[int, int], None]:
    """A progress callback that moves the bar."""

    def step(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return step


def _evaluate(options: argparse.Namespace) -> None:
    if options.models is None:
        options.models = models_by_dataset().get(options.dataset, [])
        if not options.models:
            raise InputError(f"No models of {options.dataset} are shipped; name some with --models.")
    if options.suite is not None:
        evaluate_suite(options)
        return
    if options.jobs is not None or options.results is not None:
        raise InputError("--jobs and --results belong to --suite; leave them out, or name a suite.")
    samples = 100 if options.samples is None else check_count("--samples", options.samples)
    x, y, histogram = load_test(options.dataset, options.data, samples)
    settings = {
        "eps": options.eps,
        "targets": options.targets,
        "draws": check_count("--draws", options.draws, 10_000),
        "seed": options.seed,
        "attack": options.attack,
        "steps": options.steps,
        "restarts": options.restarts,
        "certificate": options.certificate,
        "device": options.device,
    }
    out = "results.csv" if options.out is None else options.out
    check_file(out)
    if options.summary is not None:
        check_file(options.summary)
        if (is_stdout(out) and is_stdout(options.summary)) or _same_file(out, options.summary):
            raise InputError(f"--out and --summary are both {out}; choose another file for one of them.")
    rows = evaluate(options.models, x, y, levels=histogram, **settings)
    total = (len(set(options.models)) + 1) * len(set(options.targets)) * len(set(options.eps)) * samples
    watched = tqdm(write_rows(rows, out, Row), total=total, unit="row", disable=None)
    means = summarise(watched)
    say = _beside(out, options.summary)
    with _finally(say, *table(means), f"Rows in {out}."):
        if options.summary is not None:
            means = list(write_rows(means, options.summary, Summary))


def _same_file(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other) and not streams(one)


def table(summaries: Sequence[Summary]) -> list[str]:
    """Lines of a table of means in nats; no model with the likelihood of one stays above its ceiling."""
    lines = [
        f"{'model':<28} {'target':<14} {'eps':>6} {'images':>6} {'clean':>9} {'attacked':>9} "
        f"{'certified':>10} {'ceiling':>9}"
    ]
    for s in summaries:
        certified = f"vacuous {s.vacuous}" if s.vacuous else f"{s.certified:.2f}"
        ceiling = "none" if math.isinf(s.ceiling) else f"{s.ceiling:.2f}"
        lines.append(
            f"{s.model:<28} {s.target:<14} {s.eps:>6g} {s.images:>6} {s.clean:>9.2f} "
            f"{s.attacked:>9.2f} {certified:>10} {ceiling:>9}"
        )
    return lines


def _certify(options: argparse.Namespace) -> None:
    if options.out is not None:
        check_file(options.out)
    vae, x, noise = _one_image(options)
    with _stoppable() as progress:
        proved = certify(vae, x, noise, eps=options.eps, **_proof(options), progress=progress)
    bound = "vacuous" if proved.vacuous[0] else f"{shown_bound(proved.bound, proved.side)} nats"
    say = _beside(options.out)
    with _finally(
        say,
        f"clean      {elbo(vae, x, noise).total.item():.2f} nats, {over_draws(len(noise))}",
        f"certified  {bound}",
        proved.statement(),
    ):
        if options.out is not None:
            claim = make_claim(
                options.model,
                x,
                proved,
                draws=len(noise),
                seed=options.seed,
                iterations=options.iterations,
            )
            write_bytes(options.out, claim.to_json().encode())
    if options.out is not None:
        say(f"certificate in {options.out}")


def _verify(options: argparse.Namespace) -> int:
    if (options.claim is None) == (options.counterexample is None):
        raise InputError("Name one file: a certificate, or a counterexample after --counterexample.")
    if options.counterexample is not None:
        return _verify_counterexample(options)
    if options.independent:
        model = None if options.model is None else find_model(options.model)
        opinion = second_opinion(options.claim, model)
        print(opinion.said, file=sys.stderr if opinion.code == UNREADABLE else sys.stdout)
        return opinion.code
    claim = read_claim(read_bytes(options.claim, MOST_BYTES + 1))
    with _stoppable() as progress:
        verdict = verify_claim(claim, options.model, progress)
    print(verdict.sentence)
    return 0 if verdict.holds else 1


def _verify_counterexample(options: argparse.Namespace) -> int:
    if options.independent:
        raise InputError("--independent checks certificates; leave it out for a counterexample.")
    found = read_counterexample(read_bytes(options.counterexample, counterexample.MOST_BYTES + 1))
    verdict = verify_counterexample(found, options.model)
    print(verdict.sentence)
    return 0 if verdict.holds else 1


def _radius(options: argparse.Namespace) -> None:
    vae, x, noise = _one_image(options)
    threshold = _usual_threshold(options.model) if options.threshold is None else options.threshold
    with _stoppable() as progress:
        found = certified_radius(
            vae,
            x,
            noise,
            threshold=threshold,
            most=options.most,
            steps=check_count("--halvings", options.halvings, 60),
            **_proof(options),
            progress=progress,
        )
    print(f"clean      {elbo(vae, x, noise).total.item():.2f} nats, {over_draws(len(noise))}")
    print(f"threshold  {shown_bound(threshold, options.side)} nats")
    print(f"radius     {shown_radius(found.eps) if found.proved[0] else 'none'}")
    print(found.statement())


def _usual_threshold(model: str) -> float:
    """The 5 % quantile of the ELBO of clean test images, from the model's own configuration."""
    try:
        return float(load_config(model)["metrics"]["elbo_quantiles"]["0.05"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{model} has no quantiles in its config.json; give a --threshold.") from None


def _proof(options: argparse.Namespace) -> dict[str, Any]:
    """The options of `certify` and `certified_radius` that say how to prove what."""
    names = ("target", "method", "norm", "side", "states", "alpha", "delta", "iterations", "seconds")
    chosen = {name: getattr(options, name) for name in (*names, "arithmetic")}
    return {**chosen, "seed": options.seed, "draws": check_count("--sample-draws", options.sample_draws)}


@contextmanager
def _stoppable() -> Iterator[Callable[[int, int], None]]:
    """A progress callback with a bar. The first Ctrl-C stops at the next step with what is proved by then,
    a second one at once."""
    pressed = False

    def press(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        with tqdm(unit="step", disable=None) as bar:
            follow = _follow(bar)

            def step(done: int, total: int) -> None:
                follow(done, total)
                if pressed:
                    raise Cancelled("Stopped by Ctrl-C.")

            yield step
        if pressed:
            print("Stopped: what follows is what was proved by then.", file=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, before)


def _attack(options: argparse.Namespace) -> None:
    if options.out is not None:
        check_image_file(options.out)
    vae, x, noise = _one_image(options)
    with tqdm(unit="step", disable=None) as bar:
        found = attack(
            vae,
            x,
            noise,
            eps=options.eps,
            target=options.target,
            norm=options.norm,
            side=options.side,
            method=options.method,
            steps=options.steps,
            restarts=options.restarts,
            seed=options.seed,
            progress=_follow(bar),
        )
    clean, say = elbo(vae, x, noise).total.item(), _beside(options.out)
    with _finally(
        say,
        f"clean     {clean:.2f} nats",
        f"attacked  {found.elbo.item():.2f} nats ({found.elbo.item() - clean:+.2f}, {found.method})",
    ):
        if options.out is not None:
            save_image(found.x_adv, options.out)
    if options.out is not None:
        say(f"attacked image in {options.out}")


def _beside(*outs: str | None) -> Callable[[str], None]:
    """Prints a line: to standard output, or beside it where a file goes there."""
    return partial(print, file=sys.stderr if any(map(is_stdout, outs)) else sys.stdout)


@contextmanager
def _finally(say: Callable[[str], None], *lines: str) -> Iterator[None]:
    """Prints results when they are written, and also if they cannot be."""
    try:
        yield
    finally:
        for line in lines:
            say(line)


def _one_image(options: argparse.Namespace) -> tuple[VAE, Tensor, Tensor]:
    vae = load_model(options.model)
    if options.image is not None:
        x = load_image(options.image, vae.config.shape, options.as_is)
    else:
        samples = load_images(options.model).x
        if not 0 <= options.index < len(samples):
            raise DataError(
                f"--index is {options.index}; the images of the model are 0..{len(samples) - 1}."
            )
        x = samples[options.index : options.index + 1]
    return vae, x, sample_noise(vae, check_count("--draws", options.draws, 10_000), options.seed)
