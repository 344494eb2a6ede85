"""Text of charts that can be read in both themes. No Streamlit in here."""

from __future__ import annotations

import plotly.graph_objects as go

INK = "#000037"
"""Streamlit's name for the ink of the visitor's theme, which its page puts in place of this; its own choice
for the text of charts is too faint on white (3.8 : 1)."""


def legible(figure: go.Figure) -> go.Figure:
    """The figure with all its text in the theme's ink, but what has a background of its own."""
    ink = {"color": INK}
    axis = {"tickfont": ink, "title": {"font": ink}}
    figure.update_layout(font=ink, legend={"font": ink}, xaxis=axis, yaxis=axis)
    figure.update_annotations(font=ink, selector=lambda note: note.bgcolor is None)
    return figure
