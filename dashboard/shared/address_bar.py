"""The browser's address, changed without a step of its history, which Streamlit cannot do."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from streamlit.components.v2 import component

from dashboard.shared.frontend import source
from dashboard.shared.unseen import unseen

_bar = component("elbo_address", js=source(Path(__file__).parent, "address_bar.js"))


def put(url: Mapping[str, str] | None) -> None:
    """Have the browser put a URL in place of the one it has; None: it keeps that."""
    data = None
    if url is not None:
        data = {"search": f"?{urlencode(url)}" if url else "", "asked": secrets.token_hex(8)}
    with unseen():
        _bar(key="address", data=data)
