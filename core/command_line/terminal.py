"""What is printed: never an error of its own, whoever reads it, in whatever letters."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

from core.data.files import writing


@contextmanager
def lenient_printing() -> Iterator[None]:
    """Within it, what is printed to a reader who has gone (`| head -1`), or to a stream that was closed, is
    dropped, and a letter that the stream has not is printed as its number."""
    with redirect_stdout(_lenient(sys.stdout, 1)), redirect_stderr(_lenient(sys.stderr, 2)):
        yield


def _lenient(stream: TextIO | None, number: int) -> TextIO:
    # Without a stream for it Python itself prints to nobody, or to the other one.
    return cast(TextIO, _Lenient(open(os.devnull, "w") if stream is None else stream, number))


class _Lenient:
    """A text stream, but for what its writing may raise; `number` is its file in this process."""

    def __init__(self, stream: TextIO, number: int) -> None:
        self._stream, self._number = stream, number

    def write(self, text: str) -> int:
        code = self._stream.encoding or "utf-8"
        self._attempt(lambda: self._stream.write(text.encode(code, "backslashreplace").decode(code)))
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            with writing("What is printed"):
                work()
        except OSError as error:
            # What is left in the buffer is written when the program ends, and must find a place then.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._number)
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):
                raise
