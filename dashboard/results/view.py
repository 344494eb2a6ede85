"""The page of results: all models, all images, as curves, points, pictures and tables."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

import core
from core.errors import CoreError
from core.evaluation.results import Results
from core.evaluation.results_files import SAMPLES
from dashboard.addresses.results import Choice
from dashboard.results import picking, tables
from dashboard.results.filters import Filters
from dashboard.shared import compute, curves, destinations, links, pareto, result_rows, text
from dashboard.shared.skeleton import chart, glossary, warn

CLICKS = {"on_select": "rerun", "selection_mode": "points"}


def show() -> None:
    try:
        results, changed = compute.results(), compute.changed()
    except CoreError as error:
        st.error(str(error))
        links.link(destinations.EXPLORER, text.TO_EXPLORER)
        return
    filters = Filters(results)
    choice, messages = filters.open()
    filters.sidebar()
    warn(messages)
    if changed:
        st.warning(text.other_weights(changed))
    shipped = core.list_models()
    _curves(filters, results, choice, shipped)
    _frontier(filters, results, choice, shipped)
    _samples(filters, results, choice)
    tables.models(results, choice, shipped)
    tables.downloads(results, choice)
    glossary(text.HELP | text.RESULTS_HELP, text.RESULTS_GLOSSARY)


def _curves(filters: Filters, results: Results, choice: Choice, shipped: Sequence[str]) -> None:
    """Attack strength against the ELBO."""
    words = text.RESULTS_HELP
    help_ = "\n\n".join(words[word] for word in ("mean_attained", "mean_proved", "interval"))
    st.header(f"Attack strength against ELBO: {text.TARGET_NAMES[choice.target]}", anchor=False, help=help_)
    filters.curve_range()
    lines = result_rows.curves(results, choice, compute.evaluated(results))
    near = choice.axis == "near"
    if not choice.models:
        st.info(text.NO_MODELS)
    event = chart(
        curves.curve_figure(lines, choice.upto, near, text.EPS_AXIS["linf"]),
        "results-curves",
        curves.describe(lines, choice.upto),
        **CLICKS,
    )
    picking.offer(event, lines, results, choice, shipped)
    st.html(curves.legend(lines, choice.upto, near))
    st.caption(_over(results, choice))
    tables.curve_rows(results, choice, lines, shipped)


def _frontier(filters: Filters, results: Results, choice: Choice, shipped: Sequence[str]) -> None:
    """Clean against proved."""
    st.header("Clean against proved", anchor=False, help=text.RESULTS_HELP["frontier"])
    filters.segments("eps")
    lines = result_rows.points(results, choice, compute.evaluated(results))
    event = chart(
        pareto.pareto_figure(lines, choice.eps),
        "results-frontier",
        pareto.describe(lines, choice.eps),
        **CLICKS,
    )
    picking.offer(event, lines, results, choice, shipped)
    st.html(curves.key(lines))
    st.caption(f"{text.FRONTIER_LEGEND} {_over(results, choice)}")
    tables.point_rows(results, choice, lines, shipped)


def _over(results: Results, choice: Choice) -> str:
    """Which images, draws and methods the charts are over."""
    attacked, certified = result_rows.sizes(results, choice)
    suite = results.suite
    return text.over(
        (choice.attack, attacked),
        (choice.certificate, certified),
        result_rows.decoder_images(results, choice),
        suite.images,
        suite.draws,
        suite.seed,
    )


def _samples(filters: Filters, results: Results, choice: Choice) -> None:
    """What a model makes up, and what it makes of digits."""
    if not choice.sample:
        return
    st.header("What the models draw", anchor=False)
    filters.sample_choice()
    name = compute.evaluated(results)[choice.sample]
    for kind, place in zip(SAMPLES, st.columns((2, 3), gap="medium"), strict=True):
        with place:
            try:
                png = compute.sample(choice.sample, kind)
            except CoreError as error:
                st.error(str(error))
                continue
            st.image(png, caption=text.SAMPLES[kind], alt=f"{name}. {text.SAMPLES[kind]}", width="stretch")
