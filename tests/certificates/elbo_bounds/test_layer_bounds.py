"""Bounds on every layer: names that know their parts, and the walk that tightens value by value."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from core.bounds.interval import Interval
from core.bounds.rounding import EXACT
from core.certificates.elbo_bounds.layer_bounds import LayerName, interval_bounds
from tests.conftest import make_images, make_vae


@pytest.mark.parametrize(
    ("name", "said", "per_draw"),
    [
        (LayerName("encoder", 3, "ReLU"), "encoder 3 ReLU", False),
        (LayerName("decoder", 0, "Linear"), "decoder 0 Linear", True),
        (LayerName("z"), "z", True),
        (LayerName("mu"), "mu", False),
    ],
)
def test_a_name_is_text_and_knows_its_parts(name: LayerName, said: str, per_draw: bool) -> None:
    for same in (name, copy.deepcopy(name), pickle.loads(pickle.dumps(name))):
        assert same == said
        assert (same.part, same.place, same.op) == (name.part, name.place, name.op)
        assert same.per_draw == per_draw


@torch.no_grad()
def test_a_walk_goes_on_from_what_is_put_in_its_way() -> None:
    vae = make_vae("conv")
    x = make_images(vae, 1)
    bounds = interval_bounds(vae, Interval(x, x + 0.1), torch.zeros(2, 1, vae.config.latent))
    for half in bounds.halves(vae):
        known = [half.inputs[0]]
        for index in half.walk(known, EXACT):
            assert len(known) == index + 1
        assert all(torch.equal(a.upper, b.upper) for a, b in zip(known, half.inputs, strict=True))
        known = [half.inputs[0]]
        stops = []
        for index in half.walk(known, EXACT):
            stops.append(index)
            known[-1] = Interval(known[-1].center, known[-1].center)
        assert stops == half.stops == [*half.relus, len(half.network)]
        assert float(half.inputs[-1].width.max()) > 0 == float(known[-1].width.max())
        assert all(name == f"{half.part} {i} {name.op}" for i, name in enumerate(half.names))
