"""The numbers of the page of results as tables and files."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.evaluation.results import Mean, Results, as_csv
from dashboard.addresses.results import Choice, offered
from dashboard.results import picking
from dashboard.shared import compute, pareto, result_rows, text
from dashboard.shared.curves import Lines


def curve_rows(results: Results, choice: Choice, lines: Sequence[Lines], shipped: Sequence[str]) -> None:
    """What the curves show, each row with its way to the explorer."""
    rows = [
        {"Model": _linked(results, choice, line, eps, shipped), "eps": f"{eps:g}"} | _cells(line, eps)
        for line in lines
        for eps in line.radii
        if eps <= choice.upto
    ]
    _table(rows)


def point_rows(results: Results, choice: Choice, lines: Sequence[Lines], shipped: Sequence[str]) -> None:
    """What the points show, the best proved first."""
    eps, known = choice.eps, pareto.points(lines, choice.eps)
    ahead = pareto.best(known)
    rows = [
        {"Model": _linked(results, choice, point.line, eps, shipped)}
        | _cells(point.line, eps)
        | {"Frontier": "yes" if point in ahead else ""}
        for point in sorted(known, key=lambda point: -point.proved.mean)
    ]
    _table(rows)


def _table(rows: list[dict[str, str]]) -> None:
    with st.expander(text.AS_TABLE):
        if rows:
            st.table(pd.DataFrame(rows).set_index("Model"))
        else:
            st.caption(text.NO_ROWS)


def _linked(results: Results, choice: Choice, line: Lines, eps: float, shipped: Sequence[str]) -> str:
    url = None if line.constant else picking.link(results, choice.target, line.model, eps, shipped)
    return line.name if url is None else f"[{line.name}]({url})"


def _cells(line: Lines, eps: float) -> dict[str, str]:
    attained, proved = line.at(eps)
    return {
        "Clean": _cell(line.clean.get(eps)),
        "Attacked": _cell(attained),
        "Proved": _cell(proved),
    }


def _cell(mean: Mean | None) -> str:
    if mean is None:
        return "not computed"
    return (
        "vacuous"
        if mean.vacuous != 0
        else text.interval(mean.rounded(), mean.low, mean.high).replace(" nats", "")
    )


def models(results: Results, choice: Choice, shipped: Sequence[str]) -> None:
    """One row a model that passes the filters."""
    st.header("The models", anchor=False, help=text.RESULTS_HELP["own"])
    entries = [results.entry(m) for m in offered(results, choice.likelihood, choice.arch, choice.recipes)]
    names = compute.evaluated(results)
    rows = []
    for entry in entries:
        target = entry.target if entry.eps else choice.target
        _, over = results.sizes(target, choice.attack, choice.certificate)
        proved = results.curve(entry.model, target, "certified", choice.certificate, over)
        own = [mean.rounded() for mean in proved if mean.eps == entry.eps and entry.eps > 0]
        rows.append(
            {
                "Model": names[entry.model],
                "Recipe": text.recipe_label(entry.kind),
                "eps": entry.eps or None,
                "Target": entry.target if entry.eps else "",
                "Clean": entry.clean,
                "Proved at own eps": own[0] if own else None,
                "Constant decoder": _rounded_down(entry.constant) if entry.eps else None,
                "Active": entry.active_units,
                "Parameters": entry.parameters,
                "Explorer": picking.link(results, target, entry.model, entry.eps or choice.eps, shipped),
                "Latent": entry.latent,
                "Name": entry.model,
            }
        )
    if not rows:
        st.caption(text.NO_ROWS)
        return
    frame = pd.DataFrame(rows)
    numbers = dict.fromkeys(("Clean", "Proved at own eps", "Constant decoder"), text.bare)
    st.dataframe(
        frame.style.format(numbers | {"eps": "{:g}", "Parameters": "{:,}"}),
        column_config={
            "Model": st.column_config.TextColumn(pinned=True),
            "Active": st.column_config.NumberColumn(help=text.RESULTS_HELP["active"]),
            "Constant decoder": st.column_config.NumberColumn(help=text.RESULTS_HELP["constant"]),
            "Explorer": st.column_config.LinkColumn(display_text="open"),
        },
        hide_index=True,
        placeholder="–",
        height="content",
    )


def _rounded_down(bound: float | None) -> float | None:
    return None if bound is None else text.floor(bound, 1)


def downloads(results: Results, choice: Choice) -> None:
    """The rows behind the charts, all rows, and how to compute them again."""
    st.header("Take it away", anchor=False)
    with st.container(horizontal=True):
        for label, means, name in (
            ("Rows shown (CSV)", result_rows.rows(results, choice), "shown.csv"),
            ("All rows (CSV)", results.means, "summary.csv"),
        ):
            st.download_button(
                f"{label}: {len(means):,}", as_csv(means), name, "text/csv", icon=":material/download:"
            )
    st.caption("The command that computes all of it again:")
    st.code(results.suite.command, language="bash", wrap_lines=True)
