"""No certificate is beaten in any cell (benchmarks.cells), and no kind of question is without a cell.

A slice of benchmarks.grid: every cell, and every network in every fast one, with an eps and an image that
take turns.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch

from benchmarks import cells
from benchmarks.cells import EPS, LIKELIHOODS, NETWORKS, NORMS, SIGMAS, TARGETS, Cell
from benchmarks.grid import Question, Tally, run
from core import likelihood
from core.ball import NORMS as KNOWN_NORMS
from core.bounds.forms import has_exact_form
from core.bounds.interval import propagate
from core.bounds.rounding import ARITHMETICS
from core.certificate import SIDES, STATES
from core.config import ARCHITECTURES
from core.config import LIKELIHOODS as KNOWN_LIKELIHOODS
from core.methods import METHODS
from core.validate import TARGETS as KNOWN_TARGETS

NAMES = list(NETWORKS)


def fast(network: str) -> Iterator[Question]:
    """One for every cell; over all networks each meets every eps."""
    index = NAMES.index(network)
    for turn, about in enumerate(itertools.product(LIKELIHOODS, TARGETS, NORMS)):
        eps, image = EPS[(index + turn) % len(EPS)], (index // len(EPS) + turn) % 5
        yield Question(network, about[0], SIGMAS[(index + turn // 2) % 5], *about[1:], eps, index, (image,))


def slow() -> Iterator[Question]:
    """Two for every cell: the ordinary network at 0.03, and another."""
    others = [name for name in NAMES if name not in ("mlp", "colour")]
    for turn, about in enumerate(itertools.product(LIKELIHOODS, TARGETS, NORMS)):
        yield Question("mlp", about[0], 0.2, *about[1:], 0.03, turn, (turn % 5,), slow=True)
        eps, network = EPS[(turn + 1) % len(EPS)], others[(5 * turn + 3) % len(others)]
        yield Question(network, about[0], SIGMAS[turn % 5], *about[1:], eps, turn, (turn % 5,), slow=True)


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
    if network == "mlp":  # where bounds say something
        upward = [tally for cell, tally in tallies.items() if cell.side == "upper" and not cell.refused]
        assert all(tally.attacked > 0 for tally in upward)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_slow_cells(likelihood: str) -> None:
    tallies = run(question for question in slow() if question.likelihood == likelihood)
    check(tallies)
    assert all(tally.stated > 0 for cell, tally in tallies.items() if not cell.refused)


def test_every_cell_is_visited_by_every_network_that_is_cheap() -> None:
    whole = set(cells.cells())
    assert len(whole) == 2 * 2 * 2 * 2 * 6 * 3 * 2
    for asked in SLICE.values():
        assert {cell for question in asked for cell in question.cells()} == {c for c in whole if not c.slow}
    assert {cell for question in slow() for cell in question.cells()} == {c for c in whole if c.slow}
    met = {question.eps for asked in SLICE.values() for question in asked}
    assert met == set(EPS) == {question.eps for question in slow()}


def test_no_name_that_core_knows_is_without_a_cell() -> None:
    """Whoever adds one adds it to benchmarks.cells, and to what is tried there."""
    assert set(cells.METHODS) == set(METHODS)
    assert set(cells.LIKELIHOODS) == set(KNOWN_LIKELIHOODS)
    assert set(cells.NORMS) == set(KNOWN_NORMS)
    assert set(cells.STATES) == set(STATES)
    assert set(cells.ARITHMETICS) == set(ARITHMETICS)
    assert set(cells.TARGETS) == set(KNOWN_TARGETS)
    assert set(cells.SIDES) == set(SIDES)
    assert {network.arch for network in NETWORKS.values()} == set(ARCHITECTURES)


def test_no_likelihood_is_without_a_cell() -> None:
    scored = {
        kind for kind in vars(likelihood).values() if isinstance(kind, type) and hasattr(kind, "log_prob")
    }
    tried = {type(likelihood.make_likelihood(name, 1.0)) for name in LIKELIHOODS}
    assert scored - {likelihood.Likelihood} == tried


def test_no_layer_kind_is_without_a_network() -> None:
    built = [network.build("bernoulli", 1.0, 0) for network in NETWORKS.values()]
    tried = {type(layer) for vae in built for part in (vae.encoder, vae.decoder) for layer in part}
    assert tried == set(propagate.kinds)
    assert all(has_exact_form(layer) for vae in built for layer in (*vae.encoder, *vae.decoder))


def test_networks_are_what_they_are_called() -> None:
    """Dead units are dead, what overflows in float32 does, what cancels does."""
    x = cells.images(NETWORKS["mlp"].build("bernoulli", 1.0, 0), 0)
    dead = NETWORKS["dead units"].build("bernoulli", 1.0, 0)
    assert dead.decoder[:2](dead.encode(x)[0]).abs().max() == 0
    big = NETWORKS["overflow"].build("gaussian", 1.0, 0)
    assert not torch.isfinite(big.decode(big.encode(x)[0])).all()
    pairs = NETWORKS["cancelling"].build("bernoulli", 1.0, 0)
    hidden = pairs.encoder[:3](x)
    second = pairs.encoder[3]
    assert isinstance(second, torch.nn.Linear)
    total, size = second(hidden).abs().max(), (hidden @ second.weight.abs().T).max()
    assert size > 1e3 * total
