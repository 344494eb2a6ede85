"""The explorer's page, at "/". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import text

st.html(text.HEAD)

# Late on purpose: these lines take seconds in a fresh process. First core as a whole, for which a second
# thread waits: two that import its parts in two orders wait for each other, and both fail.
import core  # noqa: E402, F401
from dashboard.explorer import view  # noqa: E402

view.show()
