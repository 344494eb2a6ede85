"""Files that are dropped onto the page as a model: damaged, disguised, in archives, and graphs that lie."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import core
from benchmarks.hostile.cases import Case
from benchmarks.hostile.folders import configs, damaged_weights, write_model
from core.errors import CoreError, UnsoundBoundError
from core.inspection.handed_in import take_in
from core.vae.checkpoint import CONFIG, GRAPH, WEIGHTS
from tests.malice import Bomb
from tests.network.random_graphs import random_vae

LIES = 400
"""Graphs with one value of another kind."""
_VALUES: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 10**9, 10**19, 10**30, 10**400, 0.0, 1e-320, 1e300, -1e300, 3.4e38, 0.5),
    *(float("nan"), float("inf"), None, True, "", "x", "__class__"),
    *([], [0], [-1], [1, 1], [10**20], [[1]], {}),
)
Files = list[tuple[str, bytes]]


def dropped(root: Path, bomb: Bomb) -> Iterator[Case]:
    """One drop after the other, each into an empty folder in `root`."""
    good = {path.name: path.read_bytes() for path in sorted(write_model(root / "dropped").iterdir())}
    with _empty(root / "drop"):
        _take(list(good.items()), root / "drop")  # what torch loads on first use is not these files' doing
    texts = {f"{CONFIG}: {name}": text for name, text in configs(good[CONFIG].decode()).items()}
    damaged = damaged_weights(good[WEIGHTS], bomb)
    found = {name: _with(good, CONFIG, text) for name, text in texts.items()}
    found |= {f"weights: {name}": _with(good, WEIGHTS, content) for name, content in damaged.items()}
    found |= {**_sets(good, bomb), **_archives(good, bomb), **dict(_lies())}
    for number, (name, files) in enumerate(found.items()):
        place = root / f"drop-{number}"

        def run(files: Files = files, place: Path = place) -> str:
            return _take(files, place)

        yield Case("dropped model", name, run, lambda place=place: _empty(place))


@contextmanager
def _empty(place: Path) -> Iterator[None]:
    place.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(place)


def _take(files: Files, place: Path) -> str:
    """Take it in; what is taken must be bounded soundly, or refused then."""
    try:
        take_in(files, place)
    except CoreError as error:
        raise type(error)(str(error).replace(f"{place}/", "")) from error
    vae = core.load_model(place)
    generator = torch.Generator("cpu").manual_seed(0)
    x = torch.rand(1, *vae.config.shape, generator=generator)
    near = (x + 0.02 * (2 * torch.rand(200, *vae.config.shape, generator=generator) - 1)).clamp(0, 1)
    noise = core.sample_noise(vae, 2)
    lowest = core.elbo(vae, near, noise).total.min().item()
    for method in ("ibp", "crown"):
        try:
            proved = core.certify(vae, x, noise, eps=0.02, method=method).lower.item()
        except UnsoundBoundError as error:
            raise AssertionError(f"a false bound by {method}") from error
        if proved > lowest:
            raise AssertionError(f"a false bound by {method}: {proved} above {lowest}")
    return "a model"


def _with(good: dict[str, bytes], name: str, content: bytes) -> Files:
    return list({**good, name: content}.items())


def _sets(good: dict[str, bytes], bomb: Bomb) -> dict[str, Files]:
    """Other files than those of one model."""
    files = list(good.items())
    return {
        "nothing": [],
        "no weights": [(CONFIG, good[CONFIG])],
        "no config": [(WEIGHTS, good[WEIGHTS])],
        "an empty file": _with(good, WEIGHTS, b""),
        "twice": files * 2,
        "in two folders": [*files, *((f"other/{name}", content) for name, content in files)],
        "a pickle beside them": [*files, ("optimizer.pt", bomb.pickled())],
        "a pickle alone": [("model.pth", bomb.pickled())],
        "a pickle in capitals": [("MODEL.PKL", bomb.pickled())],
        "a graph beside a plain model": [*files, (GRAPH, b"{}")],
        "300 files": [(f"{number}.txt", b"x") for number in range(300)],
        "17 MB": [*files, ("x.txt", bytes(17_000_000))],
        "names that lead out": [(f"../../../{name}", content) for name, content in files],
        "names from the root": [(f"/etc/{name}", content) for name, content in files],
        "names of Windows": [(f"C:\\Windows\\{name}", content) for name, content in files],
        "names with a zero byte": [(f"{name}\x00.txt", content) for name, content in files],
        "a name of 10^5 letters": [*files, ("x" * 100_000, b"x")],
        "a name that is a script": [*files, ("<script>alert(1)</script>", b"x")],
        "an index of images that is none": [*files, ("images/index.json", b"[" * 100_000)],
    }


def _archives(good: dict[str, bytes], bomb: Bomb) -> dict[str, Files]:
    whole = _zip(good)
    names = {f"../../{name}": content for name, content in good.items()}
    found = {
        "of names that lead out": _zip(names),
        "of links": _zip(dict.fromkeys(good, b"/etc/passwd"), stat.S_IFLNK),
        "of a device": _zip(good, stat.S_IFCHR),
        "of a pipe": _zip(good, stat.S_IFIFO),
        "of a pickle": _zip({"data.pkl": bomb.pickled()}),
        "of an archive": _zip({"x.zip": whole}),
        "of 500 MB of zeros": _zip({WEIGHTS: bytes(500_000_000)}),
        "of 5,000 files": _zip({f"{number}.txt": b"" for number in range(5000)}),
        "that is a pickle": bomb.pickled(),
        "that is empty": b"",
        "twice": whole * 2,
        "with a comment that is an archive": whole + whole[-22:],
    }
    found |= {
        f"cut off at {percent} %": whole[: len(whole) * percent // 100] for percent in range(10, 100, 10)
    }
    dice = random.Random(4)
    for _ in range(30):
        turned, at = bytearray(whole), dice.randrange(len(whole))
        turned[at] ^= 1 << dice.randrange(8)
        found[f"with a bit of byte {at} turned"] = bytes(turned)
    return {f"archive {name}": [("mine.zip", content)] for name, content in found.items()}


def _zip(files: dict[str, bytes], kind: int = stat.S_IFREG) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.compress_type = (kind | 0o644) << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def _lies() -> Iterator[tuple[str, Files]]:
    """Traced models with one value of their graph changed, and the digest that belongs to it."""
    dice, files = random.Random(5), dict[str, bytes]()
    for number in range(LIES):
        if number % 20 == 0:
            files = _saved(number)
        graph, known = json.loads(files[GRAPH]), json.loads(files[CONFIG])
        places = [place for place in _places(graph) if "options" in place[:-1] or dice.random() < 0.2]
        place = dice.choice(places)
        value = dice.choice(_VALUES)
        changed = _put(graph, place, value)
        known["digests"][GRAPH] = hashlib.sha256(changed).hexdigest()
        shown = ascii(value)
        name = f"graph {number}: {'.'.join(map(str, place))} = {shown[:30]}"
        yield name, list({**files, GRAPH: changed, CONFIG: json.dumps(known).encode()}.items())


def _saved(seed: int) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        core.save_model(random_vae(seed), folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def _places(part: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of a parsed JSON file are."""
    entries = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in entries:
        yield (*before, key)
        yield from _places(value, (*before, key))


def _put(graph: Any, place: tuple[Any, ...], value: Any) -> bytes:
    changed = copy.deepcopy(graph)
    part = changed
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return json.dumps(changed).encode()
