"""Charts for a desk and for a room."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from dashboard.shared.display_size import DESK, ROOM, enlarged


def test_for_a_room_all_type_and_lines_grow():
    figure = go.Figure()
    figure.add_scatter(x=[1], y=[1], line={"width": 2}, marker={"size": 6})
    figure.add_heatmap(z=np.ones((2, 2)))
    figure.add_annotation(x=1, y=1, text="here", font={"size": 12})
    figure.update_layout(height=300)
    before = figure.to_json()
    big = enlarged(figure, ROOM)
    assert figure.to_json() == before
    drawn = big.to_dict()
    assert drawn["data"][0]["line"]["width"] > 2
    assert drawn["data"][0]["marker"]["size"] > 6
    assert drawn["layout"]["font"]["size"] == ROOM.font > DESK.font
    assert drawn["layout"]["annotations"][0]["font"]["size"] == ROOM.font
    assert drawn["layout"]["height"] > 300
