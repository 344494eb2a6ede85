"""Where a linear bound is lost: the slack of each of its relaxations, at the image where it is lowest.

There the bound says L and the ELBO is E. Nothing but relaxations lies between the two: log p was replaced
by planes, each ReLU by a line, exp(logvar / 2) and the KL term by others, and a little was given up for
rounding. What each of them is above its line, times the weight that the pass gives it, adds up to E - L.

Within l_2 certificates have a second bound, with a kink in each scored pixel in place of the planes
(core.certificates.elbo_bounds.in_ball), and may prove more than what is divided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.linear import inner, pull
from core.bounds.rounding import proved
from core.bounds.rule_table import bends, bent
from core.certificates.elbo_bounds.layer_bounds import Half, LayerBounds
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.inspection.layers import values_of
from core.inspection.relaxed import (
    LIKELIHOOD,
    Relaxed,
    relaxed_layer,
    relaxed_likelihood,
    relaxed_posterior,
)
from core.network.graph import sources_of, taken
from core.vae.latent import kl_divergence

CODE, REST = "code", "rounding"
"""Parts that are no layer, beside LIKELIHOOD, the planes below log p: exp(logvar / 2) and the KL term,
bounded together; what was given up for rounding, and in an l_2 ball for the search."""


@dataclass(frozen=True)
class Losses:
    """One linear bound, nats: elbo - proved = the sum of the parts, each at least 0 but for rounding.

    proved  the bound. point: where it is lowest, (1, C, H, W); elbo: ELBO(point).
    parts   relaxation -> its slack: LIKELIHOOD, layers by their names in Certificate.intervals, CODE, REST.
    relaxed what each part but REST is made of, unit by unit, by name; CODE is "mu" and "logvar".
    """

    method: str
    proved: float
    elbo: float
    parts: Mapping[str, float]
    point: Tensor
    relaxed: Mapping[str, Relaxed] = field(default_factory=dict)


@torch.no_grad()
def linear_losses(
    relaxation: Relaxation, bounds: LayerBounds, slopes: Slopes, mixes: Tensor, method: str
) -> Losses | None:
    """Divide the slack of the best linear bound with these slopes and mixes (R, ...), of one ball; see
    `LinearBounds.planes`.

    None where the bound is not finite: there is nothing to divide.
    """
    slope, constant, lost = LinearBounds(relaxation, bounds).planes(slopes, mixes)
    values = proved((relaxation.ball.lowest(slope) + constant - lost)[:, 0])
    best = int(values.argmax())
    if not bool(values[best].isfinite()):
        return None
    point = relaxation.ball.minimiser(slope[best].view_as(relaxation.ball.center))
    walk = _Walk(relaxation, bounds, slopes, mixes[best])
    parts, elbo = walk.down(point)
    # Whatever is lost besides: margins, and the ball's own bound where it is not exact.
    reached = (slope[best] * point.flatten(1)).sum() + constant[best, 0]
    parts[REST] = (reached - values[best]).item()
    found = Losses(method, values[best].item(), elbo, parts, point, walk.relaxed)
    finite = all(torch.tensor([found.elbo, *parts.values()], dtype=torch.float64, device="cpu").isfinite())
    return found if finite else None


class _Walk:
    """Pulls a bound back to the input, each step beside the values of the image where it is lowest.

    relaxed  what it met on its way, by name.
    """

    def __init__(self, relaxation: Relaxation, bounds: LayerBounds, slopes: Slopes, mix: Tensor) -> None:
        self._relaxation, self._bounds, self._slopes, self._mix = relaxation, bounds, slopes, mix
        self.relaxed = dict[str, Relaxed]()

    def down(self, point: Tensor) -> tuple[dict[str, float], float]:
        """The slacks by part, and ELBO(point)."""
        r, bounds, slopes = self._relaxation, self._bounds, self._slopes
        vae, noise, weight = r.vae, r.noise, r.weight
        draws, seen = len(noise), values_of(vae, point, noise)
        a, value = bounds.decoder[-1], seen.decoder[-1].lower
        t = r.scored.map(lambda v: v.repeat(draws, 1, 1, 1))
        scored = (point if r.moves else r.scored.lower).repeat(draws, 1, 1, 1)
        log_p = weight * vae.likelihood.log_prob(scored, value).sum() / draws
        on_a, on_t, constant = (v / draws for v in vae.likelihood.plane(t, a, self._mix[None], weight))
        parts = {LIKELIHOOD: (log_p - (on_a * value + on_t * scored + constant).sum()).item()}
        pixels = relaxed_likelihood(r, (t, a), self._mix, (scored, value))
        if pixels is not None:
            self.relaxed[LIKELIHOOD] = pixels
        encoder, decoder = bounds.halves(vae)
        rows = self._through(decoder, on_a, seen.decoder, slopes.decoder, parts)
        rows = rows.unflatten(1, (draws, -1))
        on_mu, scale = rows.sum(1), (rows * noise).sum(1)
        mu, logvar = (x.lower for x in seen.posterior)
        kl = kl_divergence(mu, logvar)
        linear = LinearBounds(r.exact(), bounds)
        back, more, _ = linear.pull_posterior(on_mu, scale, slopes)
        held = inner(on_mu, mu) + inner(scale, (logvar / 2).exp()) - weight * kl
        parts[CODE] = (held - inner(back, seen.encoder[-1].lower) - more).sum().item()
        on_square, on_logvar = linear.posterior_slopes(scale, slopes)
        for found in relaxed_posterior(
            r, bounds, scale[0], (on_square[0], on_logvar[0]), slopes.box_multipliers, (mu, logvar)
        ):
            self.relaxed[found.name] = found
        self._through(encoder, back, seen.encoder, slopes.encoder, parts)
        return parts, (log_p - weight * kl.sum()).item()

    def _through(
        self,
        half: Half,
        rows: Tensor,
        seen: list[Interval],
        shares: dict[int, Tensor],
        parts: dict[str, float],
    ) -> Tensor:
        """Pull rows back through a network; adds the slack of each relaxation in it to `parts`. Rows on a
        value that several operations take are summed."""
        network = half.network
        pending = {len(network): rows}
        for index in reversed(range(len(network))):
            if index + 1 not in pending:
                continue
            rows, sources, layer = pending.pop(index + 1), sources_of(network, index), network[index]
            back, constant = pull(layer, rows, taken(network, index, half.inputs), shares.get(index))
            backs = (back,) if len(sources) == 1 else back
            if bends(layer):
                name, inputs = half.names[index], [half.inputs[source] for source in sources]
                values = [seen[source].lower for source in sources]
                found = relaxed_layer(name, layer, inputs, shares.get(index), values, rows[0])
                self.relaxed[name], parts[name] = found, found.cost.sum().item()
            elif bent(layer, sources):
                values = [seen[source].lower for source in sources]
                held = inner(rows, layer(*values)) - inner(backs[0], values[0]) - constant
                parts[half.names[index]] = held.sum().item()
            for source, part in zip(sources, backs, strict=True):
                if part is None:
                    continue
                pending[source] = pending[source] + part if source in pending else part
        return pending[0] if 0 in pending else rows.new_zeros(len(rows), *half.inputs[0].lower.shape)
