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
inspect = st.Page("entries/inspect.py", title="Inspect", url_path="inspect")
results = st.Page("entries/results.py", title="Results", url_path="results")
own = st.Page("entries/own.py", title="Your own", url_path="own")
st.navigation([explorer, inspect, results, own], position="top").run()
