"""How a page, the session and the URL stay in step; the same for every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.addresses.reader import Message

S = TypeVar("S")

_MOST_BEFORE = 8
"""URLs that a browser may be behind by."""
EXPLORER = "explorer"
"""What the explorer is called here: other pages ask where it was left."""


def restore(
    page: str,
    parse: Callable[[Mapping[str, str]], tuple[S, list[Message]]],
    write: Callable[[S], None],
    opens: Callable[[], Mapping[str, str]],
) -> list[Message]:
    """Take over the URL when a page opens and on back and forward; what it said that was wrong.

    write  puts a state where the controls find it. opens: the settings of a page that is opened without
           any, as by the links to the pages; back and forward lead to what it began with.
    """
    session = st.session_state
    url, arrived, back = dict(st.query_params), session.get("page") != page, _by_history()
    # A click ahead of the browser's next URL must not be undone by the URL it still shows.
    touched = session.pop("touched", False) and not arrived
    if arrived or (not touched and url != session[_last(page)] and (back or url not in _before(page))):
        carried = arrived and not url and not back
        state, messages = parse(opens() if carried else url)
        # Nobody wrote what was carried here: where it does not fit, there is nothing to say.
        session["messages"] = [] if carried else messages
        # A click may interrupt the run at any of these lines: until all is written, nothing counts.
        session[_former(page)] = []
        session[_last(page)] = None
        write(state)
        session["carried"] = carried
        # An image that only a browser has may still come from there: the address keeps its name.
        session["fresh"] = not carried and {message.field for message in messages} <= {"own"}
        session["wrong"] = not session["fresh"]
        session[_last(page)] = url
        session["page"] = page
    elif touched:
        session["messages"] = []
        session["carried"] = session["fresh"] = session["wrong"] = False
    return session["messages"]


def publish(page: str, url: dict[str, str]) -> dict[str, str] | None:
    """Write the settings to the URL; one that the browser is to put in place of its own, see `replaced`.

    A URL that says the same in other words stays, and one that was wrong or said nothing is replaced: a
    step of the browser's history that nobody made is one that the back button could not get past.
    """
    session, now = st.session_state, dict(st.query_params)
    if now in _before(page) and url == session.get(_last(page)):
        return url  # the browser is about to put it there
    if session.pop("wrong", False) and url != now:
        replaced(page, url)
        return url
    if session.pop("fresh", False):
        session["synonyms"] = (now, url)
    if url != now and session.get("synonyms") != (now, url):
        st.query_params.from_dict(url)
        now = url
    session[_last(page)] = now
    return None


def replaced(page: str, url: dict[str, str]) -> None:
    """The browser puts a URL in place of the one it has, which is no step of its history; until it has done
    so the ones before are no news."""
    session = st.session_state
    if url != session[_last(page)]:
        session[_former(page)] = [*_before(page), session[_last(page)]][-_MOST_BEFORE:]
        session[_last(page)] = url


def again() -> None:
    """What the URL names is there now: the next run takes it over once more."""
    if (page := st.session_state.get("page")) is not None:
        st.session_state[_former(page)] = []
        st.session_state[_last(page)] = None


def arrive(page: str) -> None:
    """A page that has no settings in its URL was opened: the others will see that they were left."""
    st.session_state["page"] = page


def last(page: str) -> dict[str, str]:
    """The URL of a page as this visitor left it; empty if it was not seen."""
    return dict(st.session_state.get(_last(page)) or {})


def touch() -> None:
    """A control was used: the next run goes by the controls, not by the URL."""
    st.session_state["touched"] = True


def _last(page: str) -> str:
    return f"url of {page}"


def _before(page: str) -> list[dict[str, str]]:
    """URLs that the browser may still have."""
    return st.session_state.get(_former(page), [])


def _former(page: str) -> str:
    return f"urls before {page}"


def _by_history() -> bool:
    """Whether back or forward in the browser led here."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation
