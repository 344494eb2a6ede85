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


def page() -> None:
    from dashboard import text

    st.title(text.TITLE, anchor=False)
    st.markdown(text.SUBTITLE)
    # Imported here so that the browser gets the words above while torch is still loading.
    from dashboard.views import explorer

    explorer.show()


st.navigation([st.Page(page, title="ELBO under attack", default=True)], position="hidden").run()
