"""The page of results: all models, all images, as curves, points, pictures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

import core
from core.errors import CoreError
from core.evaluation.results import Results
from core.evaluation.results_files import SAMPLES
from dashboard.addresses.results import Choice
from dashboard.results import overview, picking, tables, take_away, trained
from dashboard.results.filters import Filters
from dashboard.shared import compute, curves, destinations, links, pareto, result_rows, text
from dashboard.shared.curves import Lines
from dashboard.shared.skeleton import chart, glossary, warn

CLICKS = {"on_select": "rerun", "selection_mode": "points"}


def show() -> None:
    try:
        every, wrong = compute.evaluations()
    except CoreError as error:
        st.error(str(error))
        links.link(destinations.EXPLORER, text.TO_EXPLORER)
        return
    filters = Filters(every)
    choice, messages = filters.open()
    results = every[choice.dataset]
    filters.sidebar()
    warn(messages)
    for sentence in wrong:
        st.warning(text.plain(sentence))
    if changed := compute.changed(choice.dataset):
        st.warning(text.other_weights(changed))
    shipped, names = core.list_models(), compute.evaluated(results)
    points = result_rows.points(results, choice, names)
    table, figure = st.columns((11, 9), gap="medium")
    with table:
        _models(filters, results, choice, points, shipped)
    with figure:
        _curves(filters, results, choice, names, shipped)
    _frontier(results, choice, points, shipped)
    _samples(filters, results, choice)
    trained.show(results, choice)
    take_away.show(results, choice, points)
    glossary(text.HELP | text.RESULTS_HELP, text.RESULTS_GLOSSARY)


def _models(
    filters: Filters, results: Results, choice: Choice, lines: Sequence[Lines], shipped: Sequence[str]
) -> None:
    """All models at one eps, a row each."""
    st.header(f"The models at eps {choice.eps:g}", anchor=False, help=_help())
    filters.table_choice()
    if lines:
        tables.models(results, choice, lines, shipped)
    else:
        st.caption(text.NO_ROWS)
    st.caption(f"{text.TARGET_LABELS[choice.target]}, mean ELBO in nats. {_over(results, choice, lines)}")


def _help() -> str:
    words = text.RESULTS_HELP
    return "\n\n".join(words[word] for word in ("mean_attained", "mean_proved", "interval", "ceiling"))


def _curves(
    filters: Filters, results: Results, choice: Choice, names: Mapping[str, str], shipped: Sequence[str]
) -> None:
    """Attack strength against the ELBO."""
    st.header("Attack strength against ELBO", anchor=False, help=_help())
    lines = result_rows.curves(results, choice, names)
    near = choice.axis == "near"
    if not choice.models:
        st.info(text.NO_MODELS)
    event = chart(
        curves.curve_figure(lines, choice.upto, near, text.EPS_AXIS["linf"]),
        "results-curves",
        curves.describe(lines, choice.upto),
        **CLICKS,
    )
    st.html(curves.legend(lines, choice.upto, near))
    st.caption(text.BARS)
    filters.curve_range()
    picking.offer(event, lines, results, choice, shipped)
    tables.curve_rows(results, choice, lines, shipped)


def _frontier(results: Results, choice: Choice, lines: Sequence[Lines], shipped: Sequence[str]) -> None:
    """Clean against proved."""
    st.header(
        f"Clean against proved at eps {choice.eps:g}", anchor=False, help=text.RESULTS_HELP["frontier"]
    )
    event = chart(
        pareto.pareto_figure(lines, choice.eps),
        "results-frontier",
        pareto.describe(lines, choice.eps),
        **CLICKS,
    )
    picking.offer(event, lines, results, choice, shipped)
    st.html(curves.key(lines))
    st.caption(f"{text.FRONTIER_LEGEND} {_over(results, choice, lines)} {text.BARS}")
    tables.point_rows(results, choice, lines, shipped)


def _over(results: Results, choice: Choice, lines: Sequence[Lines]) -> str:
    """Which images, draws and methods the numbers are over; what must not be missed is bold."""
    said = f"{overview.over(results, choice)}{overview.methods(lines, choice)}"
    return said.replace(text.DIFFERENT, f"**{text.DIFFERENT}**")


def _samples(filters: Filters, results: Results, choice: Choice) -> None:
    """What a model makes up, and what it makes of images."""
    if not choice.sample:
        return
    st.header("What the models draw", anchor=False)
    filters.sample_choice()
    name = compute.evaluated(results)[choice.sample]
    for kind, place in zip(SAMPLES, st.columns((2, 3), gap="medium"), strict=True):
        with place:
            try:
                png = compute.sample(choice.dataset, choice.sample, kind)
            except CoreError as error:
                st.error(str(error))
                continue
            st.image(png, caption=text.SAMPLES[kind], alt=f"{name}. {text.SAMPLES[kind]}", width="stretch")
