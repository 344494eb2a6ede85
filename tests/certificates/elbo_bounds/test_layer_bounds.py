"""Bounds on every layer: names that know their parts, and the walk that tightens value by value."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
import torch

import core
from core.bounds.interval import Interval
from core.bounds.rounding import EXACT
from core.certificates.elbo_bounds.layer_bounds import LayerBounds, LayerName, interval_bounds
from core.certificates.elbo_bounds.relaxation import LinearBounds
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.question import pose
from tests.conftest import make_images, make_vae
from tests.network.random_graphs import vae_of_steps

ASKED = {
    "target": "likelihood",
    "method": "crown",
    "norm": "linf",
    "side": "lower",
    "arithmetic": "float64",
}


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


@pytest.mark.parametrize("smooth", [False, True])
def test_what_is_kept_of_passes_is_never_that_of_other_bounds(smooth: bool) -> None:
    """Bounds, arithmetics and sides in turns through one relaxation, beside one that is new each time."""
    vae = vae_of_steps(["tanh"], ["silu", "Linear"], 3) if smooth else make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    kept = pose(vae, x, noise, 0.05, **ASKED).relaxation()
    first, slopes = kept.interval_bounds(), Slopes()
    second = kept.tighten(first)
    third = LayerBounds(second.encoder, first.decoder)
    wide = pose(vae, x, noise, 0.2, **ASKED).relaxation().interval_bounds()
    for turn in range(2):
        for bounds in (first, second, wide, third, second):
            for relaxation in (kept, kept.exact(), replace(kept, weight=-1)):
                fresh = replace(relaxation, passes={})
                found, wanted = (LinearBounds(r, bounds).bound(slopes) for r in (relaxation, fresh))
                assert torch.equal(found, wanted), turn
        again = kept.tighten(first)
        assert all(
            torch.equal(a.lower, b.lower) for a, b in zip(again.decoder, second.decoder, strict=True)
        )
    assert kept.exact().passes is kept.passes  # so that there was something to mistake
