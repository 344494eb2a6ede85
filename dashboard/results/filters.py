"""The controls of the page of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial

import streamlit as st

from core.evaluation.results import Results
from dashboard.addresses import sync
from dashboard.addresses.reader import Message
from dashboard.addresses.results import (
    EVERY,
    MOST_MODELS,
    Choice,
    kinds,
    offered,
    options,
    parse,
    radii,
    to_url,
)
from dashboard.addresses.sync import touch
from dashboard.shared import common_controls, compute
from dashboard.shared.text import (
    ARCH_LABELS,
    ATTACK_LABELS,
    AXIS_LABELS,
    HELP,
    LIKELIHOOD_LABELS,
    METHOD_NAMES,
    RESULTS_HELP,
    recipe_label,
)

PAGE = "results"
FIELDS = tuple(field.name for field in fields(Choice))


def restore(results: Results) -> list[Message]:
    """Take over the URL; what it said that was wrong."""
    return sync.restore(PAGE, partial(parse, results=results), _write)


def read(results: Results) -> tuple[Choice, list[Message]]:
    """What the controls show, checked again: a browser can send anything, and files can change."""
    values = {field: _text(st.session_state[_key(field)]) for field in FIELDS}
    choice, messages = parse(values, results)
    _write(choice)
    return choice, messages


def publish(choice: Choice, results: Results) -> None:
    """Write the choice to the URL."""
    sync.publish(PAGE, to_url(choice, results))


def sidebar(results: Results, choice: Choice) -> None:
    """Which models, which question, which methods."""
    single = options(results)
    refilter = partial(_refilter, results)
    names = compute.labels(tuple(entry.model for entry in results.entries))
    with st.sidebar:
        common_controls.question(_key("target"), single["target"])
        _segments("likelihood", "Likelihood", single["likelihood"], LIKELIHOOD_LABELS, refilter)
        archs = (EVERY, *kinds(results, choice.likelihood, "arch"))
        _segments("arch", "Architecture", archs, ARCH_LABELS, refilter)
        # Not st.multiselect: its tags have white text, which on a dark theme's light colour cannot be read.
        st.pills(
            "Recipes",
            kinds(results, choice.likelihood, "kind"),
            key=_key("recipes"),
            selection_mode="multi",
            format_func=recipe_label,
            help=RESULTS_HELP["recipe"],
            on_change=refilter,
        )
        st.pills(
            f"Models with curves (up to {MOST_MODELS})",
            offered(results, choice.likelihood, choice.arch, choice.recipes),
            key=_key("models"),
            selection_mode="multi",
            format_func=lambda model: names[model].replace("reconstruction", "recon"),
            help=RESULTS_HELP["models"],
            on_change=touch,
        )
        for field, label, labels in (
            ("attack", "Attack", ATTACK_LABELS),
            ("certificate", "Proof", METHOD_NAMES),
        ):
            if single[field]:
                st.selectbox(
                    label,
                    single[field],
                    key=_key(field),
                    format_func=labels.__getitem__,
                    help=RESULTS_HELP[field],
                    on_change=touch,
                )
        common_controls.foot(_reset, results)


def curve_range(results: Results) -> None:
    """How far the curves go, to the right and down."""
    with st.container(horizontal=True, gap="medium"):
        _radii("upto", "Chart up to eps", results, HELP["upto"])
        _segments("axis", "Axis", options(results)["axis"], AXIS_LABELS, touch)


def eps_choice(results: Results) -> None:
    """The eps of the comparison."""
    _radii("eps", "eps", results, HELP["eps"])


def sample_choice(results: Results, choice: Choice) -> None:
    """Whose pictures are shown."""
    names = compute.labels(tuple(entry.model for entry in results.entries))
    st.selectbox(
        "Model",
        offered(results, choice.likelihood, choice.arch, choice.recipes),
        key=_key("sample"),
        format_func=names.__getitem__,
        on_change=touch,
    )


def _radii(field: str, label: str, results: Results, help_: str) -> None:
    st.segmented_control(
        label,
        radii(results),
        key=_key(field),
        required=True,
        format_func=lambda eps: f"{eps:g}",
        help=help_,
        on_change=touch,
    )


def _segments(
    field: str, label: str, choices: Sequence[str], labels: dict[str, str], then: Callable[[], None]
) -> None:
    st.segmented_control(
        label,
        choices,
        key=_key(field),
        required=True,
        format_func=labels.__getitem__,
        help=RESULTS_HELP.get(field),
        on_change=then,
    )


def _refilter(results: Results) -> None:
    """Other models are on offer: those that are shown stay if they can, else the usual ones come."""
    old = {field: st.session_state[_key(field)] for field in FIELDS}
    rest = {field: _text(value) for field, value in old.items() if field not in ("models", "sample")}
    choice, _ = parse(rest, results)
    names = offered(results, choice.likelihood, choice.arch, choice.recipes)
    kept = tuple(name for name in old["models"] if name in names)
    sample = old["sample"] if old["sample"] in names else choice.sample
    _write(replace(choice, models=kept or choice.models, sample=sample))
    touch()


def _write(choice: Choice) -> None:
    for field, value in vars(choice).items():
        st.session_state[_key(field)] = list(value) if isinstance(value, tuple) else value


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _key(field: str) -> str:
    """The explorer has controls of the same names."""
    return f"results-{field}"


def _reset(results: Results) -> None:
    _write(parse({}, results)[0])
    touch()
