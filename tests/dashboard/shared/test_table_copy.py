from __future__ import annotations

from streamlit.testing.v1 import AppTest

from dashboard.shared.table_text import Table, as_latex, as_markdown
from dashboard.shared.text import COPY_TABLE

HOSTILE = r"[x](javascript:0) | **a** :red[b] <img> $c$ \d"


def page() -> None:
    import streamlit as st  # the function is a script of its own

    from dashboard.shared import table_copy
    from dashboard.shared.table_text import Table

    rows = [{"Model": st.session_state["name"], "Clean": "1"}, {"Model": "b", "Clean": "2"}]
    table_copy.show(Table(rows, "said"), {1: "/?left=b&right=c"})


def test_a_table_is_shown_as_plain_text_and_offered_as_text():
    app = AppTest.from_function(page)
    app.session_state["name"] = HOSTILE
    app.run()
    assert not app.exception
    first, second = app.table[0].value.index
    assert second == "[b](/?left=b&right=c)"
    assert first == r"\[x\](javascript\:0) \| \*\*a\*\* \:red\[b\] \<img\> \$c\$ \\d"
    table = Table([{"Model": HOSTILE, "Clean": "1"}, {"Model": "b", "Clean": "2"}], "said")
    assert [code.value for code in app.code] == [as_markdown(table).strip(), as_latex(table).strip()]
    assert [expander.label for expander in app.expander] == [COPY_TABLE]
