"""Bounds of each operation of traced networks beside auto_LiRPA's, where it has the operation: one run.

python -m benchmarks.operations --csv operations.csv

Each operation stands twice in a small random network between linear layers. Interval propagation and CROWN
(every value bounded by linear bounds of its own) bound the outputs over a few l_inf balls: mean widths, and
seconds of CROWN, medians. Both see the same float64 weights and balls; ours have their rounding margins in.
Points of the ball (random ones, corners, ascents of each output) are tried against both: how many outputs
leave their bounds is in the table, since a bound that is beaten is narrower than one may be.
How to install auto_LiRPA beside the project: benchmarks.peers.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.peers import precision
from core.bounds.backward import BackwardPass
from core.bounds.ball import Ball
from core.bounds.intersect import cut_units
from core.bounds.interval import Interval, propagate_through
from core.bounds.rounding import FLOAT64
from core.certificates.elbo_bounds.layer_bounds import Half
from core.network.builder import Builder
from core.network.trace import trace

RADII = (0.01, 0.1, 0.5)
WIDTH, INPUTS, OUTPUTS, IMAGES, REPEATS = 16, 8, 6, 4, 15
# Points of a ball that are tried, of two kinds, and the steps of ascents, in radii.
POINTS, STEPS = 400, (2.0, 1.0, 0.5, 0.5, 0.2, 0.2)

OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": lambda v: F.leaky_relu(v, 0.1),
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "mish": F.mish,
    "hardtanh": F.hardtanh,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "abs": torch.abs,
    "square": lambda v: v**2 / 4,
    "exp": lambda v: torch.exp(v / 2),
    "log": lambda v: torch.log(torch.sigmoid(v) + 0.5),
    "sqrt": lambda v: torch.sqrt(torch.sigmoid(v) + 0.5),
    "reciprocal": lambda v: 1 / (torch.sigmoid(v) + 0.5),
    "product": lambda v: v * torch.sigmoid(v),
    "gate": lambda v: v[:, : WIDTH // 2].repeat(1, 2) * torch.tanh(v),
    "maximum": lambda v: torch.maximum(v, -0.25 * v),
    "residual": lambda v: v + F.relu(v),
    "softmax": lambda v: torch.softmax(v, -1),
    "layer_norm": lambda v: F.layer_norm(v, (WIDTH,)),
}


@dataclass(frozen=True)
class Row:
    """Mean widths of the outputs' intervals, how many of all images' outputs were seen outside of those by
    CROWN, and seconds of it; NaN where auto_LiRPA has no rule."""

    operation: str
    radius: float
    ibp: float
    peer_ibp: float
    crown: float
    peer_crown: float
    beaten: float
    peer_beaten: float
    seconds: float
    peer_seconds: float


class Between(nn.Module):
    """An operation between linear layers, twice."""

    def __init__(self, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._operation = operation
        sizes = (INPUTS, WIDTH, WIDTH, OUTPUTS)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(self._operation(second(self._operation(2 * first(x)))))


def ours(module: nn.Module, x: Tensor, radius: float) -> tuple[Interval, Callable[[], Interval]]:
    """Interval bounds on the outputs, and what computes those by CROWN."""
    build = Builder(x.shape[1:])
    network = build.network(trace(module, x, "network", build, build.start)[0]).double()
    ball = Ball(x.double(), torch.full((len(x),), radius, dtype=torch.float64), "linf")
    values = [ball.box, *propagate_through(network, ball.box, FLOAT64)]

    def crown() -> Interval:
        half, known = Half("network", network, values), [ball.box]
        for index in half.walk(known, FLOAT64):
            units = half.open_units(index, known[-1])
            if index == 0 or len(units) == 0:
                continue
            inputs = [*known, *values[len(known) :]]
            rows, constant, lost = BackwardPass(network, inputs, index, FLOAT64, half.memory).pull_units(
                units, {}
            )
            found = ball.lowest(rows.flatten(2)) + (constant - lost)
            lower, minus_upper = found.T.unflatten(1, (2, -1)).unbind(1)
            known[-1] = cut_units(known[-1], units, Interval(lower, -minus_upper))
        return known[-1]

    return values[-1], crown


def theirs(module: nn.Module, x: Tensor, radius: float) -> tuple[Interval, Callable[[], Interval]]:
    """The same by auto_LiRPA."""
    lirpa = importlib.import_module("auto_LiRPA")
    ball = importlib.import_module("auto_LiRPA.perturbations").PerturbationLpNorm
    x, module = x.double(), module.double()
    graph = lirpa.BoundedModule(module, x, device="cpu")
    ends = (x - radius).clamp(0, 1), (x + radius).clamp(0, 1)
    point = lirpa.BoundedTensor(x, ball(norm=float("inf"), x_L=ends[0], x_U=ends[1]))

    def bound(method: str) -> Interval:
        with torch.no_grad():
            return Interval(*graph.compute_bounds(x=(point,), method=method))

    return bound("IBP"), lambda: bound("CROWN")


def points_of(module: nn.Module, x: Tensor, radius: float) -> Tensor:
    """Images of the balls, (P, N, INPUTS): random ones, corners, and where ascents of each output end."""
    low, high = (x - radius).clamp(0, 1), (x + radius).clamp(0, 1)
    generator = torch.Generator().manual_seed(1)
    share = torch.rand(2 * POINTS, *x.shape, generator=generator, dtype=x.dtype)
    share[:POINTS] = share[:POINTS].round()
    found = [low + share * (high - low)]
    for output, sign in product(range(OUTPUTS), (1, -1)):
        point = x
        for size in STEPS:
            point = point.detach().requires_grad_()
            (slope,) = torch.autograd.grad(module(point)[:, output].sum(), point)
            point = torch.minimum(torch.maximum(point + sign * size * radius * slope.sign(), low), high)
        found.append(point.detach()[None])
    return torch.cat(found)


def beaten(module: nn.Module, x: Tensor, radius: float, bounds: Interval) -> int:
    """How many outputs of the images were seen outside of their bounds."""
    module = module.double()
    points = points_of(module, x.double(), radius)
    with torch.no_grad():
        values = module(points.flatten(0, 1)).unflatten(0, points.shape[:2])
    slack = 1e-9 * (1 + values.abs())
    return int(((values < bounds.lower - slack) | (values > bounds.upper + slack)).any(0).sum())


def measured(
    side: Callable[..., tuple[Interval, Callable[[], Interval]]],
    name: str,
    radius: float,
    dtype: torch.dtype,
) -> tuple[float, float, float, float]:
    """Widths by interval propagation and by CROWN, how many outputs beat the second, and its seconds; NaN
    without a rule."""
    module = Between(OPERATIONS[name]).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5)
    x = torch.rand(IMAGES, INPUTS, generator=generator)
    try:
        with precision(dtype):
            interval, crown = side(module, x, radius)
            found, seconds = crown(), list[float]()
            for _ in range(REPEATS):
                began = time.perf_counter()
                crown()
                seconds.append(time.perf_counter() - began)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:90]}", file=sys.stderr)
        return math.nan, math.nan, math.nan, math.nan
    widths = interval.width.mean().item(), found.width.mean().item()
    return *widths, beaten(module, x, radius, found), statistics.median(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(OPERATIONS), default=list(OPERATIONS))
    parser.add_argument("--csv", help="file for the rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = list[Row]()
    print(
        f"{'operation':<12} {'radius':>6} {'ibp':>9} {'peer':>9} {'crown':>9} {'peer':>9} {'beaten':>6} "
        f"{'peer':>4} {'time':>6}"
    )
    for name in options.only:
        for radius in RADII:
            mine = measured(ours, name, radius, torch.float32)
            peer = measured(theirs, name, radius, torch.float64)
            row = Row(name, radius, *(value for pair in zip(mine, peer, strict=True) for value in pair))
            rows.append(row)
            print(
                f"{name:<12} {radius:>6g} {row.ibp:>9.4g} {row.peer_ibp:>9.4g} {row.crown:>9.4g} "
                f"{row.peer_crown:>9.4g} {row.beaten:>6g} {row.peer_beaten:>4g} "
                f"{row.seconds / row.peer_seconds:>6.2f}",
                flush=True,
            )
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Row)])
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
