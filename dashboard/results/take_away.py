"""What can be taken away from the page of results: rows, the command, Python, how to cite."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.evaluation.results import Results, as_csv
from dashboard.addresses.results import Choice
from dashboard.results import overview
from dashboard.results.scripts import of_table
from dashboard.shared import as_python, citing, result_rows
from dashboard.shared.curves import Lines
from dashboard.shared.file_names import file_name


def show(results: Results, choice: Choice, lines: Sequence[Lines]) -> None:
    """The rows behind the charts, all rows, and how to compute them again. lines: of the first table."""
    st.header("Take it away", anchor=False)
    asked = (choice.likelihood, choice.target, choice.attack, choice.certificate)
    with st.container(horizontal=True):
        for label, means, parts in (
            ("Rows shown (CSV)", result_rows.rows(results, choice), asked),
            ("All rows (CSV)", results.means, ("all",)),
        ):
            st.download_button(
                f"{label}: {len(means):,}",
                as_csv(means),
                file_name("csv", "results", results.suite.dataset, *parts),
                "text/csv",
                icon=":material/download:",
            )
    st.caption("The command that computes all of it again:")
    st.code(results.suite.command, language="bash", wrap_lines=True)
    shown = {line.model: line.name for line in overview.ordered(lines, choice)}
    as_python.offer(of_table(results, choice, shown))
    citing.offer()
