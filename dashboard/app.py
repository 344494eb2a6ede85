"""Run with `streamlit run dashboard/app.py`. The server, made once; what a visitor sees is in pages.py."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st
from starlette.routing import Route

# `streamlit run` puts this file's folder on the path, not the folder above, where core is.
ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from dashboard import opening  # noqa: E402
from dashboard.server import first_frame, health, logs  # noqa: E402
from dashboard.shared.destinations import PATHS  # noqa: E402

app = st.App(
    "pages.py",
    lifespan=health.lifespan(opening.load, opening.end),
    routes=[Route("/health", health.respond), *first_frame.routes(PATHS.values())],
    on_script_error=logs.failed,
)
