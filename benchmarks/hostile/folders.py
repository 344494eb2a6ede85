"""Folders of models that are damaged, lie, or lead out of the folders that are allowed."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import core
from benchmarks.hostile.cases import Case
from core.vae.checkpoint import CONFIG, WEIGHTS, save_model
from core.vae.config import VAEConfig
from core.vae.model import VAE
from dashboard.addresses import models
from tests.malice import Bomb

FLIPS = 15


def write_model(folder: Path) -> Path:
    """A small model that is as it should be."""
    torch.manual_seed(0)
    save_model(VAE(VAEConfig(latent=2, widths=(4,))), folder, {"training": {"eps": 0.1}})
    return folder


def folders(root: Path, secret: Path, bomb: Bomb) -> Iterator[Case]:
    """One folder in an allowed root after the other. secret: a model outside, that nothing may read."""
    good = write_model(root / "good")
    config, weights = (good / CONFIG).read_text(), (good / WEIGHTS).read_bytes()
    prepare = {
        **{f"config.json: {name}": _file(CONFIG, text) for name, text in configs(config).items()},
        **{
            f"weights: {name}": _file(WEIGHTS, content)
            for name, content in damaged_weights(weights, bomb).items()
        },
        **_links(secret),
    }
    for number, (name, change) in enumerate(prepare.items()):
        folder = root / f"case-{number}"
        yield Case(
            "model folder",
            name,
            lambda folder=folder: _load(f"{folder.parent.name}/{folder.name}"),
            lambda folder=folder, change=change: _prepared(good, folder, change),
        )


def _load(name: str) -> str:
    """What the pages do with a model: find it in the list, read it."""
    core.load_model(models.folder(name))
    return "a model"


@contextmanager
def _prepared(good: Path, folder: Path, change: Callable[[Path], Any]) -> Iterator[None]:
    shutil.copytree(good, folder)
    try:
        change(folder)
        yield
    finally:
        folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)


def _file(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


def configs(good: str) -> dict[str, bytes]:
    texts = {
        "empty": "",
        "null": "null",
        "a list": "[]",
        "text": '"x"',
        "cut off": good[: len(good) // 2],
        "nested 100,000 deep": "[" * 100_000,
        "objects nested 100,000 deep": '{"a":' * 100_000,
        "2 MB of blanks": " " * 2_000_000,
        "a number of 5,000 digits": good.replace('"format": 1', f'"format": {"9" * 5000}'),
        "NaN": good.replace('"format": 1', '"format": NaN'),
        "no UTF-8": "\udcff\udcfe",
        "YAML that would run": "!!python/object/apply:os.system ['touch x']",
    }
    changes: dict[str, dict[str, Any]] = {
        "widths of 8192, eight times": {"widths": [8192] * 8},
        "a convolution of 13 GB": {"arch": "conv", "widths": [8192] * 3},
        "widths of 10^30": {"widths": [10**30]},
        "latent -1": {"latent": -1},
        "latent 10^400": {"latent": 10**400},
        "latent NaN": {"latent": float("nan")},
        "sigma infinite": {"sigma": float("inf")},
        "arch that is a path": {"arch": "../../etc/passwd"},
        "arch with a script": {"arch": "<script>alert(1)</script>"},
        "likelihood that is a list": {"likelihood": [["bernoulli"]]},
        "a field more": {"__reduce__": "os.system"},
        "size 10^9": {"size": 10**9},
        "another size": {"size": 32},
        "other widths": {"widths": [5]},
        "more channels": {"channels": 3},
        "a Gaussian likelihood": {"likelihood": "gaussian"},
    }
    for name, change in changes.items():
        config = json.loads(good)
        config["model"] |= change
        texts[name] = json.dumps(config)
    return {name: text.encode(errors="surrogateescape") for name, text in texts.items()}


def damaged_weights(good: bytes, bomb: Bomb) -> dict[str, bytes]:
    dice = random.Random(2)
    found = {f"cut off at {percent} %": good[: len(good) * percent // 100] for percent in range(0, 100, 10)}
    for _ in range(FLIPS):
        place = dice.randrange(min(600, len(good)))
        found[f"bit of byte {place} turned"] = (
            good[:place] + bytes([good[place] ^ 1 << dice.randrange(8)]) + good[place + 1 :]
        )
    (size,) = struct.unpack("<Q", good[:8])
    header, body = good[8 : 8 + size], good[8 + size :]
    for name, said in {
        "a header of 2^63 bytes": 2**63,
        "a header of 100 MB": 10**8,
        "a header of no length": 0,
        "a header that ends late": size + 100,
    }.items():
        found[name] = struct.pack("<Q", said) + header + body
    tensors: dict[str, Any] = json.loads(header)
    key = next(key for key in tensors if key != "__metadata__")
    for name, change in {
        "a shape of 2^62": {"shape": [2**31, 2**31]},
        "places that overlap": {"data_offsets": [0, len(body)]},
        "a place before the file": {"data_offsets": [-8, 8]},
        "an unknown type": {"dtype": "PICKLE"},
    }.items():
        changed = json.dumps(tensors | {key: tensors[key] | change}).encode()
        found[name] = struct.pack("<Q", len(changed)) + changed + body
    nan = struct.pack("<f", float("nan"))
    return found | {
        "a pickle": bomb.pickled(),
        "NaN": good[: 8 + size] + nan + body[4:],
        "more at the end": good + bytes(1000),
        "zeros": bytes(len(good)),
    }


def _links(secret: Path) -> dict[str, Callable[[Path], Any]]:
    """Files and folders that are something else."""

    def replace(name: str, make: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def change(folder: Path) -> None:
            (folder / name).unlink()
            make(folder / name)

        return change

    def whole(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.symlink_to(secret)

    def huge(path: Path) -> None:
        path.touch()
        os.truncate(path, 10**12)  # a hole: nothing is written

    found: dict[str, Callable[[Path], Any]] = {"the folder is a link out of the root": whole}
    for name in (CONFIG, WEIGHTS):
        found |= {
            f"{name} is a link out of the root": replace(name, lambda p, n=name: p.symlink_to(secret / n)),
            f"{name} is a link to a password file": replace(name, lambda p: p.symlink_to("/etc/passwd")),
            f"{name} is a device without end": replace(name, lambda p: p.symlink_to("/dev/zero")),
            f"{name} is a link to itself": replace(name, lambda p: p.symlink_to(p)),
            f"{name} is a pipe": replace(name, os.mkfifo),
            f"{name} is a folder": replace(name, Path.mkdir),
            f"{name} is not there": replace(name, lambda p: None),
            f"{name} has a terabyte": replace(name, huge),
        }
    return found
