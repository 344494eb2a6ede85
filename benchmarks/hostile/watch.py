"""Watches what this process opens, lists, changes, starts, connects to or unpickles."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch

FILES = (
    "open",
    "os.listdir",
    "os.scandir",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
    "shutil.copyfile",
    "shutil.rmtree",
    "shutil.move",
)
NEVER = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "socket.connect",
    "socket.getaddrinfo",
    "pickle.find_class",
    "ctypes.dlopen",
)


class Watch:
    """While it is entered, the list that it gives fills with what was touched outside the allowed folders.

    Python's own libraries count as allowed: a first use may import them. One at a time.
    """

    def __init__(self, allowed: Sequence[Path]) -> None:
        self._allowed = tuple(
            path.resolve() for path in (*allowed, Path(sys.prefix), Path(sys.base_prefix))
        )
        self._on, self._touched = False, list[str]()
        sys.addaudithook(self._hook)  # it cannot be taken away again
        self._load_file = safetensors.torch.load_file

    def __enter__(self) -> list[str]:
        self._touched, self._on = [], True
        # safetensors opens files without Python's knowledge.
        safetensors.torch.load_file = self._load
        return self._touched

    def __exit__(self, *_: object) -> None:
        self._on = False
        safetensors.torch.load_file = self._load_file

    def _load(self, filename: Any, *args: Any, **kwargs: Any) -> Any:
        sys.audit("open", os.fspath(filename), "rb", 0)
        return self._load_file(filename, *args, **kwargs)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._on or event not in (*FILES, *NEVER):
            return
        self._on = False  # what follows opens nothing of interest
        try:
            if event in NEVER or not self._inside(args[0] if args else None):
                self._touched.append(f"{event} {args[0] if args else ''}"[:200])
        finally:
            self._on = True

    def _inside(self, where: object) -> bool:
        """Whether a path, links followed, is allowed; numbers are of files that are open already."""
        if isinstance(where, int):
            return True
        if not isinstance(where, (str, bytes, os.PathLike)):
            return False
        try:
            path = Path(os.fsdecode(where)).resolve()
        except (ValueError, OSError):  # no path of any file
            return True
        return any(path.is_relative_to(root) for root in self._allowed)
