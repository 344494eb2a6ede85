"""Which models there are: those that are shipped, folders that whoever runs the server allows, and what
this visitor trained or brought.

A name from an address is looked up in this list and never becomes a path by itself.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from core.errors import ModelNotFoundError
from core.vae import checkpoint
from core.vae.checkpoint import CONFIG, WEIGHTS, find_model, is_shipped
from core.vae.model_images import models_by_dataset
from dashboard.addresses import session_models

ROOTS = "ELBO_MODEL_ROOTS"
"""Environment variable: folders, separated as in PATH, whose subfolders with a config.json are models."""
DEFAULT_ROOT = "runs"
"""Taken where the variable is not set: where the trainings of docs/training.md write to."""
MOST_MODELS = 64
"""Models of all roots together."""
_MOST_ENTRIES = 1000
# No name that is also Markdown, a path of its own, or hidden.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")

Stamp = tuple[object, ...]
N = TypeVar("N", str, Sequence[str], tuple[str, ...])
P = ParamSpec("P")
T = TypeVar("T")


def roots() -> dict[str, Path]:
    """The allowed folders that exist, resolved, by the names that addresses call them."""
    found: dict[str, Path] = {}
    for text in os.environ.get(ROOTS, DEFAULT_ROOT).split(os.pathsep):
        path = Path(text).expanduser().resolve()
        name = path.name if _NAME.fullmatch(path.name) else "models"
        if text and path.is_dir() and path not in found.values():
            taken = sum(other.split(":")[0] == name for other in found)
            found[f"{name}:{taken + 1}" if taken else name] = path
    return found


def available() -> list[str]:
    """Names of all models: shipped ones, by data set, ROOT/FOLDER, both sorted; then this session's."""
    return list(folders())


def folders() -> dict[str, Path]:
    """The folders of all models, by name."""
    return _shipped() | _own() | session_models.folders()


def is_own(name: str) -> bool:
    """Whether a name that is available is of a model that is not shipped."""
    return "/" in name


def folder(name: str) -> Path:
    """The folder of a model that is available. Raises ModelNotFoundError for any other name."""
    if is_shipped(name):
        return find_model(name)
    found = _own().get(name) or session_models.folder(name)
    if found is None:
        raise ModelNotFoundError(
            f"There is no model {name[:80]!r} among those that are shipped or allowed on this server."
        )
    return found


def stamp(name: str) -> Stamp:
    """Changes when the files of a model that is not shipped do: part of the key of whatever is kept of it.
    Shipped ones stay as they are while a server runs."""
    if not is_own(name):
        return ()
    try:
        there = folder(name)
        files = (there / CONFIG, there / WEIGHTS)
        return tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    except (ModelNotFoundError, OSError):  # reading it will say what is wrong
        return ()


def outside(show: Callable[[Any], None]) -> Callable[[Any], None]:
    """Progress for use in a cached function: what it draws is not recorded, so a hit does not replay it."""
    context = contextvars.copy_context()
    return lambda now: context.run(show, now)


def stamped(
    cache: Callable[[Any], Any],
) -> Callable[[Callable[Concatenate[N, P], T]], Callable[Concatenate[N, P], T]]:
    """A cache of a function of a model's name, or of several, and more, that forgets it when their files
    change. A last parameter `_show` shows how far it is."""

    def decorate(work: Callable[Concatenate[N, P], T]) -> Callable[Concatenate[N, P], T]:
        shows = list(inspect.signature(work).parameters)[-1] == "_show"

        # Streamlit leaves parameters that begin with _ out of the key: by their names in `work`.
        @functools.wraps(work)
        def keyed(names: Any, *args: Any, stamp: object, **kwargs: Any) -> T:
            return work(names, *args, **kwargs)

        kept = cache(keyed)

        def call(names: N, *args: P.args, **kwargs: P.kwargs) -> T:
            told: tuple[Any, ...] = (*args[:-1], outside(cast(Any, args[-1]))) if shows else args
            files = stamp(names) if isinstance(names, str) else tuple(map(stamp, names))
            return kept(names, *told, stamp=files, **kwargs)

        return call

    return decorate


def sentence(error: Exception) -> str:
    """What is wrong with a model, in the names that visitors know: no paths of this server."""
    said = session_models.spoken(str(error))
    for name, root in roots().items():
        said = said.replace(f"{root}{os.sep}", f"{name}/")
    return said


def _shipped() -> dict[str, Path]:
    """The folders of the shipped models, by name."""
    root = checkpoint.MODELS
    try:
        return _shipped_in(root, root.stat().st_mtime_ns)
    except OSError:
        return {}


@functools.lru_cache(8)
def _shipped_in(root: Path, changed: int) -> dict[str, Path]:
    """The same, looked for again when the folder that holds them has changed: each run asks often."""
    return {name: root / name for names in models_by_dataset().values() for name in names}


def _own() -> dict[str, Path]:
    """Folders of the models in the roots, by name."""
    found = ((f"{name}/{path.name}", path) for name, root in roots().items() for path in _inside(root))
    return dict(islice(found, MOST_MODELS))


def _inside(root: Path) -> Iterator[Path]:
    """Folders directly in a root that look like models; links that lead out of the root do not count."""
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in islice(entries, _MOST_ENTRIES))
    except OSError:
        return
    for name in names:
        path = root / name
        files = (path, path / CONFIG, path / WEIGHTS)
        if not _NAME.fullmatch(name) or not all(_leads_into(root, file) for file in files):
            continue
        if (path / CONFIG).is_file():
            yield path


def _leads_into(root: Path, path: Path) -> bool:
    """Whether a path is inside of a root after all links; one that leads in circles is not."""
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return False
