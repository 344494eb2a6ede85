"""Images of a model's own: kept exactly, bound to the save, and refused in words where they are no such."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import core
from core.command_line.cli import main
from core.data.exact_png import as_png
from core.data.image_sets import MOST_IMAGES
from core.data.saved_images import INDEX, file_name
from core.errors import DataError, InputError
from core.vae.checkpoint import CONFIG
from core.vae.model import VAE
from tests.conftest import make_vae

SHAPE = (3, 12, 10)


@functools.cache
def tiny(shape: tuple[int, int, int] = SHAPE) -> VAE:
    """A stranger's VAE of any shape."""
    torch.manual_seed(0)
    size = shape[0] * shape[1] * shape[2]
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, 5), nn.ELU(), nn.Linear(5, 4))
    decoder = nn.Sequential(nn.Linear(2, 5), nn.ELU(), nn.Linear(5, size), nn.Unflatten(1, shape))
    return core.wrap(encoder.eval(), decoder.eval(), shape=shape, heads="chunk")


def levels(count: int = 4, shape: tuple[int, int, int] = SHAPE) -> torch.Tensor:
    """Random images, uint8."""
    return torch.randint(
        0, 256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A model with four images of two classes."""
    folder = tmp_path / "model"
    core.save_model(tiny(), folder, images=levels(), labels=[0, 1, 1, 0], classes=["cat", "dog"])
    return folder


@pytest.mark.parametrize("shape", [SHAPE, (1, 12, 10), (3, 8, 8)])
@pytest.mark.parametrize("as_float", [False, True])
def test_they_come_back_exactly(shape: tuple[int, int, int], as_float: bool, tmp_path: Path) -> None:
    x = levels(shape=shape)
    core.save_model(tiny(shape), tmp_path / "m", images=x.float() / 255 if as_float else x)
    found = core.load_images(tmp_path / "m")
    assert torch.equal(found.x, x.float() / 255)
    assert found.y.tolist() == [-1] * 4
    assert found.classes == ()
    assert found.name_of(0) == ""
    with Image.open(tmp_path / "m" / file_name(0)) as image:
        assert image.size == (shape[2], shape[1])


def test_classes_come_back(saved: Path) -> None:
    found = core.load_images(saved)
    assert found.classes == ("cat", "dog")
    assert [found.name_of(place) for place in range(4)] == ["cat", "dog", "dog", "cat"]


def test_labels_without_names_are_their_numbers(tmp_path: Path) -> None:
    core.save_model(tiny(), tmp_path / "m", images=levels(2), labels=torch.tensor([2, 0]))
    assert core.load_images(tmp_path / "m").classes == ("0", "1", "2")


def test_a_model_of_ours_may_have_images_too(tmp_path: Path) -> None:
    x, y = core.load_samples("mnist")
    core.save_model(make_vae(), tmp_path / "m", {"training": {}}, images=x[:3], labels=y[:3])
    assert torch.equal(core.load_images(tmp_path / "m").x, x[:3])
    core.load_model(tmp_path / "m")


def test_without_images_there_are_the_digits_or_a_sentence(tmp_path: Path) -> None:
    core.save_model(make_vae(), tmp_path / "ours")
    assert len(core.load_images(tmp_path / "ours").x) == 500
    core.save_model(tiny(), tmp_path / "theirs")
    with pytest.raises(DataError, match=r"3 x 12 x 10 .*python -m core import .* --images"):
        core.load_images(tmp_path / "theirs")


def test_a_later_save_leaves_nothing_of_an_earlier_one(saved: Path) -> None:
    core.save_model(tiny(), saved, images=levels(2))
    assert sorted(path.name for path in (saved / "images").iterdir()) == [
        "000.png",
        "001.png",
        "index.json",
    ]
    assert len(core.load_images(saved).x) == 2
    core.save_model(tiny(), saved)
    assert not list((saved / "images").iterdir())
    with pytest.raises(DataError, match="saved without images"):
        core.load_images(saved)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"images": levels().float()}, "outside of"),
        ({"images": levels().float() / 512 + 0.001}, "between its 256 levels; round them"),
        ({"images": torch.full((1, *SHAPE), torch.nan)}, "NaN"),
        ({"images": levels().int()}, "int32"),
        ({"images": levels(2, (1, 12, 10))}, r"\(2, 1, 12, 10\).*\(3, 12, 10\)"),
        ({"images": levels()[0]}, r"\(3, 12, 10\).*\(N, 3, 12, 10\)"),
        ({"images": levels(0)}, "at least 1"),
        ({"images": levels(MOST_IMAGES + 1)}, "201 images.*up to 200"),
        ({"images": 3}, "int; give a tensor"),
        ({"images": levels(), "labels": [0, 1]}, "4 images and 2 labels"),
        ({"images": levels(), "labels": [0, 1, 2, 3], "classes": ["a", "b"]}, "places in the 2 classes"),
        ({"images": levels(), "labels": [0, 0, 0, -1]}, "places in the 1 classes"),
        ({"images": levels(), "labels": [0.5] * 4}, "whole numbers"),
        ({"images": levels(), "classes": ["a"]}, "classes without labels"),
        ({"images": levels(), "labels": [0] * 4, "classes": ["a", "a"]}, "same name"),
        ({"images": levels(), "labels": [0] * 4, "classes": ["../.."]}, "no name of a class"),
        ({"images": levels(), "labels": [0] * 4, "classes": [":red[x]"]}, "no name of a class"),
        ({"labels": [0]}, "without images"),
    ],
)
def test_what_is_no_set_of_images_is_refused(given: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        core.save_model(tiny(), tmp_path / "m", **given)
    assert not (tmp_path / "m").exists()


def png(**changes: Any) -> bytes:
    """A colour PNG, 10 wide and 12 high, or one that claims to be another."""
    content = bytearray(as_png(levels(1)[0].numpy()))
    for name, value in changes.items():
        at, size = {"width": (16, 4), "height": (20, 4), "bits": (24, 1), "kind": (25, 1)}[name]
        content[at : at + size] = value.to_bytes(size)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(*chunks: bytes) -> bytes:
    """A colour PNG with chunks between its header and its pixels."""
    content = png()
    return content[:33] + b"".join(chunks) + content[33:]


def second_header(width: int, height: int, bits: int, kind: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))


FRAME = (
    chunk(b"acTL", struct.pack(">II", 1, 0)),
    chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 10, 6, 0, 0, 1, 1, 0, 0)),
)


def picture(mode: str, **more: Any) -> Callable[[Path], None]:
    return lambda path: Image.new(mode, (10, 12)).save(path, **more)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("no image"), "neither a PNG nor"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "a JPEG": (picture("RGB", format="JPEG"), "JPEG.*save it as PNG"),
    "truncated": (lambda path: path.write_bytes(png()[:-30]), "cut off"),
    "damaged": (lambda path: path.write_bytes(png()[:60] + b"xxxx" + png()[64:]), "damaged"),
    "a head alone": (lambda path: path.write_bytes(png()[:8] + png()[-8:]), "damaged"),
    "other size": (
        lambda path: path.write_bytes(as_png(levels(1, (3, 9, 7))[0].numpy())),
        "7 wide and 9 high.*10 wide and 12 high",
    ),
    "a bomb": (lambda path: path.write_bytes(png(width=65_000, height=65_000)), "65000 wide"),
    "lies of its size": (
        lambda path: path.write_bytes(as_png(levels(1, (3, 12, 30))[0].numpy())),
        "30 wide",
    ),
    "grey": (picture("L"), "are grey, and the model's are RGB"),
    "alpha": (picture("RGBA"), "RGBA, and"),
    "a palette": (picture("P"), "palette"),
    "16 bits": (lambda path: path.write_bytes(png(bits=16)), "16 bits"),
    "unknown kind": (lambda path: path.write_bytes(png(kind=9)), "unknown kind"),
    "one transparent colour": (picture("RGB", transparency=(0, 0, 0)), "transparent"),
    "a second header, smaller": (
        lambda path: path.write_bytes(with_chunks(second_header(10, 6, 8, 2))),
        "damaged",
    ),
    "a second header, 16 bits": (
        lambda path: path.write_bytes(with_chunks(second_header(5, 12, 16, 2))),
        "damaged",
    ),
    "a second header, grey": (
        lambda path: path.write_bytes(with_chunks(second_header(30, 12, 8, 0))),
        "damaged",
    ),
    "a frame of an animation": (lambda path: path.write_bytes(with_chunks(*FRAME)), "damaged"),
    "a link": (lambda path: path.symlink_to(path.parent / "000.png"), "is a link"),
    "a link outside": (lambda path: path.symlink_to("/etc/hostname"), "is a link"),
    "a pipe": (lambda path: os.mkfifo(path), "neither a file nor"),
    "a folder": (lambda path: path.mkdir(), "files beside folders"),
    "too large": (lambda path: path.write_bytes(png() + bytes(200_000)), "larger than a PNG"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_in_words(case: str, tmp_path: Path) -> None:
    make, says = HOSTILE[case]
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "000.png").write_bytes(png())
    make(folder / "001.png")
    with pytest.raises(DataError, match=says):
        core.save_model(tiny(), tmp_path / "m", images=folder)
    assert not (tmp_path / "m").exists()


def write_folder(folder: Path, *names: str) -> Path:
    for place, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(as_png(levels(len(names))[place].numpy()))
    return folder


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "i", "dog/b.png", "cat/a.PNG", "dog/a.png", "cat/.hidden")
    core.save_model(tiny(), tmp_path / "m", images=folder)
    found = core.load_images(str(tmp_path / "m"))
    assert found.classes == ("cat", "dog")
    assert found.y.tolist() == [0, 1, 1]
    assert torch.equal(found.x, levels(4)[[1, 2, 0]].float() / 255)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "cannot be read"),
        (("a.png", "cat/b.png"), "files beside folders"),
        (("cat/more/b.png",), "folder in the folder of a class"),
        ((".hidden",), "no images"),
        (("*cat*/b.png",), "no name of a class"),
        (tuple(f"{i}.png" for i in range(201)), "201 images; up to 200"),
    ],
)
def test_folders_that_are_none_of_images(names: tuple[str, ...], says: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "i", *names)
    with pytest.raises((DataError, InputError), match=says):
        core.save_model(tiny(), tmp_path / "m", images=folder)


def rewrite(path: Path, **changes: Any) -> None:
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | changes))


def swap(folder: Path) -> None:
    one, other = (folder / file_name(place) for place in (0, 1))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


EDITED: dict[str, tuple[Callable[[Path], object], str]] = {
    "an image": (lambda f: (f / file_name(1)).write_bytes(png()), "changed since"),
    "two swapped": (swap, "changed since"),
    "a label": (lambda f: rewrite(f / INDEX, labels=[1, 1, 1, 1]), "changed since"),
    "no image": (lambda f: (f / file_name(3)).unlink(), "cannot be read"),
    "no index": (lambda f: (f / INDEX).unlink(), "cannot be read"),
    "a link": (
        lambda f: ((f / file_name(0)).unlink(), (f / file_name(0)).symlink_to(f / file_name(1))),
        "is a link",
    ),
    "the folder a link": (
        lambda f: ((f / "images").rename(f.parent / "i"), (f / "images").symlink_to(f.parent / "i")),
        "is a link",
    ),
    "a pipe": (lambda f: ((f / INDEX).unlink(), os.mkfifo(f / INDEX)), "another kind"),
    "endless": (lambda f: (f / INDEX).write_text(" " * 300_000), "larger than"),
}


@pytest.mark.parametrize("case", EDITED)
def test_what_was_edited_after_the_save_is_refused(case: str, saved: Path) -> None:
    edit, says = EDITED[case]
    edit(saved)
    with pytest.raises(DataError, match=says):
        core.load_images(saved)
    core.load_model(saved)  # which needs none of them


def bind(folder: Path, content: bytes) -> None:
    """An index that somebody made, and a configuration that knows it."""
    (folder / INDEX).write_bytes(content)
    known = json.loads((folder / CONFIG).read_text())
    known["digests"][INDEX] = hashlib.sha256(content).hexdigest()
    (folder / CONFIG).write_text(json.dumps(known))


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": [0, 1]},
        {"labels": [0, 1, 1, 9]},
        {"labels": [0, 1, 1, 2**70]},
        {"labels": "0110"},
        {"classes": ["cat", "cat"]},
        {"classes": ["cat", "![x](http://x)"]},
        {"classes": ["cat", 3]},
        {"shape": [3, 12, 11]},
        {"digests": []},
        {"digests": ["0"] * 10_000},
        {"digests": None},
        {"more": 1},
    ],
)
def test_an_index_that_lies_is_refused(changes: dict[str, Any], saved: Path) -> None:
    known = json.loads((saved / INDEX).read_text())
    bind(saved, json.dumps(known | changes).encode())
    with pytest.raises(DataError, match="index"):
        core.load_images(saved)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b"null", b"3"])
def test_an_index_that_is_none_is_refused(content: bytes, saved: Path) -> None:
    bind(saved, content)
    with pytest.raises(DataError, match="index"):
        core.load_images(saved)


CODE = """
import torch
from torch import nn

def build():
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(360, 4))
    return encoder, nn.Sequential(nn.Linear(2, 360), nn.Unflatten(1, (3, 12, 10)))
"""


def test_the_command_takes_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vae.py").write_text(CODE)
    write_folder(Path("i"), "cat/a.png", "dog/b.png")
    asked = ["import", "vae.py:build", "--shape", "3", "12", "10", "--heads", "chunk", "--out", "m"]
    assert main([*asked, "--images", "i"]) == 0
    said = capsys.readouterr().out
    assert "shown with    2 images of i, 2 classes" in said
    assert "mean of the first 2 of the images it is shown with" in said
    assert core.load_images("m").classes == ("cat", "dog")
    # Again, with other images; what is known of the model stays.
    write_folder(Path("j"), "a.png")
    assert main(["import", "m", "--images", "j", "--out", "m", "--force"]) == 0
    assert "1 images of j, without classes" in capsys.readouterr().out
    assert len(core.load_images("m").x) == 1
    assert json.loads(Path("m", CONFIG).read_text())["imported"]["shape"] == [3, 12, 10]
    assert main(["certify", "--model", "m", "--index", "0", "--eps", "0"]) == 0


def test_the_command_takes_a_data_set_made_as_large(
    mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core.save_model(tiny((1, 12, 10)), tmp_path / "m")
    asked = ["import", str(tmp_path / "m"), "--dataset", "mnist", "--data", str(mnist)]
    assert main([*asked, "--out", str(tmp_path / "n")]) == 0
    assert "made 12 x 10 and rounded" in capsys.readouterr().out
    found = core.load_images(tmp_path / "n")
    assert found.x.shape[1:] == (1, 12, 10)
    assert found.classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--images", "i", "--dataset", "mnist"], "leave one of them out"),
        ([], "give it images"),
        (["--images", "i", "--sigma", "1"], "a model already"),
        (["--images", "nowhere"], "cannot be read"),
    ],
)
def test_the_command_refuses_in_words(
    asked: list[str], says: str, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(saved), *asked, "--out", str(tmp_path / "n")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "n").exists()
