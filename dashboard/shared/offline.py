"""A line says that the network is gone: until it is back, controls do nothing and nobody says why."""

from __future__ import annotations

from pathlib import Path

from streamlit.components.v2 import component

from dashboard.shared.frontend import source
from dashboard.shared.unseen import unseen

WORDS = "You are offline: eps still moves in the explorer, all else waits until you are back."
_HERE = Path(__file__).parent
_line = component(
    "elbo_offline",
    html=f'<p role="status" data-words="{WORDS}"></p>',
    css=source(_HERE, "offline.css"),
    js=source(_HERE, "offline.js"),
)


def watch() -> None:
    """Have the browser say so, on whichever page."""
    with unseen():
        _line(key="offline")
