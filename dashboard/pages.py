"""The pages and the way between them: what runs for each visitor, whenever something changes."""

from __future__ import annotations

import streamlit as st

st.set_page_config(page_title="ELBO under attack", page_icon="🎯", layout="wide", initial_sidebar_state=300)
pages = [
    st.Page("entries/explorer.py", title="Explorer", default=True),
    st.Page("entries/compare.py", title="Compare", url_path="compare"),
    st.Page("entries/lessons.py", title="Lessons", url_path="lessons"),
    st.Page("entries/own.py", title="Your own", url_path="own"),
    st.Page("entries/results.py", title="Results", url_path="results"),
    # Reached from the explorer, whose settings it takes over.
    st.Page("entries/present.py", title="Present", url_path="present", visibility="hidden"),
]
st.navigation(pages, position="top").run()
