"""Where the controls of the page of comparisons keep their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.addresses.sync import touch


def key(field: str) -> str:
    """The other pages have controls of the same names."""
    return f"compare-{field}"


def get(field: str) -> Any:
    return st.session_state[key(field)]


def put(field: str, value: object) -> None:
    st.session_state[key(field)] = value


def set_(field: str, value: object) -> None:
    put(field, value)
    touch()


def take(name: str, value: Callable[[], object]) -> None:
    set_(name, value())


def turn_back() -> None:
    """Other digits, or another order: from the first page."""
    set_("page", 1)
