"""Numbers in bits per dimension say no more than those in nats."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as some

from core.evaluation.curve import Curve, Proof
from dashboard.shared.units import NATS, unit

BITS = unit("bits", (3, 32, 32))


def number(said: str) -> Fraction:
    return Fraction(said.split()[0].replace("−", "-").replace(",", ""))


@given(some.floats(-1e5, 1e5), some.integers(0, 5), some.sampled_from(["lower", "upper"]))
def test_a_bound_is_rounded_to_the_safe_side(bound: float, digits: int, side: str):
    said = number(BITS.proved(bound, digits, side)) * Fraction(BITS.nats)
    off = (Fraction(bound) - said) * (1 if side == "lower" else -1)
    assert off + Fraction(1, 10**9) * (1 + abs(Fraction(bound))) >= 0
    assert off <= 2 * Fraction(BITS.nats) / 10**digits
    assert float(said) <= bound + 1e-9 if side == "lower" else float(said) >= bound - 1e-9


def test_a_bit_per_dimension_is_its_number_of_nats():
    assert BITS.nats == 3072 * math.log(2)
    assert BITS.shown(-2 * BITS.nats, 3) == "−2.000 bpd"
    assert BITS.change(BITS.nats / 2) == "+0.500"
    assert unit("nats", (3, 32, 32)) is NATS
    assert NATS.level(-144, []) == "-144 nats"


@given(some.floats(-1000, 0), some.lists(some.floats(0, 300), min_size=4, max_size=4))
def test_a_threshold_is_so_exact_that_the_verdict_is_that_of_what_is_printed(
    level: float, falls: list[float]
):
    eps = torch.tensor([0.0, 0.1, 0.2, 0.3], dtype=torch.float64)
    attained = level + 150 - torch.tensor(falls, dtype=torch.float64).cumsum(0)
    proofs = tuple(
        Proof(e, "ibp", a - 5, 0.0, 0.0, "said", 0.0)
        for e, a in zip(eps.tolist(), attained.tolist(), strict=True)
    )
    curve = Curve(eps, 0.0, attained, torch.zeros(4, 1, 1, 1), proofs)
    printed = float(number(BITS.level(level, [curve]))) * BITS.nats
    verdict, shown = curve.verdict(level), curve.verdict(printed)
    assert abs(printed - level) < 2.2
    near = min(abs(value - level) for value in (*attained.tolist(), *(p.bound for p in proofs)))
    if near > 1e-4:  # what is nearer than the last decimal cannot be told from it
        assert (shown.certified, shown.broken) == (verdict.certified, verdict.broken)
