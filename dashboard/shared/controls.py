"""The settings of a page in a visitor's session, and the controls that change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import streamlit as st

from dashboard.addresses import looking, sync
from dashboard.addresses.page import Page, flat
from dashboard.addresses.reader import Message
from dashboard.addresses.settings import Number, Seen, as_text, given
from dashboard.addresses.sync import touch
from dashboard.shared import address_bar

S = TypeVar("S")


class Controls(Generic[S]):
    """Made anew in each run.

    name    of the page. prefix: how the keys of its controls begin, for pages have some of the same names.
    there   what the settings choose from, see `Page.parse`.
    """

    def __init__(self, name: str, page: Page[S], prefix: str, **there: Any) -> None:
        self.name, self.page, self.prefix, self.there = name, page, prefix, there

    def key(self, setting: str) -> str:
        """The name of a control in the session."""
        return self.prefix + setting

    def get(self, setting: str) -> Any:
        return st.session_state[self.key(setting)]

    def put(self, setting: str, value: object) -> None:
        st.session_state[self.key(setting)] = value

    def set(self, setting: str, value: object) -> None:
        """Change a setting as a control does."""
        self.put(setting, value)
        touch()

    def restore(self) -> list[Message]:
        """Take over the URL; what it said that was wrong."""
        return sync.restore(
            self.name,
            lambda url: self.page.parse(url, **self.there),
            self.write,
            lambda: looking.opening(self.page, sync.last(self.name), self.there),
        )

    def texts(self) -> dict[str, str]:
        """What the controls show, as an address would say it."""
        said = {setting: as_text(value) for setting, value in self._held().items()}
        return {setting: text for setting, text in said.items() if text is not None}

    def read(self) -> tuple[S, list[Message]]:
        """The state that the controls show, checked again: a browser can send anything."""
        return self.page.parse(self.texts(), **self.there)

    def settle(self) -> tuple[S, list[Message]]:
        """The same; from now on the controls show what it is."""
        state, messages = self.read()
        self.write(state)
        return state, messages

    def write(self, state: S) -> None:
        """Put a state where the controls find it."""
        values = flat(state)
        for setting in self.page.held:
            self.put(setting, _as_held(values[setting]))

    def open(self) -> tuple[S, list[Message]]:
        """What the page is to show, from the URL and the controls; and what had to be refused."""
        messages = self.restore()
        state, late = self.settle()
        self.publish(state)
        return state, [*messages, *late]

    def publish(self, state: S) -> None:
        """Write the state to the URL."""
        address_bar.put(sync.publish(self.name, self.page.address(state, **self.there)))
        looking.note(self.name, self.page, state)

    def go(self, state: S) -> None:
        """Change all settings as a control does."""
        self.write(state)
        touch()

    def reset(self) -> None:
        self.go(self.page.parse({}, **self.there)[0])

    def change_norm(self) -> None:
        """An eps of one norm means nothing in the other: it goes back to what the page opens with."""
        for setting in ("eps", "upto"):
            if setting in self.page.settings:
                self.put(setting, given(self.page.settings[setting].default, self.seen))
        touch()

    def select(self, setting: str, **more: Any) -> None:
        st.selectbox(**self._described(setting, more))

    def radio(self, setting: str, **more: Any) -> None:
        st.radio(**self._described(setting, more))

    def segments(self, setting: str, **more: Any) -> None:
        st.segmented_control(**self._described(setting, more), required=True)

    def pills(self, setting: str, **more: Any) -> None:
        """Several options; not st.multiselect: the text of its tags cannot be read on a dark theme."""
        st.pills(**self._described(setting, more), selection_mode="multi")

    def slide(self, setting: str, **more: Any) -> None:
        st.select_slider(**self._described(setting, more))

    def number(self, setting: str, **more: Any) -> None:
        kind = self.page.settings[setting]
        assert isinstance(kind, Number)
        limits = {"min_value": kind.low, "max_value": self._given(kind.high)}
        st.number_input(**self._described(setting, limits | more))

    def foot(self) -> None:
        """The end of a sidebar."""
        said = "The address of this page holds all settings: bookmark or share it."
        st.button("Reset", on_click=self.reset, width="stretch", icon=":material/restart_alt:", help=said)

    def _described(self, name: str, more: Mapping[str, Any]) -> dict[str, Any]:
        """What the description of a setting says of its control, and more, or other things."""
        setting = self.page.settings[name]
        said = {"label": setting.label, "key": self.key(name), "help": setting.help, "on_change": touch}
        if setting.options and "options" not in more:
            said["options"] = self._given(setting.options)
        if setting.names:
            said["format_func"] = setting.names.__getitem__
        return {**said, **more}

    @property
    def seen(self) -> Seen:
        """What there is, and what the controls show."""
        return self.there | self._held()

    def _given(self, value: Any) -> Any:
        """A value, or what a function makes of what is seen, which is gathered for it alone."""
        return value(self.seen) if callable(value) else value

    def _held(self) -> dict[str, Any]:
        """What the controls hold; None for one that has not been shown for a while."""
        return {setting: st.session_state.get(self.key(setting)) for setting in self.page.held}


def _as_held(value: Any) -> Any:
    """A value as a control holds it."""
    if isinstance(value, tuple):
        return list(value)
    return (as_text(value) or "") if isinstance(value, bytes) else value
