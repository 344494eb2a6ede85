"""Attacks of the literature on VAEs: they pursue another goal, and are judged by the ELBO they attain."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from core.attacks.base import Problem, Proposals
from core.attacks.gradient import PGD
from core.attacks.objective import Evaluation
from core.vae.elbo import sample_noise
from core.vae.latent import reparameterise
from core.vae.model import VAE


class Surrogate(PGD):
    """PGD on another loss than the ELBO, which costs a forward pass more a step.

    After the clean image is scored, every run starts at an extra start or at a random point: at the
    clean image itself the distances that are maximised here have no slope.
    """

    directed = False

    def evaluations(self, starts: int) -> int:
        return 1 + super().evaluations(starts)

    def search(self, problem: Problem) -> Proposals:
        yield problem.ball.center
        for start in self.other_starts(problem, self.restarts):
            yield from self.descend(problem, start)

    def slope(self, problem: Problem, evaluation: Evaluation) -> Tensor:
        return problem.objective.slope(lambda x: self.loss(problem, x), evaluation.point)

    @abstractmethod
    def loss(self, problem: Problem, x: Tensor) -> Tensor:
        """What is minimised in place of the ELBO; x (B, C, H, W) -> (B,), differentiable."""


class Latent(Surrogate):
    """Moves the posterior as far away as it can: max SKL(q(z|x'), q(z|x)).

    The unsupervised attack of Kuzina et al. 2022 (arXiv 2203.09940).
    """

    name = "latent"

    def loss(self, problem: Problem, x: Tensor) -> Tensor:
        return -symmetric_kl(problem.vae.encode(x), problem.vae.encode(problem.ball.center))


class Targeted(Surrogate):
    """Moves the posterior to that of another image: min SKL(q(z|x'), q(z|x_target)).

    The supervised attack (Tabacof et al. 2016, arXiv 1612.00155; the divergence as in Kuzina et al.
    2022). The other image is the mean image of one draw from the prior, made with the seed and the same
    for every image of the batch, so that a result does not depend on the images beside it.
    """

    name = "targeted"

    def loss(self, problem: Problem, x: Tensor) -> Tensor:
        vae = problem.vae
        other = mean_image(vae, sample_noise(vae, 1, self.seed).to(x)[:, None])
        return symmetric_kl(vae.encode(x), vae.encode(other.clamp(0, 1)))


class Damage(Surrogate):
    """Moves the decoded image as far as it can: max mean_s || g(z_s(x')) - g(mu(x)) ||_2.

    Maximum damage (Camuto et al. 2021, arXiv 2007.07365), g the mean image, over the shared draws.
    """

    name = "damage"

    def loss(self, problem: Problem, x: Tensor) -> Tensor:
        vae = problem.vae
        usual = mean_image(vae, vae.encode(problem.ball.center)[0][None])
        z = reparameterise(*vae.encode(x), problem.noise[:, None])
        # The 1 under the root keeps the slope finite where nothing is damaged yet.
        far = (mean_image(vae, z.flatten(0, 1)[None]).unflatten(0, z.shape[:2]) - usual).flatten(2)
        return -(far.square().sum(-1) + 1).sqrt().mean(0)


def mean_image(vae: VAE, z: Tensor) -> Tensor:
    """Mean of p(x|z); z (1, N, k) -> (N, C, H, W)."""
    return vae.likelihood.mean(vae.decode(z[0]))


def symmetric_kl(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """1/2 KL(one || other) + 1/2 KL(other || one) of diagonal Gaussians (mu, logvar), each (B or 1, k).

    The logarithms cancel: 1/4 sum_i (v1 + d^2) / v2 + (v2 + d^2) / v1 - 2, v the variances, (B,) nats.
    """
    (mu1, logvar1), (mu2, logvar2) = one, other
    square, ratio = (mu1 - mu2) ** 2, logvar1 - logvar2
    terms = ratio.exp() + (-ratio).exp() + square * ((-logvar1).exp() + (-logvar2).exp()) - 2
    return terms.sum(-1) / 4
