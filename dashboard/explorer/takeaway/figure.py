"""The chart of the page as a file that stands alone, made in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamlit.components.v2 import component

from dashboard.addresses.explorer import State
from dashboard.explorer.stage.text import legend
from dashboard.explorer.takeaway import text
from dashboard.shared.frontend import source
from dashboard.shared.text import (
    ATTACK_LABELS,
    EPS_AXIS,
    METHOD_NAMES,
    TARGET_LABELS,
    noise_draws,
)

_HERE = Path(__file__).parent
_HTML = """<div class="row"><button type="button" data-kind="png"></button>
<button type="button" data-kind="svg"></button></div>
<p role="status"></p>"""
_figure = component(
    "elbo_figure",
    html=_HTML,
    css=source(_HERE, "takeaway.css"),
    js=source(_HERE.parent / "stage" / "frontend", "store.js") + source(_HERE, "figure.js"),
)


def title(state: State, names: Sequence[str], label: str) -> str:
    """Image and models."""
    shown = f"test image {state.index}{f', a {label}' if label else ''}"
    what = "an image of one's own" if state.own else shown
    return f"ELBO under attack: {what}. {' and '.join(names)}"


def question(state: State) -> str:
    """What the figure is about, as its second line."""
    s = state.settings
    attack, proofs = ATTACK_LABELS[s.attack].split(":")[0], METHOD_NAMES[state.method]
    mean = f"{'mean over ' if s.draws > 1 else ''}{noise_draws(s.draws)} (seed {s.seed})"
    asked = f"{TARGET_LABELS[s.target]}; {EPS_AXIS[s.norm]}. {text.ADVERSARY[s.side]}"
    return f"{asked} Attack: {attack}; proofs up to {proofs}; {mean}."


def buttons(state: State, names: Sequence[str], colours: Sequence[str], label: str) -> None:
    """Save the chart as it stands when a button is pressed."""
    _figure(
        key="figure",
        width="content",
        data={
            "title": title(state, names, label),
            "question": question(state),
            "models": [{"name": n, "colour": c} for n, c in zip(names, colours, strict=True)],
            "legend": legend(state),
            "file": f"elbo-{state.digit.name}-eps-{state.eps:g}",
            "labels": text.FIGURE,
            "none": text.NO_CHART,
            "saved": text.SAVED,
        },
    )
