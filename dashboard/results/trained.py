"""How each model was trained, and what is proved for what it was trained for, as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.evaluation.results import ModelRow, Results
from dashboard.addresses.results import Choice, offered
from dashboard.shared import compute, table_copy, text
from dashboard.shared.table_text import Table


def _nats(value: float) -> str:
    return text.NOTHING if math.isinf(value) else text.bare(value)


_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "eps": "{:g}".format,
    "Proved": _nats,
    "Constant": _nats,
    "Parameters": "{:,}".format,
}
"""Columns whose numbers are not shown as they are."""


def show(results: Results, choice: Choice) -> None:
    """A row each of the models that pass the filters."""
    st.header(text.TRAINED, anchor=False, help=text.RESULTS_HELP["own"])
    names = compute.evaluated(results)
    chosen = offered(results, choice.likelihood, choice.arch, choice.recipes)
    rows = [_row(results, choice, results.entry(model), names[model]) for model in chosen]
    if not rows:
        st.caption(text.NO_ROWS)
        return
    st.dataframe(
        pd.DataFrame(rows).style.format(_SHOWN, na_rep="–"),
        column_config={
            "Model": st.column_config.TextColumn(pinned=True),
            "Proved": st.column_config.NumberColumn(help=text.RESULTS_HELP["own"]),
            "Constant": st.column_config.NumberColumn(help=text.RESULTS_HELP["constant"]),
            "Active": st.column_config.NumberColumn(help=text.RESULTS_HELP["active"]),
        },
        hide_index=True,
        placeholder="–",
        height="content",
    )
    copied = [{name: _written(name, value) for name, value in row.items()} for row in rows]
    table_copy.offer(Table(copied, _said(results, choice)))


def _row(results: Results, choice: Choice, entry: ModelRow, name: str) -> dict[str, Any]:
    robust = entry.eps > 0
    target = entry.target if robust else choice.target
    _, over = results.sizes(target, choice.attack, choice.certificate)
    proved = results.curve(entry.model, target, "certified", choice.certificate, over)
    constant = entry.constant if robust else None
    own = next((mean for mean in proved if robust and mean.eps == entry.eps), None)
    return {
        "Model": name,
        "Recipe": text.recipe_label(entry.kind),
        "eps": entry.eps or None,
        "Target": entry.target if robust else "",
        "Proved": None if own is None else own.rounded(),
        "By": None if own is None or own.vacuous != 0 else text.METHOD_NAMES[own.method],
        "Constant": None if constant is None else text.floor(constant, 1),
        "Active": entry.active_units,
        "Latent": entry.latent,
        "Parameters": entry.parameters,
        "Name": entry.model,
    }


def _written(column: str, value: Any) -> str:
    return "–" if value in (None, "") else _SHOWN.get(column, str)(value)


def _said(results: Results, choice: Choice) -> str:
    suite, method = results.suite, text.QUANTITY_NAMES.get(choice.certificate, "no method")
    return (
        f"Models of {suite.dataset}, {text.LIKELIHOOD_LABELS[choice.likelihood]} likelihood. Proved: mean "
        "of the lower bounds on the ELBO in nats, at the eps (l_inf) and for the target that the model "
        f"was trained for, by {method}, {text.noise_draws(suite.draws)} (seed {suite.seed}). Constant: "
        "the constant decoder there."
    )
