"""The page of attacks by hand, at "/attack". The browser gets its first words while torch still loads."""

from __future__ import annotations

import streamlit as st

from dashboard.attack_by_hand import places, text
from dashboard.shared.text import head

st.sidebar.container()
places.introduce(head(text.TITLE, text.SUBTITLE))

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.attack_by_hand import view  # noqa: E402

view.show()
