"""Models that visitors trained here: few, on a disk for as long as the server runs; each session sees its
own alone."""

from __future__ import annotations

import functools
import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from core.vae.checkpoint import CONFIG, WEIGHTS

ROOT = "trained"
"""How their names begin, as those of a root do."""
MOST_MODELS = 32
"""Of all visitors together; the oldest goes. A model of the page is up to 2 MB."""
MOST_OWN = 4
"""Of one session; the oldest is not shown any more."""
_KEY = "trained models"
_LOCK = threading.Lock()
_KEPT: dict[str, Path] = {}
"""Their folders by name, the newest last. Names are looked up here and not on the disk: whoever asks for a
name, whatever it says, makes and lists nothing."""


def keep(write: Callable[[Path], None]) -> str:
    """Keep a model for this session; its name. What is cached of a name holds for whoever has the same
    model, since the name is a digest of its files.

    write  puts the model's files into a folder; may raise anything.
    """
    with _LOCK:
        new = root() / "new"
        shutil.rmtree(new, ignore_errors=True)
        write(new)
        digest = hashlib.sha256(b"".join((new / name).read_bytes() for name in (CONFIG, WEIGHTS)))
        there = root() / digest.hexdigest()[:12]
        if not there.exists():
            new.rename(there)
        name = f"{ROOT}/{there.name}"
        _KEPT.pop(name, None)
        _KEPT[name] = there
        for oldest in list(_KEPT)[:-MOST_MODELS]:
            shutil.rmtree(_KEPT.pop(oldest), ignore_errors=True)
    others = tuple(other for other in st.session_state.get(_KEY, ()) if other != name)
    st.session_state[_KEY] = (*others, name)[-MOST_OWN:]
    return name


def folders() -> dict[str, Path]:
    """The folders of this session's models, by name, the newest last."""
    known = {name: folder(name) for name in st.session_state.get(_KEY, ())}
    return {name: path for name, path in known.items() if path is not None}


def folder(name: str) -> Path | None:
    """The folder of a model that is kept, whoever trained it; computations have no session."""
    return _KEPT.get(name)


def roots() -> dict[str, Path]:
    """Where they all are, by how their names begin; nothing before there is one."""
    return {ROOT: root()} if _KEPT else {}


@functools.cache
def _place() -> TemporaryDirectory[str]:
    """Gone when the server ends."""
    return TemporaryDirectory(prefix="elbo-trained-")


def root() -> Path:
    """The folder of their folders, which is made when it is asked for first."""
    return Path(_place().name).resolve()
