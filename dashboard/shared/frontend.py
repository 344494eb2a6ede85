"""Sources of the components that run in the browser."""

from __future__ import annotations

from pathlib import Path


def source(folder: Path, *names: str) -> str:
    """Files of a folder, one after the other: the browser gets one module, and has no path to others."""
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
