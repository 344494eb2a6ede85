"""The page: a training that goes on while one looks, and all epochs that it has gone through."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.errors import Cancelled, CoreError
from dashboard.addresses import models, session_models, sync
from dashboard.addresses.explorer import facing
from dashboard.addresses.train import Lecture
from dashboard.shared import destinations, skeleton
from dashboard.shared.file_names import file_name
from dashboard.shared.images import grey
from dashboard.shared.skeleton import warn
from dashboard.shared.text import HELP, nats, plain, proved_nats
from dashboard.train import compute, figures, text
from dashboard.train.compute import Limits, Snapshot, Training
from dashboard.train.controls import Panel

LOOK, LOOK_WAITING, LOOK_FAR = 1.0, 3.0, 10.0
"""Seconds between two looks at a training, at one that waits, and at one that waits for more than FAR
others: a class that waits would take the time from those that train."""
FAR = 2
_TRAINING, _REFUSED, _EPOCH, _MOVED = "training", "training refused", "train-epoch", "train-moved"
_GAP, _SCALE, _WIDTH, _BAR = 2, 3, 320, 600
"""Between two pictures of a row, in their pixels; how much larger they are made; a row, and the bar, on the
screen."""


def show() -> None:
    panel = Panel()
    asked, messages = panel.open()
    panel.sidebar()
    warn(messages)
    try:
        compute.split(asked.dataset)
    except CoreError as error:
        st.error(plain(str(error)))
        return
    training = _training()
    st.fragment(_board, run_every=_every(training))(asked, _every(training))


def _training() -> Training | None:
    """This visitor's, going on or over."""
    return st.session_state.get(_TRAINING)


def _every(training: Training | None) -> float | None:
    """Seconds until the next look."""
    if training is None or not training.going:
        return None
    before = training.before
    return LOOK_FAR if before > FAR else LOOK_WAITING if before else LOOK


def _board(asked: Lecture, every: float | None) -> None:
    """All that a look may change."""
    training = _training()
    if _every(training) != every:
        st.rerun()  # with another interval
    learned = training.asked if training else asked
    limits = compute.limits(learned.dataset, learned.eps)
    shots = list(training.items) if training else []
    _commands(asked, training, shots)
    chosen = _chosen(shots, learned.epochs)
    st.html(text.numbers(_values(chosen, limits)))
    st.caption(figures.way(chosen, limits))
    chart, seen = st.columns((3, 2), gap="medium")
    with chart:
        # As high as what is in it: nothing moves when that comes.
        place, legend = st.container(height=figures.HEIGHT, border=False, gap=None), st.container()
        _slider(learned.epochs)
        figure = figures.epochs_figure(shots, learned.epochs, limits, chosen.epoch if chosen else 0)
        skeleton.chart(figure, "train-chart", figures.describe(shots, chosen, limits), place)
        legend.caption(text.LEGEND)
    with seen:
        _pictures(chosen, learned.dataset)
    if training is not None and not training.going and training.vae is not None:
        _take(training)
    skeleton.glossary(HELP, text.GLOSSARY, [text.EPOCH_WORD, text.CONSTANT_WORD, text.CEILING_WORD])


def _commands(asked: Lecture, training: Training | None, shots: list[Snapshot]) -> None:
    """To begin and to end, and how far it is; what went wrong."""
    going = training is not None and training.going
    if said := st.session_state.pop(_REFUSED, None):
        st.error(plain(said))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(text.TRAIN, icon=":material/play_arrow:", on_click=_train, args=(asked,))
        st.button(text.CANCEL, icon=":material/stop:", disabled=not going, on_click=_cancel)
        with st.container(width=_BAR):
            _say(asked, training, shots)
    failed = training and training.error
    if failed and not isinstance(failed, Cancelled):
        st.error(plain(str(failed)) if isinstance(failed, CoreError) else text.FAILED)


def _train(asked: Lecture) -> None:
    """Begin; what was there before ends."""
    _cancel()
    st.session_state[_MOVED] = False
    try:
        st.session_state[_TRAINING] = Training(asked)
    except CoreError as error:
        st.session_state[_REFUSED] = str(error)


def _cancel() -> None:
    training = _training()
    if training is not None:
        training.cancel()
        training.wait(1.0)


def _say(asked: Lecture, training: Training | None, shots: list[Snapshot]) -> None:
    """How far it is, in a place of always the same height."""
    if training is None:
        st.progress(0.0, text.READY)
        return
    now, epochs = training.look(), training.asked.epochs
    done = max(0, len(shots) - 1)
    if training.going:
        going = text.training(min(len(shots), epochs), epochs, now.what)
        st.progress(done / epochs, text.waiting(training.before) if training.before else going)
        return
    other = text.OTHER if training.asked != asked else ""
    st.progress(done / epochs, f"{text.done(done, epochs, done < epochs)} {other}")


def _chosen(shots: list[Snapshot], epochs: int) -> Snapshot | None:
    """The epoch that is shown, by the slider; the newest until that is moved."""
    newest = shots[-1].epoch if shots else 0
    if not st.session_state.get(_MOVED):
        st.session_state[_EPOCH] = newest
    st.session_state[_EPOCH] = min(st.session_state.get(_EPOCH, newest), epochs)
    return shots[min(st.session_state[_EPOCH], newest)] if shots else None


def _slider(epochs: int) -> None:
    # Never disabled: its label could not be read.
    st.slider(text.EPOCH, 0, epochs, key=_EPOCH, on_change=_moved)


def _moved() -> None:
    """From now on the slider stays where it is."""
    st.session_state[_MOVED] = True


def _values(chosen: Snapshot | None, limits: Limits) -> dict[str, str]:
    """The numbers of the epoch that is shown, by name."""
    known = ("–",) * 3
    if chosen is not None:
        known = (nats(chosen.clean, 1), nats(chosen.attained, 1), proved_nats(chosen.proved, 1))
    return dict(zip(text.NUMBERS, (*known, nats(limits.constant, 1)), strict=True))


def _pictures(chosen: Snapshot | None, dataset: str) -> None:
    """Rows of images."""
    epoch = 0 if chosen is None else chosen.epoch
    rows = [compute.judges(dataset)] if chosen is None else list(chosen.rows)
    classes = compute.classes(dataset)
    for name, row in zip(text.ROWS, rows, strict=False):
        with st.container(gap=None):
            st.caption(name)
            st.image(_strip(row), width=_WIDTH, alt=text.row_alt(name, epoch, classes))
    st.caption(", ".join(classes))
    if chosen is None:
        st.caption(text.EMPTY_ROW)


def _strip(row: np.ndarray) -> bytes:
    """Pictures (K, H, W) of 256 grey levels side by side."""
    gap = np.full((row.shape[1], _GAP), 128, dtype=row.dtype)
    parts = [part for picture in row for part in (picture, gap)][:-1]
    return grey(np.concatenate(parts, axis=1) / 255, _SCALE)


def _take(training: Training) -> None:
    """To the explorer, or home."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(text.OPEN, icon=":material/arrow_forward:"):
            name = session_models.keep(training.write)
            url = facing(sync.last(sync.EXPLORER), name, models.available())
            # Where the explorer was left it may be at another eps than this training.
            there = url | {"eps": f"{training.asked.eps:g}"}
            st.switch_page(destinations.EXPLORER, query_params=there)
        st.download_button(
            text.DOWNLOAD,
            training.archive,
            file_name("zip", training.name),
            "application/zip",
            on_click="ignore",
            icon=":material/download:",
        )
        st.caption(text.KEPT)
