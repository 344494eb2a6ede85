"""What `crown` costs against the size of a convolutional VAE and against the number of draws and images.

python -m benchmarks.scale --csv assets/results/scale.csv
python -m benchmarks.scale --vary width images --images 16 --methods crown alpha-crown --csv some.csv

Random weights (`fresh_vae`, seed 0), random images, one thread. One thing is varied at a time, from
28x28x1, widths 16/32/128, latent size 16, one draw, one image: widths (all three times as large), the
image's side, the latent size, draws, images at once. For each the exponent of a power law is fitted to
the CPU seconds by least squares in logarithms, and printed. `alone_seconds`: the same images one after the
other. Where auto_LiRPA is installed (benchmarks.peers says how) its CROWN in patches mode stands beside
it, in float32, with the graph built beforehand. memory_mib is the most that the process has held so far.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import math
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from unittest.mock import patch

import torch
from torch import Tensor

import core
from benchmarks.peers import ScalarELBO, precision
from core.vae.config import VAEConfig
from core.vae.elbo import as_double
from core.vae.model import VAE, fresh_vae

WIDTHS = (16, 32, 128)
EPS = 0.01
# Of the largest network auto_LiRPA is not asked: minutes.
LARGEST = 4


@dataclass(frozen=True)
class Size:
    """A network and a question: `width` times WIDTHS, images of `channels` x `side` x `side`."""

    width: float = 1
    side: int = 28
    channels: int = 1
    latent: int = 16
    draws: int = 1
    images: int = 1

    def build(self) -> tuple[VAE, Tensor, Tensor]:
        """The VAE, images and noise."""
        widths = tuple(int(self.width * w) for w in WIDTHS)
        with patch("core.vae.config.SIZES", (self.side,)):  # one of ours is 28 or 32
            config = VAEConfig("conv", "bernoulli", self.channels, self.side, self.latent, widths, 0.2)
        vae = fresh_vae(config, 0).eval().requires_grad_(False)
        generator = torch.Generator("cpu").manual_seed(1)
        shape = (self.images, *config.shape)
        x = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")
        return vae, x, core.sample_noise(vae, self.draws)


VARIED: dict[str, tuple[Size, ...]] = {
    "width": tuple(Size(width=w) for w in (0.5, 1, 2)),
    "side": tuple(Size(side=s) for s in (16, 28, 40)),
    "latent": tuple(Size(latent=k) for k in (4, 16, 64)),
    "draws": tuple(Size(draws=s) for s in (1, 2, 4)),
    "images": tuple(Size(images=n) for n in (1, 4, 16)),
    "colour": (Size(side=32, channels=3), Size(2, 32, 3, 64), Size(4, 32, 3, 64)),
}


@dataclass(frozen=True)
class Row:
    """CPU seconds, medians; bounds in nats, means over the images. NaN: not asked, or not installed."""

    vary: str
    method: str
    width: float
    side: int
    channels: int
    latent: int
    draws: int
    images: int
    bound: float
    seconds: float
    alone_seconds: float
    peer_bound: float
    peer_seconds: float
    memory_mib: float


def timed(run: Callable[[], Tensor], repeats: int) -> tuple[float, float]:
    """The mean of what it gives, and its median CPU seconds."""
    seconds, value = [], math.nan
    for _ in range(repeats):
        began = time.process_time()
        value = run().mean().item()
        seconds.append(time.process_time() - began)
    return value, sorted(seconds)[len(seconds) // 2]


def peer(vae: VAE, x: Tensor, noise: Tensor) -> Callable[[], Tensor]:
    """auto_LiRPA's bound on one image."""
    lirpa = importlib.import_module("auto_LiRPA")
    ball = importlib.import_module("auto_LiRPA.perturbations").PerturbationLpNorm
    with precision(torch.float32):
        x = x.expand(len(noise), -1, -1, -1).clone()
        graph = ScalarELBO(as_double(vae).to(torch.float32).requires_grad_(False), noise, None).eval()
        module = lirpa.BoundedModule(graph, x, device="cpu", bound_opts={"conv_mode": "patches"})
        box = ball(norm=float("inf"), x_L=(x - EPS).clamp(0, 1), x_U=(x + EPS).clamp(0, 1))
        bounded = lirpa.BoundedTensor(x, box)

    @torch.no_grad()
    def run() -> Tensor:
        with precision(torch.float32):
            return module.compute_bounds(x=(bounded,), method="CROWN", bound_upper=False)[0]

    return run


def measured(vary: str, size: Size, method: str, repeats: int, peers: bool) -> Row:
    vae, x, noise = size.build()

    def ours(images: Tensor) -> Tensor:
        found = core.certify(vae, images, noise, eps=EPS, method=method, iterations=20)
        return found.by_method[found.method]

    ours(x[:1])
    bound, seconds = timed(lambda: ours(x), repeats)
    alone = seconds
    if size.images > 1:
        alone = timed(lambda: torch.cat([ours(image[None]) for image in x]), repeats)[1]
    peer_bound = peer_seconds = math.nan
    if peers and size.images == 1 and size.width < LARGEST and method == "crown":
        run = peer(vae, x, noise)
        run()
        peer_bound, peer_seconds = timed(run, repeats)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes = asdict(size)
    return Row(vary, method, **sizes, bound=bound, seconds=seconds, alone_seconds=alone,
               peer_bound=peer_bound, peer_seconds=peer_seconds, memory_mib=memory)  # fmt: skip


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """The slope of log seconds over log size, by least squares; NaN of fewer than two sizes."""
    x, y = ([math.log(v) for v in values] for values in (sizes, seconds))
    middle, height = sum(x) / len(x), sum(y) / len(y)
    spread = sum((v - middle) ** 2 for v in x)
    return (
        sum((a - middle) * (b - height) for a, b in zip(x, y, strict=True)) / spread if spread else math.nan
    )


def rows(names: list[str], methods: list[str], most: int, repeats: int, peers: bool) -> Iterator[Row]:
    for name in names:
        for method in methods:
            found = []
            for size in VARIED[name]:
                if size.images <= most:
                    found.append(measured(name, size, method, repeats, peers))
                    show(found[-1])
                    yield found[-1]
            if name != "colour":
                sizes = [getattr(row, name) for row in found]
                print(f"  {name}, {method}: seconds grow with the power", end=" ")
                print(f"{exponent(sizes, [row.seconds for row in found]):.2f}", flush=True)


def show(row: Row) -> None:
    beside = f"; one by one {row.alone_seconds:.2f} s" if row.images > 1 else ""
    if not math.isnan(row.peer_seconds):
        beside += f"; auto_LiRPA {row.peer_seconds:.2f} s, {row.peer_bound:.3f}"
    print(
        f"{row.vary}, {row.method}: {row.side}x{row.side}x{row.channels}, widths x {row.width:g},"
        f" k {row.latent}, {row.draws} draws, {row.images} images: {row.seconds:.2f} s,"
        f" {row.bound:.3f} nats, {row.memory_mib:.0f} MiB{beside}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--vary", nargs="+", choices=list(VARIED), default=list(VARIED))
    add("--methods", nargs="+", choices=["crown", "alpha-crown"], default=["crown"])
    add("--images", type=int, default=16, help="no more at once than these")
    add("--repeats", type=int, default=1)
    add("--without-peers", action="store_true")
    add("--csv", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    peers = not options.without_peers and importlib.util.find_spec("auto_LiRPA") is not None
    with open(options.csv, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows(options.vary, options.methods, options.images, options.repeats, peers):
            numbers = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(row).items()}
            writer.writerow(numbers)
            file.flush()


if __name__ == "__main__":
    main()
