"""Upper bounds on layers of ReLUs by semidefinite relaxation, many at once.

A linear function of relu(v), v = V y + v0 affine in bounded variables |y_i| <= 1, relaxed ReLU by ReLU,
pays as if every unit could be where its chord is farthest from it. Together they cannot: with a parabola
in v in place of each chord the function is below one quadratic of y, and so it is with

    h (h - v) = 0,    h >= 0,    h - v >= 0          for each h = relu(v) of the layers before

times any multipliers of the right sign (Raghunathan et al. 2018, arXiv 1811.01057). With F the forms that
are squared, w their weights and a diagonal D with D - F^T w F positive semidefinite, for any point p,

    <b, y> + sum_m w_m (F y)_m^2  <=  sum_i D_i + <p, (D - Q) p> + |b - 2 (D - Q) p|_1,    Q = F^T w F

Everything is free but D's size, which is the largest eigenvalue of a matrix as large as there are forms.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from core.ascent import ascend
from core.bounds.interval import Interval
from core.bounds.rounding import FLOAT64

# Adam's steps for multipliers and scales, and for p; what is left of them at the last one.
_STEP, _POINT_STEP, _LAST = 0.2, 0.2, 0.1
# Vectors that follow the largest eigenvalues, and how far their soft maximum reaches.
_COLUMNS, _SOFT = 4, 0.02
# Power iterations before the proof, and by what the eigenvalue that was found is raised until it succeeds.
_FINAL, _RAISE = 30, (1.001, 1.01, 1.05, 1.2, 2.0)
# Values that the matrices which are factorised at once may hold: bounds the memory.
_VALUES = 4_000_000


@dataclass(frozen=True)
class Units:
    """M affine forms of the variables, (M, n) and (M,), and by how much rounding can move each, (M,)."""

    slope: Tensor
    constant: Tensor
    lost: Tensor

    @property
    def reach(self) -> Tensor:
        """Largest absolute value that is met when a form is evaluated."""
        return self.slope.abs().sum(1) + self.constant.abs() + self.lost

    def scaled(self, by: Tensor) -> Units:
        return Units(by[:, None] * self.slope, by * self.constant, by.abs() * self.lost)

    def plus(self, other: Units, sign: int = 1) -> Units:
        return Units(
            self.slope + sign * other.slope, self.constant + sign * other.constant, self.lost + other.lost
        )

    def joined(self, *others: Units) -> Units:
        parts = (self, *others)
        return Units(*(torch.cat([getattr(u, f.name) for u in parts]) for f in fields(Units)))

    def to(self, dtype: torch.dtype) -> Units:
        return Units(*(getattr(self, f.name).to(dtype) for f in fields(Units)))


@dataclass(frozen=True)
class Rows:
    """R functions <units, relu(v)> + <slope, y> + constant: (R, M), (R, n), (R,); lost (R,) as in Units,
    size (R,) a bound on the absolute values that were added up in slope and constant."""

    units: Tensor
    slope: Tensor
    constant: Tensor
    lost: Tensor
    size: Tensor

    def to(self, dtype: torch.dtype) -> Rows:
        return Rows(*(getattr(self, f.name).to(dtype) for f in fields(Rows)))

    def split(self, count: int) -> list[Rows]:
        parts = zip(*(getattr(self, f.name).split(count) for f in fields(Rows)), strict=True)
        return [Rows(*part) for part in parts]


@dataclass
class Multipliers:
    """What is free, row by row but for `scale`: any numbers are valid.

    bend, tilt   (R, M): the parabolas bend v^2 / width + tilt v + intercept.
    product, positive, above  (R, H): of h (h - v), h and h - v, in units of `Relaxed.unit`.
    scale (n,): logarithms of D, up to a factor for each row. point (R, n): p.
    """

    bend: Tensor
    tilt: Tensor
    product: Tensor
    positive: Tensor
    above: Tensor
    scale: Tensor
    point: Tensor

    def free(self) -> list[Tensor]:
        return [getattr(self, f.name) for f in fields(self) if f.name != "point"]

    def to(self, dtype: torch.dtype) -> Multipliers:
        return replace(self, **{f.name: getattr(self, f.name).to(dtype) for f in fields(self)})


@dataclass(frozen=True)
class Squares:
    """R functions constant + <slope, y> + sum_m weight_m (F y)_m^2 above those that are asked for: what is
    left of Relaxed once the multipliers are chosen. size, lost (R,): what was added up; for rounding."""

    constant: Tensor
    slope: Tensor
    weight: Tensor
    size: Tensor
    lost: Tensor


@dataclass(frozen=True)
class Relaxed:
    """One layer of ReLUs over bounded variables, with what is known of the ReLUs before it.

    v      inputs of the layer's ReLUs that are not stable, within `bounds` (M,).
    hidden values h of earlier ReLUs, gaps  h - v for each of them: both never negative, one of them 0.
    """

    v: Units
    bounds: Interval
    hidden: Units
    gaps: Units

    def to(self, dtype: torch.dtype) -> Relaxed:
        return Relaxed(
            self.v.to(dtype),
            self.bounds.map(lambda b: b.to(dtype)),
            self.hidden.to(dtype),
            self.gaps.to(dtype),
        )

    @property
    def forms(self) -> Units:
        """Everything that is squared: v, and (t h + gap / t) / 2 and (t h - gap / t) / 2, the difference of
        whose squares is h gap; t makes both as long."""
        long, gap = (u.slope.norm(dim=1).clamp(min=1e-12) for u in (self.hidden, self.gaps))
        t = (gap / long).sqrt()
        h, g = self.hidden.scaled(t / 2), self.gaps.scaled(1 / (2 * t))
        return self.v.joined(h.plus(g), h.plus(g, -1))

    def start(self, rows: Rows) -> Multipliers:
        """Parabolas a little bent, no multipliers, p = 0."""
        width = self.bounds.width
        chord = (self.bounds.upper / width).expand_as(rows.units)
        bend = torch.full_like(chord, 0.3)
        tilt = torch.where(rows.units > 0, chord, chord / 2)
        none = rows.units.new_zeros(len(rows.units), len(self.hidden.constant))
        forms = self.forms.slope.abs()
        weight = torch.cat([(rows.units.abs() * bend / width).mean(0), self.unit(rows).mean(0).repeat(2)])
        scale = forms.T @ (weight * forms.sum(1))
        scale = (scale + 1e-6 * scale.max() + 1e-30).log()
        return Multipliers(
            bend, tilt, none, none.clone(), none.clone(), scale, torch.zeros_like(rows.slope)
        )

    def unit(self, rows: Rows) -> Tensor:
        """A usual size of the multipliers of products, (R, H)."""
        size = rows.units.abs().sum(1, keepdim=True) / max(1, rows.units.shape[1])
        return size / self.hidden.reach.clamp(min=1e-12).expand(len(rows.units), -1)

    def squares(self, rows: Rows, m: Multipliers) -> Squares:
        a, unit = rows.units, self.unit(rows)
        bend = m.bend / self.bounds.width
        intercept = parabola_intercept(self.bounds, bend, m.tilt, a > 0)
        on_v, product = a * m.tilt, m.product * unit
        reach = self.hidden.reach
        on_h, on_gap = (s.clamp(min=0) * unit * reach for s in (m.positive, m.above))
        forms = self.forms
        weight = torch.cat([a * bend, product, -product], 1)
        linear = ((self.v, on_v), (self.hidden, on_h), (self.gaps, on_gap))
        slope = rows.slope + (2 * weight * forms.constant) @ forms.slope
        constant = rows.constant + (a * intercept).sum(1) + (weight * forms.constant**2).sum(1)
        most = self.bounds.magnitude
        size = rows.size + (a.abs() * (bend.abs() * most + m.tilt.abs() + 1) * most).sum(1)
        size = size + weight.abs() @ forms.reach**2
        lost = rows.lost + 2 * (weight.abs() @ (forms.reach * forms.lost))
        for units, on in linear:
            slope, constant = slope + on @ units.slope, constant + on @ units.constant
            size, lost = size + on.abs() @ units.reach, lost + on.abs() @ units.lost
        return Squares(constant, slope, weight, size, lost)


def parabola_intercept(x: Interval, bend: Tensor, tilt: Tensor, above: Tensor) -> Tensor:
    """The least c with bend v^2 + tilt v + c >= relu(v) on the interval where `above`, else the largest
    with <=: relu(v) minus the parabola is one on each side of 0, extreme at an end or at its vertex."""
    zero = torch.zeros_like(x.lower)
    extremes = []
    for low, high, linear in ((x.lower, zero, -tilt), (zero, x.upper, 1 - tilt)):
        # Only 0 is masked: on a wide interval even the smallest bend has its vertex inside.
        vertex = linear.detach() / (2 * torch.where(bend == 0, 1, bend.detach()))
        vertex = torch.minimum(torch.maximum(vertex, low), high)
        extremes += [linear * v - bend * v * v for v in (low, high, vertex)]
    values = torch.stack(extremes)
    return torch.where(above, values.amax(0), values.amin(0))


class Bounder:
    """Upper bounds on rows over one `Relaxed`: searches in float32, proves in float64."""

    def __init__(self, relaxed: Relaxed) -> None:
        self._exact, self._fast = relaxed, relaxed.to(torch.float32)

    def highest(self, rows: Rows, steps: int) -> Tensor:
        """(R,): no |y| <= 1, with hidden units as they are, takes a row above. +inf where nothing was
        proved."""
        found, basis = self._search(rows.to(torch.float32), steps)
        return self._prove(rows, found.to(torch.float64), basis.to(torch.float64))

    def _search(self, rows: Rows, steps: int) -> tuple[Multipliers, Tensor]:
        """Multipliers, and the vectors that followed the largest eigenvalues, (R, M, c)."""
        m, forms = self._fast.start(rows), self._fast.forms.slope
        generator = torch.Generator().manual_seed(0)
        basis = torch.randn(len(forms), _COLUMNS, generator=generator).to(forms)
        top = Top(basis.expand(len(rows.units), -1, -1))

        def bound() -> Tensor:
            squares = self._fast.squares(rows, m)
            root = squares.weight.clamp(min=0).sqrt()
            shape = m.scale.exp()
            gram = (forms / shape) @ forms.T
            values = top.follow(gram, root, 1)
            soft = _SOFT * values.detach().amax(1, keepdim=True) + 1e-30
            factor = soft[:, 0] * torch.logsumexp(values / soft, 1)
            return -ceiling(squares, forms, factor[:, None] * shape, m.point)

        def repair() -> None:
            m.point.clamp_(-1, 1)
            m.positive.clamp_(min=0)
            m.above.clamp_(min=0)

        groups = [(m.free(), _STEP), ([m.point], _POINT_STEP)]
        for _ in ascend(bound, groups, steps, _LAST, repair):
            pass
        return m, top.basis

    def _prove(self, rows: Rows, m: Multipliers, basis: Tensor) -> Tensor:
        exact, forms = self._exact, self._exact.forms
        squares, shape = exact.squares(rows, m), m.scale.exp()
        half = forms.slope * m.scale.mul(-0.5).exp()
        gram = half @ half.T
        root = squares.weight.clamp(min=0).sqrt()
        top = Top(basis)
        with torch.no_grad():
            found = top.follow(gram, root, _FINAL).amax(1).clamp(min=0)
        factor = dominating(gram, root, found, len(shape))
        large = factor[:, None] * shape
        value = ceiling(squares, forms.slope, large, m.point)
        size = squares.size + 4 * large.sum(1) + 4 * (squares.weight.abs() @ forms.reach**2)
        terms = 4 * (len(shape) + len(forms.constant) + rows.units.shape[1]) + 100
        value = value + squares.lost + FLOAT64.gamma(terms) * size
        return value.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf)


class Top:
    """The largest eigenvalues of root gram root, one a row, followed by power iteration as both change."""

    def __init__(self, basis: Tensor) -> None:
        self.basis = torch.linalg.qr(basis)[0]

    def follow(self, gram: Tensor, root: Tensor, steps: int) -> Tensor:
        """Lower bounds (R, c) on them, differentiable; gram (M, M), root (R, M)."""

        def apply(v: Tensor) -> Tensor:
            return root[..., None] * (gram @ (root[..., None] * v))

        with torch.no_grad():
            for _ in range(steps):
                self.basis = torch.linalg.qr(apply(self.basis) + 1e-9 * self.basis)[0]
        return (self.basis * apply(self.basis)).sum(1)


def dominating(gram: Tensor, root: Tensor, found: Tensor, n: int) -> Tensor:
    """Factors (R,) not below the largest eigenvalue of root H H^T root, gram = H H^T over n variables.

    Each is proved by a Cholesky factorisation that runs to its end (Demmel 1989; Rump 2006, BIT 46), with
    four times the room that its rounding, and that of gram, may take; else it is the trace.
    """
    size = len(gram)
    trace = (root**2 * gram.diagonal()).sum(1)
    factor = trace * (1 + 1e-9) + 1e-300
    for part in torch.arange(len(root), device=root.device).split(max(1, _VALUES // size**2)):
        left = part
        for more in _RAISE:
            tried, most, scale = more * found[left] + 1e-12 * trace[left], trace[left], root[left]
            room = FLOAT64.gamma(n + 10) * most + FLOAT64.gamma(size + 2) * (size * tried + most)
            matrix = -scale[:, :, None] * gram * scale[:, None]
            matrix.diagonal(dim1=1, dim2=2).add_((tried - 4 * room)[:, None])
            proved = torch.linalg.cholesky_ex(matrix.nan_to_num(nan=-1.0))[1] == 0
            factor[left] = torch.where(proved, torch.minimum(tried, factor[left]), factor[left])
            left = left[~proved]
            if len(left) == 0:
                break
    return factor


def ceiling(q: Squares, forms: Tensor, large: Tensor, point: Tensor) -> Tensor:
    """The separable bound over |y| <= 1 for D = `large` and p = `point`, (R,)."""
    turned = large * point - (q.weight * (point @ forms.T)) @ forms
    rest = (point * turned).sum(1) + (q.slope - 2 * turned).abs().sum(1)
    return q.constant + large.sum(1) + rest
