"""Run with `streamlit run dashboard/app.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# `streamlit run` puts this file's folder on the path, not the folder above, where core is.
ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

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
