"""The question that a certificate answers, checked and in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.bounds.ball import NORMS, Ball
from core.bounds.interval import Interval, propagate
from core.bounds.linear import pull, roundoff
from core.bounds.rounding import ARITHMETICS
from core.bounds.rule_table import ByKind
from core.certificates.certificate import SIDES, SIGN
from core.certificates.elbo_bounds.relaxation import Relaxation
from core.certificates.methods import FORMS, METHODS
from core.certificates.semidefinite.zonotope import has_exact_form
from core.errors import UnsupportedLayerError
from core.vae.consistency import check_agreement, check_structure
from core.vae.elbo import as_double
from core.vae.model import VAE
from core.vae.validate import (
    check_choice,
    check_eps,
    check_images,
    check_noise,
    check_target,
    check_weights,
)


@dataclass(frozen=True)
class Problem:
    """B images, each with its ball, under S draws.

    vae    the model in float64. ball: covers what float32 rounding of x +- eps can reach.
    noise  (S, 1, k). clean: (B, C, H, W) for target "reconstruction", None for t = x'.
    eps    (B,) as asked for.
    """

    vae: VAE
    ball: Ball
    noise: Tensor
    clean: Tensor | None
    eps: Tensor
    target: str
    method: str
    side: str
    arithmetic: str

    @property
    def weight(self) -> int:
        """+1 where the ELBO is bounded from below, -1 where -ELBO is."""
        return SIGN[self.side]

    @property
    def asked(self) -> Ball:
        """The balls that were asked for, which `ball` covers."""
        return Ball(self.ball.center, self.eps, self.ball.norm)

    @property
    def scored(self) -> Interval:
        """The box of the image that is scored."""
        return self.ball.box if self.clean is None else Interval(self.clean, self.clean)

    def relaxation(self, part: slice = slice(None), noise: Tensor | None = None) -> Relaxation:
        """The ELBO graph of some of the images, over these draws or others (S, 1, k)."""
        ball = Ball(self.ball.center[part], self.ball.eps[part], self.ball.norm)
        clean = None if self.clean is None else self.clean[part]
        draws = self.noise if noise is None else noise
        return Relaxation(self.vae, ball, draws, clean, self.weight, ARITHMETICS[self.arithmetic])


def check_layers(vae: VAE, method: str) -> None:
    """Raises UnsupportedLayerError for a layer that the method has no rule for."""
    needed: dict[str, ByKind[..., Any]] = {"core.bounds.interval.propagate": propagate}
    if method != "ibp":
        needed |= {"core.bounds.linear.pull": pull, "core.bounds.linear.roundoff": roundoff}
    for name, rules in needed.items():
        for layer in (*vae.encoder, *vae.decoder):
            if not rules.knows(layer):
                raise UnsupportedLayerError(
                    f"Method {method!r} has no rule for layer {type(layer).__name__}; register one with "
                    f"{name}.register."
                )
    for layer in (*vae.encoder, *vae.decoder):
        if method in FORMS and not has_exact_form(layer):
            raise UnsupportedLayerError(
                f"Method {method!r} needs an exact affine form of each layer, and {type(layer).__name__} "
                "has linear bounds only; use 'alpha-crown'."
            )


def pose(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    eps: float | Tensor,
    *,
    target: str,
    method: str,
    norm: str,
    side: str,
    arithmetic: str,
) -> Problem:
    """Check the arguments of `core.certify`. Raises InputError, UnsupportedLayerError."""
    check_choice("method", method, METHODS)
    check_choice("norm", norm, NORMS)
    check_choice("side", side, SIDES)
    check_choice("arithmetic", arithmetic, tuple(ARITHMETICS))
    check_target(target)
    check_structure(vae)
    check_weights(vae, ARITHMETICS[arithmetic].largest)
    check_layers(vae, method)
    x, noise = check_images(vae, x), check_noise(vae, noise)
    radius = check_eps(eps, x, norm)
    model = as_double(vae).requires_grad_(False)
    check_agreement(model, x.double(), noise.double()[:1])
    clean = None if target == "likelihood" else x.double()
    ball = Ball(x, radius, norm).cover()
    return Problem(model, ball, noise.double()[:, None], clean, radius, target, method, side, arithmetic)
