"""Controls that several pages have. key: of the control in the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from core.bounds.ball import NORMS
from core.vae.validate import TARGETS
from dashboard.addresses.sync import touch
from dashboard.shared.text import HELP, NORM_LABELS, TARGET_LABELS, help_on


def question(key: str, options: Sequence[str] = TARGETS, side: str = "lower") -> None:
    """Which ELBO it is about. side: which way the adversary goes."""
    st.radio(
        "Question",
        options,
        key=key,
        format_func=TARGET_LABELS.__getitem__,
        help=help_on(side)["target"],
        on_change=touch,
    )


def limit(key: str, on_change: Callable[[], None]) -> None:
    """What the ball limits."""
    st.segmented_control(
        "Change that is limited",
        NORMS,
        key=key,
        required=True,
        format_func=NORM_LABELS.__getitem__,
        help=HELP["norm"],
        on_change=on_change,
    )


def foot(reset: Callable[..., None], *args: object) -> None:
    """The end of a sidebar."""
    st.button("Reset", on_click=reset, args=args, width="stretch", icon=":material/restart_alt:")
    st.caption("The address of this page holds all settings: bookmark or share it.")
