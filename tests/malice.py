"""A pickle that leaves a trace when it is executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

_TRACE = "executed"


class Bomb:
    def __init__(self, folder: Path) -> None:
        self._path = str(folder / _TRACE)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._path,)

    def pickled(self) -> bytes:
        return pickle.dumps(self)


def exploded(folder: Path) -> bool:
    return (folder / _TRACE).exists()
