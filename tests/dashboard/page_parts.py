"""What several tests of the page use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

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
    ("side", "both"),
    ("limits", "all"),
    ("unit", "bpd"),
]
"""Values of the address that must be refused."""


def rounds(bad: list[tuple[str, str]]) -> list[dict[str, str]]:
    """The same values, several fields at a time: each value is in one round, no field twice in it."""
    found: list[dict[str, str]] = []
    for field, value in bad:
        free = next((one for one in found if field not in one), None)
        if free is None:
            found.append(free := {})
        free[field] = value
    return found


def refused(app: AppTest) -> list[str]:
    """The fields of the address that the page says it does not take, in the alphabet's order."""
    return sorted(warning.value.split("`")[1] for warning in app.warning)


def stage(app: AppTest) -> dict[str, Any]:
    """What the stage was told."""
    return _sent(app, "elbo_stage")[0]


def feeds(app: AppTest, kind: str) -> list[dict[str, Any]]:
    """The last news of a kind, "film" or "numbers", of the left model, then of the right one."""
    found = {news["side"]: news for news in _sent(app, "elbo_feed") if news["kind"] == kind}
    return [found[side] for side in sorted(found)]


def address(app: AppTest) -> dict[str, str]:
    """The settings in the address: those that the browser puts in place of its own, if any."""
    for put in _sent(app, "elbo_address"):
        return dict(parse_qsl(put["search"].removeprefix("?"), keep_blank_values=True))
    return {k: v if isinstance(v, str) else v[0] for k, v in app.query_params.items()}


def metric(app: AppTest, label: str, side: int) -> str:
    """The number shown under a label; side 0 is the left model."""
    return _shown(app, label, side)[0]


def note(app: AppTest, label: str, side: int) -> str:
    """What stands below that number."""
    return _shown(app, label, side)[1]


def badge(app: AppTest, side: int) -> str:
    """What is shown of the threshold at this eps: "holds", "open" or "broken"."""
    radii = feeds(app, "film")[side]["radii"]
    return feeds(app, "numbers")[side]["readings"][radii.index(stage(app)["eps"])][1]


def verdict(app: AppTest, side: int) -> str:
    """What is proved and what is broken over all eps, as a sentence."""
    return feeds(app, "numbers")[side]["verdict"]


def curve(app: AppTest, side: int) -> dict[str, Any]:
    """What the chart is told of a model."""
    return feeds(app, "numbers")[side]["line"]


def count(app: AppTest) -> int:
    """How many numbers are shown."""
    return 4 * len(feeds(app, "numbers"))


def _shown(app: AppTest, label: str, side: int) -> list[str]:
    at = [name for name, _ in stage(app)["words"]["numbers"]].index(label)
    radii = feeds(app, "film")[side]["radii"]
    return feeds(app, "numbers")[side]["readings"][radii.index(stage(app)["eps"])][0][at]


def _sent(app: AppTest, name: str) -> list[dict[str, Any]]:
    elements = [element.proto for element in app.get("bidi_component")]
    return [json.loads(proto.json) for proto in elements if proto.component_name == name and proto.json]


def opened(page: str, **params: str) -> AppTest:
    """A page of the app at an address, not yet run."""
    app = AppTest.from_file(str(Path(__file__).parents[2] / "dashboard" / "pages.py"), default_timeout=120)
    app.query_params |= params
    return app.switch_page(f"entries/{page}.py") if page != "explorer" else app


def words(app: AppTest) -> str:
    """Everything that a page says in its own words."""
    found = (app.markdown, app.caption, app.info, app.warning, app.error, app.header, app.button, app.pills)
    elements = [element for kind in found for element in kind]
    return "\n".join(f"{getattr(e, 'value', '')} {getattr(e, 'label', '')}" for e in elements)
