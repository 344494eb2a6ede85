"""From the explorer to this page and back, with the same model, digit and question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.addresses import explorer
from dashboard.addresses.inspect import MOST_DRAWS, Look, Question, to_params
from dashboard.inspector import text
from dashboard.shared.text import EXPLORER_PAGE

ICON = ":material/arrow_forward:"


def to_inspect(state: explorer.State, names: Mapping[str, str]) -> None:
    """A link for each of the explorer's models."""
    for model in dict.fromkeys((state.left, state.right)):
        label = text.inside(names[model])
        st.page_link(text.PAGE, label=label, icon=ICON, query_params=_look(state, model, list(names)))


def to_explorer(look: Look, models: Sequence[str]) -> None:
    """The model of this page on the right."""
    st.page_link(EXPLORER_PAGE, label=text.TO_EXPLORER, icon=ICON, query_params=_state(look, models))


def _look(state: explorer.State, model: str, models: Sequence[str]) -> dict[str, str]:
    s = state.settings
    question = Question(state.eps, s.target, s.norm, min(s.draws, MOST_DRAWS), s.seed)
    look = Look(model, state.index, state.own, question)
    # Named even where it is the default: an address without settings opens a page where it was left.
    return {"model": model} | to_params(look, models)


def _state(look: Look, models: Sequence[str]) -> dict[str, str]:
    q = look.question
    default = explorer.default_state(models, q.norm)
    settings = explorer.Settings(target=q.target, norm=q.norm, draws=q.draws, seed=q.seed)
    state = explorer.State(
        default.left,
        look.model,
        index=look.index,
        own=look.own,
        eps=q.eps,
        upto=default.upto,
        settings=settings,
    )
    return {"right": look.model} | explorer.to_params(state, models)
