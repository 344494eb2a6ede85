"""Models that visitors trained here, or brought: few, in a private folder of the server; each session sees
its own alone, and they are gone when it ends."""

from __future__ import annotations

import functools
import hashlib
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

TRAINED, BROUGHT = "trained", "brought"
"""How their names begin, as those of a root do."""
MOST_MODELS = 32
"""Of all visitors together; the oldest goes. One that is trained has up to 2 MB, one that is brought 16."""
MOST_OWN = 4
"""Of one session; the oldest goes."""
_DIGITS = 24
"""Of a digest: nobody finds a second model of the same name."""
GONE = 90.0
"""Seconds without a connection after which a session has ended: after 60 (.streamlit/config.toml) a visitor
who comes back has another one."""
_GLANCE = 15.0
_KEY = "session models"
_LOCK = threading.RLock()  # a session may end, as garbage, in the middle of anything
_KEPT: dict[str, Path] = {}
"""Their folders by name, the newest last. Names are looked up here and not on the disk: whoever asks for a
name, whatever it says, makes and lists nothing."""


class _Held:
    """What a session holds. names: of its models, the newest last. seen: when it was last connected."""

    def __init__(self) -> None:
        self.names: list[str] = []
        context = get_script_run_ctx(suppress_warning=True)
        self.session, self.seen = context.session_id if context else "", time.monotonic()
        with _LOCK:
            _HOLDERS.add(self)
        # Streamlit drops a session's memory, and this with it, some time after the session has ended.
        weakref.finalize(self, _sweep, self.names).atexit = False


_HOLDERS: weakref.WeakSet[_Held] = weakref.WeakSet()
_WATCHING = threading.Event()


def keep(write: Callable[[Path], None], kind: str = TRAINED) -> str:
    """Keep a model for this session; its name. What is cached of a name holds for whoever has the same
    model, since the name is a digest of its files.

    write  puts the model's files into an empty folder; may raise anything, and then nothing is kept.
    """
    with TemporaryDirectory(dir=root()) as made:
        new = Path(made) / "model"
        new.mkdir()
        write(new)
        name = f"{kind}/{_digest(new)[:_DIGITS]}"
        with _LOCK:
            held = _held()
            held.names[:] = [*(other for other in held.names if other != name), name]
            there = _KEPT.pop(name, root() / name.replace("/", "-"))
            if not there.exists():
                new.rename(there)
            _KEPT[name] = there
            oldest, held.names[:] = held.names[:-MOST_OWN], held.names[-MOST_OWN:]
            _sweep(oldest)
            _remove(list(_KEPT)[:-MOST_MODELS])
            _watch()
    return name


def _digest(folder: Path) -> str:
    """Of all files, graph and images too: two models that differ in one of them are two models."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    each = (hashlib.sha256(path.read_bytes()).digest() for path in files)
    names = "\0".join(path.relative_to(folder).as_posix() for path in files)
    return hashlib.sha256(b"".join([names.encode(), b"\0", *each])).hexdigest()


def forget(name: str) -> None:
    """Forget a model of this session; its files go, unless another session has the very same."""
    with _LOCK:
        held = _held()
        if name in held.names:
            held.names.remove(name)
            _sweep([name])


def folders() -> dict[str, Path]:
    """The folders of this session's models, by name, the newest last."""
    known = {name: folder(name) for name in _held().names} if _KEY in st.session_state else {}
    return {name: path for name, path in known.items() if path is not None}


def folder(name: str) -> Path | None:
    """The folder of a model that is kept, whoever has it; computations have no session."""
    return _KEPT.get(name)


def is_brought(name: str) -> bool:
    """Whether a name is of a model that a visitor brought."""
    return name.startswith(f"{BROUGHT}/")


def spoken(text: str) -> str:
    """A text without the place of the folders: models are called by their names."""
    for name, path in list(_KEPT.items()):
        text = text.replace(str(path), name)
    return text


def _held() -> _Held:
    if _KEY not in st.session_state:
        st.session_state[_KEY] = _Held()
    return st.session_state[_KEY]


def forget_gone(now: float) -> None:
    """Forget what sessions had that nobody is connected to any more. now: on time.monotonic's clock."""
    with _LOCK:
        for held in list(_HOLDERS):
            if _connected(held.session):
                held.seen = now
            elif now - held.seen > GONE:
                names, held.names[:] = list(held.names), []
                _sweep(names)


def _connected(session: str) -> bool:
    """Whether somebody has that session open; where there is no server, somebody has."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session)


def _watch() -> None:
    """Look who has gone, every now and then, as long as there is a model."""

    def look() -> None:
        while True:
            time.sleep(_GLANCE)
            with _LOCK:
                forget_gone(time.monotonic())
                if not _KEPT:
                    _WATCHING.clear()
                    return

    if not _WATCHING.is_set():
        _WATCHING.set()
        threading.Thread(target=look, name="session models", daemon=True).start()


def close() -> None:
    """Delete all of them: the server ends."""
    with _LOCK:
        _remove(list(_KEPT))
        if _place.cache_info().currsize:
            _place().cleanup()


def _sweep(names: list[str]) -> None:
    """Remove those that no session holds any more."""
    with _LOCK:
        held = {name for holder in _HOLDERS for name in holder.names}
        _remove([name for name in names if name not in held])


def _remove(names: list[str]) -> None:
    for name in names:
        if (path := _KEPT.pop(name, None)) is not None:
            shutil.rmtree(path, ignore_errors=True)


@functools.cache
def _place() -> TemporaryDirectory[str]:
    """For nobody's eyes but the server's; gone when the server ends."""
    return TemporaryDirectory(prefix="elbo-models-")


def root() -> Path:
    """The folder of their folders, which is made when it is asked for first."""
    with _LOCK:
        return Path(_place().name).resolve()
