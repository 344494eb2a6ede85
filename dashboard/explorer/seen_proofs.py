"""Proofs that a visitor has seen, so that none is forgotten when a control is used."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.certificates.methods import METHODS
from core.evaluation.curve import Proof
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings
from dashboard.addresses.models import Stamp, stamp

MOST = 16
"""Questions of which the proofs are kept."""
_NAME = "known proofs"

Question = tuple[str, Stamp, Digit, ProofSettings]


def remember(model: str, digit: Digit, settings: ProofSettings, proofs: Sequence[Proof]) -> None:
    """Keep proofs on the draws; of one method at one radius the best."""
    known: dict[Question, dict[tuple[str, float], Proof]] = st.session_state.setdefault(_NAME, {})
    question = model, stamp(model), digit, settings
    kept = known[question] = known.pop(question, {})  # the last one used is the last to go
    for proof in proofs:
        at = proof.method, proof.eps
        if at not in kept or kept[at].strength < proof.strength:
            kept[at] = proof
    while len(known) > MOST:
        del known[next(iter(known))]


def recall(model: str, digit: Digit, settings: ProofSettings, method: str) -> tuple[Proof, ...]:
    """What is known already, by the methods up to this one."""
    known = st.session_state.get(_NAME, {}).get((model, stamp(model), digit, settings), {})
    last = METHODS.index(method)
    return tuple(proof for (name, _), proof in known.items() if METHODS.index(name) <= last)
