"""The log: one JSON object a line on stderr, about computations and the server, never about visitors.

No image, address, setting or text of a visitor is written, only names that are ours: of functions, of
shipped models, of kinds of errors. LOG_LEVEL in the environment is info (usual), warning, error, or, where
nobody else's visits are logged, debug, which adds the traces of errors.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time

from streamlit import config

NAME = "elbo"
ERROR = logging.ERROR
_LOG = logging.getLogger(NAME)
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_WITHOUT_MESSAGES = (
    '{"time": "%(asctime)s", "level": "%(levelname)s", "event": "%(name)s", '
    '"where": "%(filename)s:%(lineno)d"}'
)


class _Line(logging.Formatter):
    """A record as JSON. Ours with their fields; of others only where they come from, because their messages
    may quote visitors."""

    def format(self, record: logging.LogRecord) -> str:
        said = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        entry: dict[str, object] = {"time": said, "level": record.levelname.lower()}
        if record.name == NAME:
            entry |= {"event": record.getMessage()} | getattr(record, "fields", {})
        else:
            entry |= {"event": record.name, "where": f"{record.filename}:{record.lineno}"}
            if record.exc_info and record.exc_info[0] is not None:
                entry["error"] = record.exc_info[0].__name__
        if record.exc_info and _LOG.isEnabledFor(logging.DEBUG):
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def start() -> None:
    """From now on everything that is logged goes to stderr in this form."""
    level = _LEVELS.get(os.environ.get("LOG_LEVEL", "").lower(), logging.INFO)
    # Of the server's loggers that are made from now on, too, for some are when a visitor comes.
    config.set_option("logger.messageFormat", _WITHOUT_MESSAGES)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.root.handlers = [handler]
    _LOG.setLevel(level)
    # Those of the server have handlers of their own, and say at each connection whose it is.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("streamlit", "uvicorn", "websockets", "asyncio")):
            other = logging.getLogger(name)
            other.handlers, other.propagate = [], True
            other.setLevel(max(level, logging.WARNING))


def event(what: str, level: int = logging.INFO, **fields: object) -> None:
    """Something that happened."""
    _LOG.log(level, what, extra={"fields": fields})


def computed(
    kind: str, model: str, fast: bool, waited: float, seconds: float, error: BaseException | None
) -> None:
    """A computation has ended; its time in the queue and after that, seconds."""
    from core.errors import Cancelled, CoreError  # late: the server starts before torch is there

    outcome, level = "done", logging.INFO
    if isinstance(error, Cancelled):
        outcome = "cancelled"
    elif error is not None:
        outcome = type(error).__name__
        level = logging.WARNING if isinstance(error, CoreError) else logging.ERROR
    times = {"waited": round(waited, 3), "seconds": round(seconds, 3)}
    event("computed", level, kind=kind, model=model, fast=fast, **times, outcome=outcome)


def failed(error: Exception) -> None:
    """A page broke: where in the code, and by what error. Not its message, which may quote a visitor."""
    where, trace = "", error.__traceback__
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    event("page failed", logging.ERROR, error=type(error).__name__, where=where)
