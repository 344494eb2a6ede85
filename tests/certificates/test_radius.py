"""core.certified_radius: what it returns is proved, what lies beyond is broken, and it can be stopped."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch

import core
from core.certificates.certificate import Certificate, shown_bound
from core.errors import Cancelled, InputError
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

ROBUST = "mnist-mlp-robust-0.1"


def noise_images(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_proved_inside_and_broken_beyond() -> None:
    vae = core.load_model(ROBUST)
    x, noise = core.load_samples("mnist")[0][:3], core.sample_noise(vae, 2)
    found = core.certified_radius(vae, x, noise, threshold=-245.0, method="ibp", most=0.2, steps=8)
    assert bool(found.proved.all())
    assert bool((found.eps > 0.005).all())
    assert bool((found.bound >= -245.0).all())
    again = core.certify(vae, x, noise, eps=found.eps)
    assert torch.equal(again.lower, found.bound)
    assert bool((core.attack(vae, x, noise, eps=found.eps).elbo >= -245.0).all())
    assert bool((core.attack(vae, x, noise, eps=1.3 * found.eps).elbo < -245.0).all())
    # The resolution that was asked for: one step of it further there is no proof.
    step = 0.2 / 2**8
    assert bool((core.certify(vae, x, noise, eps=found.eps + step).lower < -245.0).all())


def test_an_outlier_stays_below_the_threshold() -> None:
    vae = core.load_model(ROBUST)
    x, noise = noise_images(2), core.sample_noise(vae, 1)
    found = core.certified_radius(
        vae, x, noise, threshold=-245.0, side="upper", method="ibp", most=0.5, steps=6
    )
    assert bool((found.proved & (found.eps > 0.2) & (found.bound <= -245.0)).all())
    beyond = core.certify(vae, x, noise, eps=found.eps + 0.5 / 2**6, side="upper")
    assert bool((beyond.upper > -245.0).all())
    digits = core.load_samples("mnist")[0][:2]
    none = core.certified_radius(vae, digits, noise, threshold=-245.0, side="upper", method="ibp", steps=2)
    assert none.proved.tolist() == [False, False]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "norm"), [("ibp", "linf"), ("ibp", "l2"), ("crown", "linf")])
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_a_milder_verdict_holds_in_a_larger_ball(method: str, norm: str, side: str) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    clean = core.elbo(vae, x, noise).total.item()
    down = 1 if side == "lower" else -1
    radii = [
        core.certified_radius(
            vae,
            x,
            noise,
            threshold=clean - down * slack,
            side=side,
            method=method,
            norm=norm,
            most=0.2,
            steps=9,
        )
        for slack in (0.0, 1.0, 8.0)
    ]
    assert radii[0].eps.item() == 0
    assert all(found.proved.item() for found in radii[1:])
    for less, more in pairwise(radii):
        assert less.eps.item() < more.eps.item()


def test_the_whole_range_is_tried_first() -> None:
    vae = make_vae(scale=0.1)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    calls: list[int] = []
    for norm, most in (("linf", 1.0), ("l2", 28.0)):
        found = core.certified_radius(vae, x, noise, threshold=-7000.0, norm=norm, method="ibp", steps=3)
        assert found.eps.tolist() == [most, most]
    found = core.certified_radius(
        vae, x, noise, threshold=-7000.0, method="ibp", most=torch.tensor([0.0, 0.25]), steps=3
    )
    assert found.eps.tolist() == [0.0, 0.25]
    core.certified_radius(
        vae,
        x,
        noise,
        threshold=-7000.0,
        method="ibp",
        steps=3,
        progress=lambda done, total: calls.append(total - done),
    )
    assert calls == [4, 3, 2, 1]


def test_never_proved_is_no_radius() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    between = core.elbo(vae, x, noise).total.mean().item()
    found = core.certified_radius(vae, x, noise, threshold=between, method="ibp", steps=3)
    above = core.elbo(vae, x, noise).total > between
    assert torch.equal(found.proved, above)
    assert bool((found.eps[~above] == 0).all())
    index = int((~above).nonzero()[0])
    assert found.statement(index).startswith(
        "It is not proved, not even of this image alone, that the ELBO"
    )
    steep = make_vae(scale=30.0)
    found = core.certified_radius(steep, x, noise, threshold=-1e200, method="ibp", steps=3)
    assert bool((found.bound.isfinite() | ~found.proved | (found.eps == 0)).all())


@pytest.mark.parametrize("after", [0, 1, 3])
def test_cancelling_keeps_what_is_there(after: int) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)

    def stop(done: int, total: int) -> None:
        if done == after:
            raise Cancelled

    low = core.elbo(vae, x, noise).total.min().item() - 20
    found = core.certified_radius(vae, x, noise, threshold=low, method="ibp", steps=8, progress=stop)
    whole = core.certified_radius(vae, x, noise, threshold=low, method="ibp", steps=8)
    assert bool(found.proved.all())
    assert bool((found.bound >= low).all())
    assert bool((found.eps <= whole.eps).all())
    assert bool((whole.eps - found.eps <= 2.0 ** -max(0, after - 1)).all())
    if after == 0:
        assert found.eps.tolist() == [0, 0]

    def fail(done: int, total: int) -> None:
        raise RuntimeError("not a cancel")

    with pytest.raises(RuntimeError, match="not a cancel"):
        core.certified_radius(vae, x, noise, threshold=low, method="ibp", steps=2, progress=fail)


@pytest.mark.parametrize("states", ["expectation", "coverage"])
def test_on_the_noise_each_proof_has_its_share_of_the_risk(
    states: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    asked: list[tuple[float, int]] = []
    certify = core.certify

    def watched(*args: Any, **options: Any) -> Certificate:
        asked.append((options["alpha"], options["seed"]))
        return certify(*args, **options)

    monkeypatch.setattr("core.certificates.radius.certify", watched)
    low = core.elbo(vae, x, noise).total.item() - 60
    options: dict[str, Any] = {
        "threshold": low,
        "method": "ibp",
        "states": states,
        "draws": 500,
        "steps": 6,
    }
    found = core.certified_radius(vae, x, noise, alpha=0.08, seed=5, **options)
    assert bool(found.proved.all())
    assert found.eps.item() > 0
    assert asked == [(0.01, 5 + i) for i in range(8)]
    fixed = core.certified_radius(vae, x, noise, threshold=low, method="ibp", steps=6)
    assert found.eps.item() < fixed.eps.item() + 2.0**-5
    sentence = found.statement()
    for part in (
        "with confidence 92 % over samples of 500 noise draws",
        f"at least {shown_bound(low, 'lower')} nats",
    ):
        assert part in sentence
    assert ("over a fresh noise draw" in sentence) == (states == "coverage")
    assert ("the expectation over the noise" in sentence) == (states == "expectation")


def test_the_sentence_states_no_more_than_is_proved() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 3)
    low = core.elbo(vae, x, noise).total.item() - 20
    for norm in ("linf", "l2"):
        found = core.certified_radius(
            vae, x, noise, threshold=low, norm=norm, target="reconstruction", method="ibp", steps=25
        )
        sentence = found.statement()
        said = float(sentence.split(" within ")[1].split()[0])
        assert 0 < said <= found.eps.item()
        assert said > 0.999 * found.eps.item()
        assert ("in Euclidean distance" in sentence) == (norm == "l2")
        for part in ("the clean image", "these 3 noise draws", "(ibp)", "[0, 1]"):
            assert part in sentence


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nan": ({"threshold": math.nan}, "threshold is nan; it must be a finite number"),
    "infinite": ({"threshold": -math.inf}, "threshold is -inf; it must be a finite number"),
    "huge": ({"threshold": -(10**400)}, "threshold is -1000"),
    "string": ({"threshold": "-100"}, "threshold is '-100'; it must be a number of nats"),
    "bool": ({"threshold": True}, "threshold is True"),
    "negative most": ({"most": -0.1}, r"most is -0\.1; it must be a number in \[0, 1\]"),
    "nan most": ({"most": math.nan}, "most is nan"),
    "most above the box": ({"most": 1.5}, r"most is 1\.5"),
    "most above the diagonal": ({"most": 28.5, "norm": "l2"}, r"most is 28\.5.*\[0, 28\]"),
    "most of a wrong shape": ({"most": torch.zeros(3)}, r"most has shape \(3,\)"),
    "most of a wrong kind": ({"most": "wide"}, "most is 'wide'"),
    "steps": ({"steps": 0}, "steps is 0; it must be a whole number from 1 to 60"),
    "method": ({"method": "magic"}, "method is 'magic'; choose one of ibp"),
    "norm": ({"norm": "l1"}, "norm is 'l1'; choose one of linf, l2"),
    "side": ({"side": "both"}, "side is 'both'; choose one of lower, upper"),
    "states": ({"states": "hopes"}, "states is 'hopes'; choose one of draws"),
    "target": ({"target": "x"}, "target is 'x'; choose one of likelihood"),
    "alpha": ({"alpha": 5.0}, r"alpha is 5\.0; it must be a number above 0 and at most 0\.5"),
    "seed": ({"seed": -1}, "seed is -1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case: str, vae: VAE) -> None:
    wrong, message = BAD[case]
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    options: dict[str, Any] = {"threshold": -600.0, "method": "ibp", "steps": 2, **wrong}
    with pytest.raises(InputError, match=message):
        core.certified_radius(vae, x, noise, **options)
