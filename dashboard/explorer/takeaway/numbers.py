"""The explorer's numbers at eps as tables: of both models, and of each method. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.addresses.explorer import State
from dashboard.explorer import panels
from dashboard.explorer.stage.picture_strip import reading
from dashboard.shared import claim
from dashboard.shared.result import Known
from dashboard.shared.table_text import Table
from dashboard.shared.text import METHOD_NAMES

NUMBERS = ("Clean", "Attacked", "Proved", "Open")


def pair(cards: Sequence[Known], state: State) -> Table:
    """Each model's four numbers as its card shows them."""
    return Table([_row(card, state) for card in cards], _said(state))


def by_method(cards: Sequence[Known], state: State) -> Table:
    """What each method proves of each model."""
    rows = [
        {"Model": card.name, "Method": label, "ELBO": bound, "Open": gap}
        for card in cards
        for label, bound, gap in panels.by_method(card.curve, card.result.at(state.eps), state.method)
    ]
    return Table(rows, _said(state))


def _row(card: Known, state: State) -> dict[str, str]:
    best = card.curve.best(state.eps)
    shown = [said.removesuffix(" nats") for said, _ in reading(card.curve, card.result.at(state.eps))]
    by = "–" if best is None else METHOD_NAMES[best.method]
    return {"Model": card.name, **dict(zip(NUMBERS, shown, strict=True)), "By": by}


def _said(state: State) -> str:
    return claim.table((state.digit,), state.eps, state.settings, state.method)
