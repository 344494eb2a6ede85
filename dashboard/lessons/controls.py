"""The lessons' few controls, and how they, the session and the URL stay in step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Literal

import numpy as np
import streamlit as st

from core.inspection.lessons import MOVES
from dashboard.addresses import sync
from dashboard.addresses.lessons import EPS, PLANS, SETTINGS, Place, parse, to_params
from dashboard.addresses.reader import Message
from dashboard.addresses.sync import touch
from dashboard.lessons import text
from dashboard.shared import compute
from dashboard.shared.text import HELP

PAGE = "lessons"


def restore() -> list[Message]:
    """Take over the URL; what it said that was wrong."""
    return sync.restore(PAGE, parse, _write)


def read() -> Place:
    """What the controls show, checked again: a browser can send anything."""
    place = Place(**{field.name: st.session_state[_key(field.name)] for field in fields(Place)})
    return parse({"lesson": str(place.lesson)} | to_params(place))[0]


def publish(place: Place) -> None:
    """Write the place to the URL."""
    sync.publish(PAGE, to_params(place))


def overview(place: Place) -> None:
    """The lessons there are."""
    st.session_state["lessons-overview"] = place.lesson
    st.pills(
        text.TITLE,
        range(1, len(PLANS) + 1),
        key="lessons-overview",
        required=True,
        format_func=lambda number: f"{number} {text.LESSONS[number - 1].title}",
        label_visibility="collapsed",
        wrap=True,
        on_change=lambda: _go(place.turn(st.session_state["lessons-overview"])),
    )


def control(place: Place) -> None:
    """The one thing that is not fixed."""
    what = place.plan.control
    if what == "digit":
        _digit(place)
    elif what == "eps":
        st.segmented_control(
            text.CONTROLS[what],
            EPS,
            key=_key("eps"),
            required=True,
            format_func=lambda eps: f"{eps:g}",
            help=HELP["eps"],
            on_change=touch,
        )
    else:
        st.pills(
            text.CONTROLS[what],
            tuple(MOVES),
            key=_key("move"),
            required=True,
            format_func=text.MOVES.__getitem__,
            on_change=touch,
            wrap=True,
        )


def _digit(place: Place) -> None:
    """A class, and another one of the same class."""
    _, labels = compute.samples()
    label = int(labels[place.index])
    same = [int(i) for i in np.flatnonzero(labels == label)]
    after = same[(same.index(place.index) + 1) % len(same)]
    st.session_state["lesson-digit"] = label
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.pills(
            text.CONTROLS["digit"],
            list(range(10)),
            key="lesson-digit",
            required=True,
            wrap=True,
            on_change=lambda: _go(
                replace(place, index=int(np.flatnonzero(labels == st.session_state["lesson-digit"])[0]))
            ),
        )
        st.button(f"Another {label}", on_click=_go, args=(replace(place, index=after),))


def turns(place: Place) -> None:
    """To the lesson before and the one after."""
    with st.container(horizontal=True):
        if place.lesson > 1:
            _turn(place, -1, text.PREVIOUS, "left")
        if place.lesson < len(PLANS):
            _turn(place, +1, text.NEXT, "right")


def _turn(place: Place, by: int, label: str, side: Literal["left", "right"]) -> None:
    there = place.turn(place.lesson + by)
    st.button(
        f"{label}: {text.LESSONS[there.lesson - 1].title}",
        on_click=_go,
        args=(there,),
        icon=":material/arrow_back:" if by < 0 else ":material/arrow_forward:",
        icon_position=side,
        key=f"lessons-{label}",
    )


def look(place: Place) -> None:
    """To the other look and back."""
    st.button(
        text.LEAVE if place.present else text.PRESENT,
        on_click=_go,
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


def _write(place: Place) -> None:
    for name, value in vars(place).items():
        st.session_state[_key(name)] = value


def _go(place: Place) -> None:
    _write(place)
    touch()


def _key(name: str) -> str:
    """The other pages have controls of the same names."""
    return f"lessons-{name}"
