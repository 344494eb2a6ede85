"""What an attack minimises: the same ELBO, over the same draws, that the certificate bounds."""

from __future__ import annotations

import torch
from torch import Tensor

from core.elbo import elbo_terms
from core.model import VAE


class Evaluation:
    """ELBO at one batch of points: `value` (B,), and on demand its gradient."""

    def __init__(self, point: Tensor, graph: Tensor) -> None:
        self.point, self.value, self._graph = point.detach(), graph.detach(), (point, graph)

    def gradient(self) -> Tensor:
        """d ELBO / d x', shape of the point. Can be asked for once; leaves none on the weights."""
        point, graph = self._graph
        (slope,) = torch.autograd.grad(graph.sum(), point)
        return slope


class Objective:
    """ELBO(x'; t, noise) as a function of x', in the network's own precision.

    noise (S, k) is shared by all images; t is the clean image, or None for t = x'.

    Differentiated with respect to x' itself: nothing is clamped inside the graph, because a clamp
    kills the gradient of every pixel that sits on 0 or 1, two thirds of an MNIST image.
    """

    def __init__(self, vae: VAE, noise: Tensor, t: Tensor | None) -> None:
        self._vae, self._noise, self._t = vae, noise[:, None], t

    @torch.enable_grad()
    def __call__(self, x: Tensor) -> Evaluation:
        x = x.detach().requires_grad_(True)
        recon, kl = elbo_terms(self._vae, x, self._noise, x if self._t is None else self._t)
        return Evaluation(x, recon - kl)
