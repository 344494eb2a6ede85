"""Files that a visitor drops -> a model of his session, or a sentence that says what to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import streamlit as st

from core.errors import CoreError
from core.inspection.handed_in import HandedIn, take_in
from dashboard.addresses import session_models
from dashboard.addresses.session_models import BROUGHT

_KEY, _ROUND, _REFUSED = "handed in", "drop round", "drop refused"


class File(Protocol):
    """A file as Streamlit hands it over."""

    name: str

    def getvalue(self) -> bytes: ...


def key() -> str:
    """The uploader's: another one, which is empty, once a model was taken in."""
    return f"drop-{st.session_state.get(_ROUND, 0)}"


def take() -> None:
    """What was dropped, as far as it has arrived: a model, or what is wrong with it. The files stay where
    they are until it is one: what is missing can be dropped beside them."""
    session, files = st.session_state, st.session_state.get(key()) or ()
    session.pop(_REFUSED, None)
    if not files:
        return
    try:
        name, found = _kept(files)
    except CoreError as error:
        session[_REFUSED] = str(error)
        return
    session[_KEY] = {**session.get(_KEY, {}), name: found}
    session[_ROUND] = session.get(_ROUND, 0) + 1


def refused() -> str:
    """What is wrong with the files that were dropped; "" if nothing is."""
    return st.session_state.get(_REFUSED, "")


def brought() -> dict[str, HandedIn]:
    """What was seen of each model when it was dropped; the newest first."""
    seen, there = st.session_state.get(_KEY, {}), session_models.folders()
    return {name: seen[name] for name in reversed(there) if name in seen}


def _kept(files: Sequence[File]) -> tuple[str, HandedIn]:
    found = list[HandedIn]()

    def write(folder: Path) -> None:
        try:
            found.append(take_in([(file.name, file.getvalue()) for file in files], folder))
        except CoreError as error:
            # Whoever dropped the files knows them by their names, not by where they lie here.
            raise type(error)(str(error).replace(f"{folder}{os.sep}", "")) from error

    name = session_models.keep(write, BROUGHT)
    return name, found[0]
