"""The lessons' few controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import streamlit as st

from dashboard.addresses.lessons import PAGE, PLANS, SETTINGS, Place
from dashboard.addresses.sync import touch
from dashboard.lessons import text
from dashboard.shared import compute
from dashboard.shared.controls import Controls


class Panel(Controls[Place]):
    """The settings of the page."""

    def __init__(self) -> None:
        super().__init__("lessons", PAGE, "lessons-")

    def overview(self, place: Place) -> None:
        """The lessons there are."""
        self.put("overview", place.lesson)
        st.pills(
            text.TITLE,
            range(1, len(PLANS) + 1),
            key=self.key("overview"),
            required=True,
            format_func=lambda number: f"{number} {text.SHORT[number - 1]}",
            label_visibility="collapsed",
            wrap=True,
            on_change=lambda: self.go(place.turn(self.get("overview"))),
        )

    def control(self, place: Place) -> None:
        """The one thing that is not fixed."""
        what = place.plan.control
        if what == "digit":
            self._digit(place)
        elif what == "eps":
            self.segments("eps")
        else:
            move = self.page.settings["move"]
            st.pills(
                move.label,
                move.options,
                key=self.key("move"),
                required=True,
                format_func=text.MOVES.__getitem__,
                on_change=touch,
                wrap=True,
            )

    def _digit(self, place: Place) -> None:
        """A class, and another one of the same class."""
        _, labels = compute.samples()
        label = int(labels[place.index])
        same = [int(i) for i in np.flatnonzero(labels == label)]
        after = same[(same.index(place.index) + 1) % len(same)]
        st.session_state["lesson-digit"] = label

        def first() -> int:
            return int(np.flatnonzero(labels == st.session_state["lesson-digit"])[0])

        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.pills(
                "Digit",
                list(range(10)),
                key="lesson-digit",
                required=True,
                wrap=True,
                on_change=lambda: self.go(replace(place, index=first())),
            )
            st.button(f"Another {label}", on_click=self.go, args=(replace(place, index=after),))

    def turns(self, place: Place) -> None:
        """To the lesson before and the one after."""
        with st.container(horizontal=True):
            if place.lesson > 1:
                self._turn(place, -1, text.PREVIOUS, "left")
            if place.lesson < len(PLANS):
                self._turn(place, +1, text.NEXT, "right")

    def _turn(self, place: Place, by: int, label: str, side: Literal["left", "right"]) -> None:
        there = place.turn(place.lesson + by)
        st.button(
            f"{label}: {text.LESSONS[there.lesson - 1].title}",
            on_click=self.go,
            args=(there,),
            icon=":material/arrow_back:" if by < 0 else ":material/arrow_forward:",
            icon_position=side,
            key=self.key(label),
        )

    def look(self, place: Place) -> None:
        """To the other look and back."""
        st.button(
            text.LEAVE if place.present else text.PRESENT,
            on_click=self.go,
            args=(replace(place, present=not place.present),),
            icon=":material/co_present:",
            type="tertiary",
        )


def locked(place: Place, models: Sequence[str]) -> None:
    """What is fixed; in the explorer it is not."""
    names, (_, labels) = compute.labels(tuple(models)), compute.samples()
    fixed = [names[model] for model in place.plan.models]
    if place.plan.control != "digit":
        fixed.append(f"digit {labels[place.index]} (test image {place.index})")
        fixed += [f"eps {place.eps:g}"] if place.plan.control != "eps" else []
        fixed += ["at most eps a pixel", text.SCORED]
    fixed.append(f"{SETTINGS.draws} draws (seed {SETTINGS.seed})")
    st.caption(text.locked(fixed))
