"""A model of one's own: drop its files, see what was checked, and go on with it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.errors import CoreError
from core.inspection.handed_in import HandedIn
from core.vae.checkpoint import load_config, model_config
from core.vae.handed_in import MOST_BYTES
from dashboard.addresses import models, session_models, sync
from dashboard.addresses.explorer import facing
from dashboard.own import dropping, report_view, steps
from dashboard.own import model_text as text
from dashboard.shared import compute, destinations, own_text
from dashboard.shared.text import plain


def show() -> None:
    there = dropping.brought()
    drop, side = st.columns((2, 3), gap="medium", border=True)
    with drop:
        _drop()
        _of_the_server()
    with side:
        if there:
            _models(there)
        else:
            st.header(text.STEPS, anchor=False)
            _steps()
    if there:
        with st.expander(text.STEPS):
            _steps()


def _drop() -> None:
    st.header(text.DROP, anchor=False)
    st.caption(text.LIMITS)
    # Whatever it is called: a pickle that the browser does not let in could not be told why.
    st.file_uploader(
        text.FILES,
        accept_multiple_files=True,
        key=dropping.key(),
        on_change=dropping.take,
        max_upload_size=MOST_BYTES // 1_000_000,
    )
    if said := dropping.refused():
        st.error(plain(said))


def _steps() -> None:
    anything, mlp, tensors = st.tabs(text.TABS)
    with anything:
        st.caption(text.ANY)
        st.code(steps.ANY, language=None, wrap_lines=True)
        st.caption(text.COMMAND)
        st.code(steps.COMMAND, language=None, wrap_lines=True)
        st.caption(text.MORE)
    with mlp:
        st.caption(text.MLP)
        st.code(steps.MLP, language=None, wrap_lines=True)
    with tensors:
        st.caption(text.TENSORS)
        for arch in steps.TEMPLATES:
            st.markdown(text.ARCH_WORDS[arch])
            st.code(steps.template(arch), language=None, wrap_lines=True)
            st.markdown(text.table(text.TENSOR_COLUMNS, steps.tensors(arch)))


def _models(there: Mapping[str, HandedIn]) -> None:
    """The models that were dropped, the newest open."""
    names = compute.labels(tuple(there))
    newest, *others = there
    st.header(names[newest], anchor=False)
    _ways(newest)
    report_view.show(newest, there[newest])
    for name in others:
        with st.expander(names[name]):
            _ways(name)
            report_view.show(name, there[name])


def _ways(name: str) -> None:
    """On with a model, or away with it."""
    there = models.available()
    url = facing(sync.last(sync.EXPLORER), name, there)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            destinations.EXPLORER, label=text.OPEN, icon=":material/arrow_forward:", query_params=url
        )
        st.page_link(destinations.INSPECT, label=text.INSPECT, query_params={"model": name})
        st.page_link(destinations.COMPARE, label=text.COMPARE, query_params={"models": name})
        st.button(
            text.FORGET,
            icon=":material/delete:",
            key=f"forget-{name}",
            on_click=session_models.forget,
            args=(name,),
        )


def _of_the_server() -> None:
    """Models in folders that whoever runs this server allows."""
    mine = session_models.folders()
    own = [name for name in models.available() if models.is_own(name) and name not in mine]
    names = compute.labels(tuple(own))
    with st.expander(own_text.MODELS, expanded=bool(own)):
        st.caption(own_text.ROOTS if own else own_text.NO_MODELS)
        for name in own:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(names[name], width="content")
                problem = _problem(name)
                if problem is None:
                    url = facing(sync.last(sync.EXPLORER), name, models.available())
                    there = destinations.EXPLORER
                    st.page_link(there, label=text.OPEN, query_params=url, width="content")
            if problem is not None:
                st.error(plain(problem))


def _problem(name: str) -> str | None:
    """What is wrong with a folder, as far as its configuration says; the rest is seen when it is loaded."""
    try:
        folder = models.folder(name)
        model_config(load_config(folder), folder)
    except CoreError as error:
        return models.sentence(error)
    return None
