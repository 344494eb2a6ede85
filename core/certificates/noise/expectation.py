"""Certificates beyond fixed draws: on the expectation over the noise, and on a fresh draw of it.

    h(noise) = min over x' in the ball of log p(t | a(z(x', noise))),     noise ~ N(0, I_k)

Any lower bound of E[h] - max KL is one of E[ELBO(x'; t, noise)] for every x' in the ball. Interval
propagation gives g(noise) <= h(noise) for one draw, and G_c <= h(noise) for all noise in a box c at once.
For any number tau that is fixed before the sample,

    E[h] >= E[max(h, tau)] - E[(tau - h)+] >= E[max(g, tau)] - E[(tau - h)+]

The first term is estimated from draws with a floor of tau (statistics.mean_lower), the second one is
bounded by nested boxes (NestedBoxes). tau trades one for the other.

Draws are taken to be independent and exactly normal. Rounding of the network is covered as in
`Certificate`, in the last box, which noise leaves with a probability below 1e-17 k; beyond it
rounding may double the values, but an overflow there (noise above 1e30 in float32) is left out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval, propagate_through
from core.bounds.rounding import Arithmetic, proved
from core.certificates.elbo_bounds.layer_bounds import latent_bounds
from core.certificates.noise.statistics import check_level, check_sample, mean_lower, quantile_lower
from core.certificates.noise.truncation import nested_boxes, recon_lower
from core.errors import InputError
from core.vae.latent import kl_upper
from core.vae.model import VAE
from core.vae.validate import check_count, check_seed

# Images x draws that go through the decoder at once; more are slower, they leave the cache.
_ROWS = 256

Progress = Callable[[int, int], None]
"""Called with (draws done, of how many); raise in it to cancel."""

Refine = Callable[[Tensor], Tensor]
"""noise (S, k) -> (G, B), in nats: lower bounds over the ball on the mean ELBO of each of G runs of S / G
consecutive draws."""


def recon_draws(
    vae: VAE,
    posterior: Interval,
    noise: Tensor,
    scored: Interval | Ball,
    arithmetic: Arithmetic,
    progress: Callable[[int], None],
) -> Tensor:
    """g for each draw, (S, B), a chunk of draws at a time; noise (S, k), scored as in `recon_lower`."""
    parts, done = [], 0
    for chunk in noise.split(max(1, _ROWS // len(posterior.lower))):
        z = latent_bounds(posterior, chunk[:, None], arithmetic)
        parts.append(recon_lower(vae, z, scored, arithmetic))
        done += len(chunk)
        progress(done)
    return torch.cat(parts)


def _scored(ball: Ball, t: Interval) -> Interval | Ball:
    """Where the scored image is: within l_2 the ball itself, whose box is many times as large."""
    box = ball.box
    same = torch.equal(t.lower, box.lower) and torch.equal(t.upper, box.upper)
    return ball if same and ball.norm == "l2" else t


def _encode(
    vae: VAE, ball: Ball, posterior: Interval | None, kl: Tensor | None, arithmetic: Arithmetic
) -> tuple[Interval, Tensor]:
    """Bounds on mu and logvar, (B, 2k), and an upper bound on the KL, (B,)."""
    if posterior is None:
        posterior = propagate_through(vae.encoder, ball.box, arithmetic)[-1]
    mu, logvar = posterior.chunk(2)
    kl = kl_upper(mu, logvar, arithmetic) if kl is None else kl
    return posterior, kl.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf)


def _normal(draws: int, latent: int, seed: int, device: torch.device) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(check_seed(seed))
    noise = torch.randn(draws, latent, generator=generator, dtype=torch.float64, device="cpu")
    return noise.to(device)


def _gain(tight: Tensor, base: Tensor) -> Tensor:
    """What tight bounds on G runs, (G, B), add to the bounds on each draw, (S, B)."""
    runs = len(tight)
    if runs < 1 or len(base) % runs or tight.shape[1:] != base.shape[1:]:
        raise InputError(
            f"refine gave {tuple(tight.shape)} for {tuple(base.shape)}; give (G, B), G dividing S."
        )
    gain = proved(tight) - base.unflatten(0, (runs, -1)).mean(1)
    return gain.nan_to_num(nan=0.0, posinf=0.0).clamp(min=0)


@torch.no_grad()
def expectation_lower(
    vae: VAE,
    ball: Ball,
    t: Interval,
    *,
    draws: int,
    alpha: float,
    seed: int,
    arithmetic: Arithmetic,
    posterior: Interval | None = None,
    kl: Tensor | None = None,
    refine: Refine | None = None,
    refine_draws: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Lower bounds (B,), in nats, on E_noise[ELBO(x'; t, noise)] for every x' in the ball.

    Each holds with probability at least 1 - alpha over the draws, image by image; nothing is claimed of
    all images at once. The seed has to be chosen before looking at results.

    vae         in float64 (core.vae.elbo.as_double); ball covers rounding (Ball.cover).
    t           box of the scored image: that of the ball, or the clean image.
    draws       how many interval draws; 16,384 or more, they are cheap.
    arithmetic  what the bound has to cover.
    posterior   bounds on mu and logvar over the ball, (B, 2k), if better ones are known: they serve all.
    kl          (B,) upper bound on the KL over the ball, if a better one is known.
    refine      a tighter bound for each draw, by the two-level estimate below.
    refine_draws  how many draws it is asked for, in one call.

    With f = min over the ball of the mean ELBO of a run of draws, base = the mean of max(g, tau) - kl in
    that run and gain = (refine - base)+ >= 0: f + mean of (tau - h)+ >= base + gain in every run, hence
    E[ELBO(x')] >= E[f] >= E[base] + E[gain] - E[(tau - h)+]. Each mean gets its own draws and alpha / 2;
    the gain is small and has 0 for a floor, so that few runs are enough, each with its own adversary.

    -inf where nothing is proved. Raises InputError for arguments that are not as above.
    """
    if check_count("draws", draws) < 2:
        raise InputError("draws is 1; a bound on an expectation needs at least 2.")
    check_level("alpha", alpha)
    extra = 0 if refine is None else check_count("refine_draws", refine_draws)
    share = alpha if refine is None else alpha / 2
    posterior, kl = _encode(vae, ball, posterior, kl, arithmetic)
    scored = _scored(ball, t)
    boxes = nested_boxes(vae, posterior, scored, arithmetic)
    tau = boxes.floor(draws, share)

    def report(done: int) -> None:
        if progress is not None:
            progress(done, draws + extra)

    noise = _normal(draws + extra, vae.config.latent, seed, tau.device)
    recon = recon_draws(vae, posterior, noise[:draws], scored, arithmetic, report).maximum(tau)
    parts = [mean_lower(recon, tau, share), -boxes.truncation(tau), -kl]
    if refine is not None:
        rest = noise[draws:]
        base = recon_draws(vae, posterior, rest, scored, arithmetic, lambda done: None).maximum(tau) - kl
        parts.append(mean_lower(_gain(refine(rest), base), torch.zeros_like(kl), share))
        report(draws + extra)
    terms = torch.stack(parts)
    # 1e-13: the differences above, and this sum, are rounded.
    return proved(terms.sum(0) - 1e-13 * terms.abs().sum(0))


@torch.no_grad()
def coverage_lower(
    vae: VAE,
    ball: Ball,
    t: Interval,
    *,
    draws: int,
    delta: float,
    alpha: float,
    seed: int,
    arithmetic: Arithmetic,
    posterior: Interval | None = None,
    kl: Tensor | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Bounds (B,), in nats, that a fresh draw of the noise keeps with probability at least 1 - delta:

        P_noise[ ELBO(x'; t, noise) >= bound for every x' in the ball ] >= 1 - delta,

    joint over the k latent dimensions, itself with confidence 1 - alpha over the draws, image by image.
    As in CIVET (Xu et al. 2025), but with a certificate for each draw in place of a box of noise, so
    that nothing is lost to a union bound over the dimensions: an order statistic of the certified
    values (core.certificates.noise.statistics.quantile_lower).

    The other arguments are those of `expectation_lower`. Raises InputError where `draws` is too small
    for delta and alpha, with the smallest number that suffices.
    """
    check_sample(check_count("draws", draws), delta, alpha)
    posterior, kl = _encode(vae, ball, posterior, kl, arithmetic)

    def report(done: int) -> None:
        if progress is not None:
            progress(done, draws)

    noise = _normal(draws, vae.config.latent, seed, kl.device)
    recon = recon_draws(vae, posterior, noise, _scored(ball, t), arithmetic, report)
    values = recon - kl - 1e-13 * (recon.abs() + kl)
    return quantile_lower(proved(values), delta, alpha)
