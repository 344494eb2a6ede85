"""Files that a stranger hands in as a model: taken, or refused with a sentence that says what to do."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

import core
from core.data.archives import unzip
from core.errors import CheckpointError, DataError
from core.inspection import handed_in as inspection
from core.inspection.handed_in import take_in
from core.network import operations as ops
from core.network.graph import Graph
from core.vae.handed_in import MOST_BYTES, MOST_FILES
from core.vae.model import VAE
from core.vae.wrapped import WrappedConfig
from tests.conftest import make_vae
from tests.malice import Bomb, exploded

SHAPE = (1, 6, 6)
Files = list[tuple[str, bytes]]


def files_of(folder: Path) -> Files:
    """As a browser sends a folder that is dropped."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(f"mine/{path.relative_to(folder).as_posix()}", path.read_bytes()) for path in found]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A traced model with two images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(36, 5), nn.BatchNorm1d(5), nn.ELU(), nn.Linear(5, 4)
        )
        decoder = nn.Sequential(nn.Linear(2, 5), nn.ELU(), nn.Linear(5, 36))
        images = torch.randint(0, 256, (2, *SHAPE), dtype=torch.uint8)
    folder = tmp_path_factory.mktemp("traced")
    vae = core.wrap(encoder.eval(), decoder.eval(), shape=SHAPE, heads="chunk")
    core.save_model(vae, folder, {"training": {"eps": 0.1}, "metrics": {"x": 1}}, images=images)
    return files_of(folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("plain")
    core.save_model(make_vae(), folder, {"training": {"eps": 0.1}})
    return files_of(folder)


def zipped(files: Files, **options: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for key, value in options.items():
                setattr(entry, key, value)
            archive.writestr(entry, content)
    return buffer.getvalue()


def refused(files: Files, place: Path) -> str:
    with pytest.raises((CheckpointError, DataError)) as caught:
        take_in(files, place)
    said = str(caught.value)
    assert said.endswith((".", "home: make run."))
    assert len(said) < 700
    return said


def test_a_traced_model_is_taken(traced: Files, tmp_path: Path) -> None:
    found = take_in([*traced, ("mine/notes.txt", b"x"), ("mine/.DS_Store", b"x")], tmp_path)
    assert found.traced
    assert found.images == 2
    assert found.left_out == ("notes.txt",)
    vae = core.load_model(tmp_path)
    clean = core.elbo(vae, core.load_images(tmp_path).x, core.sample_noise(vae, 1)).total.mean().item()
    assert found.clean == clean
    config = json.loads((tmp_path / "config.json").read_text())
    assert set(config) == {"format", "model", "digests"}  # what it says of a training could not be checked


def test_a_plain_one_and_an_archive(plain: Files, traced: Files, tmp_path: Path) -> None:
    assert not take_in(plain, tmp_path / "plain").traced
    assert take_in([("mine.zip", zipped(traced))], tmp_path / "zip").images == 2
    assert core.load_model(tmp_path / "zip").config.shape == SHAPE


@pytest.mark.parametrize(
    "name", ["../../config.json", "/etc/config.json", "C:\\x\\config.json", "a/../../config.json"]
)
def test_no_name_becomes_a_path(name: str, plain: Files, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    take_in([(name, plain[0][1]), plain[1]], inside)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert sorted(path.name for path in inside.iterdir()) == ["config.json", "weights.safetensors"]
    archive = [("x.zip", zipped([(name, plain[0][1]), plain[1]]))]
    take_in(archive, tmp_path / "zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "zip"]


def swapped(files: Files, ending: str, content: bytes) -> Files:
    return [(name, content if name.endswith(ending) else old) for name, old in files]


def without(files: Files, ending: str) -> Files:
    return [(name, content) for name, content in files if not name.endswith(ending)]


def pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save({"encoder.1.weight": torch.zeros(2)}, buffer)
    return buffer.getvalue()


BAD: dict[str, tuple[Callable[[Files, Files], Files], str]] = {
    "nothing": (lambda t, p: [], "There is no weights.safetensors: drop all files"),
    "no weights": (lambda t, p: without(t, ".safetensors"), "There is no weights.safetensors"),
    "no config": (lambda t, p: without(t, "config.json"), "There is no config.json"),
    "no graph": (lambda t, p: without(t, "graph.json"), "there is no graph.json: drop that, too"),
    "another name": (
        lambda t, p: [("model.safetensors", p[1][1]), p[0]],
        "There is no weights.safetensors: is it model.safetensors? Then rename it",
    ),
    "a state_dict": (lambda t, p: [("model.pt", pickled())], "model.pt is, or may hold, a pickle"),
    "a pickle beside": (
        lambda t, p: [*p, ("x/optimizer.PKL", b"x")],
        "optimizer.PKL is, or may hold, a pickle",
    ),
    "a pickle inside": (
        lambda t, p: swapped(p, ".safetensors", pickled()),
        "weights.safetensors is a pickle under another name",
    ),
    "two models": (lambda t, p: [*p, *t], "config.json is there twice"),
    "twice the same": (lambda t, p: [*p, ("b/config.json", p[0][1])], "config.json is there twice"),
    "an empty file": (lambda t, p: swapped(p, ".safetensors", b""), "weights.safetensors is empty"),
    "an empty config": (lambda t, p: swapped(p, "config.json", b""), "config.json is empty"),
    "broken JSON": (lambda t, p: swapped(p, "config.json", b'{"format": 1,'), "cannot be read as JSON"),
    "deep JSON": (lambda t, p: swapped(p, "config.json", b"[" * 100_000), "cannot be read as JSON"),
    "a deep graph": (lambda t, p: swapped(t, "graph.json", b"[" * 100_000), "was not saved with"),
    "the config of another": (lambda t, p: swapped(t, "config.json", p[0][1]), "they belong to two models"),
    "a graph beside a plain one": (
        lambda t, p: [*p, *[file for file in t if file[0].endswith("graph.json")]],
        "which has no graph.json: they belong to two models",
    ),
    "a changed image": (lambda t, p: swapped(t, "000.png", b"\x89PNG"), "was not saved with the model"),
    "a missing image": (lambda t, p: without(t, "001.png"), "001.png cannot be read"),
    "too much": (lambda t, p: [*p, ("x.bin", bytes(MOST_BYTES))], "has at most 16 MB"),
    "too many": (lambda t, p: [(f"{i}.txt", b"x") for i in range(MOST_FILES + 1)], "a model has at most"),
    "an archive among others": (lambda t, p: [*p, ("x.zip", zipped(p))], "drop the archive alone"),
    "no archive": (lambda t, p: [("x.zip", b"PK\x03\x04 no")], "The archive cannot be read"),
    "a torch archive": (lambda t, p: [("x.zip", pickled())], "a pickle"),
    "a link": (
        lambda t, p: [
            ("x.zip", zipped([(n, b"/etc/passwd") for n, _ in p], external_attr=stat.S_IFLNK << 16))
        ],
        "The archive has a link or a device in it",
    ),
    "a bomb": (lambda t, p: [("x.zip", zipped([(p[1][0], bytes(200_000_000))]))], "unpacks to over 16 MB"),
    "an archive in an archive": (
        lambda t, p: [("x.zip", zipped([("y.zip", zipped(p))]))],
        "There is no weights.safetensors",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_model_is_refused(case: str, traced: Files, plain: Files, tmp_path: Path) -> None:
    make, said = BAD[case]
    assert said in refused(make(traced, plain), tmp_path)


def test_a_pickle_is_never_executed(plain: Files, tmp_path: Path) -> None:
    bomb = Bomb(tmp_path).pickled()
    for files in (swapped(plain, ".safetensors", bomb), [("model.pt", bomb)], [("m.zip", bomb)]):
        refused(files, tmp_path / "x")
    refused([("m.zip", zipped(swapped(plain, ".safetensors", bomb)))], tmp_path / "y")
    assert not exploded(tmp_path)


@pytest.mark.parametrize(("flag", "method"), [(0x1, 8), (0, 14), (0, 99)])
def test_archives_of_other_kinds(flag: int, method: int, plain: Files) -> None:
    content = bytearray(zipped(plain))
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = content.find(mark)
        while at >= 0:
            struct.pack_into("<HH", content, at + place, flag, method)
            at = content.find(mark, at + 1)
    with pytest.raises(DataError, match="archive"):
        unzip(bytes(content), 10, 10**8)


def test_what_an_archive_says_of_its_sizes_is_not_believed(plain: Files) -> None:
    content = bytearray(zipped([("a", bytes(1_000_000))]))
    at = content.find(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 5)
    with pytest.raises(DataError, match="archive"):
        unzip(bytes(content), 10, 1000)


def rewritten(files: Files, edit: Callable[[dict[str, torch.Tensor]], object]) -> Files:
    """Other weights, and digests of them: whoever makes a file can make these, too."""
    old = next(content for name, content in files if name.endswith(".safetensors"))
    weights = safetensors.torch.load(old)
    edit(weights)
    new = safetensors.torch.save(weights)
    known = json.loads(next(content for name, content in files if name.endswith("config.json")))
    known["digests"]["weights.safetensors"] = hashlib.sha256(new).hexdigest()
    return swapped(swapped(files, ".safetensors", new), "config.json", json.dumps(known).encode())


WEIGHTS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "NaN": (lambda w: w["encoder.1.weight"].fill_(torch.nan), "encoder.1.weight contains NaN"),
    "infinite": (lambda w: w["encoder.1.bias"].fill_(torch.inf), "contains NaN or infinite"),
    "a negative variance": (lambda w: w["encoder.2.var"].fill_(-1.0), "has a variance that is negative"),
    "float16": (
        lambda w: w.update({"encoder.1.bias": w["encoder.1.bias"].half()}),
        "encoder.1.bias is float16, it has to be float32",
    ),
    "turned": (
        lambda w: w.update({"encoder.1.weight": w["encoder.1.weight"].T.contiguous()}),
        "encoder.1.weight is (36, 5), the config says (5, 36)",
    ),
    "missing": (lambda w: w.pop("decoder.0.bias"), "lacks decoder.0.bias (5,)"),
    "more": (lambda w: w.update(spare=torch.zeros(2)), "holds spare (2,), which the model has not"),
    "an overflow": (lambda w: [v.fill_(1e38) for k, v in w.items() if "var" not in k], "ELBO of"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_that_lie(case: str, traced: Files, tmp_path: Path) -> None:
    edit, said = WEIGHTS[case]
    assert said in refused(rewritten(traced, edit), tmp_path)


def test_a_model_that_is_too_much_for_a_page_is_not_computed(
    traced: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(*args: object) -> None:
        raise AssertionError("It was computed.")

    monkeypatch.setattr(inspection, "elbo", computed)
    for limit, said in (("MOST_VALUES", "values in all layers"), ("MOST_PRODUCTS", "products")):
        with monkeypatch.context() as less:
            less.setattr(inspection, limit, 50)
            assert said in refused(traced, tmp_path / limit)


def test_a_graph_that_grows_takes_no_memory(tmp_path: Path) -> None:
    """2,000 values of 40 million numbers each, all needed until the end, in a file of some kB."""
    many = 2000
    layers = [ops.Upsample((6400, 6400), "nearest"), *(ops.Add() for _ in range(many))]
    layers += [ops.AdaptiveAveragePool((2, 2), 3201 * 3201), nn.Flatten()]
    sources = [(0,), *((i, 1) for i in range(1, many + 1)), (many + 1,), (many + 2,)]
    decoder = nn.Sequential(nn.Linear(2, 36), nn.Unflatten(1, SHAPE))
    vae = VAE.of_networks(WrappedConfig("bernoulli", SHAPE, 2), Graph(layers, sources), decoder)
    core.save_model(vae, tmp_path / "saved")
    files, before = files_of(tmp_path / "saved"), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "values in all layers" in refused(files, tmp_path / "place")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_what_nobody_thought_of_is_refused_too(
    traced: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError("no such thing\nand a second line")

    monkeypatch.setattr(inspection, "elbo", fails)
    assert "cannot be computed (no such thing)" in refused(traced, tmp_path)
