"""`python -m core import`: somebody's VAE becomes a folder that all other commands, and the pages, take."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from core.command_line import foreign
from core.command_line.understood import Understood
from core.data.files import check_folder
from core.data.image_sets import take_images
from core.data.samples import CLASSES, load_dataset
from core.errors import InputError, OutputError
from core.training.train import resized
from core.vae.checkpoint import CONFIG, GRAPH, WEIGHTS, load_config, load_model, save_model
from core.vae.model import VAE
from core.vae.wrap import wrap

_SETTINGS = ("shape", "likelihood", "output", "heads", "scale", "sigma", "pixels")
"""Options that are arguments of core.wrap."""
_WRITTEN = ("format", "model", "versions", "digests")
"""What save_model writes itself."""


_SHOWN = 100
"""Images of a data set that a model is shown with."""


def import_model(options: argparse.Namespace) -> None:
    """Wrap, save, and say what was understood."""
    if (options.source is None) == (options.pythae is None):
        raise InputError("Name what to import: either FILE.py:NAME, or --pythae FOLDER.")
    if options.images is not None and options.dataset is not None:
        raise InputError("Images come from --images or from --dataset; leave one of them out.")
    if options.source is not None and (Path(options.source) / CONFIG).is_file():
        _give_images(options)
        return
    if options.pythae is not None and options.weights is not None:
        raise InputError("A folder of pythae's has its own weights; leave --weights out.")
    _check_room(options.out, options.force)
    here = foreign.beside(foreign.file_and_name(options.source)[0]) if options.source else nullcontext()
    with here:
        if options.source is not None:
            found = foreign.from_code(options.source, options.weights)
        else:
            found = foreign.from_pythae(Path(str(options.pythae)))
        settings = _settings(vars(options), found.known)
        vae = wrap(found.encoder, found.decoder, **settings)
        images, said = _images(options, vae.config.shape)
        lines = Understood(found, vae, settings, images.get("images")).lines()
    _save(vae, options, {"imported": {**found.said, **settings}}, images, [*lines, *said])


def _give_images(options: argparse.Namespace) -> None:
    """Save a model that is one of ours already, with images and all that is known of it."""
    if options.weights is not None or any(name in vars(options) for name in _SETTINGS):
        raise InputError(
            f"{options.source} is a model already; give --images or --dataset, --out and --force."
        )
    if options.images is None and options.dataset is None:
        raise InputError(f"{options.source} is a model already; give it images, --images FOLDER.")
    _check_room(options.out, options.force)
    known = load_config(options.source)
    record = {name: value for name, value in known.items() if name not in _WRITTEN}
    vae = load_model(options.source)
    _save(vae, options, record, *_images(options, vae.config.shape))


def _save(
    vae: VAE,
    options: argparse.Namespace,
    record: Mapping[str, Any],
    images: Mapping[str, Any],
    lines: Sequence[str],
) -> None:
    """Write the folder, with images as save_model takes them, then say what is known."""
    _check_room(options.out, options.force)  # somebody may have been faster
    save_model(vae, options.out, record, **images)
    for line in lines:
        print(line)
    print(f"Model in {options.out}: --model {options.out}, or core.load_model({options.out!r}).")


def _images(options: argparse.Namespace, shape: tuple[int, int, int]) -> tuple[dict[str, Any], list[str]]:
    """What save_model is told of images, and what is said of them."""
    if options.images is not None:
        found = take_images(options.images, None, None, shape)
        what = f", {len(found.classes)} classes" if found.classes else ", without classes"
        return found.given(), [f"{'shown with':<13} {len(found.x)} images of {options.images}{what}"]
    if options.dataset is None:
        return {}, []
    x, y = load_dataset(options.dataset, "test", options.data)
    x, y = x[:_SHOWN], y[:_SHOWN]
    large = resized(x, shape)
    moved = "" if large is x else f", made {shape[1]} x {shape[2]} and rounded to 256 levels"
    kept = {"images": (large * 255).round() / 255, "labels": y, "classes": CLASSES[options.dataset]}
    return kept, [f"{'shown with':<13} the first {len(x)} test images of {options.dataset}{moved}"]


def _check_room(out: str, force: bool) -> None:
    """Raises OutputError for a folder that cannot be written, or holds a model already."""
    check_folder(out)
    there = [name for name in (CONFIG, GRAPH, WEIGHTS) if (Path(out) / name).exists()]
    if there and not force:
        raise OutputError(f"{out} holds a model already ({', '.join(there)}); --force replaces it.")


def _settings(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of core.wrap: what was asked for, else what the source says, else the usual."""
    settings = {"likelihood": "bernoulli", "heads": "two", "scale": "logvar", "sigma": None}
    settings |= {"pixels": (0.0, 1.0)} | dict(known)
    settings |= {name: given[name] for name in _SETTINGS if name in given}
    if settings.get("shape") is None:
        raise InputError("Say how large an image is: --shape CHANNELS HEIGHT WIDTH, as in --shape 1 28 28.")
    if known.get("likelihood") != settings["likelihood"] and "output" not in given:
        settings["output"] = "mean" if settings["likelihood"] == "gaussian" else "logits"
    return settings | {name: tuple(settings[name]) for name in ("shape", "pixels")}
