"""The pages and the way between them: what runs for each visitor, whenever something changes."""

from __future__ import annotations

import streamlit as st

st.set_page_config(page_title="ELBO under attack", page_icon="🎯", layout="wide", initial_sidebar_state=300)
explorer = st.Page("entries/explorer.py", title="Explorer", default=True)
results = st.Page("entries/results.py", title="Results", url_path="results")
own = st.Page("entries/own.py", title="Your own", url_path="own")
st.navigation([explorer, results, own], position="top").run()
