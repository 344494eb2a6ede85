"""A linear bound on the ELBO whose part at the likelihood knows that the scored image is in an l_2 ball.

Where x' is scored itself, log p(x' | a) has a product of the image and the natural parameters in it. A
plane below it over the box of each pixel pays for every pixel as if it moved by eps; in an l_2 ball their
moves d have |d| <= eps together. SDP-CROWN's idea (arXiv 2506.06665, Theorem 4.1), which puts the
multiplier of a ball where linear bounds put a box, applied to the likelihood. About any image tau,

    log p(t | a) = log p(tau | a) + <g(a), t - tau> - b(a) |t - tau|^2,      0 <= b(a) <= b

for all likelihoods here. The first term has a plane in a alone, as for a fixed image. With g(a) within
middle -+ reach the second is at least <middle, t - tau> - <reach, |t - tau|>, linear but for a kink in each
pixel, and is carried to the image as it is: there it joins what decoder and encoder pass on, and all of it
is minimised at once, with one multiplier for the ball (core.bounds.kinked). The third is at least

    -b (eps^2 + 2 <t - x, x - tau> + |x - tau|^2),      x the centre of the ball

and of -log p it is left out. Any tau is valid: the centre, or what an optimiser has found.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.kinked import Kinked
from core.bounds.relaxations import unit
from core.bounds.rounding import ELEMENTARY, FLOAT64
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes


def applies(relaxation: Relaxation) -> bool:
    """Whether the scored image is one of an l_2 ball."""
    return relaxation.moves and relaxation.ball.norm == "l2"


def is_followed(linear: LinearBounds) -> bool:
    """Whether slopes are better optimised for this bound: not where log p bends and is bounded from above,
    for the bend is left out there."""
    r = linear.relaxation
    if not applies(r) or r.weight > 0:
        return applies(r)
    x, a = r.ball.center.repeat(len(r.noise), 1, 1, 1), linear.bounds.decoder[-1]
    return not bool((r.vae.likelihood.moved(x, a)[1] > 0).any())


def central_mix(relaxation: Relaxation, natural: Tensor) -> Tensor:
    """The mix, shape of the natural parameters, with `touched` at the centre, where optimisers start."""
    mix = torch.full_like(natural, 0.5)
    if applies(relaxation) and relaxation.weight > 0:
        t = relaxation.scored
        share = torch.where(t.width > 0, (relaxation.ball.center - t.lower) / t.width, 0.5)
        mix[:, : t.lower.shape[1]] = share.repeat(len(relaxation.noise), 1, 1, 1)
    return mix


def touched(relaxation: Relaxation, slopes: Slopes) -> Tensor:
    """tau, (B, C, H, W): the image that the mean over the draws of the mix picks from the box, as each
    draw's does for a plane below log p; the centre where there is none, and above log p."""
    x, t = relaxation.ball.center, relaxation.scored
    if slopes.mix is None or relaxation.weight < 0:
        return x
    share = unit(slopes.mix)[:, : x.shape[1]].unflatten(0, (len(relaxation.noise), -1)).mean(0)
    return t.lower + share * t.width


def kinked(linear: LinearBounds, slopes: Slopes, mixes: Tensor) -> tuple[Kinked, Tensor, Tensor]:
    """R bounds, weight * ELBO(x') >= f(x') + constant - rounding in the ball: f, (R, B), (R, B). One for
    each of mixes (R, S * B or 1, C, H, W), as in `LinearBounds.planes`."""
    r, draws, a = linear.relaxation, len(linear.relaxation.noise), linear.bounds.decoder[-1]
    x, tau = r.ball.center, touched(r, slopes)
    if r.weight > 0 and a.lower.shape[1] == x.shape[1]:
        mixes = mixes[:1]  # of one parameter a pixel there is one best plane where the image is fixed
    at = tau.repeat(draws, 1, 1, 1)
    on_a, on_t, constant = r.vae.likelihood.plane(Interval(at, at), a, mixes, r.weight)
    slope, bend = r.vae.likelihood.moved(at, a)
    middle, reach = r.weight * slope.center, slope.radius
    bend = (bend if r.weight > 0 else torch.zeros_like(bend)).view(-1, 1, 1, 1)
    away = (x - tau).repeat(draws, 1, 1, 1)
    constant = constant + (on_t - middle) * at + bend * away * (x.repeat(draws, 1, 1, 1) + at)
    on_t = (middle - 2 * bend * away).expand_as(constant)
    pulled = linear.to_image(on_a / draws, on_t / draws, constant / draws, slopes)
    on_x, on_t, constant, lost = pulled
    bent = bend.view(draws, -1).mean(0) * r.ball.eps**2
    reach = (reach / draws).unflatten(0, (draws, -1)).sum(0).flatten(1)
    if r.arithmetic.rounds:
        # The middle and the reach, their sums over the draws, what was added for the bend, and its sums.
        g = FLOAT64.gamma(8 * x[0].numel() + draws + 4 * ELEMENTARY)
        steep = (slope.magnitude / draws).unflatten(0, (draws, -1)).sum(0).flatten(1)
        reach = reach + FLOAT64.gamma(draws + 2 * ELEMENTARY) * steep
        moved = bend.view(draws, -1).mean(0) * (3 * x[0].numel() + r.ball.eps**2)
        lost = lost + g * (2 * steep.sum(1) + moved)
    f = Kinked(on_x + on_t, reach.expand_as(on_x), tau.flatten(1))
    return f, constant - bent, lost


def bound(linear: LinearBounds, slopes: Slopes) -> Tensor:
    """Lower bound on weight * ELBO over the ball, (B,)."""
    assert slopes.mix is not None
    f, constant, lost = kinked(linear, slopes, unit(slopes.mix)[None])
    return f.lowest(linear.relaxation.ball, linear.relaxation.arithmetic.rounds)[0] + (constant - lost)[0]


def best(linear: LinearBounds, slopes: Slopes) -> Tensor:
    """The better one of that and a plane's bound where the scored image is one of an l_2 ball, else the
    plane's, (B,)."""
    plane = linear.bound(slopes)
    return torch.maximum(plane, bound(linear, slopes)) if applies(linear.relaxation) else plane
