"""Makes the images in assets/samples from a whole data set: the first test images, and how many of the
training images have each grey level at each pixel.

python -m benchmarks.shipped_images mnist fashion-mnist            downloads into data what is not there
python -m benchmarks.shipped_images mnist --data DIR --out DIR     another copy, another place
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from torch import Tensor

from core.data.files import check_folder, write_bytes
from core.data.samples import DATASETS, SAMPLES, levels, load_dataset

IMAGES = 500
"""Test images that are shipped of a data set."""


def files_of(name: str, data: Path) -> dict[str, bytes]:
    """The contents of a data set's two files by their names; the same bytes each time. Raises what
    `load_dataset` does."""
    x, y = load_dataset(name, "test", data)
    counts = levels(load_dataset(name, "train", data)[0])
    return {
        f"{name}-test.npz": _packed({"images": _raw(x[:IMAGES]), "labels": y[:IMAGES].byte().numpy()}),
        f"{name}-train-levels.npz": _packed({"levels": counts.numpy().astype(np.uint16)}),
    }


def _raw(x: Tensor) -> np.ndarray:
    """Images (N, C, H, W) in [0, 1] as the data sets have them: (N, H, W), or (N, H, W, C), bytes."""
    pixels = (x * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return pixels[..., 0] if x.shape[1] == 1 else pixels


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("datasets", nargs="+", choices=tuple(DATASETS))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=SAMPLES)
    options = parser.parse_args()
    check_folder(options.out)
    for name in options.datasets:
        for file_name, content in files_of(name, options.data).items():
            write_bytes(options.out / file_name, content)
            print(f"{options.out / file_name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
