"""`python -m core import`: somebody's VAE becomes a folder that all other commands, and the pages, take."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from core.command_line import foreign
from core.command_line.understood import Understood
from core.data.files import check_folder
from core.errors import InputError, OutputError
from core.vae.checkpoint import CONFIG, GRAPH, WEIGHTS, save_model
from core.vae.wrap import wrap

_SETTINGS = ("shape", "likelihood", "output", "heads", "scale", "sigma", "pixels")
"""Options that are arguments of core.wrap."""


def import_model(options: argparse.Namespace) -> None:
    """Wrap, save, and say what was understood."""
    if (options.source is None) == (options.pythae is None):
        raise InputError("Name what to import: either FILE.py:NAME, or --pythae FOLDER.")
    if options.pythae is not None and options.weights is not None:
        raise InputError("A folder of pythae's has its own weights; leave --weights out.")
    _check_room(options.out, options.force)
    here = foreign.beside(foreign.file_and_name(options.source)[0]) if options.source else nullcontext()
    with here:
        if options.pythae is None:
            found = foreign.from_code(options.source, options.weights)
        else:
            found = foreign.from_pythae(Path(options.pythae))
        settings = _settings(vars(options), found.known)
        vae = wrap(found.encoder, found.decoder, **settings)
        lines = Understood(found, vae, settings).lines()
    _check_room(options.out, options.force)  # somebody may have been faster
    save_model(vae, options.out, {"imported": {**found.said, **settings}})
    for line in lines:
        print(line)
    print(f"Model in {options.out}: --model {options.out}, or core.load_model({options.out!r}).")


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
