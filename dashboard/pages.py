"""The pages and the way between them: what runs for each visitor, whenever something changes."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.shared import kept_images, offline
from dashboard.shared.destinations import (
    ATTACK,
    COMPARE,
    EXPLORER,
    INSPECT,
    LESSONS,
    OWN,
    PATHS,
    PRESENT,
    RESULTS,
    TRAIN,
)
from dashboard.shared.unseen import open_place

NAME, ICON = "ELBO under attack", str(Path(__file__).resolve().parent.parent / "assets" / "favicon.svg")

# First, before anything is drawn, or what is drawn jumps.
st.set_page_config(page_title=NAME, page_icon=ICON, layout="wide", initial_sidebar_state=300)
titles = {
    EXPLORER: "Explorer",
    ATTACK: "Attack it yourself",
    INSPECT: "Inspect",
    COMPARE: "Compare",
    LESSONS: "Lessons",
    TRAIN: "Train",
    OWN: "Your own",
    RESULTS: "Results",
    PRESENT: "Present",
}
pages = {
    file: st.Page(file, title=title, url_path=PATHS[file], default=file == EXPLORER)
    for file, title in titles.items()
}
page = st.navigation(list(pages.values()), position="top")
# After the pages: what they are called would otherwise be the whole title.
st.set_page_config(page_title=NAME if page == pages[EXPLORER] else f"{page.title}: {NAME}")
open_place()
offline.watch()
kept_images.show(all_of_them=page == pages[OWN])
page.run()
