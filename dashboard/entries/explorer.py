"""The explorer's page, at "/". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import text

st.title(text.TITLE, anchor=False)
st.markdown(text.SUBTITLE)

# Late on purpose: these lines take seconds in a fresh process.
from dashboard.explorer import view  # noqa: E402

view.show()
