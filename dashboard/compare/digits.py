"""Which digit is compared, and which is held beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from dashboard.addresses.compare import Comparison
from dashboard.compare.session import get, key, set_
from dashboard.shared import image_picker


def choose(comparison: Comparison, labels: Sequence[int]) -> None:
    """The explorer's controls, and pins."""
    image_picker.choose(np.asarray(labels), prefix=key(""))
    index = comparison.asked.index
    with st.container(horizontal=True):
        if comparison.against != index and not get("own"):
            st.button(
                "Pin this digit",
                on_click=set_,
                args=("against", index),
                icon=":material/keep:",
                help="The digit stays, and the one that you choose next is held beside it.",
            )
        if comparison.against is not None:
            st.button("Unpin", on_click=set_, args=("against", None), icon=":material/keep_off:")
