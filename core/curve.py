"""Clean, attained and proved ELBO of one image over a grid of eps, and what they say of a threshold."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from core.attacks import Progress, attack
from core.certificate import Certificate
from core.elbo import elbo
from core.errors import InputError
from core.isolation import isolated
from core.model import VAE
from core.prove import certify
from core.validate import check_images


@dataclass(frozen=True)
class Proof:
    """One image, one radius, one method: `lower` nats are proved, -inf where vacuous.

    recon, kl  bounds on the two terms alone, as in Certificate. statement: what is proved, in words.
    margin     nats given up to cover rounding. iterations: what it takes to find it again, see certify.
    """

    eps: float
    method: str
    lower: float
    recon: float
    kl: float
    statement: str
    margin: float
    iterations: int = 0


def proofs_of(certificate: Certificate) -> tuple[Proof, ...]:
    """What a certificate of one image at B radii proves, radius by radius."""
    c = certificate
    columns = zip(c.eps, c.lower, c.recon, c.kl, c.margin, strict=True)
    return tuple(
        Proof(eps.item(), c.method, lower.item(), recon.item(), kl.item(), c.statement(i), margin.item())
        for i, (eps, lower, recon, kl, margin) in enumerate(columns)
    )


def _better(known: Proof, new: Proof) -> Proof:
    return new if new.lower > known.lower else known


@dataclass(frozen=True)
class Curve:
    """One image over E radii; nats, float64.

    eps       (E,) ascending.
    clean     ELBO of the clean image.
    attained  (E,) lowest ELBO an attack reached at that radius or a smaller one: non-increasing.
    x_adv     (E, C, H, W) the images that attained it.
    proofs    what is proved at these radii or others, by any methods. A ball holds every smaller one, so
              a bound proved at a larger radius holds at the smaller ones too.
    """

    eps: Tensor
    clean: float
    attained: Tensor
    x_adv: Tensor
    proofs: tuple[Proof, ...]

    def add(self, proofs: Sequence[Proof]) -> Curve:
        """The curve with more proofs."""
        return replace(self, proofs=(*self.proofs, *proofs))

    def best(self, eps: float, method: str | None = None) -> Proof | None:
        """The proof with the highest bound that covers radius eps, by that method or by any.

        None if no proof covers it, or if all that do are vacuous.
        """
        if method is None:
            radii, best = self._ladder
            at = bisect_left(radii, eps)
            found = best[at] if at < len(best) else None
        else:
            covering = [p for p in self.proofs if p.eps >= eps and p.method == method]
            found = max(covering, key=lambda p: p.lower, default=None)
        return None if found is None or math.isinf(found.lower) else found

    @cached_property
    def _ladder(self) -> tuple[list[float], list[Proof]]:
        """The radii of all proofs, ascending, and for each the best proof that covers it."""
        # Of equal bounds at one radius the first to come counts.
        falling = sorted(self.proofs, key=lambda p: -p.eps)
        best = list(accumulate(falling, _better))
        return [p.eps for p in reversed(falling)], best[::-1]

    def proved(self, method: str | None = None) -> Tensor:
        """(E,) the highest bound that covers each radius, by that method or by any; -inf where there is
        none. Non-increasing."""
        best = [self.best(eps, method) for eps in self.eps.tolist()]
        lower = [-math.inf if p is None else p.lower for p in best]
        return torch.tensor(lower, dtype=torch.float64, device="cpu")

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that proved something or tried to, in the order in which they came."""
        return tuple(dict.fromkeys(p.method for p in self.proofs))

    def verdict(self, threshold: float) -> Verdict:
        """What is proved and what is attained about "the ELBO stays at or above the threshold"."""
        safe = self.eps[self.proved() >= threshold]
        broken = self.eps[self.attained < threshold]
        return Verdict(
            threshold,
            float(safe.max()) if len(safe) else None,
            float(broken.min()) if len(broken) else None,
            float(self.eps.max()),
        )

    def undecided(self, threshold: float, method: str) -> float | None:
        """The radius where a proof by this method would tell most about the verdict; None if none would.

        Bisection of the open radii. A radius where the method has failed is not tried again, nor are
        larger ones: the bound falls with eps.
        """
        verdict = self.verdict(threshold)
        safe = -math.inf if verdict.certified is None else verdict.certified
        broken = math.inf if verdict.broken is None else verdict.broken
        failed = min((p.eps for p in self.proofs if p.method == method and p.eps > safe), default=math.inf)
        open_ = [eps for eps in self.eps.tolist() if safe < eps < min(broken, failed)]
        return open_[len(open_) // 2] if open_ else None


@dataclass(frozen=True)
class Verdict:
    """On a grid of eps up to `most`: proved up to `certified` (None: nowhere), broken from `broken`
    (None: no attack on the grid went below the threshold), open between."""

    threshold: float
    certified: float | None
    broken: float | None
    most: float

    def sentence(self) -> str:
        if self.broken == 0:
            return f"below {self.threshold:.12g} nats without any attack."
        if self.broken is None and self.certified == self.most:
            return f"proved above {self.threshold:.12g} nats up to eps {self.most:g}, the whole range."
        if self.certified is None:
            proved = "no eps is proved"
        elif self.certified == 0:
            proved = f"nothing is proved above {self.threshold:.12g} nats beyond eps 0"
        else:
            proved = f"proved above {self.threshold:.12g} nats up to eps {self.certified:g}"
        if self.broken is None:
            return f"{proved}, not broken up to {self.most:g}, open between."
        return f"{proved}, broken from {self.broken:g}, open between."


@isolated()
def elbo_curve(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    eps: Tensor | Sequence[float],
    *,
    target: str = "likelihood",
    norm: str = "linf",
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
    """
    x, eps = check_images(vae, x), torch.as_tensor(eps, dtype=torch.float64, device="cpu")
    if len(x) != 1 or eps.ndim != 1 or len(eps) == 0 or bool((eps.diff() <= 0).any()):
        raise InputError("A curve needs one image and a list of ascending eps.")
    copies = x.expand(len(eps), -1, -1, -1)
    found = attack(
        vae,
        copies,
        noise,
        eps=eps,
        target=target,
        norm=norm,
        method=method,
        steps=steps,
        restarts=restarts,
        seed=seed,
        progress=progress,
    )
    proved = certify(vae, copies, noise, eps=eps, target=target, norm=norm, method=certificate)
    attained, index = found.elbo.cummin(0)
    return Curve(
        eps=found.eps,
        clean=elbo(vae, x, noise).total.item(),
        attained=attained,
        x_adv=found.x_adv[index],
        proofs=proofs_of(proved),
    )
