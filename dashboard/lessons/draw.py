"""A lesson's board on the page, for a desk or for a room."""

from __future__ import annotations

import streamlit as st

from dashboard.lessons import text
from dashboard.lessons.board import Board
from dashboard.lessons.text import Lesson
from dashboard.shared import large_type
from dashboard.shared.display_size import DESK, ROOM, Look, enlarged
from dashboard.shared.text import plain


def formulas(board: Board, look: Look) -> None:
    for formula in board.formulas:
        if look is ROOM:
            large_type.say(f"$\\displaystyle {formula}$")
        else:
            st.latex(formula)


def numbers(board: Board, look: Look) -> None:
    with st.container(horizontal=True, gap="large" if look is ROOM else "small"):
        for number in board.numbers:
            if look is ROOM:
                large_type.number(number.label, number.value, number.note)
            else:
                st.metric(number.label, number.value, number.note, delta_color="off", delta_arrow="off")


def pictures(board: Board, look: Look) -> None:
    if not board.pictures:
        return
    with st.container(horizontal=True, gap="small"):
        for picture in board.pictures:
            with st.container(width=look.picture, gap="xsmall"):
                st.image(picture.png, width=look.picture, alt=picture.alt)
                if look is ROOM:
                    large_type.note(picture.caption)
                else:
                    st.caption(picture.caption)


def charts(board: Board, look: Look) -> None:
    for number, chart in enumerate(board.charts):
        if look is ROOM:
            large_type.say(chart.title, 3)
        else:
            st.markdown(f"**{chart.title}**")
        st.plotly_chart(
            enlarged(chart.figure, look) if look is not DESK else chart.figure,
            key=f"lesson-chart-{number}",
            config={"displayModeBar": False},
            alt=chart.alt,
        )
        if chart.legend and look is ROOM:
            large_type.note(chart.legend)
        elif chart.legend:
            st.caption(chart.legend)
    if board.problem is not None:
        st.error(plain(str(board.problem)))


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
