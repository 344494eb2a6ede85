"""The page of lessons: one lesson at a time, in words, formulas and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

import core
from core.errors import CoreError
from dashboard.addresses import explorer
from dashboard.addresses.lessons import Place, missing
from dashboard.lessons import clean, descent, draw, explosion, limits, pixels, price, text, top
from dashboard.lessons.board import Board
from dashboard.lessons.controls import Panel, locked
from dashboard.server.background import Show
from dashboard.shared import destinations, large_type, links
from dashboard.shared.display_size import DESK, ROOM
from dashboard.shared.skeleton import progress, warn
from dashboard.shared.text import plain

BOARDS: tuple[Callable[[Place, Show], Board], ...] = (
    clean.board,
    pixels.board,
    descent.board,
    explosion.board,
    price.board,
    limits.board,
)
"""What computes lesson 1, 2, ..."""


def show() -> None:
    models = core.list_models()
    if absent := missing(models):
        st.error(text.MISSING.format(", ".join(absent)))
        return
    panel = Panel()
    place, messages = panel.open()
    top.start(place.lesson)
    warn(messages)
    try:
        (_room if place.present else _desk)(panel, place)
    except CoreError as error:
        st.error(plain(str(error)))
    _links(panel, place, models)


def _computed(place: Place) -> Board:
    """What a lesson shows. How far that is stands where it will be, and nothing below that could jump."""
    status = st.empty()
    try:
        return BOARDS[place.lesson - 1](place, progress(status))
    finally:
        status.empty()


def _desk(panel: Panel, place: Place) -> None:
    """What it is about, beside words and formulas: on a phone it comes first."""
    lesson = text.LESSONS[place.lesson - 1]
    panel.overview(place)
    st.header(f"{place.lesson} · {lesson.title}", anchor=False)
    seen, words = st.columns((5, 4), gap="large")
    with seen:
        panel.control(place)
        board = _computed(place)
        st.markdown(f"**{board.finding}**")
        draw.pictures(board, DESK)
        draw.numbers(board, DESK)
        draw.charts(board, DESK)
    # Last: on a phone they stand below, and what comes after them would push them down.
    with words:
        st.markdown(lesson.words)
        draw.formulas(board, DESK)
    draw.question(lesson, board, DESK)
    panel.turns(place)
    locked(place, core.list_models())


def _room(panel: Panel, place: Place) -> None:
    """What is seen, in large type; the words are the lecturer's."""
    lesson = text.LESSONS[place.lesson - 1]
    large_type.say(f"{place.lesson} · {lesson.title}", 1)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        with st.container(width="content"):
            panel.control(place)
        with st.container(width="content"):
            panel.turns(place)
    board = _computed(place)
    large_type.say(board.finding)
    draw.numbers(board, ROOM)
    words, seen = st.columns((4, 5), gap="large")
    with words:
        draw.formulas(board, ROOM)
    with seen:
        draw.pictures(board, ROOM)
        draw.charts(board, ROOM)
    draw.question(lesson, board, ROOM)


def _links(panel: Panel, place: Place, models: Sequence[str]) -> None:
    """To the same question in the explorer, to the other look and back."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        links.link(destinations.EXPLORER, text.OPEN, explorer.to_params(place.explorer(), models))
        panel.look(place)
