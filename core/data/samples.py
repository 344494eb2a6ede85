"""Images: those that are shipped, and torchvision's data sets by name."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.data.files import check_file, read_bytes, streams, write_bytes
from core.data.pictures import MOST_BYTES, read_page
from core.errors import DataError, InputError
from core.isolation import isolated

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SAMPLES = ASSETS / "samples"
DATASETS = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
}
"""Our names and torchvision's."""
SHAPES = {"mnist": (1, 28), "fashion-mnist": (1, 28), "kmnist": (1, 28), "cifar10": (3, 32)}
"""(channels, size) of each data set's images."""

CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}
"""What the labels of each data set, counted from 0, are called."""


def list_samples() -> tuple[str, ...]:
    """The data sets of which test images are shipped, as DATASETS has them."""
    return tuple(name for name in DATASETS if (SAMPLES / f"{name}-test.npz").is_file())


@isolated()
def load_samples(name: str = "mnist") -> tuple[Tensor, Tensor]:
    """The shipped test images: x (N, C, H, W) float32 in [0, 1], y (N,) int64.

    Row i is image i of the data set's test part. Raises DataError if none are shipped for `name`, or
    they are damaged.

    >>> x, y = core.load_samples("mnist")
    >>> x.shape, y[0].item()
    (torch.Size([500, 1, 28, 28]), 7)
    """
    images, labels = _load_arrays(f"{name}-test.npz", "images", "labels")
    if wrong := _what_is_wrong(images, labels, SHAPES[name]):
        raise DataError(f"{name}-test.npz has {wrong}: it is damaged; restore it from the repository.")
    return _to_images(images), torch.from_numpy(labels.astype(np.int64))


@isolated()
def load_levels(name: str = "mnist") -> Tensor:
    """Histogram (C, H, W, 256) int64 of the training part: how many images have each grey level where."""
    (counts,) = _load_arrays(f"{name}-train-levels.npz", "levels")
    channels, side = SHAPES[name]
    if counts.shape != (channels, side, side, 256):
        wrong = f"shape {counts.shape}"
        raise DataError(
            f"{name}-train-levels.npz has {wrong}: it is damaged; restore it from the repository."
        )
    return torch.from_numpy(counts.astype(np.int64))


def _load_arrays(file_name: str, *keys: str) -> list[np.ndarray]:
    """Arrays of a shipped .npz file; nothing in it is ever unpickled."""
    path = SAMPLES / file_name
    shipped = sorted(p.name for p in SAMPLES.glob("*.npz"))
    if file_name not in shipped:
        raise DataError(f"No {file_name} is shipped; there is: {', '.join(shipped) or 'nothing'}.")
    try:
        with path.open("rb") as handle, zipfile.ZipFile(handle) as archive:
            arrays = [np.lib.format.read_array(archive.open(f"{key}.npy")) for key in keys]
        if any(array.dtype.kind not in "ui" for array in arrays):
            raise ValueError("not whole numbers")
        return arrays
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged; restore it from the repository.") from error


@isolated()
def load_dataset(name: str, split: str, root: Path | str = "data") -> tuple[Tensor, Tensor]:
    """All images of a torchvision data set: x (N, C, H, W) float32 in [0, 1], y (N,) int64.

    name   one of DATASETS.
    split  "train" or "test".
    root   folder in torchvision's layout; downloaded there if it is not.

    Raises InputError for an unknown name, DataError if the images cannot be read or downloaded.
    """
    if name not in tuple(DATASETS):
        raise InputError(f"dataset is {name!r}; choose one of {', '.join(DATASETS)}.")
    if split not in ("train", "test"):
        raise InputError(f"split is {split!r}; choose train or test.")
    if not str(root):
        raise InputError("The folder of the data set has an empty name; name one, or leave the option out.")
    from torchvision import datasets  # only training needs it, and the page opens seconds sooner

    kind, train = getattr(datasets, DATASETS[name]), split == "train"
    files = "cifar-10-batches-py" if name == "cifar10" else f"{kind.__name__}/raw"
    other = f"name the folder of another copy with --data DIR, in torchvision's layout: DIR/{files}/..."
    try:
        data = kind(str(root), train=train, download=False)
    except Exception as error:  # a reader of damaged files raises whatever they lead it to
        if isinstance(error, PermissionError):
            raise DataError(f"The data set {name} in {root} cannot be read ({error.strerror}).") from error
        if not isinstance(error, RuntimeError) or "not found" not in str(error):  # torchvision's words
            raise DataError(
                f"The data set {name} is not complete in {root}, or not as it was published, in bytes "
                f"({_reason(error)}). Delete it there, so that it is downloaded anew, or {other}"
            ) from error
        try:
            data = kind(str(root), train=train, download=True)
        except Exception as error:
            raise DataError(
                f"The data set {name} is not complete in {root} and could not be downloaded "
                f"({_reason(error)}). Connect to the internet once, or {other}"
            ) from error
    images, labels = np.asarray(data.data), np.asarray(data.targets)
    if wrong := _what_is_wrong(images, labels, SHAPES[name]):
        raise DataError(
            f"The data set {name} in {root} has {wrong}. Delete it there, so that it is downloaded anew, "
            f"or {other}"
        )
    return _to_images(images), torch.as_tensor(labels, dtype=torch.int64, device="cpu")


def _reason(error: Exception) -> str:
    """An error in one line, its kind where it has no words."""
    return " ".join(str(error).split()) or type(error).__name__


def _what_is_wrong(images: np.ndarray, labels: np.ndarray, shape: tuple[int, int]) -> str | None:
    """What images (N, H, W) or (N, H, W, C) of a data set, its labels (N,) and (channels, size) should not
    be, in words; None for nothing."""
    channels, side = shape
    wanted = (side, side) if channels == 1 else (side, side, channels)
    if images.dtype != np.uint8:
        return f"images of {images.dtype}, where bytes (uint8, 0 to 255) belong"
    if images.shape[1:] != wanted:
        return f"images of shape {images.shape[1:]}, where {wanted} belongs"
    if labels.dtype.kind not in "ui" or labels.ndim != 1:
        return f"labels of {labels.dtype} and shape {labels.shape}, where a whole number an image belongs"
    if len(images) != len(labels):
        return f"{len(images)} images and {len(labels)} labels"
    return None if len(images) else "no images"


@isolated()
def load_test(
    name: str, root: Path | str | None = None, samples: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The first test images (all if `samples` is None), their labels, and the training part's histogram.

    root  folder of the whole data set, see `load_dataset`; if None, what is shipped.

    Raises InputError if there are fewer images.
    """
    if root is not None:
        x, y = load_dataset(name, "test", root)
        histogram = levels(load_dataset(name, "train", root)[0])
    else:
        x, y = load_samples(name)
        histogram = load_levels(name)
    if samples is not None and samples > len(x):
        more = "" if root is not None else "; name the whole data set's folder with --data DIR"
        raise InputError(f"--samples {samples} is more than the {len(x)} images there are{more}.")
    return x[:samples], y[:samples], histogram


def load_image(path: Path | str, shape: tuple[int, int, int], as_is: bool = False) -> Tensor:
    """One PNG or JPEG file as (1, C, H, W) float32 in [0, 1], as the page reads it, see `Page.fitted`.

    as_is  the whole picture, neither turned round nor centred.

    Raises DataError if the file is missing, damaged, of another kind, or absurdly large.
    """
    try:
        page = read_page(read_bytes(Path(path), MOST_BYTES + 1))
    except DataError as error:
        raise DataError(f"{path} cannot be read as a PNG or JPEG image: {error}") from error
    return torch.from_numpy(page.fitted(shape, as_is))[None]


def check_image_file(path: Path | str) -> None:
    """Raises InputError, OutputError, before anything is computed, where `save_image` would."""
    check_file(path)
    if Path(path).suffix.lower() not in (".npy", ".png") and not streams(path):
        raise InputError(f"{path} must end in .npy (exact values) or .png (rounded to 256 levels).")


def save_image(x: Tensor, path: Path | str) -> None:
    """One image (1, C, H, W): exactly as .npy (float32), to streams too, or rounded to 256 levels as .png.

    Raises InputError for another suffix, OutputError if it cannot be written.
    """
    check_image_file(path)
    buffer = io.BytesIO()
    if Path(path).suffix.lower() == ".png":
        pixels = x[0].permute(1, 2, 0).squeeze(-1).numpy()
        Image.fromarray((pixels * 255).round().astype(np.uint8)).save(buffer, "PNG")
    else:
        np.save(buffer, x[0].numpy(), allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def _to_images(raw: np.ndarray) -> Tensor:
    """uint8 (N, H, W) or (N, H, W, C) -> float32 (N, C, H, W) in [0, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(raw))
    x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
    return x.contiguous().float() / 255


def levels(x: Tensor) -> Tensor:
    """Histogram of images (N, C, H, W) with 256 grey levels -> (C, H, W, 256), see `load_levels`."""
    counts = torch.zeros(x[0].numel(), 256, dtype=torch.int64, device=x.device)
    for part in x.split(4096):  # whole numbers of a whole data set would take a gigabyte
        bytes_ = (part * 255).round().long().flatten(1).T
        counts.scatter_add_(1, bytes_, torch.ones_like(bytes_))
    return counts.view(*x.shape[1:], 256)
