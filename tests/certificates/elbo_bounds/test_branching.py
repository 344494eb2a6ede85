"""Branch and bound: the minimum over the leaves is a bound, and splitting pays."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

import core
from core.certificates.elbo_bounds.alpha import default_slopes
from core.certificates.elbo_bounds.branching import Branching
from tests.certificates.semidefinite.test_sdp_tightening import question
from tests.conftest import make_images, make_vae

pytestmark = pytest.mark.slow


def test_every_round_is_a_bound_and_none_is_worse() -> None:
    vae = make_vae(scale=1.5)
    x = make_images(vae, 1)
    problem = question(vae, x, 0.1)
    relaxation = problem.relaxation()
    bounds = relaxation.tighten(relaxation.interval_bounds())
    noise = core.sample_noise(vae, 2)
    found = core.attack(vae, x, noise, eps=0.1, method="apgd", steps=50, restarts=3).elbo
    values = list(Branching(relaxation, bounds, default_slopes(relaxation, bounds)).run(20))
    assert all((value <= found).all() for value in values)
    assert all((b >= a).all() for a, b in pairwise(values))
    assert values[-1] > values[0]


def test_no_leaf_is_split_in_vain_on_a_shipped_model() -> None:
    """With too few steps a leaf, or slopes other than its parent's, 14 % of the drop stay open."""
    vae = core.load_model("mnist-mlp-robust-rec-0.1")
    x, noise = core.load_samples("mnist")[0][11:12], core.sample_noise(vae, 4)
    clean = core.elbo(vae, x, noise).total
    ball = {"eps": 0.1, "target": "reconstruction"}
    attained = core.attack(vae, x, noise, method="apgd", **ball).elbo
    proved = core.certify(vae, x, noise, method="bab", iterations=20, **ball).lower
    assert proved <= attained
    assert bool((attained - proved < 0.06 * (clean - attained)).all())
    assert torch.isfinite(proved).all()
