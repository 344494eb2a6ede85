"""Images: the shipped ones, torchvision's, and single files, good and damaged."""

from __future__ import annotations

import importlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import core
from core.data.samples import levels, load_dataset, load_image, load_levels, save_image
from core.errors import DataError, InputError, OutputError
from tests.data.mnist_files import TEST, TRAIN, small_mnist, write_mnist
from tests.malice import Bomb, exploded

data = importlib.import_module("core.data.samples")
GREY, COLOUR = (1, 28, 28), (3, 32, 32)


def test_shipped_samples() -> None:
    x, y = core.load_samples("mnist")
    assert x.shape == (500, 1, 28, 28)
    assert (x.dtype, y.dtype, y.shape) == (torch.float32, torch.int64, (500,))
    assert (x.min().item(), x.max().item()) == (0, 1)
    assert y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]  # the known head of MNIST's test part
    counts = load_levels("mnist")
    assert counts.shape == (1, 28, 28, 256)
    assert bool((counts.sum(-1) == 60_000).all())


def test_what_is_not_shipped_is_named_beside_what_is() -> None:
    for load in (core.load_samples, load_levels):
        for name in ("cifar10", "", "../samples/mnist"):
            with pytest.raises(DataError, match=r"mnist-test\.npz"):
                load(name)


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped samples that may be damaged."""
    shutil.copy(data.SAMPLES / "mnist-test.npz", tmp_path)
    monkeypatch.setattr(data, "SAMPLES", tmp_path)
    core.load_samples("mnist")
    return tmp_path / "mnist-test.npz"


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "flipped", "keys"])
def test_damaged_samples(damage: str, samples: Path) -> None:
    content = samples.read_bytes()
    middle = len(content) // 2
    if damage == "keys":
        np.savez(samples, other=np.zeros(3))
    else:
        flipped = (
            content[:middle]
            + bytes(255 - b for b in content[middle : middle + 20])
            + content[middle + 20 :]
        )
        samples.write_bytes(
            {"empty": b"", "text": b"no zip at all", "truncated": content[:middle], "flipped": flipped}[
                damage
            ]
        )
    with pytest.raises(DataError, match="is damaged; restore it"):
        core.load_samples("mnist")


def test_a_pickle_in_the_samples_is_refused_unexecuted(samples: Path, tmp_path: Path) -> None:
    np.savez(samples, images=np.array([Bomb(tmp_path)], dtype=object), labels=np.zeros(1))
    with pytest.raises(DataError, match="damaged"):
        core.load_samples("mnist")
    with zipfile.ZipFile(samples, "w") as file:
        file.writestr("images.npy", Bomb(tmp_path).pickled())
        file.writestr("labels.npy", Bomb(tmp_path).pickled())
    with pytest.raises(DataError, match="damaged"):
        core.load_samples("mnist")
    samples.write_bytes(Bomb(tmp_path).pickled())
    with pytest.raises(DataError, match="damaged"):
        core.load_samples("mnist")
    assert not exploded(tmp_path)


def test_data_set_in_torchvision_layout(mnist: Path) -> None:
    images, labels = small_mnist()
    for split, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        x, y = load_dataset("mnist", split, mnist)
        assert x.dtype == torch.float32
        assert torch.equal(x, images[part, None].float() / 255)
        assert torch.equal(y, labels[part])
    assert len(load_dataset("mnist", "test", str(mnist))[0]) == TEST


@pytest.mark.parametrize(("name", "folder"), [("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_other_data_sets_in_torchvision_layout(name: str, folder: str, tmp_path: Path) -> None:
    x, y = load_dataset(name, "train", write_mnist(tmp_path, folder))
    images, labels = small_mnist()
    assert torch.equal(x, images[:TRAIN, None].float() / 255)
    assert torch.equal(y, labels[:TRAIN])


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist", "cifar10"])
def test_without_network_the_sentence_names_the_option(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"The data set {name} .*could not be downloaded.*--data DIR"):
        load_dataset(name, "train", tmp_path)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("damage", [b"", b"\0\0\x08\x03", b"garbage" * 100])
def test_a_damaged_data_set_is_named(damage: bytes, mnist: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(mnist, copy)
    (copy / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(damage)
    with pytest.raises(DataError, match="mnist is not complete"):
        load_dataset("mnist", "train", copy)


def idx(values: np.ndarray) -> bytes:
    """An array as MNIST's files have them."""
    kind = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}[
        values.dtype.name
    ]
    sizes = np.array(values.shape, dtype=">i4").tobytes()
    return (
        bytes([0, 0, kind, values.ndim]) + sizes + values.astype(values.dtype.newbyteorder(">")).tobytes()
    )


IMAGES, LABELS = np.zeros((5, 28, 28), np.uint8), np.zeros(5, np.uint8)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (IMAGES.astype(np.float32), LABELS, "in bytes .*float32"),
        (IMAGES.astype(np.float64), LABELS, "in bytes .*float64"),
        (IMAGES.astype(np.int32), LABELS, "in bytes .*int32"),
        (IMAGES, LABELS.astype(np.float32), "float32"),
        (IMAGES, LABELS[:4], "5 images and 4 labels"),
        (IMAGES[:4], LABELS, "4 images and 5 labels"),
        (IMAGES[:0], LABELS[:0], "buffer length"),
        (IMAGES[:, :27], LABELS, r"shape \(27, 28\)"),
        (np.zeros((5, 32, 32), np.uint8), LABELS, r"shape \(32, 32\)"),
        (IMAGES[0], LABELS, "3 dimension"),
        (IMAGES, np.zeros((5, 2), np.uint8), "1 dimension"),
    ],
)
def test_a_data_set_is_checked_when_it_is_read(
    images: np.ndarray, labels: np.ndarray, reason: str, split: str, tmp_path: Path
) -> None:
    raw = write_mnist(tmp_path) / "MNIST" / "raw"
    name = {"train": "train", "test": "t10k"}[split]
    load_dataset("mnist", split, tmp_path)
    (raw / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
    (raw / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))
    with pytest.raises(DataError, match=f"The data set mnist .*{reason}.*--data DIR"):
        load_dataset("mnist", split, tmp_path)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"images": IMAGES.astype(np.int64), "labels": LABELS}, "int64"),
        ({"images": IMAGES[:, 1:], "labels": LABELS}, "shape"),
        ({"images": IMAGES, "labels": LABELS[1:]}, "5 images and 4 labels"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "no images"),
    ],
)
def test_shipped_samples_are_checked_too(arrays: dict[str, np.ndarray], reason: str, samples: Path) -> None:
    np.savez(samples, **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"{reason}.* it is damaged; restore it"):
        core.load_samples("mnist")


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 28, 28, 255), (3, 28, 28, 256)])
def test_a_histogram_of_another_shape_is_refused(shape: tuple[int, ...], samples: Path) -> None:
    np.savez(samples.with_name("mnist-train-levels.npz"), levels=np.zeros(shape, np.uint16))
    with pytest.raises(DataError, match="is damaged; restore it"):
        load_levels("mnist")


def test_unknown_data_set_and_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dataset is 'imagenet'; choose one of mnist, fashion-mnist"):
        load_dataset("imagenet", "train", tmp_path)
    with pytest.raises(InputError, match="split is 'valid'"):
        load_dataset("mnist", "valid", tmp_path)


def test_levels_count_every_grey_value() -> None:
    x = torch.tensor([[0, 255], [7, 255], [7, 0]]).view(3, 1, 1, 2) / 255
    counts = levels(x)
    assert counts.shape == (1, 1, 2, 256)
    assert counts.sum() == 6
    first, second = counts[0, 0]
    assert (first[0], first[7], second[255], second[0]) == (1, 2, 2, 1)


def picture(path: Path, mode: str, size: tuple[int, int]) -> np.ndarray:
    """Write a random picture; returns its pixels."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_png_of_the_right_kind_is_exact(tmp_path: Path) -> None:
    grey = picture(tmp_path / "grey.png", "L", (28, 28))
    assert torch.equal(load_image(tmp_path / "grey.png", GREY)[0, 0], torch.from_numpy(grey).float() / 255)
    colour = picture(tmp_path / "colour.png", "RGB", (32, 32))
    assert torch.equal(
        load_image(str(tmp_path / "colour.png"), COLOUR)[0],
        torch.from_numpy(colour).permute(2, 0, 1).float() / 255,
    )


@pytest.mark.parametrize("shape", [GREY, COLOUR])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("size", [(28, 28), (100, 40), (1, 1)])
def test_pictures_are_turned_and_resized(
    shape: tuple[int, int, int], mode: str, suffix: str, size: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / f"picture.{suffix}"
    picture(path, mode, size)
    x = load_image(path, shape)
    assert x.shape == (1, *shape)
    assert x.dtype == torch.float32
    assert 0 <= x.min() <= x.max() <= 1


def test_other_files_are_refused(tmp_path: Path) -> None:
    gif, svg, text, cut = (tmp_path / name for name in ("a.gif", "a.svg", "a.png", "cut.png"))
    Image.new("L", (28, 28)).save(gif)
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg' width='28' height='28'/>")
    text.write_text("not a picture")
    picture(cut, "L", (28, 28))
    cut.write_bytes(cut.read_bytes()[:200])
    fake = tmp_path / "gif.png"
    shutil.copy(gif, fake)
    for path in (gif, svg, text, cut, fake, tmp_path, tmp_path / "missing.png"):
        with pytest.raises(DataError, match=rf"{path.name} cannot be read as a PNG or JPEG"):
            load_image(path, GREY)


@pytest.mark.parametrize("most", [800, 300], ids=["warning", "error"])
def test_decompression_bombs_are_refused(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "large.png", "L", (30, 30))
    load_image(tmp_path / "large.png", GREY)
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", most)
    with pytest.raises(DataError, match=r"large\.png cannot be read.*900 pixels"):
        load_image(tmp_path / "large.png", GREY)


@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_saved_images_come_back(shape: tuple[int, int, int], tmp_path: Path) -> None:
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    save_image(x, tmp_path / "new" / "x.npy")
    assert np.array_equal(np.load(tmp_path / "new" / "x.npy"), x[0].numpy())
    save_image(x, str(tmp_path / "x.png"))
    torch.testing.assert_close(load_image(tmp_path / "x.png", shape), x, rtol=0, atol=0.5 / 255 + 1e-6)
    assert not list(tmp_path.rglob("*.part"))


def test_images_are_not_saved_elsewhere(tmp_path: Path) -> None:
    x = torch.zeros(1, *GREY)
    for name in ("x.jpg", "x", "x.npz"):
        with pytest.raises(InputError, match=r"must end in \.npy"):
            save_image(x, tmp_path / name)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"x\.npy cannot be written"):
        save_image(x, tmp_path / "file" / "x.npy")
