"""How large things are: for a reader, or for a room with a projector. No Streamlit in here."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Look:
    """font: of charts, picture: how wide, both in pixels. chart: how high, beside the usual."""

    font: int
    picture: int
    chart: float


DESK = Look(font=12, picture=112, chart=1.0)
ROOM = Look(font=20, picture=150, chart=1.3)


def enlarged(figure: go.Figure, look: Look) -> go.Figure:
    """The same figure with the look's type and height; lines and marks grow with it."""
    growth, drawn = (look.font / DESK.font) ** 0.5, figure.to_dict()
    for trace in drawn["data"]:
        for part, size in (("line", "width"), ("marker", "size")):
            if isinstance(trace.get(part, {}).get(size), int | float):
                trace[part][size] *= growth
    big = go.Figure(drawn)
    big.update_layout(font_size=look.font, height=drawn["layout"]["height"] * look.chart)
    big.update_xaxes(tickfont_size=look.font, title_font_size=look.font)
    big.update_yaxes(tickfont_size=look.font, title_font_size=look.font)
    big.update_annotations(font_size=look.font)
    return big
