"""The pages and the way between them: what runs for each visitor, whenever something changes."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

NAME, ICON = "ELBO under attack", str(Path(__file__).resolve().parent.parent / "assets" / "favicon.svg")

pages = [
    st.Page("entries/explorer.py", title="Explorer", default=True),
    st.Page("entries/attack.py", title="Attack it yourself", url_path="attack"),
    st.Page("entries/inspect.py", title="Inspect", url_path="inspect"),
    st.Page("entries/compare.py", title="Compare", url_path="compare"),
    st.Page("entries/lessons.py", title="Lessons", url_path="lessons"),
    st.Page("entries/train.py", title="Train", url_path="train"),
    st.Page("entries/own.py", title="Your own", url_path="own"),
    st.Page("entries/results.py", title="Results", url_path="results"),
    # Reached from the explorer, whose settings it takes over.
    st.Page("entries/present.py", title="Present", url_path="present", visibility="hidden"),
]
page = st.navigation(pages, position="top")
# After the pages: what they are called would otherwise be the whole title.
title = NAME if page == pages[0] else f"{page.title}: {NAME}"
st.set_page_config(page_title=title, page_icon=ICON, layout="wide", initial_sidebar_state=300)
page.run()
