"""The page that looks inside, at "/inspect". Its first words come while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.inspector import text

st.title(text.TITLE, anchor=False)
st.markdown(text.SUBTITLE)

# Late on purpose: these lines take seconds in a fresh process.
from dashboard.inspector import view  # noqa: E402

view.show()
