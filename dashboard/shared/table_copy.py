"""A table of numbers on a page, and a way to copy it as Markdown or LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd
import streamlit as st

from dashboard.shared.table_text import Table, as_latex, as_markdown, markdown_text
from dashboard.shared.text import COPY_TABLE

NOWHERE: Mapping[int, str] = MappingProxyType({})


def show(table: Table, links: Mapping[int, str] = NOWHERE) -> None:
    """A table whose first column names its rows, and the way to copy it.

    links  where the names of some rows lead, by the row's place.
    """
    first, *_ = table.head
    rows = [{name: markdown_text(cell) for name, cell in row.items()} for row in table.rows]
    for place, url in links.items():
        rows[place][first] = f"[{rows[place][first]}]({url})"
    st.table(pd.DataFrame(rows).set_index(first))
    offer(table)


def offer(table: Table, label: str = COPY_TABLE) -> None:
    """The table as text, to open; label: what says so. Each text has a button that copies it.

    No popover: the keyboard gets into it only past everything else on the page.
    """
    with st.expander(label, icon=":material/content_copy:", type="compact"):
        for name, written, language in (
            ("Markdown", as_markdown(table), "markdown"),
            ("LaTeX", as_latex(table), "latex"),
        ):
            st.caption(name)
            st.code(written, language=language, height=180)
