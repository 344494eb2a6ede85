"""The presenter's page, at "/present". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import text

st.title(text.TITLE, anchor=False)

# Late on purpose: these lines take seconds in a fresh process.
from dashboard.present import page  # noqa: E402

page.show()
