"""The page of results: all models, all images, as curves, points, pictures and tables."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

import core
from core.errors import CoreError
from core.evaluation.evaluate import CONSTANT
from core.evaluation.results import Results
from core.evaluation.results_files import SAMPLES
from dashboard.addresses.results import Choice
from dashboard.results import filters, picking, tables
from dashboard.shared import compute, curves, destinations, pareto, result_rows, text

QUIET = {"displayModeBar": False}


def show() -> None:
    try:
        results, changed = compute.results(), compute.changed()
    except CoreError as error:
        st.error(str(error))
        st.page_link(destinations.EXPLORER, label=text.TO_EXPLORER, icon=":material/arrow_forward:")
        return
    messages = filters.restore(results)
    choice, late = filters.read(results)
    filters.sidebar(results, choice)
    filters.publish(choice, results)
    for message in {m.text: m for m in (*messages, *late)}.values():
        st.warning(message.text)
    if changed:
        st.warning(text.other_weights(changed))
    shipped = core.list_models()
    _curves(results, choice, shipped)
    _frontier(results, choice, shipped)
    _samples(results, choice)
    tables.models(results, choice, shipped)
    tables.downloads(results, choice)
    with st.expander("Words on this page"):
        words = text.HELP | text.RESULTS_HELP
        st.markdown("\n".join(f"- {words[word]}" for word in text.RESULTS_GLOSSARY))


def _names(results: Results) -> dict[str, str]:
    """Models' names for people, and the constant decoder's."""
    return compute.labels(tuple(entry.model for entry in results.entries)) | {CONSTANT: text.CONSTANT}


def _curves(results: Results, choice: Choice, shipped: Sequence[str]) -> None:
    """Attack strength against the ELBO."""
    words = text.RESULTS_HELP
    help_ = "\n\n".join(words[word] for word in ("mean_attained", "mean_proved", "interval"))
    st.header(f"Attack strength against ELBO: {text.TARGET_NAMES[choice.target]}", anchor=False, help=help_)
    filters.curve_range(results)
    lines = result_rows.curves(results, choice, _names(results))
    near = choice.axis == "near"
    if not choice.models:
        st.info(text.NO_MODELS)
    event = st.plotly_chart(
        curves.curve_figure(lines, choice.upto, near, text.EPS_AXIS["linf"]),
        key="results-curves",
        on_select="rerun",
        selection_mode="points",
        config=QUIET,
        alt=curves.describe(lines, choice.upto),
    )
    picking.offer(event, lines, results, choice, shipped)
    st.html(curves.legend(lines, choice.upto, near))
    st.caption(_over(results, choice))
    tables.curve_rows(results, choice, lines, shipped)


def _frontier(results: Results, choice: Choice, shipped: Sequence[str]) -> None:
    """Clean against proved."""
    st.header("Clean against proved", anchor=False, help=text.RESULTS_HELP["frontier"])
    filters.eps_choice(results)
    lines = result_rows.points(results, choice, _names(results))
    event = st.plotly_chart(
        pareto.pareto_figure(lines, choice.eps),
        key="results-frontier",
        on_select="rerun",
        selection_mode="points",
        config=QUIET,
        alt=pareto.describe(lines, choice.eps),
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


def _samples(results: Results, choice: Choice) -> None:
    """What a model makes up, and what it makes of digits."""
    if not choice.sample:
        return
    st.header("What the models draw", anchor=False)
    filters.sample_choice(results, choice)
    name = _names(results)[choice.sample]
    for kind, place in zip(SAMPLES, st.columns((2, 3), gap="medium"), strict=True):
        with place:
            try:
                png = compute.sample(choice.sample, kind)
            except CoreError as error:
                st.error(str(error))
                continue
            st.image(png, caption=text.SAMPLES[kind], alt=f"{name}. {text.SAMPLES[kind]}", width="stretch")
