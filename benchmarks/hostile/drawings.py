"""What a browser may send in place of a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmarks.hostile.cases import Case
from core.data.digits import like_mnist
from dashboard.own.strokes import MOST_POINTS, check_strokes, render

_DOT = [0.5, 0.5]
SENT: dict[str, object] = {
    "nothing": None,
    "a number": 7,
    "text": "<script>alert(1)</script>",
    "an object": {"__class__": "x"},
    "no lines": [],
    "an empty line": [[]],
    "points that are no lists": [[1, 2]],
    "points as text": [[["0.1", "0.2"]]],
    "a point of one number": [[[0.1]]],
    "a point of three": [[[0.1, 0.2, 0.3]]],
    "NaN": [[[math.nan, math.nan]]],
    "infinity": [[[math.inf, 0.5]]],
    "a number of 400 digits": [[[10**400, 0]]],
    "1e308": [[[1e308, 1e308]]],
    "below 0": [[[-1e-9, 0.5]]],
    "truth values": [[[True, False]]],
    "deeply nested": [[[[[[[0.5]]]]]]],
    "a long list": [[_DOT] * 1_000_000],
    "many lines": [[_DOT]] * 100_000,
    "as many points as are taken": [[[i % 97 / 97, i % 89 / 89] for i in range(MOST_POINTS)]],
    "the same point as often": [[_DOT] * MOST_POINTS],
    "the smallest numbers": [[[5e-324, 0.0], [0.0, 5e-324]]],
    "a hair's breadth": [[[0.5, 0.0], [0.5, 1.0]]],
    "the four corners": [[[0, 0], [1, 0], [1, 1], [0, 1]]],
}


def drawings() -> Iterator[Case]:
    for name, sent in SENT.items():
        yield Case("drawing", name, lambda sent=sent: _use(sent))


def _use(sent: object) -> str:
    strokes = check_strokes(sent)
    if not strokes:
        return "an empty page"
    like_mnist(render(strokes))
    return "28 x 28 grey values"
