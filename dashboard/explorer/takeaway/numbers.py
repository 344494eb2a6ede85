"""The explorer's numbers at eps as tables: of both models, and of each method. No Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboard.addresses.explorer import State
from dashboard.explorer import panels
from dashboard.explorer.stage.picture_strip import reading
from dashboard.shared import claim, limits
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
    row = {"Model": card.name, **dict(zip(NUMBERS, shown, strict=True)), "By": by}
    known = limits.of(card.model, state.digit, state.settings.proof, (state.eps,))
    if known is None:
        return row
    attained = card.curve.attained[card.result.at(state.eps)].item()
    return row | limits.cells(known, state.eps, -math.inf if best is None else best.bound, attained)


def _said(state: State) -> str:
    return claim.table((state.digit,), state.eps, state.settings, state.method)
