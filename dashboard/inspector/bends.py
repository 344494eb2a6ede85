"""What is not linear in a model, unit by unit, and the lines that each bound lays there, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.inspection import LIKELIHOOD, Losses, Relaxed, unit_values
from core.vae.model import VAE

KEPT = 1024
"""Units of an operation and draw that are kept, those that cost most: all of most models."""


@dataclass(frozen=True)
class Lines:
    """One bound's lines: I inputs, D draws (1 before z), the U units of its Bend.

    low, high  ends of the inputs' intervals, (I, D, U). worst: the inputs where the bound is lowest.
    below, above  slopes of the inputs and constant, (I + 1, D, U); above None where it is never needed.
    rows, cost  (D, U): which line is in use, and what it costs, in nats; see core.inspection.Relaxed.
    scale      (D, U), for logvar. total: nats that all units cost in all draws.
    """

    low: np.ndarray
    high: np.ndarray
    worst: np.ndarray
    below: np.ndarray
    above: np.ndarray | None
    rows: np.ndarray
    cost: np.ndarray
    scale: np.ndarray | None
    total: float


@dataclass(frozen=True)
class Bend:
    """One operation that is not linear.

    key, name, op  of the address; as in core.inspection.Relaxed. shape: of its units; count: how many.
    places     (D, U): which of them are kept, the costliest first.
    taken      (P, I, D, U): what they take for the clean image, the attacked one, and others. Of the
               likelihood the scored pixel comes first, whether a line is laid in it or not.
    by         method -> its lines.
    """

    key: str
    name: str
    op: str
    shape: tuple[int, ...]
    places: np.ndarray
    taken: np.ndarray
    by: Mapping[str, Lines]

    @property
    def count(self) -> int:
        return int(np.prod(self.shape))

    def place(self, row: int, unit: int) -> int | None:
        """Where in the arrays a unit is, from 1; 0 for the costliest. None where it is not kept."""
        found = np.flatnonzero(self.places[row] == unit - 1)
        return 0 if unit == 0 else int(found[0]) if len(found) else None


@dataclass(frozen=True)
class Unit:
    """One unit and one bound's lines in it: I inputs.

    number     from 1. row: its draw. spans (I, 2): the intervals. below, above (I + 1,): slopes, constant.
    seen       (P, I) what it takes for the images, `gives` (P,) what it gives. worst, given: the same where
               the bound is lowest.
    positive   whether the line below is in use. cost: nats.
    grids, values  places of the interval (N,) of each input, and what it gives there, (N,) or (N, N).
    """

    number: int
    spans: np.ndarray
    below: np.ndarray
    above: np.ndarray | None
    seen: np.ndarray
    gives: np.ndarray
    worst: np.ndarray
    given: float
    positive: bool
    cost: float
    grids: tuple[np.ndarray, ...]
    values: np.ndarray

    @property
    def endless(self) -> bool:
        return not (np.isfinite(self.spans).all() and np.isfinite(self.used).all())

    @property
    def used(self) -> np.ndarray:
        """The line that stands for the unit."""
        return self.below if self.positive or self.above is None else self.above


def bends_of(losses: Sequence[Losses], taken: Mapping[str, tuple[torch.Tensor, ...]]) -> tuple[Bend, ...]:
    """All that is not linear, in the order of the forward pass; nothing where no bound has an end."""
    return tuple(
        _bend({loss.method: loss.relaxed[name] for loss in losses}, seen)
        for name, seen in taken.items()
        if losses and all(name in loss.relaxed for loss in losses)
    )


def key_of(name: str) -> str:
    """Of the address: "encoder 1 ReLU" -> "encoder-1"."""
    return "-".join(name.split()[:2])


def _bend(by: Mapping[str, Relaxed], seen: tuple[torch.Tensor, ...]) -> Bend:
    first = next(iter(by.values()))
    # A unit counts by its share in what each bound loses there.
    costs = [each.cost.flatten(1) for each in by.values()]
    weight = sum(cost / cost.abs().sum().clamp(min=1e-300) for cost in costs)
    assert isinstance(weight, torch.Tensor)
    places = weight.nan_to_num().argsort(stable=True, dim=1, descending=True)[:, :KEPT]

    def kept(*parts: torch.Tensor) -> np.ndarray:
        return torch.stack([part.flatten(1).gather(1, places) for part in parts]).cpu().numpy()

    def lines(each: Relaxed) -> Lines:
        return Lines(
            low=kept(*(x.lower for x in each.inputs)),
            high=kept(*(x.upper for x in each.inputs)),
            worst=kept(*each.worst),
            below=kept(*each.below.slopes, each.below.constant),
            above=None if each.above is None else kept(*each.above.slopes, each.above.constant),
            rows=kept(each.rows)[0],
            cost=kept(each.cost)[0],
            scale=None if each.scale is None else kept(each.scale)[0],
            total=each.cost.sum().item(),
        )

    return Bend(
        key=key_of(first.name),
        name=first.name,
        op=first.op,
        shape=tuple(first.cost.shape[1:]),
        places=places.cpu().numpy(),
        taken=np.stack([kept(*image) for image in zip(*seen, strict=True)]),
        by={method: lines(each) for method, each in by.items()},
    )


def _float64(values: np.ndarray) -> torch.Tensor:
    flat = np.ascontiguousarray(values).ravel()
    return torch.tensor(flat, dtype=torch.float64, device="cpu")


def unit(vae: VAE, bend: Bend, method: str, row: int, at: int, points: tuple[int, int] = (161, 41)) -> Unit:
    """One of the kept units, with its function drawn; points of a curve, and of each side of a map."""
    lines = bend.by[method]
    number = int(bend.places[row, at])
    spans = np.stack([lines.low[:, row, at], lines.high[:, row, at]], 1)
    fixed = bend.taken[0, : len(bend.taken[0]) - len(spans), row, at]
    scale = 0.0 if lines.scale is None else float(lines.scale[row, at])

    def gives(*values: np.ndarray) -> np.ndarray:
        asked = [np.broadcast_to(value, values[0].shape) for value in fixed]
        found = unit_values(
            vae,
            bend.name,
            number,
            bend.shape,
            [_float64(v) for v in (*asked, *values)],
            scale,
        )
        return found.numpy().reshape(values[0].shape)

    finite = np.where(np.isfinite(spans), spans, 0.0)
    grids = tuple(np.linspace(low, high, points[len(spans) > 1]) for low, high in _shown(finite))
    seen = bend.taken[:, len(fixed) :, row, at]
    worst = lines.worst[:, row, at]
    return Unit(
        number=number + 1,
        spans=spans,
        below=lines.below[:, row, at],
        above=None if lines.above is None else lines.above[:, row, at],
        seen=seen,
        gives=gives(*seen.T),
        worst=worst,
        given=float(gives(*(np.array([v]) for v in worst))[0]),
        positive=bool(lines.rows[row, at] >= 0),
        cost=float(lines.cost[row, at]),
        grids=grids,
        values=gives(*grids) if len(grids) == 1 else gives(*np.meshgrid(*grids, indexing="ij")),
    )


def _shown(spans: np.ndarray) -> np.ndarray:
    """What is drawn of each input: of one alone a little more than its interval."""
    if len(spans) > 1:
        return spans
    low, high = spans[0]
    more = 0.12 * (high - low) or 1e-6 * max(1.0, abs(low))
    return np.array([[low - more, high + more]])


def is_likelihood(bend: Bend) -> bool:
    return bend.name == LIKELIHOOD
