"""The controls of the page of comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from dashboard.addresses import sync
from dashboard.addresses.compare import EVERY, OPENS, PARTS, Comparison, alike, parse, to_url
from dashboard.addresses.digit import own_name
from dashboard.addresses.explorer import (
    ATTACKS,
    MOST_DRAWS,
    MOST_NATS,
    MOST_RESTARTS,
    MOST_SEED,
    MOST_STEPS,
    SCALES,
    Scale,
)
from dashboard.addresses.reader import Message
from dashboard.addresses.results import MOST_MODELS
from dashboard.addresses.sync import touch
from dashboard.compare import digits, text
from dashboard.compare.session import get, key, put, take, turn_back
from dashboard.shared import common_controls, compute, own_images
from dashboard.shared.text import ATTACK_LABELS, EPS_LABELS, HELP, LIKELIHOOD_LABELS

PAGE = "compare"
OWN, COMMON = "5 % quantile of each model", "The same for all"
_PLAIN = ("target", "attack", "norm", "steps", "restarts", "draws", "seed", "upto", "index", "eps")
_MINE = ("part", "models", "pin", "of", "count", "classes", "sort", "verdict", "page")


def restore(kinds: Mapping[str, str]) -> list[Message]:
    """Take over the URL; what it said that was wrong."""
    return sync.restore(PAGE, partial(parse, kinds=kinds, own=own_images.images()), _write)


def read(kinds: Mapping[str, str]) -> tuple[Comparison, list[Message]]:
    """What the controls show, checked again: a browser can send anything."""
    values = {name: _text(get(name)) for name in (*_PLAIN, *_MINE)}
    if get("kind") == COMMON:
        values["threshold"] = _text(get("threshold"))
    if get("against") is not None:
        values["against"] = _text(get("against"))
    if get("own"):
        values["own"] = get("own")
    comparison, messages = parse(values, kinds, own_images.images())
    _write(comparison)
    return comparison, messages


def publish(comparison: Comparison, kinds: Mapping[str, str]) -> None:
    """Write the comparison to the URL."""
    sync.publish(PAGE, to_url(comparison, kinds))


def part() -> None:
    """One digit, or many."""
    st.segmented_control(
        "Show",
        PARTS,
        key=key("part"),
        required=True,
        format_func=text.PARTS.__getitem__,
        label_visibility="collapsed",
        on_change=touch,
    )


def sidebar(comparison: Comparison, kinds: Mapping[str, str], labels: Sequence[int]) -> None:
    """Everything but eps and what only one part has."""
    with st.sidebar:
        if comparison.part == PARTS[0]:
            digits.choose(comparison, labels)
        _models(comparison, kinds)
        common_controls.question(key("target"))
        common_controls.limit(key("norm"), _change_norm)
        st.selectbox(
            "Attack",
            ATTACKS,
            key=key("attack"),
            format_func=ATTACK_LABELS.__getitem__,
            help=HELP["attack"],
            on_change=touch,
        )
        _threshold()
        with st.expander("More settings"):
            _more()
        common_controls.foot(_reset, kinds)


def eps_slider() -> None:
    """eps on the grid; a value off the grid comes from the URL or from the number box."""
    scale = _scale()
    put("slider", min(float(get("eps")), scale.grid[-1]))
    st.slider(
        EPS_LABELS[get("norm")],
        0.0,
        scale.grid[-1],
        step=scale.step,
        format="%.6g",
        key=key("slider"),
        help=HELP["eps"],
        on_change=take,
        args=("eps", lambda: round(get("slider"), 2)),
    )


def chart_range() -> None:
    """How far the charts go."""
    st.segmented_control(
        "Chart up to eps",
        _scale().ranges,
        key=key("upto"),
        required=True,
        help=HELP["upto"],
        on_change=touch,
    )


def pin_model(comparison: Comparison, names: Mapping[str, str]) -> None:
    """Which model the others are held against."""
    labels = {"": "None", **names}
    st.selectbox(
        "Pinned model",
        ("", *comparison.models),
        key=key("pin"),
        format_func=labels.__getitem__,
        help=text.PIN_HELP,
        on_change=touch,
        width=320,
    )


def _models(comparison: Comparison, kinds: Mapping[str, str]) -> None:
    names = compute.labels(tuple(kinds))
    offered = alike(kinds, comparison.models)
    # Not st.multiselect: the text of its tags cannot be read on a dark theme.
    st.pills(
        text.MOST,
        offered,
        key=key("models"),
        selection_mode="multi",
        format_func=names.__getitem__,
        help=text.MODELS_HELP,
        on_change=_change_models,
    )
    others = {kind: model for model, kind in kinds.items() if model not in offered}
    if others:
        st.caption(text.left_out(len(kinds) - len(offered)))
    for kind, model in others.items():
        st.button(
            f"Compare {LIKELIHOOD_LABELS.get(kind, 'the other')} models instead",
            on_click=_switch,
            args=(alike(kinds, (model,))[:MOST_MODELS],),
            type="tertiary",
        )


def _threshold() -> None:
    st.radio("Threshold", (OWN, COMMON), key=key("kind"), help=HELP["threshold"], on_change=touch)
    if get("kind") == COMMON:
        st.number_input(
            "Threshold in nats",
            -MOST_NATS,
            MOST_NATS,
            step=10.0,
            format="%.6g",
            key=key("threshold"),
            help=HELP["nats"],
            on_change=touch,
        )


def _more() -> None:
    scale, one_step = _scale(), get("attack") == "fgsm"
    put("box", float(get("eps")))
    st.number_input(
        f"Exact eps (0 to {scale.most:g})",
        0.0,
        scale.most,
        step=scale.step / 10,
        format="%.6g",
        key=key("box"),
        help=HELP["eps"],
        on_change=take,
        args=("eps", lambda: get("box")),
    )
    for field, label, low, high, off in (
        ("draws", "Draws", 1, MOST_DRAWS, False),
        ("steps", "Steps of the attack", 1, MOST_STEPS, one_step),
        ("restarts", "Restarts of the attack", 1, MOST_RESTARTS, one_step),
        ("seed", "Seed", 0, MOST_SEED, False),
    ):
        st.number_input(label, low, high, key=key(field), help=HELP[field], on_change=touch, disabled=off)


def _write(comparison: Comparison) -> None:
    asked = comparison.asked
    values = vars(asked) | vars(asked.settings) | vars(comparison)
    for name in (*_PLAIN, *_MINE, "against"):
        put(name, list(values[name]) if isinstance(values[name], tuple) else values[name])
    put("own", own_name(asked.own) if asked.own else "")
    put("kind", OWN if asked.threshold is None else COMMON)
    put("threshold", -150.0 if asked.threshold is None else asked.threshold)


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _scale() -> Scale:
    return SCALES[get("norm")]


def _change_norm() -> None:
    """An eps of one norm means nothing in the other."""
    opens = OPENS[get("norm")]
    put("eps", float(opens["eps"]))
    put("upto", opens["upto"])
    touch()


def _change_models() -> None:
    """Nobody is pinned or judged who is not compared."""
    models = get("models")
    if get("pin") not in models:
        put("pin", "")
    if get("of") not in models:
        put("of", EVERY if len(models) != 1 else models[0])
    turn_back()


def _switch(models: Sequence[str]) -> None:
    put("models", list(models))
    _change_models()


def _reset(kinds: Mapping[str, str]) -> None:
    _write(parse({}, kinds)[0])
    touch()
