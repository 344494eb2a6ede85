"""Our linear certificates beside auto_LiRPA's, where it is installed: same weights, draws, balls, one run.

python -m benchmarks.peers --models mnist-mlp-standard --eps 0.005 0.01 --images 10 --csv standard.csv
python -m benchmarks.peers --models mnist-mlp-robust-0.1 --eps 0.05 0.1 --images 10 --csv robust.csv
python -m benchmarks.peers --models mnist-conv-robust-0.1 --eps 0.1 --images 2 --crown-only --csv conv.csv

auto_LiRPA is no part of this project: pip install --no-deps auto_LiRPA appdirs graphviz ninja
sortedcontainers --target DIR, and DIR on PYTHONPATH. It gets the ELBO as one scalar module, written
the way that serves it best: it has no relaxation for softplus, and -log sigmoid(-a) is tighter and
faster there than log(1 + exp(a)); draws are rows of a batch, twice as fast as one graph with all of them.
Building its graph is not timed. Its optimised CROWN runs at its defaults (20 iterations).
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import product

import torch
from torch import Tensor, nn

import core
from benchmarks.images import spread
from core.vae.elbo import as_double
from core.vae.model import VAE
from core.vae.validate import TARGETS

# Of a pair of CROWN runs; the optimised ones run once.
REPEATS = 3


@dataclass(frozen=True)
class Row:
    """One image. Bounds in nats; seconds of our CROWN and of theirs are medians.

    alpha, peer_alpha, reached, peer_alpha_seconds: NaN with --crown-only.
    reached  seconds until `core.refine` was at least as tight as their optimised bound, inf if never.
    """

    model: str
    target: str
    eps: float
    draws: int
    image: int
    crown: float
    peer_crown: float
    seconds: float
    peer_seconds: float
    alpha: float
    peer_alpha: float
    reached: float
    peer_alpha_seconds: float


class ScalarELBO(nn.Module):
    """ELBO(x'; t, noise) of S copies of an image, each under its own draw, (S, C, H, W) -> (S, 1)."""

    def __init__(self, vae: VAE, noise: Tensor, t: Tensor | None) -> None:
        super().__init__()
        last, k = vae.encoder[-1], vae.config.latent
        assert isinstance(last, nn.Linear)
        self.body, self.decoder = vae.encoder[:-1], vae.decoder
        self.mu, self.logvar = (nn.Linear(last.in_features, k) for _ in range(2))
        for head, rows in ((self.mu, slice(k)), (self.logvar, slice(k, None))):
            head.weight, head.bias = nn.Parameter(last.weight[rows]), nn.Parameter(last.bias[rows])
        self.noise, self.t = noise, t

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.body(x)
        mu, logvar = self.mu(hidden), self.logvar(hidden)
        a = self.decoder(mu + torch.exp(logvar / 2) * self.noise).flatten(1)
        t = (x if self.t is None else self.t).flatten(1)
        recon = (t * a + torch.log(torch.sigmoid(-a))).sum(1, keepdim=True)
        return recon - (mu**2 + torch.exp(logvar) - logvar - 1).sum(1, keepdim=True) / 2


class Peer:
    """auto_LiRPA's bounds on the mean over the draws, for one image."""

    def __init__(self, vae: VAE, x: Tensor, noise: Tensor, eps: float, target: str) -> None:
        lirpa = importlib.import_module("auto_LiRPA")
        ball = importlib.import_module("auto_LiRPA.perturbations").PerturbationLpNorm
        x = x.to(noise).expand(len(noise), -1, -1, -1).clone()
        graph = ScalarELBO(vae, noise, None if target == "likelihood" else x.clone()).eval()
        # Its default for convolutions, patches, fails in the optimised mode on strided ones.
        self._module = lirpa.BoundedModule(graph, x, device="cpu", bound_opts={"conv_mode": "matrix"})
        box = ball(norm=float("inf"), x_L=(x - eps).clamp(0, 1), x_U=(x + eps).clamp(0, 1))
        self._x = lirpa.BoundedTensor(x, box)

    def crown(self) -> float:
        with torch.no_grad():
            return self._bound("CROWN")

    def optimised(self, iterations: int = 20) -> float:
        self._module.set_bound_opts({"optimize_bound_args": {"iteration": iterations}})
        return self._bound("CROWN-Optimized")

    def _bound(self, method: str) -> float:
        lower, _ = self._module.compute_bounds(x=(self._x,), method=method, bound_upper=False)
        return lower.mean().item()


@contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """auto_LiRPA makes tensors of the default type on the way."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def timed(run: Callable[[], float]) -> tuple[float, float]:
    began = time.perf_counter()
    value = run()
    return value, time.perf_counter() - began


@dataclass(frozen=True)
class Setting:
    model: str
    target: str
    eps: float
    draws: int
    dtype: torch.dtype
    optimised: bool

    def rows(self, numbers: list[int], x: Tensor) -> Iterator[Row]:
        vae = core.load_model(self.model)
        noise = core.sample_noise(vae, self.draws)
        with precision(self.dtype):
            theirs = as_double(vae).to(self.dtype).requires_grad_(False)
        for position, number in enumerate(numbers):
            image = x[position : position + 1]
            with precision(self.dtype):
                peer = Peer(theirs, image, noise.to(self.dtype), self.eps, self.target)
                if position == 0:
                    peer.crown()
                    if self.optimised:
                        peer.optimised(2)
            if position == 0:
                self._crown(vae, image, noise)
            yield self._row(vae, image, noise, peer, number)

    def _crown(self, vae: VAE, x: Tensor, noise: Tensor) -> float:
        found = core.certify(vae, x, noise, eps=self.eps, target=self.target, method="crown")
        return found.by_method["crown"].item()

    def _row(self, vae: VAE, x: Tensor, noise: Tensor, peer: Peer, number: int) -> Row:
        ours, theirs = [], []
        for _ in range(REPEATS):
            ours.append(timed(lambda: self._crown(vae, x, noise)))
            with precision(self.dtype):
                theirs.append(timed(peer.crown))
        alpha = reached = peer_alpha = peer_alpha_seconds = float("nan")
        if self.optimised:
            with precision(self.dtype):
                peer_alpha, peer_alpha_seconds = timed(peer.optimised)
            alpha, reached = self._reach(vae, x, noise, peer_alpha)
        return Row(
            self.model,
            self.target,
            self.eps,
            self.draws,
            number,
            ours[0][0],
            theirs[0][0],
            statistics.median(seconds for _, seconds in ours),
            statistics.median(seconds for _, seconds in theirs),
            alpha,
            peer_alpha,
            reached,
            peer_alpha_seconds,
        )

    def _reach(self, vae: VAE, x: Tensor, noise: Tensor, bound: float) -> tuple[float, float]:
        """Our bound when it first was as tight as `bound`, and the seconds until then."""
        began, value = time.perf_counter(), -float("inf")
        for found in core.refine(vae, x, noise, eps=self.eps, target=self.target):
            value = max(v.item() for v in found.by_method.values())
            if value >= bound:
                return value, time.perf_counter() - began
        return value, float("inf")


def show(rows: list[Row], optimised: bool) -> None:
    first = rows[0]
    faster = [row.peer_seconds / row.seconds for row in rows]
    tighter = [row.crown - row.peer_crown for row in rows]
    share = [row.reached / row.peer_alpha_seconds for row in rows]
    print(f"{first.model}, {first.target}, eps {first.eps:g}, {first.draws} draws, {len(rows)} images")
    print(
        f"  crown            {_mean(r.crown for r in rows):>10.2f} against"
        f" {_mean(r.peer_crown for r in rows):>10.2f} nats; tighter by {min(tighter):.3g} or more,"
        f" looser on {sum(gain < 0 for gain in tighter)};"
        f" {_mean(r.seconds for r in rows):.3f} s, faster by {statistics.median(faster):.2f}"
        f" (least {min(faster):.2f})",
        flush=True,
    )
    if not optimised:
        return
    print(
        f"  optimised        {_mean(r.alpha for r in rows):>10.2f} against"
        f" {_mean(r.peer_alpha for r in rows):>10.2f} nats; never reached on"
        f" {sum(row.reached == float('inf') for row in rows)};"
        f" {_mean(r.peer_alpha_seconds for r in rows):.1f} s there, share of its time"
        f" {statistics.median(share):.3f} (most {max(share):.3f})",
        flush=True,
    )


def _mean(values: Iterator[float]) -> float:
    return statistics.fmean(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--models", nargs="+", default=["mnist-mlp-standard"])
    add("--eps", type=float, nargs="+", default=[0.01])
    add("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    add("--draws", type=int, nargs="+", default=[1, 4])
    add("--images", type=int, default=10)
    add("--dtype", choices=["float64", "float32"], default="float64", help="of auto_LiRPA; ours: float64")
    add("--crown-only", action="store_true", help="leave out the optimised bounds")
    add("--csv", required=True)
    options = parser.parse_args()
    if importlib.util.find_spec("auto_LiRPA") is None:
        sys.exit("auto_LiRPA is not installed; see --help.")
    torch.set_num_threads(1)
    numbers, x = spread(options.images)
    dtype = getattr(torch, options.dtype)
    with open(options.csv, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for setting in product(options.models, options.targets, options.eps, options.draws):
            rows = []
            for row in Setting(*setting, dtype, not options.crown_only).rows(numbers, x):
                rows.append(row)
                writer.writerow(asdict(row))
                file.flush()
            show(rows, not options.crown_only)


if __name__ == "__main__":
    main()
