"""The question that a certificate answers, checked and in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval, propagate
from core.bounds.linear import pull, roundoff
from core.bounds.rounding import ARITHMETICS, Arithmetic
from core.bounds.rule_table import ByKind, name_of
from core.certificates.elbo_bounds.relaxation import Relaxation
from core.certificates.methods import FORMS, Effort
from core.certificates.semidefinite.zonotope import has_exact_form
from core.errors import UnsupportedLayerError
from core.network.graph import Graph
from core.vae.consistency import check_agreement, check_structure
from core.vae.elbo import as_double
from core.vae.likelihood import OneParameter
from core.vae.model import VAE
from core.vae.threat import Threat
from core.vae.validate import check_images, check_noise, check_weights


@dataclass(frozen=True)
class Question:
    """What a certificate is asked: of B images, each with its ball, under S draws.

    vae    the model in float64. ball: covers what float32 rounding of x +- eps can reach.
    noise  (S, 1, k). clean: (B, C, H, W) for target "reconstruction", None for t = x'.
    asked  the balls (B,) that were asked for, which `ball` covers.
    """

    vae: VAE
    ball: Ball
    noise: Tensor
    clean: Tensor | None
    asked: Ball
    threat: Threat
    effort: Effort

    @property
    def weight(self) -> int:
        """+1 where the ELBO is bounded from below, -1 where -ELBO is."""
        return self.threat.sign

    @property
    def arithmetic(self) -> Arithmetic:
        """The one of the forward pass that the bound has to cover."""
        return ARITHMETICS[self.effort.arithmetic]

    @property
    def scored(self) -> Interval:
        """The box of the image that is scored."""
        return self.ball.box if self.clean is None else Interval(self.clean, self.clean)

    def relaxation(self, part: slice = slice(None), noise: Tensor | None = None) -> Relaxation:
        """The ELBO graph of some of the images, over these draws or others (S, 1, k)."""
        ball = Ball(self.ball.center[part], self.ball.eps[part], self.ball.norm)
        clean = None if self.clean is None else self.clean[part]
        draws = self.noise if noise is None else noise
        return Relaxation(self.vae, ball, draws, clean, self.weight, self.arithmetic)


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
    for network in (vae.encoder, vae.decoder):
        if method in FORMS and isinstance(network, Graph):
            raise UnsupportedLayerError(
                f"Method {method!r} is of networks whose layers are a chain, and in this one a value goes "
                "more than one way; use 'alpha-crown'."
            )
    if method in FORMS and not isinstance(vae.likelihood, OneParameter):
        raise UnsupportedLayerError(
            f"Method {method!r} bounds log p by parabolas in one natural parameter a pixel, and a learned "
            "variance is a second one; use 'alpha-crown'."
        )
    for layer in (*vae.encoder, *vae.decoder):
        if method in FORMS and not has_exact_form(layer):
            raise UnsupportedLayerError(
                f"Method {method!r} needs an exact affine form of each layer, and {name_of(layer)} "
                "has linear bounds only; use 'alpha-crown'."
            )


def check_question(vae: VAE, x: Tensor, noise: Tensor, threat: Threat, effort: Effort) -> Question:
    """What `core.certify` is asked, checked. Raises InputError, UnsupportedLayerError."""
    check_structure(vae)
    check_weights(vae, ARITHMETICS[effort.arithmetic].largest)
    check_layers(vae, effort.method)
    x, noise = check_images(vae, x), check_noise(vae, noise)
    asked = threat.balls(x)
    model = as_double(vae).requires_grad_(False)
    check_agreement(model, x.double(), noise.double()[:1])
    ball = asked.cover()
    asked = Ball(ball.center, asked.eps, asked.norm)
    return Question(model, ball, noise.double()[:, None], threat.scored(x.double()), asked, threat, effort)


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
) -> Question:
    """The same from keywords, as `core.certify` takes them."""
    threat = Threat(eps, target, norm, side)
    return check_question(vae, x, noise, threat, Effort(method, arithmetic))
