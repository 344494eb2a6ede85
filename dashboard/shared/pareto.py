"""Clean against proved, a point a model. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from core.evaluation.results import Mean, frontier
from dashboard.shared.chart_theme import finished
from dashboard.shared.curves import BELOW, CEILING, DASHES, SYMBOLS, Lines, hover, in_words
from dashboard.shared.figures import GREY, faint

Span = tuple[float, float]


class Point(NamedTuple):
    """A model at one radius."""

    line: Lines
    clean: Mean
    proved: Mean


def points(lines: Sequence[Lines], eps: float) -> list[Point]:
    """The models of which both numbers are known, and the constant decoder."""
    known = ((line, line.clean.get(eps), line.at(eps)[1]) for line in lines if line.limit != CEILING)
    return [Point(line, clean, proved) for line, clean, proved in known if clean and proved]


def best(shown: Sequence[Point]) -> list[Point]:
    """The models that no other beats in both numbers, by clean, ascending."""
    models = [point for point in shown if not point.line.limit]
    return [models[i] for i in frontier([(point.clean.mean, point.proved.mean) for point in models])]


def frame(shown: Sequence[Point], tops: Sequence[float] = ()) -> tuple[Span, Span]:
    """The two axes: somewhat below the constant decoder ends what is worth a proof. tops: the ceilings."""
    if not shown:
        return (-1.0, 0.0), (-1.0, 0.0)
    finite = [point.proved.mean for point in shown if point.proved.vacuous == 0] or [-1.0]
    worth = min([point.proved.mean for point in shown if point.line.limit] or finite)
    proved = [point.proved.high for point in shown if point.proved.vacuous == 0]
    high = max(*proved, *finite, worth + 10, *tops)
    low = max(min(finite), worth - BELOW * (high - worth))
    left, right = min(point.clean.low for point in shown), max(point.clean.high for point in shown)
    pads = 0.05 * max(right - left, 10), 0.1 * (high - low)
    return (left - pads[0], right + pads[0]), (low - pads[1], high + pads[1])


def pareto_figure(lines: Sequence[Lines], eps: float) -> go.Figure:
    """Models in colour as in the curves, all others in grey; what is below the frame lies on its edge."""
    shown = points(lines, eps)
    tops = [(line, proved.mean) for line in lines if line.limit == CEILING and (proved := line.at(eps)[1])]
    (left, right), (low, high) = frame(shown, [top for _, top in tops])
    edge = low + 0.03 * (high - low)
    figure = go.Figure()
    if line := best(shown):
        figure.add_scatter(
            x=[left, *(point.clean.mean for point in line), line[-1].clean.mean],
            y=[line[0].proved.mean, *(point.proved.mean for point in line), low],
            mode="lines",
            line={"color": faint(GREY, 0.8), "width": 1.5, "dash": "dash", "shape": "vh"},
            hoverinfo="skip",
        )
    for line, top in tops:
        _across(figure, line, top)
    for point in sorted(shown, key=lambda point: point.line.place is not None):
        _add_point(figure, point, eps, edge)
    x = {"title": "clean, mean ELBO (nats)", "range": [left, right], "zeroline": False}
    y = {"title": f"proved at eps {eps:g} (nats)", "range": [low, high], "zeroline": False}
    return finished(figure, 420, x, y, hovermode="closest", clickmode="event+select")


def _add_point(figure: go.Figure, point: Point, eps: float, edge: float) -> None:
    line, clean, proved = point
    inside = proved.mean > edge
    symbol = "circle-open" if line.place is None else SYMBOLS[line.place]
    if line.limit:
        symbol = "x"
        _across(figure, line, max(proved.mean, edge))
    # On the edge of the frame there is no value to have an interval.
    bars = {"type": "data", "symmetric": False, "thickness": 1, "width": 3, "visible": inside}
    figure.add_scatter(
        x=[clean.mean],
        y=[proved.mean if inside else edge],
        mode="markers",
        marker={
            "color": line.colour,
            "size": 12 if line.place is not None or line.limit else 9,
            "symbol": symbol if inside else "arrow-down",
        },
        error_x=bars | {"array": [clean.high - clean.mean], "arrayminus": [clean.mean - clean.low]},
        error_y=bars | {"array": [proved.high - proved.mean], "arrayminus": [proved.mean - proved.low]},
        customdata=[[line.model, eps]],
        hovertext=[hover(line, eps)],
        hovertemplate="%{hovertext}<extra></extra>",
        unselected={"marker": {"opacity": 1}},
    )


def _across(figure: go.Figure, line: Lines, y: float) -> None:
    """A limit, as a line across."""
    figure.add_hline(
        y=y,
        line={"color": faint(GREY, 0.5), "width": 1, "dash": DASHES[line.limit]},
        annotation={"text": line.name.lower(), "font": {"size": 12}},
        annotation_position="top right",
    )


def describe(lines: Sequence[Lines], eps: float) -> str:
    """The chart for those who cannot see it."""
    shown = points(lines, eps)
    ahead = ", ".join(point.line.name for point in best(shown))
    limits = [in_words(line, eps) for line in lines if line.limit == CEILING and line.at(eps)[1]]
    said = ". ".join([in_words(point.line, eps) for point in shown] + limits) or "Nothing is drawn"
    lead = f"Not beaten in both numbers: {ahead or 'no model'}."
    return f"Scatter chart of proved over clean mean ELBO at eps {eps:g}, nats. {lead} {said}."
