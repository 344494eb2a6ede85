"""No certificate is beaten in any cell (benchmarks.cells), and no kind of question is without a cell.

A slice of benchmarks.grid: every cell and every network, with an eps and an image that take turns. Most
networks see the middle of the images only, and what optimises takes two steps: half of the time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch

import core
from benchmarks import cells
from benchmarks.cells import (
    EPS,
    LIKELIHOODS,
    NETWORKS,
    NORMALISED,
    NORMS,
    PARABOLAS,
    SIGMAS,
    TARGETS,
    Cell,
    network_of,
)
from benchmarks.grid import Question, Tally, run
from core.bounds.ball import NORMS as KNOWN_NORMS
from core.bounds.interval import Interval, propagate
from core.bounds.rounding import ARITHMETICS, FLOAT64
from core.certificates.certificate import STATES
from core.certificates.elbo_bounds.substituted import can_substitute
from core.certificates.methods import METHODS
from core.certificates.semidefinite.zonotope import has_exact_form
from core.network.operations import OPERATIONS
from core.vae import likelihood
from core.vae.config import ARCHITECTURES
from core.vae.threat import SIDES
from core.vae.validate import TARGETS as KNOWN_TARGETS
from core.vae.wrapped import WRAPPED_LIKELIHOODS

pytestmark = pytest.mark.slow

NAMES = list(NETWORKS)
WHOLE = ("conv, one unit", "colour", "bright")
"""Networks of images as large as users have them."""


@pytest.fixture(scope="module", autouse=True)
def small_questions() -> Iterator[None]:
    small = {name: network._replace(size=16) for name, network in NETWORKS.items() if name not in WHOLE}
    sizes, iterations = patch("core.vae.config.SIZES", (16, 28, 32)), patch("benchmarks.grid.ITERATIONS", 2)
    others = {name: network._replace(size=16) for name, network in NORMALISED.items()}
    with patch.dict(NETWORKS, small), patch.dict(NORMALISED, others), sizes, iterations:
        yield


def fast(network: str) -> Iterator[Question]:
    """Every third kind of question: over all networks each kind meets five of them."""
    index = NAMES.index(network)
    for turn, about in enumerate(itertools.product(LIKELIHOODS, TARGETS, NORMS)):
        dear = network == "colour" and about[2] == "l2"  # thousands of units, each with a dual of its own
        if (turn + index) % 3 == 0 and not dear:
            eps, sigma = EPS[(index + turn // 3) % len(EPS)], SIGMAS[(index + turn) % len(SIGMAS)]
            yield Question(network, about[0], sigma, *about[1:], eps, index, ((index + turn) % 5,))


def slow() -> Iterator[Question]:
    """One for every cell."""
    radii = itertools.cycle((0.03, 0.0, 0.03, 1e-9, 5e-324, 0.03, 0.03, 0.03))
    for turn, about in enumerate(itertools.product(LIKELIHOODS, TARGETS, NORMS)):
        network = ("mlp", "deep", "sharp posterior")[turn % 3]
        yield Question(network, about[0], 0.2, *about[1:], next(radii), turn, (turn % 5,), slow=True)


SLICE = {network: list(fast(network)) for network in NAMES}


def check(tallies: dict[Cell, Tally]) -> None:
    broken = [line for tally in tallies.values() for line in tally.violations]
    assert not broken, f"{len(broken)} violations:\n" + "\n".join(broken)
    for cell, tally in tallies.items():
        assert tally.refused > 0 if cell.refused else tally.comparisons > 0, cell


@pytest.mark.parametrize("network", NAMES)
def test_fast_cells(network: str) -> None:
    tallies = run(SLICE[network])
    check(tallies)
    assert all(tally.attacked > 0 for cell, tally in tallies.items() if not cell.refused)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_slow_cells(likelihood: str) -> None:
    tallies = run(question for question in slow() if question.likelihood == likelihood)
    check(tallies)
    assert all(tally.stated > 0 for cell, tally in tallies.items() if not cell.refused)


def normalised(name: str) -> list[Question]:
    """Every second kind of question, every sixth for its slow cells; the two networks see all together."""
    first, kinds = list(NORMALISED).index(name), itertools.product(LIKELIHOODS, TARGETS, NORMS)
    return [
        Question(name, kind, 0.2, target, norm, (0.03, 1e-9)[turn // 2 % 2], turn, (turn % 5,), slow=slow)
        for turn, (kind, target, norm) in enumerate(kinds)
        for slow in (False, True)
        if (turn + turn // 4 + first) % (6 if slow else 2) == 0
    ]


@pytest.mark.parametrize("name", NORMALISED)
def test_cells_of_normalised_networks(name: str) -> None:
    tallies = run(normalised(name))
    check(tallies)
    assert not any(cell.method in PARABOLAS for cell in tallies)
    said = [
        tally.stated > 0 for cell, tally in tallies.items() if cell.method == "crown" and not cell.refused
    ]
    assert sum(said) > 0.9 * len(said)


def test_normalised_chains_are_substituted(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what backward passes prove of them is the same, but for default lines of other intervals."""
    for name in NORMALISED:
        vae = network_of(name).build("bernoulli", 1.0, 0).double()
        x = cells.images(vae, 0)[:1].double()
        assert all(can_substitute(v, Interval(x, x), FLOAT64) for v in (vae.encoder, vae.decoder))
        noise = core.sample_noise(vae, 2)
        for side in SIDES:
            asked = {"eps": 0.01, "method": "crown", "side": side}
            found = core.certify(vae, x, noise, **asked).bound
            with monkeypatch.context() as patched:
                patched.setattr("core.certificates.elbo_bounds.relaxation.can_substitute", lambda *_: False)
                other = core.certify(vae, x, noise, **asked).bound
            assert found.tolist() == pytest.approx(other.tolist(), rel=1e-3)


def test_every_cell_is_visited() -> None:
    whole = set(cells.cells())
    assert len(whole) == 4 * 2 * 2 * 2 * 6 * 3 * 2
    visits = Counter(cell for asked in SLICE.values() for question in asked for cell in question.cells())
    assert set(visits) == {cell for cell in whole if not cell.slow}
    assert min(visits.values()) >= 4
    assert {cell for question in slow() for cell in question.cells()} == {c for c in whole if c.slow}
    for name in ("eps", "sigma", "images"):
        assert len({getattr(question, name) for asked in SLICE.values() for question in asked}) == 5


def test_no_name_that_core_knows_is_without_a_cell() -> None:
    """Whoever adds one adds it to benchmarks.cells, and to what is tried there."""
    assert set(cells.METHODS) == set(METHODS)
    assert set(cells.LIKELIHOODS) == {*WRAPPED_LIKELIHOODS, cells.LEARNED}
    assert set(cells.NORMS) == set(KNOWN_NORMS)
    assert set(cells.STATES) == set(STATES)
    assert set(cells.ARITHMETICS) == set(ARITHMETICS)
    assert set(cells.TARGETS) == set(KNOWN_TARGETS)
    assert set(cells.SIDES) == set(SIDES)
    assert {network.arch for network in NETWORKS.values()} == set(ARCHITECTURES)


def test_no_likelihood_is_without_a_cell() -> None:
    protocols = {likelihood.Likelihood, likelihood.OneParameter}
    scored = {
        kind for kind in vars(likelihood).values() if isinstance(kind, type) and hasattr(kind, "log_prob")
    }
    tried = {type(NETWORKS["mlp"].build(name, 1.0, 0).likelihood) for name in LIKELIHOODS}
    assert scored - protocols == tried


def test_no_layer_kind_is_without_a_network() -> None:
    built = [network.build("bernoulli", 1.0, 0) for network in NETWORKS.values()]
    tried = {type(layer) for vae in built for part in (vae.encoder, vae.decoder) for layer in part}
    assert tried == set(propagate.kinds) - set(OPERATIONS)  # those are in test_graphs
    assert all(has_exact_form(layer) for vae in built for layer in (*vae.encoder, *vae.decoder))


def test_networks_are_what_they_are_called() -> None:
    """Dead units are dead, what overflows in float32 does, what cancels does."""
    x = cells.images(NETWORKS["mlp"].build("bernoulli", 1.0, 0), 0)
    dead = NETWORKS["dead units"].build("bernoulli", 1.0, 0)
    assert torch.nn.Sequential(*[*dead.decoder][:2])(dead.encode(x)[0]).abs().max() == 0
    big = NETWORKS["overflow"].build("gaussian", 1.0, 0)
    assert not torch.isfinite(big.decode(big.encode(x)[0])).all()
    pairs = NETWORKS["cancelling"].build("bernoulli", 1.0, 0)
    hidden = torch.nn.Sequential(*[*pairs.encoder][:3])(x)
    second = pairs.encoder[3]
    assert isinstance(second, torch.nn.Linear)
    total, size = second(hidden).abs().max(), (hidden @ second.weight.abs().T).max()
    assert size > 1e3 * total
