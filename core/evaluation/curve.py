"""Clean, attained and proved ELBO of one image over a grid of eps, and what they say of a threshold.

For one side: how low the ELBO can be brought, or how high. Each bound knows its side, so that no upper
bound meets what was attained downwards.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from core.attacks import Progress, Search, find_worst
from core.certificates.certificate import Certificate
from core.certificates.elbo_bounds.relaxation_parameters import slopes_of
from core.certificates.methods import Effort
from core.certificates.prove import prove
from core.errors import InputError
from core.isolation import isolated
from core.vae.elbo import elbo
from core.vae.model import VAE
from core.vae.threat import SIGN, Threat
from core.vae.validate import check_grid, check_images, check_threshold


@dataclass(frozen=True)
class Proof:
    """One image, one radius, one method: the ELBO is proved to be at least `bound` nats, or at most.

    bound      for side "lower" -inf where vacuous, for "upper" +inf.
    recon, kl  bounds on the two terms alone, as in Certificate. statement: what is proved, in words.
    margin     nats given up to cover rounding. iterations: what it takes to find it again, see certify.
    witness    the slopes that the bound was found with, see core.claims.witness.
    """

    eps: float
    method: str
    bound: float
    recon: float
    kl: float
    statement: str
    margin: float
    iterations: int = 0
    side: str = "lower"
    witness: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    @property
    def strength(self) -> float:
        """The larger, the tighter, whatever the side; -inf where vacuous."""
        return SIGN[self.side] * self.bound


def proofs_of(certificate: Certificate) -> tuple[Proof, ...]:
    """What a certificate of one image at B radii proves, radius by radius."""
    c = certificate
    witness = c.witness or (None,) * len(c.eps)
    columns = zip(c.eps, c.bound, c.recon, c.kl, c.margin, witness, strict=True)
    return tuple(
        Proof(
            *(eps.item(), c.method, bound.item(), recon.item(), kl.item(), c.statement(i), margin.item()),
            side=c.side,
            witness=slopes_of(slopes),
        )
        for i, (eps, bound, recon, kl, margin, slopes) in enumerate(columns)
    )


def _better(known: Proof, new: Proof) -> Proof:
    return new if new.strength > known.strength else known


@dataclass(frozen=True)
class Curve:
    """One image over E radii; nats, float64.

    eps       (E,) ascending.
    clean     ELBO of the clean image.
    attained  (E,) lowest ELBO an attack reached at that radius or a smaller one: non-increasing. For side
              "upper" the highest: non-decreasing.
    x_adv     (E, C, H, W) the images that attained it.
    proofs    what is proved at these radii or others, by any methods. A ball holds every smaller one, so
              a bound proved at a larger radius holds at the smaller ones too. All of this side.
    side      "lower" or "upper": which way the attack goes, and which bound is proved.

    Raises InputError for a proof of the other side.
    """

    eps: Tensor
    clean: float
    attained: Tensor
    x_adv: Tensor
    proofs: tuple[Proof, ...]
    side: str = "lower"

    def __post_init__(self) -> None:
        if any(proof.side != self.side for proof in self.proofs):
            raise InputError(f"A curve of side {self.side!r} takes proofs of that side only.")

    def add(self, proofs: Sequence[Proof]) -> Curve:
        """The curve with more proofs."""
        return replace(self, proofs=(*self.proofs, *proofs))

    def best(self, eps: float, method: str | None = None) -> Proof | None:
        """The proof with the tightest bound that covers radius eps, by that method or by any.

        None if no proof covers it, or if all that do are vacuous.
        """
        if math.isnan(eps):
            raise InputError("eps is nan; give a radius.")
        if method is None:
            radii, best = self._ladder
            at = bisect_left(radii, eps)
            found = best[at] if at < len(best) else None
        else:
            covering = [p for p in self.proofs if p.eps >= eps and p.method == method]
            found = max(covering, key=lambda p: p.strength, default=None)
        return None if found is None or math.isinf(found.bound) else found

    @cached_property
    def _ladder(self) -> tuple[list[float], list[Proof]]:
        """The radii of all proofs, ascending, and for each the best proof that covers it."""
        # Of equal bounds at one radius the first to come counts.
        falling = sorted(self.proofs, key=lambda p: -p.eps)
        best = list(accumulate(falling, _better))
        return [p.eps for p in reversed(falling)], best[::-1]

    def proved(self, method: str | None = None) -> Tensor:
        """(E,) the tightest bound that covers each radius, by that method or by any, and so ever looser;
        where there is none, -inf for side "lower" and +inf for "upper"."""
        best, nothing = [self.best(eps, method) for eps in self.eps.tolist()], -SIGN[self.side] * math.inf
        bounds = [nothing if p is None else p.bound for p in best]
        return torch.tensor(bounds, dtype=torch.float64, device="cpu")

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that proved something or tried to, in the order in which they came."""
        return tuple(dict.fromkeys(p.method for p in self.proofs))

    def verdict(self, threshold: float) -> Verdict:
        """What is proved and what is attained about "the ELBO stays at or above the threshold", for side
        "upper" about "it stays below": whether a detector goes on accepting, or rejecting, the image."""
        threshold = check_threshold(threshold)
        proved, attained = (
            [stays(value, threshold, self.side) for value in values.tolist()]
            for values in (self.proved(), self.attained)
        )
        eps = self.eps.tolist()
        return Verdict(
            threshold,
            max((e for e, holds in zip(eps, proved, strict=True) if holds), default=None),
            min((e for e, holds in zip(eps, attained, strict=True) if not holds), default=None),
            max(eps),
            self.side,
        )

    def undecided(self, threshold: float, method: str) -> float | None:
        """The radius where a proof by this method would tell most about the verdict; None if none would.

        Bisection of the open radii. A radius where the method has failed is not tried again, nor are
        larger ones: bounds get looser with eps.
        """
        verdict = self.verdict(threshold)
        safe = -math.inf if verdict.certified is None else verdict.certified
        broken = math.inf if verdict.broken is None else verdict.broken
        failed = min((p.eps for p in self.proofs if p.method == method and p.eps > safe), default=math.inf)
        open_ = [eps for eps in self.eps.tolist() if safe < eps < min(broken, failed)]
        return open_[len(open_) // 2] if open_ else None


def stays(elbo: float, threshold: float, side: str) -> bool:
    """Whether an ELBO is where it shall stay: at or above the threshold, for side "upper" below it."""
    return elbo >= threshold if side == "lower" else elbo < threshold


@dataclass(frozen=True)
class Verdict:
    """On a grid of eps up to `most`: proved up to `certified` (None: nowhere), broken from `broken`
    (None: no attack on the grid crossed the threshold), open between. side: as in Curve."""

    threshold: float
    certified: float | None
    broken: float | None
    most: float
    side: str = "lower"

    def sentence(self, level: str = "") -> str:
        """level: the threshold as it is to be written, else in nats."""
        level, most = level or f"{self.threshold:.12g} nats", f"{self.most:g}"
        # What is proved; what an attack does with the level, and in short; what one that failed did not do.
        kept, lost, again, failed = f"stay above {level}", f"gets below {level}", "gets below", "get below"
        if self.side == "upper":
            kept, lost = f"stay below {level}", f"lifts it to {level}"
            again, failed = "lifts it there", "lift it to"
        if self.broken == 0:
            return f"{'Below' if self.side == 'lower' else 'At or above'} {level} without any attack."
        if not self.certified:  # eps 0 is the image itself
            # Of the attacks that were tried alone: that none can is not proved.
            attack = f"The attack tried did not {failed} {level} up to eps {most}"
            if self.broken is not None:
                attack = f"An attack {lost} at eps {self.broken:g}"
            return f"{attack}; no eps is proved."
        proved = f"Proved to {kept} up to eps {self.certified:g}"
        if self.broken is not None:
            return f"{proved}. An attack {again} at {self.broken:g}."
        if self.certified == self.most:
            return f"{proved}, the whole range."
        return f"{proved}. Open up to {most}: the attack tried failed."


@isolated()
def elbo_curve(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    eps: Tensor | Sequence[float],
    *,
    target: str = "likelihood",
    norm: str = "linf",
    side: str = "lower",
    method: str = "pgd",
    steps: int = 40,
    restarts: int = 1,
    seed: int = 0,
    certificate: str = "ibp",
    progress: Progress | None = None,
) -> Curve:
    """Attack and certify one image x (1, C, H, W) at every radius of eps (E,), as one batch.

    A point found at a smaller radius counts at the larger ones too. Other arguments as in `attack` and
    `certify`; raises InputError. For bounds that get tighter, `Curve.add(proofs_of(certify(...)))`.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> curve = core.elbo_curve(vae, x[:1], noise, [0.0, 0.05, 0.1], steps=10)
    >>> bool((curve.proved() <= curve.attained).all())
    True
    >>> curve.verdict(-250.0).sentence()
    'Proved to stay above -250 nats up to eps 0.05. An attack gets below at 0.1.'
    """
    x = check_images(vae, x)
    if len(x) != 1:
        raise InputError(f"A curve is of one image, not {len(x)}.")
    eps = check_grid(eps, x, norm)
    copies = x.expand(len(eps), -1, -1, -1)
    threat, search = Threat(eps, target, norm, side), Search(method, steps, restarts, seed)
    found = find_worst(vae, copies, noise, threat, search, progress=progress)
    proved = prove(vae, copies, noise, threat, Effort(certificate))
    attained, index = (threat.sign * found.elbo).cummin(0)
    return Curve(
        eps=found.eps,
        clean=elbo(vae, x, noise).total.item(),
        attained=threat.sign * attained,
        x_adv=found.x_adv[index],
        proofs=proofs_of(proved),
        side=side,
    )
