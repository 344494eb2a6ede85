"""What an attack minimises: the ELBO over the same draws that the certificate bounds, or its negative."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.vae.elbo import elbo_terms
from core.vae.model import VAE
from core.vae.threat import SIGN
from core.vae.validate import check_home

Loss = Callable[[Tensor], Tensor]
"""A differentiable function of points (N, C, H, W), giving (N,)."""


class Evaluation:
    """SIGN * ELBO at N points: `point` (N, C, H, W), `value` (N,) nats, and on demand a gradient."""

    def __init__(self, objective: Objective, point: Tensor, graph: Tensor) -> None:
        self.point, self.value = point.detach(), graph.detach()
        self._objective, self._graph = objective, (point, graph)

    @property
    def elbo(self) -> Tensor:
        """The ELBO itself, (N,) nats."""
        return self._objective.sign * self.value

    def gradient(self) -> Tensor:
        """d value / d x', shape of the point. Can be asked for once; leaves none on the weights."""
        point, graph = self._graph
        return self._objective.differentiate(graph, point)


class Objective:
    """SIGN * ELBO(x'; t, noise) as a function of x', in the precision of the model that is handed in.

    An attack makes it small: the ELBO itself for side "lower", its negative for side "upper".

    noise (S, k) is shared by all images; t (B, C, H, W) is the clean image, or None for t = x'.
    `gradients` counts the rows that were differentiated, of this and of any other loss.

    Differentiated with respect to x' itself: nothing is clamped inside the graph, because a clamp
    kills the gradient of every pixel that sits on 0 or 1, two thirds of an MNIST image.
    """

    def __init__(self, vae: VAE, noise: Tensor, t: Tensor | None, side: str = "lower") -> None:
        self.gradients, self.sign = 0, SIGN[side]
        dtype = check_home(vae).dtype
        self._vae, self._noise = vae, noise.to(dtype)[:, None]
        self._t = None if t is None else t.to(dtype)

    @torch.enable_grad()
    def __call__(self, x: Tensor) -> Evaluation:
        """x (K * B, C, H, W): K candidates of the B images, the images of one candidate in a row."""
        x = x.detach().requires_grad_(True)
        inner = x.to(self._noise.dtype)
        t = inner if self._t is None else self._t.repeat(len(x) // len(self._t), 1, 1, 1)
        # A copy goes in: a first layer that works in place would change what is differentiated.
        recon, kl = elbo_terms(self._vae, inner.clone(), self._noise, t)
        return Evaluation(self, x, self.sign * (recon - kl))

    @torch.enable_grad()
    def slope(self, loss: Loss, x: Tensor) -> Tensor:
        """d loss / d x' of another loss than the ELBO, shape of x."""
        x = x.detach().requires_grad_(True)
        return self.differentiate(loss(x.clone()), x)  # for layers that work in place

    def differentiate(self, graph: Tensor, point: Tensor) -> Tensor:
        """Gradient of each graph (N,) with respect to its point; a value that is no number becomes 0."""
        self.gradients += len(point)
        (slope,) = torch.autograd.grad(graph.sum(), point)
        return slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
