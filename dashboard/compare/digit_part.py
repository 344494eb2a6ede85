"""The same image under several models, and a second one beside it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.image_sets import ImageSet
from core.errors import CoreError
from dashboard.addresses.compare import PROOF, Comparison
from dashboard.compare import figures, rows, scripts, text
from dashboard.compare.compute import Entry, entry
from dashboard.compare.controls import Panel
from dashboard.shared import as_python, claim, images, table_copy
from dashboard.shared.figures import describe, frame
from dashboard.shared.file_names import file_name, of_image, of_models, of_question
from dashboard.shared.skeleton import chart, progress
from dashboard.shared.table_text import Table
from dashboard.shared.text import EPS_SHORT, nats

_STANDS = 2.0
"""Seconds that charts stand before they are drawn again; the browser rebuilds them each time."""
_WIDTH = 64


def show_digits(panel: Panel, comparison: Comparison, names: Mapping[str, str], found: ImageSet) -> None:
    """Chart, table and pictures; drawn as far as they are known while the rest is computed."""
    # Below, or the chart would jump when all is in.
    with st.container(key="compare-charts"):
        charts = st.empty()
    status = st.empty()
    panel.pin_model(comparison, {name: names[name] for name in comparison.models})
    below = st.empty()
    versions, drawn, entries = itertools.count(), -_STANDS, list[Entry]()
    asked = [(name, digit) for name in comparison.models for digit in comparison.digits]
    for done, (name, digit) in enumerate(asked):
        try:
            show = progress(status, names[name], done, len(asked))
            entries.append(entry(comparison, name, names[name], digit, show))
        except CoreError as error:
            st.error(str(error))
            continue
        if time.monotonic() - drawn > _STANDS and done + 1 < len(asked):
            _charts(charts, entries, comparison, found, next(versions))
            drawn = time.monotonic()
    status.empty()
    if not entries:
        return
    _charts(charts, entries, comparison, found, next(versions))
    with below.container():
        _tables(entries, comparison, found)
        _pictures(entries, comparison, found)


def _charts(
    place: DeltaGenerator,
    entries: Sequence[Entry],
    comparison: Comparison,
    found: ImageSet,
    version: int,
) -> None:
    """One chart a digit, with a common axis."""
    asked = comparison.asked
    lines = {id(e): figures.line(e) for e in entries}
    span = frame(list(lines.values()), asked.most)
    digits = [digit for digit in comparison.digits if any(e.digit == digit for e in entries)]
    with place.container():
        for number, (digit, column) in enumerate(
            zip(digits, st.columns(len(digits), gap="medium"), strict=True)
        ):
            mine = [lines[id(e)] for e in entries if e.digit == digit]
            with column:
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    image = next(e.result.image for e in entries if e.digit == digit)
                    said = text.heading(digit, found, digit != asked.digit)
                    st.image(images.enlarged(image, 112), width=36, alt=said)
                    st.header(said, anchor=False)
                chart(
                    figures.curve_figure(mine, asked.eps, asked.most, span, EPS_SHORT[asked.settings.norm]),
                    f"compare-chart-{version}-{number}",
                    f"{said}. {describe(mine, asked.eps)}",
                )
                st.html(figures.legend(mine, span[0], asked.most))
        st.caption(text.STROKES)


def _tables(entries: Sequence[Entry], comparison: Comparison, found: ImageSet) -> None:
    """The numbers, and those against the pinned model; both to take away."""
    eps, pin = comparison.asked.eps, comparison.pin
    st.header(f"Numbers at eps {eps:.6g}", anchor=False, help=text.TABLE_HELP)
    said = claim.table(comparison.digits, eps, comparison.asked.settings, PROOF)
    _table(rows.table(entries, eps, found), said)
    st.caption(rows.limits_in_words(entries, eps, found))
    if pin and len(comparison.models) > 1:
        name = next((e.name for e in entries if e.model == pin), pin)
        st.header(f"Against {name}", anchor=False, help=text.AGAINST_HELP)
        _table(rows.against(entries, pin, eps, found), f"{text.minus(name)} {said}")
    st.download_button(
        "Rows (CSV)",
        rows.as_csv(rows.entry_rows(entries, comparison)),
        file_name(
            "csv",
            "compare",
            *of_image(comparison.asked.digit),
            of_models(comparison.models),
            *of_question(comparison.asked.settings, eps),
        ),
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )
    if not any(digit.pixels for digit in comparison.digits):
        as_python.offer(scripts.of_images(entries, comparison))


def _table(found: Sequence[Mapping[str, str]], said: str) -> None:
    if found:
        table_copy.show(Table(found, said))


def _pictures(entries: Sequence[Entry], comparison: Comparison, found: ImageSet) -> None:
    """What the attack made of each digit, and what each model makes of that."""
    eps = comparison.asked.eps
    st.header(f"Attacked at eps {eps:.6g}, and decoded", anchor=False)
    for digit in comparison.digits:
        if len(comparison.digits) > 1:
            said = text.heading(digit, found, digit != comparison.asked.digit)
            st.markdown(f"**{said}**")
        with st.container(horizontal=True, gap="xsmall"):
            for e in (e for e in entries if e.digit == digit):
                _pair(e, eps)


def _pair(shown: Entry, eps: float) -> None:
    result = shown.result
    i = result.at(eps)
    attained = nats(result.curve.attained[i].item())
    with st.container(border=True, width=2 * _WIDTH + 44, gap="xsmall"):
        st.html(figures.names([(shown.place, shown.name)]))
        with st.container(horizontal=True, gap="xsmall"):
            for caption, image, alt in (
                ("Attacked", result.attacked[i], f"The image attacked against {shown.name}, {attained}"),
                ("Recon", result.recon_attacked[i], f"What {shown.name} decodes from the attacked image"),
            ):
                st.image(images.enlarged(image, 112), caption=caption, width=_WIDTH, alt=alt)
