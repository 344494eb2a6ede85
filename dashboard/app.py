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
explorer = st.Page("entries/explorer.py", title="Explorer", default=True)
results = st.Page("entries/results.py", title="Results", url_path="results")
own = st.Page("entries/own.py", title="Your own", url_path="own")
lessons = st.Page("entries/lessons.py", title="Lessons", url_path="lessons")
present = st.Page("entries/present.py", title="Present", url_path="present", visibility="hidden")
st.navigation([explorer, lessons, results, own, present], position="top").run()
