"""A small data set in MNIST's on-disk format, made of the shipped digits."""

from __future__ import annotations

import struct
from pathlib import Path

import torch
from torch import Tensor

import core

TRAIN, TEST = 96, 24


def small_mnist() -> tuple[Tensor, Tensor]:
    """TRAIN + TEST shipped digits as bytes (N, 28, 28), with labels."""
    x, y = core.load_samples("mnist")
    count = TRAIN + TEST
    return (x[:count, 0] * 255).round().byte(), y[:count]


def write_mnist(root: Path, folder: str = "MNIST") -> Path:
    """Write the four raw idx files that torchvision looks for in its folder for MNIST or another data set
    of that format; returns root."""
    images, labels = small_mnist()
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for name, part in (("train", slice(TRAIN)), ("t10k", slice(TRAIN, None))):
        x, y = images[part], labels[part]
        (raw / f"{name}-images-idx3-ubyte").write_bytes(
            struct.pack(">4i", 0x803, len(x), 28, 28) + x.numpy().tobytes()
        )
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2i", 0x801, len(y)) + y.to(torch.uint8).numpy().tobytes()
        )
    return root
