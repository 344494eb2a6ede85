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
from functools import cached_property, partial

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.rounding import FLOAT64
from core.certificates.elbo_bounds.ascent import ascend
from core.certificates.semidefinite.dominance import (
    PowerIteration,
    dominating_factors,
    random_vectors,
    soft_maximum,
)

# Adam's step, what is left of it at the last one, and its memory: short, since a row has few steps.
_STEP, _LAST, _BETAS = 0.4, 0.15, (0.7, 0.95)
# The first step where a search begins with what another one found.
_WARM = 0.2
# Parabolas to begin with: bend, and tilt where nothing is known of the unit.
_BEND, _TILT = 0.3, 0.5
# Vectors that follow the largest eigenvalues, and power iterations before the proof.
_COLUMNS, _FINAL = 4, 30


@dataclass(frozen=True)
class AffineForms:
    """M affine forms of the variables, (M, n) and (M,), and by how much rounding can move each, (M,)."""

    slope: Tensor
    constant: Tensor
    rounding: Tensor

    @property
    def reach(self) -> Tensor:
        """Largest absolute value that is met when a form is evaluated."""
        return self.slope.abs().sum(1) + self.constant.abs() + self.rounding

    def scaled(self, by: Tensor) -> AffineForms:
        return AffineForms(by[:, None] * self.slope, by * self.constant, by.abs() * self.rounding)

    def plus(self, other: AffineForms, sign: int = 1) -> AffineForms:
        columns = max(self.slope.shape[1], other.slope.shape[1])
        one, two = self.padded(columns), other.padded(columns)
        return AffineForms(
            one.slope + sign * two.slope, one.constant + sign * two.constant, one.rounding + two.rounding
        )

    def joined(self, other: AffineForms) -> AffineForms:
        """Both, as forms of the variables of the one that has more of them."""
        columns = max(self.slope.shape[1], other.slope.shape[1])
        pairs = zip(self.padded(columns).tensors(), other.padded(columns).tensors(), strict=True)
        return AffineForms(*(torch.cat(pair) for pair in pairs))

    def padded(self, columns: int) -> AffineForms:
        """As forms of more variables, none of which they depend on."""
        none = self.slope.new_zeros(len(self.slope), columns - self.slope.shape[1])
        return replace(self, slope=torch.cat([self.slope, none], 1))

    def chosen(self, which: slice) -> AffineForms:
        return AffineForms(*(v[which] for v in self.tensors()))

    def none(self) -> AffineForms:
        return self.chosen(slice(0, 0))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.slope, self.constant, self.rounding

    def to(self, dtype: torch.dtype) -> AffineForms:
        return AffineForms(*(v.to(dtype) for v in self.tensors()))


@dataclass(frozen=True)
class Rows:
    """R functions <units, relu(v)> + <slope, y> + constant: (R, M), (R, n), (R,).

    rounding (R,) as in AffineForms; size (R,) a bound on the absolute values that were added up in slope
    and constant.
    """

    units: Tensor
    slope: Tensor
    constant: Tensor
    rounding: Tensor
    size: Tensor

    def to(self, dtype: torch.dtype) -> Rows:
        return Rows(*(getattr(self, f.name).to(dtype) for f in fields(Rows)))


@dataclass
class Multipliers:
    """The free parameters of the relaxation, of each row but for `scale`: any numbers are valid.

    bend, tilt   (R, M): the parabolas bend w^2 / width + tilt w + intercept, w = v - centre.
    product, positive, above  (R, H): of h (h - v), h and h - v, in units of `ReluLayer.unit`.
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
        return [getattr(self, f.name) for f in fields(self)]

    def to(self, dtype: torch.dtype) -> Multipliers:
        return replace(self, **{f.name: getattr(self, f.name).to(dtype) for f in fields(self)})

    def spread(self, units: Tensor, size: int) -> Multipliers:
        """With a parabola for each of `size` units, where these are for some of them."""
        shape = (len(self.bend), size)
        bend, tilt = self.bend.new_full(shape, _BEND), self.tilt.new_full(shape, _TILT)
        return replace(
            self, bend=bend.index_copy(1, units, self.bend), tilt=tilt.index_copy(1, units, self.tilt)
        )

    def on(self, units: Tensor) -> Multipliers:
        """A copy with the parabolas of some units only."""
        copies = {f.name: getattr(self, f.name).clone() for f in fields(self)}
        return Multipliers(**copies | {"bend": self.bend[:, units], "tilt": self.tilt[:, units]})


@dataclass(frozen=True)
class Squares:
    """R functions constant + <slope, y> + sum_m on_m (F y)_m + weight_m (F y)_m^2 above those that are
    asked for: what is left of ReluLayer once the multipliers are chosen.

    constant (R,), slope (R, n), on and weight (R, M). size, rounding (R,) as in Rows.
    """

    constant: Tensor
    slope: Tensor
    on: Tensor
    weight: Tensor
    size: Tensor
    rounding: Tensor


@dataclass(frozen=True)
class ReluLayer:
    """One layer of ReLUs over bounded variables, with what is known of the ReLUs before it.

    v      inputs of the layer's ReLUs that are not stable, within `bounds` (M,).
    hidden values h of earlier ReLUs, gaps  h - v for each of them: both never negative, one of them 0.
    """

    v: AffineForms
    bounds: Interval
    hidden: AffineForms
    gaps: AffineForms

    def to(self, dtype: torch.dtype) -> ReluLayer:
        return ReluLayer(
            self.v.to(dtype),
            self.bounds.map(lambda b: b.to(dtype)),
            self.hidden.to(dtype),
            self.gaps.to(dtype),
        )

    @cached_property
    def forms(self) -> AffineForms:
        """Everything that is squared: v, and one = (t h + gap / t) / 2 and two = (t h - gap / t) / 2, the
        difference of whose squares is h gap."""
        t = self.balance
        h, g = self.hidden.scaled(t / 2), self.gaps.scaled(1 / (2 * t))
        return self.v.joined(h.plus(g)).joined(h.plus(g, -1))

    @cached_property
    def balance(self) -> Tensor:
        """The factor t with which h and gap / t are as long."""
        long, gap = (u.slope.norm(dim=1).clamp(min=1e-12) for u in (self.hidden, self.gaps))
        return (gap / long).sqrt()

    def start(self, rows: Rows) -> Multipliers:
        """Parabolas a little bent, as steep as the chord in the middle, no multipliers, p = 0."""
        width = self.bounds.width
        tilt = (self.bounds.upper / width).expand_as(rows.units).clone()
        bend = torch.full_like(tilt, _BEND)
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
        tilt = m.tilt - 2 * bend * self.bounds.center
        intercept = parabola_intercept(self.bounds, bend, tilt, a > 0)
        on_v, product = a * tilt, m.product * unit
        reach = self.hidden.reach
        on_h, on_gap = (s.clamp(min=0) * unit * reach for s in (m.positive, m.above))
        on_h, on_gap = on_h / self.balance, on_gap * self.balance
        forms = self.forms
        weight = torch.cat([a * bend, product, -product], 1)
        on = torch.cat([on_v, on_h + on_gap, on_h - on_gap], 1)  # h = (one + two) / t, gap = (one - two) t
        constant = rows.constant + (a * intercept).sum(1)
        constant = constant + on @ forms.constant + weight @ forms.constant**2
        most = self.bounds.magnitude
        size = rows.size + (a.abs() * (bend.abs() * most + tilt.abs() + 1) * most).sum(1)
        size = size + on.abs() @ forms.reach + weight.abs() @ forms.reach**2
        rounding = (
            rows.rounding + on.abs() @ forms.rounding + 2 * (weight.abs() @ (forms.reach * forms.rounding))
        )
        return Squares(constant, rows.slope, on + 2 * weight * forms.constant, weight, size, rounding)


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
    """Upper bounds on rows over one `ReluLayer`: searches in float32, proves in float64."""

    def __init__(self, relaxed: ReluLayer) -> None:
        self._exact, self._fast = relaxed, relaxed.to(torch.float32)

    def highest(
        self, rows: Rows, steps: int, start: Multipliers | None = None
    ) -> tuple[Tensor, Multipliers]:
        """Upper bounds (R,) on rows over all |y| <= 1, with hidden units as they are, +inf where nothing
        was proved; and the multipliers that were found, from those of `start` if there are any."""
        found, basis = self._search(rows.to(torch.float32), steps, start)
        return self._prove(rows, found.to(torch.float64), basis), found

    def fits(self, m: Multipliers) -> bool:
        """Whether a search can start from there: as many variables and products."""
        columns, products = self._fast.v.slope.shape[1], len(self._fast.hidden.constant)
        return m.point.shape[1] == columns and m.product.shape[1] == products

    def _search(self, rows: Rows, steps: int, start: Multipliers | None) -> tuple[Multipliers, Tensor]:
        """Search multipliers; returns them, and the vectors that followed the eigenvalues, (R, c, M)."""
        m, forms = self._fast.start(rows) if start is None else start, self._fast.forms.slope
        basis = random_vectors(_COLUMNS, len(forms), like=forms)
        top = PowerIteration(basis.expand(len(rows.units), -1, -1), indefinite=False)

        def bound() -> Tensor:
            squares = self._fast.squares(rows, m)
            root = squares.weight.clamp(min=0).sqrt()
            shape = m.scale.exp()
            gram = (forms / shape) @ forms.T
            factor = soft_maximum(top.follow(partial(_scaled, gram, root), 1))
            return -separable_maximum(squares, forms, factor[:, None] * shape, m.point)

        def repair() -> None:
            m.point.clamp_(-1, 1)
            m.positive.clamp_(min=0)
            m.above.clamp_(min=0)

        groups = [(m.free(), _STEP if start is None else _WARM)]
        for _ in ascend(bound, groups, steps, _LAST, repair, _BETAS):
            pass
        return m, top.basis

    def _prove(self, rows: Rows, m: Multipliers, basis: Tensor) -> Tensor:
        exact, forms = self._exact, self._exact.forms
        squares, shape = exact.squares(rows, m), m.scale.exp()
        half = forms.slope * m.scale.mul(-0.5).exp()
        gram = half @ half.T
        root = squares.weight.clamp(min=0).sqrt()
        # An estimate may come from float32; what is proved does not rest on it.
        with torch.no_grad():
            top = PowerIteration(basis, indefinite=False)
            found = top.follow(partial(_scaled, gram.to(basis), root.to(basis)), _FINAL).amax(1)
        factor = dominating_factors(gram, root, found.clamp(min=0).to(gram), len(shape))
        large = factor[:, None] * shape
        value = separable_maximum(squares, forms.slope, large, m.point)
        size = squares.size + 4 * large.sum(1) + 4 * (squares.weight.abs() @ forms.reach**2)
        terms = 4 * (len(shape) + len(forms.constant) + rows.units.shape[1]) + 100
        value = value + squares.rounding + FLOAT64.gamma(terms) * size
        return value.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf)


def _scaled(gram: Tensor, root: Tensor, v: Tensor) -> Tensor:
    """Rows v (R, c, M) times root gram root; gram (M, M), root (R, M)."""
    return root[:, None] * ((root[:, None] * v).flatten(0, 1) @ gram).view_as(v)


def separable_maximum(q: Squares, forms: Tensor, large: Tensor, point: Tensor) -> Tensor:
    """The separable bound over |y| <= 1 for D = `large` and p = `point`, (R,)."""
    moved = point @ forms.T
    turned = q.slope - 2 * large * point + (q.on + 2 * q.weight * moved) @ forms
    rest = (large * point**2).sum(1) - (q.weight * moved**2).sum(1)
    return q.constant + large.sum(1) + rest + turned.abs().sum(1)
