"""The chart of the page as a file that stands alone, made in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamlit.components.v2 import component

from dashboard.addresses.explorer import State
from dashboard.explorer.stage.text import legend
from dashboard.explorer.takeaway import text
from dashboard.shared import claim
from dashboard.shared.file_names import file_name, of_image, of_models, of_question
from dashboard.shared.frontend import source

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


def buttons(state: State, names: Sequence[str], colours: Sequence[str], label: str) -> None:
    """Save the chart as it stands when a button is pressed."""
    _figure(
        key="figure",
        width="content",
        data={
            "title": title(state, names, label),
            "question": claim.question(state.settings, state.method),
            "models": [{"name": n, "colour": c} for n, c in zip(names, colours, strict=True)],
            "legend": legend(state),
            "file": file_name(
                "",
                "elbo",
                *of_image(state.digit),
                of_models(state.sides),
                *of_question(state.settings, state.eps),
            ),
            "labels": text.FIGURE,
            "none": text.NO_CHART,
            "saved": text.SAVED,
        },
    )
