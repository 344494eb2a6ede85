"""What can be taken away, below the charts of the explorer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import streamlit as st

from dashboard.addresses.digit import images
from dashboard.addresses.explorer import State
from dashboard.explorer.takeaway import figure, numbers, rows, share, text
from dashboard.shared import as_python, citing, compute, table_copy
from dashboard.shared.file_names import file_name, of_image, of_models, of_question
from dashboard.shared.result import Known
from dashboard.shared.text import STATES_LABELS


def offer(cards: Sequence[Known], state: State, params: Mapping[str, str]) -> Callable[[], None]:
    """Show what there is; what is returned shows the certificates that have come in since.

    params  the state as the address has it.
    """
    label = "" if state.own else images(state.source).name_of(state.index)
    st.header(text.TITLE, anchor=False, help=text.HELP)
    with st.container(horizontal=True):
        figure.buttons(state, [card.name for card in cards], [card.colour for card in cards], label)
        st.download_button(
            text.ROWS,
            partial(_rows, cards, state, label),
            file_name(
                "csv", "elbo", *of_image(state.digit), of_models(state.sides), *of_question(state.settings)
            ),
            "text/csv",
            key="rows",
            on_click="ignore",
        )
        certificates = st.empty()
    share.field(params)
    if state.own:
        st.caption(text.OWN.format(index=state.index))
    table, code = st.empty(), st.empty()
    citing.offer()
    versions = itertools.count()

    def show() -> None:
        with table.container():
            table_copy.offer(numbers.pair(cards, state), text.NUMBERS.format(eps=state.eps))
        if not state.own:
            as_python.offer(as_python.of_pair(cards, state), code)
        ready = [card for card in cards if card.sampled is not None and math.isfinite(card.sampled.bound)]
        if not ready:
            return
        version = next(versions)
        with certificates.container(horizontal=True):
            for card in ready:
                _certificate(card, state, version)

    return show


def _rows(cards: Sequence[Known], state: State, label: str) -> str:
    """Made when it is asked for, from the proofs that are in by then."""
    return rows.as_csv(rows.rows(cards, state, label))


def _certificate(card: Known, state: State, version: int) -> None:
    """What is proved of the noise at large as a file. Drawn again in the same run it needs another key."""
    proof = card.sampled
    assert proof is not None
    make = partial(compute.claim, card.model, state.digit, state.settings.proof, proof, states=state.states)
    st.download_button(
        f"{STATES_LABELS[state.states]}, {card.name} (JSON)",
        make,
        file_name(
            "json",
            "certificate",
            *of_image(state.digit),
            card.model,
            *of_question(state.settings.proof, proof.eps),
            state.states,
            proof.method,
        ),
        "application/json",
        key=f"{state.states}-{card.colour}-{version}",
        on_click="ignore",
    )
