"""Run with `streamlit run dashboard/app.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# `streamlit run` puts this file's folder on the path, not the folder above, where core is.
ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

explorer = st.Page("entries/explorer.py", title="Explorer", default=True)
results = st.Page("entries/results.py", title="Results", url_path="results")
page = st.navigation([explorer, results], position="top")
NAME, ICON = "ELBO under attack", f"{ROOT}/assets/favicon.svg"
# After the pages: what they are called would otherwise be the whole title.
title = NAME if page == explorer else f"{page.title}: {NAME}"
st.set_page_config(page_title=title, page_icon=ICON, layout="wide", initial_sidebar_state=300)
page.run()
