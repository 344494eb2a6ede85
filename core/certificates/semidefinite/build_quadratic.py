"""The quadratic of `elbo_quadratic`, built from a relaxation and free choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.relaxations import chord_share, half_exp_form
from core.bounds.rounding import FLOAT64
from core.certificates.elbo_bounds.layer_bounds import Half, LayerBounds
from core.certificates.elbo_bounds.relaxation import Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.semidefinite.arrowhead import BlockVector
from core.certificates.semidefinite.elbo_quadratic import Quadratic, System
from core.certificates.semidefinite.zonotope import Zonotope, pull_zonotope
from core.vae.latent import kl_parabolas, kl_roundoff
from core.vae.likelihood import OneParameter
from core.vae.parabola import Parabola


@dataclass
class Choices:
    """The free parameters of the quadratic: any numbers are valid, slopes are clamped to [0, 1].

    encoder, decoder  slopes of the ReLU at each index, (1, ...) and (S, ...). sigma (k,): of exp(logvar/2).
    touch  (S, C, H, W): where the parabolas touch log p.
    scale  logarithms of D, up to the one factor that makes it dominate Q. point: p.
    """

    encoder: dict[int, Tensor]
    decoder: dict[int, Tensor]
    sigma: Tensor
    touch: Tensor
    scale: BlockVector
    point: BlockVector

    def slow(self) -> list[Tensor]:
        """What the affine forms depend on."""
        return [*self.encoder.values(), *self.decoder.values(), self.sigma]

    def fast(self) -> list[Tensor]:
        return [self.touch, self.scale.shared, self.scale.own]

    def points(self) -> list[Tensor]:
        return [self.point.shared, self.point.own]

    def to(self, dtype: torch.dtype) -> Choices:
        encoder, decoder = (
            {i: v.to(dtype) for i, v in part.items()} for part in (self.encoder, self.decoder)
        )
        sigma, touch = self.sigma.to(dtype), self.touch.to(dtype)
        return Choices(encoder, decoder, sigma, touch, self.scale.to(dtype), self.point.to(dtype))


class QuadraticBuilder:
    """The quadratic of one ball: a relaxation with B = 1 for the lower side, and bounds on every layer."""

    def __init__(self, relaxation: Relaxation, bounds: LayerBounds) -> None:
        self._relaxation, self._bounds = relaxation, bounds
        self._middle, self._radius = relaxation.ball.box.centered()

    def exact(self) -> QuadraticBuilder:
        """The same without rounding margins."""
        return QuadraticBuilder(self._relaxation.exact(), self._bounds)

    def single(self) -> QuadraticBuilder:
        """The same in float32, without rounding margins: for optimisers only."""
        return QuadraticBuilder(self._relaxation.single(), self._bounds.to(torch.float32))

    @property
    def _pixels(self) -> int:
        return len(self._middle)

    def start(self, x: Tensor, slopes: Slopes) -> Choices:
        """Choices to begin with, near those of a linear bound with its minimiser x (1, C, H, W).

        Each slope lies between the one of the chord, which leaves the smallest error, and the linear
        bound's; parabolas touch at the decoded image of x.
        """

        def shares(inputs: list[Interval], linear: dict[int, Tensor]) -> dict[int, Tensor]:
            return {i: (chord_share(inputs[i]) + share.clamp(0, 1)) / 2 for i, share in linear.items()}

        vae, a = self._relaxation.vae, self._bounds.decoder[-1]
        mu, logvar = vae.encode(x)
        z = (mu + (logvar / 2).exp() * self._relaxation.noise)[:, 0]
        touch = (vae.decode(z) - a.lower) / torch.where(a.width > 0, a.width, 1)
        choices = Choices(
            encoder=shares(self._bounds.encoder, slopes.encoder),
            decoder=shares(self._bounds.decoder, slopes.decoder),
            sigma=torch.full_like(mu[0], 0.5),
            touch=touch.clamp(0, 1),
            scale=BlockVector(mu, mu),
            point=BlockVector(mu, mu),
        )
        rows = self.quadratic(self.system(choices), choices).matrix().row_sums()
        least = rows.flat().max() * 1e-9 + 1e-30
        choices.scale = rows.map(lambda v: v.maximum(least).log())
        choices.point = rows.map(torch.zeros_like)
        away = (x.flatten() - self._middle) / torch.where(self._radius > 0, self._radius, 1)
        choices.point.shared[: self._pixels] = away.clamp(-1, 1)
        return choices

    def system(self, choices: Choices) -> System:
        """The network as affine forms, for these slopes."""
        r, vae, (_, logvar) = self._relaxation, self._relaxation.vae, self._bounds.posterior
        k, noise = vae.config.latent, r.noise[:, 0]
        encoder, decoder = self._bounds.halves(vae)
        first = self._forms(encoder, 2 * k, choices.encoder)
        rows, none = first.slope[:, 0].flatten(1), noise.new_zeros(2 * k, k)
        posterior = rows @ self._middle + first.constant[:, 0]
        spread = torch.cat([rows * self._radius, first.errors[:, 0], none], 1)
        slope, middle, radius = (v[0] for v in half_exp_form(logvar, choices.sigma))
        own = torch.diag_embed(noise * radius)
        lift = spread[:k] + (noise * slope)[..., None] * spread[k:]
        lift = torch.cat([lift[..., :-k], own], 2)
        z = posterior[:k] + noise * (slope * posterior[k:] + middle)
        second = self._forms(decoder, self._pixels, choices.decoder)
        decode, errors = second.slope.transpose(0, 1), second.errors.transpose(0, 1)
        natural = (decode @ z[..., None])[..., 0] + second.constant.T
        rounding = second.rounding.T
        if r.arithmetic.rounds:
            reach = z.abs() + lift.abs().sum(2)
            moved = first.rounding[:k, 0] + (noise * slope).abs() * first.rounding[k:, 0]
            moved = moved + FLOAT64.gamma(k + 8) * reach
            rounding = rounding + (decode.abs() @ moved[..., None])[..., 0]
            rounding = rounding + r.latent_roundoff(second.slope, self._bounds).T
        return System(posterior, spread, lift, decode, errors, natural, rounding, first.rounding[:, 0])

    def _forms(self, half: Half, count: int, shares: dict[int, Tensor]) -> Zonotope:
        output = half.inputs[-1].lower
        rows = torch.eye(count, dtype=output.dtype, device=output.device)
        rows = rows.view(count, 1, *output.shape[1:])
        return pull_zonotope(half.network, rows, half.inputs, shares, self._relaxation.arithmetic)

    def quadratic(self, s: System, choices: Choices) -> Quadratic:
        """The quadratic below the ELBO, for parabolas that touch where these choices say."""
        r, (mu, logvar) = self._relaxation, self._bounds.posterior
        draws = len(r.noise)
        a = self._bounds.decoder[-1].map(lambda v: v.flatten(1))
        p = cast(OneParameter, r.vae.likelihood).parabola(a, choices.touch.flatten(1))
        t = r.scored.map(lambda v: v.flatten())
        t, wide = (self._middle, self._radius) if r.moves else (t.center, torch.zeros_like(self._middle))
        y = s.natural - p.center
        on_a = (p.slope - 2 * p.bend * y + p.cross * t) / draws
        on_t = wide * (p.cross * s.natural.mean(0) - 2 * p.square * t)
        constant = p.constant + p.slope * y - p.bend * y**2 + p.cross * t * s.natural - p.square * t**2
        on_posterior, curve, rest = kl_parabolas(s.posterior, logvar.map(lambda v: v[0]))
        shared = ((on_a[:, None] @ s.decode) @ s.lift).sum((0, 1)) + on_posterior @ s.spread
        shared = shared + torch.cat([on_t, on_t.new_zeros(len(shared) - len(on_t))])
        linear = BlockVector(shared, (on_a[:, None] @ s.errors)[:, 0])
        size = rounding = constant.new_zeros(())
        if r.arithmetic.rounds:
            size = self._size(s, p, y, on_a, on_posterior)
            rounding = self._rounding(s, p, a, mu, logvar)
        return Quadratic(
            system=s,
            constant=constant.sum() / draws + rest.sum(),
            linear=linear,
            bend=p.bend / draws,
            cross=p.cross * wide / (2 * draws),
            square=p.square * wide**2,
            curve=curve,
            size=size,
            rounding=rounding,
        )

    def _size(self, s: System, p: Parabola, y: Tensor, on_a: Tensor, on_posterior: Tensor) -> Tensor:
        """Bound the sum of the absolute values of everything that `quadratic` adds up."""
        draws, most = len(y), 1 + self._radius.max()
        scored = p.cross * most * s.natural.abs() + 2 * p.square * most**2
        pixels = p.constant.abs() + p.slope.abs() * y.abs() + p.bend * y**2 + scored
        moves = s.decode.abs() @ s.lift.abs().sum(2, keepdim=True)
        moves = moves[..., 0] + s.errors.abs().sum(2)
        coefficients = (p.slope.abs() + 2 * p.bend * y.abs() + p.cross * most) / draws
        mu, logvar = s.posterior.chunk(2)
        variance = self._bounds.posterior[1].upper[0].exp()
        posterior = (1 + mu.abs()).square().sum() + (2 + logvar.abs()) @ (3 + variance)
        posterior = posterior + on_posterior.abs() @ s.spread.abs().sum(1)
        return pixels.sum() / draws + (coefficients * moves).sum() + posterior

    def _rounding(self, s: System, p: Parabola, a: Interval, mu: Interval, logvar: Interval) -> Tensor:
        """Bound what rounding of the network and of its score takes: all derivatives times all errors."""
        r, draws = self._relaxation, len(s.rounding)
        reach = a.map(lambda v: v - p.center).magnitude + s.rounding
        network = ((p.slope.abs() + 2 * p.bend * reach + p.cross) * s.rounding).sum() / draws
        steep = torch.cat([mu.magnitude[0], logvar.upper[0].exp() * (1 + logvar.width[0]) + 1])
        t = r.scored.map(lambda v: v.repeat(draws, 1, 1, 1))
        score = r.scoring_roundoff(t, self._bounds.decoder[-1]) / draws
        parts = (score, kl_roundoff(mu, logvar, r.arithmetic))
        lost = [torch.as_tensor(part, dtype=a.lower.dtype, device=a.lower.device).sum() for part in parts]
        return network + steep @ s.posterior_rounding + sum(lost)
