"""While a slow attack is computed, a quick one's image is there."""

from __future__ import annotations

import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import core
from dashboard.explorer.stage.view import Stage


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Attacks that are done, by name, and pictures that the stage was sent, by side."""
    seen: list[object] = []
    curve, film = core.elbo_curve, Stage.film

    def attacks(*args: Any, method: str, **rest: Any) -> Any:
        if method == "strongest":
            time.sleep(0.3)  # longer than a page waits before it says how far the work is
        result = curve(*args, method=method, **rest)
        seen.append(method)
        return result

    def sends(self: Stage, side: int, *news: Any) -> None:
        seen.append(side)
        film(self, side, *news)

    monkeypatch.setattr(core, "elbo_curve", attacks)
    monkeypatch.setattr(Stage, "film", sends)
    return seen


def test_the_quick_attacks_images_stand_until_the_slow_one_is_done(app: AppTest, events: list[object]):
    app.query_params.update({"attack": "strongest", "steps": "1", "draws": "1", "method": "ibp"})
    app.run()
    assert not app.exception
    # The slow one goes on meanwhile: only its own image has to come after it.
    first, second = events.index("strongest"), len(events) - 1 - events[::-1].index("strongest")
    assert [each for each in events if isinstance(each, int)] == [0, 1, 0, 1]
    assert events.count("pgd") == 2
    assert 0 in events[first:]
    assert events[second:] == ["strongest", 1]


def test_what_is_known_already_comes_at_once(app: AppTest, events: list[object]):
    app.query_params.update({"attack": "strongest", "steps": "1", "draws": "1", "method": "ibp"})
    app.run()
    events.clear()
    app.run()
    assert events == [0, 1]


def test_a_quick_attack_needs_no_other(app: AppTest, events: list[object]):
    app.query_params.update({"attack": "fgsm", "draws": "1", "method": "ibp"})
    app.run()
    assert events == ["fgsm", 0, "fgsm", 1]
