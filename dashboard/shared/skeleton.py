"""What every page is put together from: what it needs, what it has to say, status, charts, words."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.image_sets import ImageSet
from core.errors import CoreError
from dashboard.addresses import digit
from dashboard.addresses.kinds import Source
from dashboard.addresses.models import available, sentence
from dashboard.addresses.reader import Message
from dashboard.server.background import Now, Show
from dashboard.shared.text import MODELS_MISSING, plain

# Seconds between two messages of a progress bar; a key that may be there or not.
_EVERY, _ANY = 1.0, "progress"


def models() -> list[str]:
    """The models there are; without any the page ends with a sentence."""
    found = available()
    if not found:
        st.error(MODELS_MISSING)
        st.stop()
    return found


def images(source: Source) -> ImageSet | None:
    """The images of a source; None where there are none, or they cannot be read."""
    try:
        return digit.images(source)
    except CoreError:
        return None


def say_no_images(source: Source) -> None:
    """Why there are none, and what to do."""
    try:
        digit.images(source)
    except CoreError as error:
        (st.error if source.seal or not source.model else st.info)(plain(sentence(error)))


def warn(messages: Iterable[Message]) -> None:
    """What had to be refused, each sentence once."""
    for said in dict.fromkeys(message.text for message in messages):
        st.warning(said)


def progress(status: DeltaGenerator, name: str = "", done: float = 0, whole: float = 1) -> Show:
    """Shows how far a computation is, which comes after `done` others of `whole`, and that it can be
    cancelled."""

    bar = Bar(status)

    def show(now: Now) -> None:
        what = f"{name}: {now.what}" if name else now.what
        bar.say((done + now.share) / whole, f"{what}. Any control cancels it.")

    return show


class Bar:
    """A progress bar that may be told as often as one likes, and says something at most once a second.

    Each message makes the browser draw the page again: ten a second starve the controls of a page that is
    still being drawn, and nothing can be cancelled by what is not there. Every call is a place where a
    control interrupts the page, whether it says something or not.
    """

    def __init__(self, status: DeltaGenerator) -> None:
        self._status, self._said = status, -math.inf

    def say(self, share: float, what: str) -> None:
        """Say how far it is, a share in [0, 1], and what is being done."""
        now = time.monotonic()
        if now - self._said < _EVERY:
            _ = _ANY in st.session_state  # Streamlit interrupts a page where it looks there
            return
        self._said = now
        self._status.progress(share, what)


def chart(figure: go.Figure, key: str, alt: str, place: Any = st, **more: Any) -> Any:
    """A chart without plotly's own buttons, and its words for those who cannot see it."""
    return place.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt, **more)


def glossary(words: Mapping[str, str], chosen: Iterable[str], first: Iterable[str] = ()) -> None:
    """Definitions to open at the end of a page."""
    with st.expander("Words on this page"):
        definitions(words, chosen, first)


def definitions(words: Mapping[str, str], chosen: Iterable[str], first: Iterable[str] = ()) -> None:
    """Definitions, a line each."""
    st.markdown("\n".join(f"- {said}" for said in (*first, *(words[word] for word in chosen))))
