"""What all charts have in common. No Streamlit in here.

Not a template of plotly: Streamlit's page puts its own theme over a figure's template, not over its layout.

pandas is imported before any figure is made: plotly takes what it finds of it, and fails on a half that
another visitor's page is importing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas  # noqa: F401
import plotly.graph_objects as go

INK = "#000037"
"""Streamlit's name for the ink of the visitor's theme, which its page puts in place of this; its own choice
for the text of charts is too faint on white (3.8 : 1)."""
LEGEND = {"orientation": "h", "x": 0, "itemclick": False, "itemdoubleclick": False}
ABOVE = {"y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
"""Of a legend above stacked bars."""


def finished(
    figure: go.Figure,
    height: int,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    top: int = 10,
    legend: Mapping[str, Any] | None = None,
    **layout: Any,
) -> go.Figure:
    """The figure with its axes, which cannot be moved, its margins, and its text in the theme's ink.

    x, y    of the axes; "title" is text. legend: where it is, None for no legend.
    """
    # All at once: plotly takes ten times as long for one after the other.
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": top, "b": 10},
        dragmode=False,
        showlegend=legend is not None,
        legend=None if legend is None else {**LEGEND, **legend},
        xaxis=_axis(x),
        yaxis=_axis(y),
        **layout,
    )
    return legible(figure)


def _axis(said: Mapping[str, Any]) -> dict[str, Any]:
    title = {"title": {"text": said["title"]}} if "title" in said else {}
    return {"fixedrange": True, **said, **title}


def legible(figure: go.Figure) -> go.Figure:
    """The figure with all its text in the theme's ink, but what has a background of its own."""
    ink = {"color": INK}
    axis = {"tickfont": ink, "title": {"font": ink}}
    figure.update_layout(font=ink, legend={"font": ink}, xaxis=axis, yaxis=axis)
    figure.update_annotations(font=ink, selector=lambda note: note.bgcolor is None)
    return figure
