"""A link to the explorer as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st
from streamlit.components.v2 import component

from dashboard.explorer.takeaway import text
from dashboard.shared.frontend import source

_HERE = Path(__file__).parent
_HTML = """<label for="link"></label>
<div class="row"><input id="link" readonly><button type="button"></button></div>
<p role="status"></p>"""
_share = component(
    "elbo_share",
    html=_HTML,
    css=source(_HERE, "takeaway.css"),
    js=source(_HERE, "share.js"),
)


def address(base: str, params: Mapping[str, str]) -> str:
    """The whole address; a visitor's own image is no part of it: nobody else has it."""
    kept = {name: value for name, value in params.items() if name != "own"}
    parts = urlsplit(base)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", urlencode(kept), ""))


def field(params: Mapping[str, str]) -> None:
    """The link, and a button that copies it."""
    words = {"label": text.LINK, "copy": text.COPY, "copied": text.COPIED, "by_hand": text.BY_HAND}
    _share(data={"link": address(str(st.context.url or "/"), params), **words}, key="share")
