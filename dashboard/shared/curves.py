"""Attack strength against the ELBO of many models, and clean against proved. No Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from core.evaluation.ceiling import share_of_way
from core.evaluation.results import Mean
from dashboard.shared.chart_theme import finished
from dashboard.shared.figures import GREY
from dashboard.shared.text import QUANTITY_NAMES, interval, nats, of_images

PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#782DFF", "#7878FF")
"""The four of Okabe-Ito that show on both themes, the explorer's two first; then two that are far from them
for people with a colour deficiency too."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "star")
GLYPHS = ("●", "■", "◆", "▲", "▼", "★")
"""The same for the legend."""
STROKES = ("──●── attacked", "╍╍○╍╍ proved", "┄┄┄ clean", "Ɪ 95 % interval")
CONSTANT, CEILING = "constant", "ceiling"
DASHES = {CONSTANT: "solid", CEILING: "longdash"}
STROKES_OF = {"": "──", CONSTANT: "──", CEILING: "╌╌"}
"""Of what is grey, in the legend."""
BELOW = 0.6
"""How far the axis goes below the constant decoder, as a share of what is above it."""


@dataclass(frozen=True)
class Lines:
    """One model's curves: means by eps, ascending; empty where nothing was computed.

    place     which colour and symbol; None for grey.
    clean     eps -> mean; the same everywhere but for the constant decoder, which is fitted for each eps.
    limit     "constant", the constant decoder, or "ceiling", what no model is above, both with attained and
              proved the same; "" for a model.
    """

    model: str
    name: str
    place: int | None
    clean: Mapping[float, Mean]
    attained: tuple[Mean, ...]
    proved: tuple[Mean, ...]
    limit: str = ""

    @property
    def colour(self) -> str:
        return GREY if self.place is None else PALETTE[self.place]

    def at(self, eps: float) -> tuple[Mean | None, Mean | None]:
        """Attained and proved at one radius."""
        return _at(self.attained, eps), _at(self.proved, eps)

    def open(self, eps: float) -> float | None:
        """What lies between attained and proved at one radius; None where that says nothing."""
        attained, proved = self.at(eps)
        if self.limit == CEILING or not attained or not proved or attained.images != proved.images:
            return None
        if proved.vacuous != 0:
            return None
        return attained.mean - proved.mean

    def share(self, mean: Mean | None, limits: Mapping[str, Lines], eps: float) -> float:
        """How far a mean is on the way from the constant decoder to the ceiling at one radius; NaN where
        one of them is not known, or is over other images."""
        ends = [line.at(eps)[1] for line in map(limits.get, (CONSTANT, CEILING)) if line is not None]
        known = [end for end in ends if end is not None and mean is not None and end.images == mean.images]
        if mean is None or len(known) < 2:
            return math.nan
        return share_of_way(mean.mean, known[0].mean, known[1].mean)

    @property
    def radii(self) -> tuple[float, ...]:
        return tuple(sorted({mean.eps for mean in (*self.attained, *self.proved)}))


def _at(means: Sequence[Mean], eps: float) -> Mean | None:
    return next((mean for mean in means if mean.eps == eps), None)


def frame(lines: Sequence[Lines], most: float, near: bool) -> tuple[float, float]:
    """The y axis up to eps = most: it follows what is attained, never the proofs.

    near  ends it somewhat below the constant decoder, which is where curves have nothing to say any more.
    """
    shown = [mean.mean for line in lines for mean in line.attained if mean.eps <= most]
    shown += [mean.mean for line in lines for mean in line.clean.values() if not line.limit]
    low, high = (min(shown), max(shown)) if shown else (-1.0, 0.0)
    if near and (
        worst := [
            m.mean for line in lines if line.limit == CONSTANT for m in line.attained if m.eps <= most
        ]
    ):
        low = max(low, min(worst) - BELOW * (high - min(worst)))
    pad = 0.05 * max(high - low, 10.0)
    return low - pad, high + pad


def curve_figure(lines: Sequence[Lines], most: float, near: bool, axis: str) -> go.Figure:
    """ELBO over eps in [0, most], a colour a model; the limits in grey, behind."""
    low, high = frame(lines, most, near)
    figure = go.Figure()
    for line in sorted(lines, key=lambda line: not line.limit):
        _add_lines(figure, line, most, low - 3 * (high - low))
    x = {"title": axis, "range": [-0.01 * most, 1.02 * most]}
    y = {"title": "mean ELBO (nats)", "range": [low, high], "zeroline": False}
    return finished(figure, 340, x, y, hovermode="closest", clickmode="event+select")


def _add_lines(figure: go.Figure, line: Lines, most: float, floor: float) -> None:
    """Clean, proved, attained. What leaves the frame is drawn leaving it."""
    ink = {"color": line.colour, "width": 2.5}
    if line.limit:
        means = [mean for mean in line.attained if mean.eps <= most]
        _add(figure, line, means, floor, mode="lines", line=ink | {"dash": DASHES[line.limit]})
        return
    symbol = SYMBOLS[line.place or 0]
    if line.clean:
        y = [next(iter(line.clean.values())).mean] * 2
        dots = ink | {"dash": "dot", "width": 1.5}
        figure.add_scatter(x=[0, most], y=y, mode="lines", line=dots, hoverinfo="skip")
    hollow = {"size": 7, "symbol": f"{symbol}-open"}
    _add(figure, line, line.proved, floor, mode="lines+markers", line=ink | {"dash": "dash"}, marker=hollow)
    full = {"size": 8, "symbol": symbol}
    _add(figure, line, line.attained, floor, mode="lines+markers", line=ink, marker=full)


def _add(figure: go.Figure, owner: Lines, means: Sequence[Mean], floor: float, **style: Any) -> None:
    """Means with their intervals; a click says model and eps."""
    drawn = [max(mean.mean, floor) for mean in means]
    known = [mean.mean > floor for mean in means]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [m.high - m.mean if k else 0 for m, k in zip(means, known, strict=True)],
        "arrayminus": [m.mean - m.low if k else 0 for m, k in zip(means, known, strict=True)],
        "thickness": 1.5,
        "width": 4,
    }
    figure.add_scatter(
        x=[mean.eps for mean in means],
        y=drawn,
        error_y=bars,
        customdata=[[owner.model, mean.eps] for mean in means],
        hovertext=[hover(owner, mean.eps) for mean in means],
        hovertemplate="%{hovertext}<extra></extra>",
        # A click selects a point; the others keep their colour.
        unselected={"marker": {"opacity": 1}} if "marker" in style else None,
        **style,
    )


def facts(line: Lines, eps: float) -> list[str]:
    """All that is known of a model at one radius, in words."""
    attained, proved = line.at(eps)
    said = [_said("clean", line.clean[eps])] if eps in line.clean else []
    if line.limit == CEILING and attained is not None:
        return [f"no model is proved above {_value(attained)}"]
    if line.limit:
        return [*said, _said("attacked and proved", attained)]
    said += [_said("attacked", attained), _said("proved", proved)]
    apart = line.open(eps)
    return said if apart is None else [*said, f"open {nats(apart, 1)}"]


def hover(line: Lines, eps: float) -> str:
    """The facts for a pointer."""
    return "<br>".join([f"<b>{escape(line.name)}</b> at eps {eps:g}", *facts(line, eps)])


def in_words(line: Lines, eps: float) -> str:
    """The facts as a sentence."""
    return f"{line.name} at eps {eps:g}: {'; '.join(facts(line, eps))}"


def _said(what: str, mean: Mean | None) -> str:
    """One number with its interval, method and images."""
    if mean is None:
        return f"{what}: not computed"
    by = f" by {QUANTITY_NAMES[mean.method]}" if mean.method in QUANTITY_NAMES else ""
    if mean.vacuous is None:
        return f"{what}{by}: vacuous for the first images, not tried on the others"
    if mean.vacuous:
        return f"{what}{by}: vacuous for {mean.vacuous:,} of {mean.images:,} images"
    return f"{what}{by}: {_value(mean)}"


def _value(mean: Mean) -> str:
    return f"{interval(mean.rounded(), mean.low, mean.high)}, {of_images(mean.images)}"


def leaves(line: Lines, low: float, most: float) -> list[str]:
    """What is not in the frame, and from which eps on."""
    found = []
    for what, means in (("attacked", line.attained), ("proved", line.proved)):
        inside = [mean for mean in means if mean.eps <= most]
        below = [mean.eps for mean in inside if mean.mean < low]
        vacuous = [mean.eps for mean in inside if mean.vacuous != 0]
        if not means:
            found.append(f"{what}: not computed")
        if below and below[:1] != vacuous[:1]:
            found.append(f"{what}: below the frame from eps {below[0]:g}")
        if vacuous:
            found.append(f"nothing proved from eps {vacuous[0]:g}")
    return found


def legend(lines: Sequence[Lines], most: float, near: bool) -> str:
    """What colours and strokes mean, and what left the frame, as HTML: it wraps on a narrow screen."""
    low, _ = frame(lines, most, near)
    parts = [_entry(line, [] if line.limit else leaves(line, low, most)) for line in lines]
    return wrapped([*parts, *(stroke.replace(" ", "&nbsp;") for stroke in STROKES)])


def key(lines: Sequence[Lines]) -> str:
    """What colours mean, as HTML; nothing of those in grey."""
    return wrapped([_entry(line, []) for line in lines if line.place is not None])


def _entry(line: Lines, notes: Sequence[str]) -> str:
    glyph = STROKES_OF[line.limit] if line.place is None else GLYPHS[line.place]
    said = f' <span style="opacity:0.75">({"; ".join(notes)})</span>' if notes else ""
    return coloured(line.colour, glyph, line.name) + said


def coloured(colour: str, glyph: str, name: str) -> str:
    """A name with its glyph in colour, as HTML."""
    return f'<span style="color:{colour}">{glyph}</span>&nbsp;{escape(name)}'


def wrapped(parts: Sequence[str]) -> str:
    style = "display:flex;flex-wrap:wrap;gap:0.1rem 1.2rem;font-size:0.9rem"
    return f'<div style="{style}">{"".join(f"<span>{part}</span>" for part in parts)}</div>'


def describe(lines: Sequence[Lines], eps: float) -> str:
    """The chart for those who cannot see it."""
    said = ". ".join(in_words(line, eps) for line in lines if eps in line.radii)
    return f"Line chart of the mean ELBO in nats over eps. {said or 'Nothing is drawn'}."
