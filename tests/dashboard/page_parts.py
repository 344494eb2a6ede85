"""What several tests of the page use."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

NAMES = ("mnist-mlp-robust-0.1", "mnist-mlp-standard", "mnist-mlp-third")
HOSTILE = [
    ("eps", "-1"),
    ("eps", "nan"),
    ("eps", "inf"),
    ("eps", "2"),
    ("eps", "abc"),
    ("eps", ""),
    ("eps", "0" * 10_000 + "1"),
    ("index", "99999"),
    ("index", "-1"),
    ("index", "1.5"),
    ("left", "../../etc"),
    ("right", "no-such-model"),
    ("left", "<script>alert(1)</script>"),
    ("target", "x" * 100_000),
    ("attack", "![x](https://example.org/x.png)"),
    ("steps", "201"),
    ("restarts", "0"),
    ("draws", "1e6"),
    ("seed", "-5"),
    ("threshold", "-1e300"),
    ("threshold", "nan"),
    ("upto", "0.2"),
    ("method", "crow"),
    ("states", "all"),
    ("norm", "l1"),
]
"""Values of the address that must be refused, one at a time."""


def metric(app: AppTest, label: str, side: int) -> str:
    """The number shown under a label; side 0 is the left model."""
    return [m.value for m in app.metric if m.label == label][side]
