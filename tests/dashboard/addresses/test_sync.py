"""The session and the address stay in step, wherever Streamlit interrupts a run."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import streamlit as st

from dashboard.addresses import sync
from dashboard.addresses.reader import Message


class Interrupt(BaseException):
    """Like Streamlit's own, which comes out of any access to the session."""


class Session(dict[str, object]):
    """A visitor's session; the write number `at` is interrupted."""

    at = -1

    def __setitem__(self, key: str, value: object) -> None:
        self.at -= 1
        if self.at == 0:
            raise Interrupt
        super().__setitem__(key, value)


def parse(url: Mapping[str, str]) -> tuple[dict[str, str], list[Message]]:
    return {"a": url.get("a", "0"), "b": url.get("b", "0")}, []


@pytest.mark.parametrize("last", [{}, {"a": "1", "b": "1"}, {"a": "2", "b": "2"}])
@pytest.mark.parametrize("at", range(1, 13))
def test_an_interrupted_run_leaves_nothing_half_done(
    at: int, last: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    session, query = Session(), dict[str, str]()
    monkeypatch.setattr(st, "session_state", session)
    monkeypatch.setattr(st, "query_params", query)

    def write(state: dict[str, str]) -> None:
        for key, value in state.items():
            session[key] = value

    def visit(url: dict[str, str]) -> None:
        query.clear()
        query.update(url)
        sync.restore("page", parse, write, lambda: sync.last("page"))

    for first in ({"a": "1", "b": "1"}, {"a": "2", "b": "2"}):
        session.at = at
        try:
            visit(first)
        except Interrupt:
            break
        session.at = -1
    session.at = -1
    visit(last)
    shown = {"a": session["a"], "b": session["b"]}
    # Opened without settings, a page goes on where the visitor left it, if anywhere.
    assert shown["a"] == shown["b"]
    assert last == {} or (shown == last and session["url of page"] == last)
