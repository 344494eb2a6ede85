"""What interval propagation proves for all noise at once: nested boxes, and growth beyond the last.

h(noise) = min over x' in the ball of log p(t | a(z(x', noise))), as in core.certificates.noise.expectation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval
from core.bounds.rounding import Arithmetic, proved
from core.certificates.elbo_bounds.layer_bounds import latent_bounds
from core.certificates.elbo_bounds.robust_elbo import recon_in_ball, recon_of_codes
from core.certificates.noise.growth import check_growth, reach_of
from core.certificates.noise.statistics import floor_price
from core.vae.model import VAE

# Half widths of the nested noise boxes, in standard deviations, for the dimension that matters most.
_WIDTHS = tuple(2.5 + 0.25 * j for j in range(27))


@dataclass(frozen=True)
class NestedBoxes:
    """What is proved on h for all noise at once, for B images.

    half_widths  (J, B, k): nested boxes |noise_i| <= c_i, growing with J.
    lowest       (J, B): h >= lowest[j] on box j; non-increasing in j.
    growth       (B,): outside of the last box h >= -growth * max_i (noise_i / c_i)^2.
    """

    half_widths: Tensor
    lowest: Tensor
    growth: Tensor

    def truncation(self, tau: Tensor) -> Tensor:
        """Upper bound on E[(tau - h)+]; tau (..., B) -> (..., B).

        With v_j = (tau - lowest[j])+ and p_j = P(noise outside of box j), summation by parts over
        what lies between two boxes gives at most v_0 + sum_j (v_j+1 - v_j) p_j.
        The probabilities are exact and joint: 1 - p_j = prod_i erf(c_i / sqrt 2).

        Beyond the last box r = max_i |noise_i| / c_i > 1 is attained at some i with |noise_i| > c_i,
        so E[r^2; r > 1] <= sum_i E[noise_i^2; |noise_i| > c_i] / c_i^2, and
        E[n^2; |n| > c] = erfc(c / sqrt 2) + 2 c phi(c).
        """
        c = self.half_widths
        beyond = torch.erfc(c / math.sqrt(2))  # P(|noise_i| > c_i)
        outside = -torch.expm1(torch.log1p(-beyond).sum(-1))
        loss = (tau[..., None, :] - self.lowest).clamp(min=0)
        steps = loss[..., 1:, :] - loss[..., :-1, :]
        inner = loss[..., 0, :] + (steps * outside[:-1]).sum(-2)
        density = torch.exp(-(c[-1] ** 2) / 2) * math.sqrt(2 / math.pi)
        squares = ((beyond[-1] + c[-1] * density) / c[-1] ** 2).sum(-1)
        cost = inner + tau.abs() * beyond[-1].sum(-1) + self.growth * squares
        # Rounding: relative in sums of positive terms, absolute in the steps.
        return (cost * (1 + 1e-9) + 1e-15 * loss[..., -1, :]).nan_to_num(nan=torch.inf, posinf=torch.inf)

    def floor(self, draws: int, alpha: float) -> Tensor:
        """The tau (B,) with the least predicted cost; any other choice would be as sound.

        When the floor is far away `mean_lower` loses (mean - tau) floor_price(alpha) / draws.
        Both parts are convex and piecewise linear in tau: the best is one of `lowest`.
        """
        price = floor_price(alpha) / draws
        best = (self.truncation(self.lowest) - price * self.lowest).nan_to_num(nan=torch.inf).argmin(0)
        return self.lowest.gather(0, best[None])[0]


def nested_boxes(
    vae: VAE, posterior: Interval, scored: Interval | Ball, arithmetic: Arithmetic
) -> NestedBoxes:
    """Nested noise boxes and what interval propagation proves on each; posterior (B, 2k), scored as in
    `recon_lower`.

    A dimension that the decoder hardly uses gets a wider interval: it costs little in the bound, and
    less in probability. Minimising sum_i s_i c_i for a given sum_i P(|noise_i| > c_i) asks for a normal
    density at c_i that is proportional to s_i: c_i^2 = c^2 + 2 log(max s / s_i). s_i is the sum over the
    outputs of |W| ... |W| e_i sigma_i. Any widths are sound.
    """
    check_growth(vae)
    mu, logvar = posterior.chunk(2)
    sigma = (logvar.upper / 2).exp()
    unit = torch.eye(sigma.shape[-1], dtype=sigma.dtype, device=sigma.device)
    use = sigma * reach_of(vae.decoder, unit, biases=False).flatten(1).sum(1)
    share = (use / use.amax(-1, keepdim=True)).nan_to_num(nan=1.0).clamp(min=1e-12)
    base = torch.tensor(_WIDTHS, dtype=sigma.dtype, device=sigma.device)[:, None, None]
    widths = (base**2 - 2 * share.log()).sqrt()
    low, high = (latent_bounds(posterior, end, arithmetic) for end in (-widths, widths))
    lowest = recon_lower(vae, Interval(low.lower, high.upper), scored, arithmetic).cummin(0).values
    size = mu.magnitude + sigma * widths[-1]
    t = scored.box if isinstance(scored, Ball) else scored
    return NestedBoxes(widths, lowest, _growth(vae, size, t))


def _growth(vae: VAE, size: Tensor, t: Interval) -> Tensor:
    """K (B,) with |log p| <= r^2 K for every |z| <= r size and every r >= 1; size (B, k).

    |layer(v)| <= |W| |v| + |b| <= r (|W| V + |b|) for |v| <= r V, and others alike
    (core.certificates.noise.growth), so that the natural parameters stay below r A. And
    Likelihood.magnitude, which bounds |log p|, grows by at most r^2 from [-A, A] to [-r A, r A]: t |a| and
    softplus(a) by r, (|t| + |a|)^2 by r^2. The factor 4 = 2^2 is for rounding.
    """
    reach = reach_of(vae.decoder, size, biases=True)
    return 4 * vae.likelihood.magnitude(t, Interval(-reach, reach))


def recon_lower(vae: VAE, z: Interval, scored: Interval | Ball, arithmetic: Arithmetic) -> Tensor:
    """Lower bounds on the reconstruction term, (S, B), for z (S * B, k); -inf where nothing is proved.

    scored  the image that is scored: its box, or the l_2 ball that it is in.
    """
    if isinstance(scored, Ball):
        return proved(recon_in_ball(vae, z, scored, arithmetic))
    return proved(recon_of_codes(vae, z, scored, 1, 1, arithmetic))
