"""A lesson's board on the page, for a desk or for a room."""

from __future__ import annotations

import streamlit as st

from dashboard.lessons import text
from dashboard.lessons.board import Board
from dashboard.lessons.text import Lesson
from dashboard.shared import large_type, skeleton
from dashboard.shared.display_size import ROOM, Look, enlarged
from dashboard.shared.text import plain


def formulas(board: Board, look: Look) -> None:
    for formula in board.formulas:
        if look is ROOM:
            large_type.say(f"$\\displaystyle {formula}$")
        else:
            st.latex(formula)


def numbers(board: Board, look: Look) -> None:
    key = None if look is ROOM else "lesson-numbers"
    with st.container(horizontal=True, gap="large" if look is ROOM else "small", key=key):
        for number in board.numbers:
            if look is ROOM:
                large_type.number(number.label, number.value, number.note)
            else:
                st.metric(number.label, number.value, number.note, delta_color="off", delta_arrow="off")


def pictures(board: Board, look: Look) -> None:
    if not board.pictures:
        return
    key = None if look is ROOM else "lesson-pictures"
    with st.container(horizontal=True, gap="small", key=key):
        for picture in board.pictures:
            with st.container(width=look.picture, gap="xsmall"):
                st.image(picture.png, width=look.picture, alt=picture.alt)
                _note(picture.caption, look)


def charts(board: Board, look: Look) -> None:
    for number, chart in enumerate(board.charts):
        if look is ROOM:
            large_type.say(chart.title, 3)
        else:
            st.markdown(f"**{chart.title}**")
        figure = enlarged(chart.figure, look) if look is ROOM else chart.figure
        skeleton.chart(figure, f"lesson-chart-{number}", chart.alt)
        if chart.legend:
            _note(chart.legend, look)
    if board.problem is not None:
        st.error(plain(str(board.problem)))


def _note(words: str, look: Look) -> None:
    """Words that go with a picture or a chart."""
    (large_type.note if look is ROOM else st.caption)(words)


def question(lesson: Lesson, board: Board, look: Look) -> None:
    """Something to think about; the answer waits to be opened."""
    if look is ROOM:
        large_type.say(lesson.question, 3)
    else:
        st.markdown(f"**{text.QUESTION}.** {lesson.question}")
    with st.expander(text.ANSWER):
        answer = f"{lesson.answer}\n\n{board.answer}".strip()
        if look is ROOM:
            large_type.say(answer.replace("\n\n> ", " "), 3)
        else:
            st.markdown(answer)
