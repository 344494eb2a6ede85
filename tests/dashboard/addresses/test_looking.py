"""What one looks at goes from page to page; what only one page has stays there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import streamlit as st

from dashboard.addresses import attack, compare, explorer, inspect, lessons, looking, results
from dashboard.addresses.digit import own_name
from dashboard.addresses.kinds import kinds
from dashboard.addresses.page import Page, flat
from dashboard.addresses.paint import encode
from tests.dashboard.page_parts import NAMES

ROBUST, STANDARD, THIRD = NAMES
OWN = np.zeros(784, np.float32).tobytes()
PAGES: dict[str, Page[Any]] = {
    "explorer": explorer.PAGE,
    "attack": attack.PAGE,
    "inspect": inspect.PAGE,
    "compare": compare.PAGE,
    "present": explorer.PAGE,
}


class Visitor:
    """Opens pages as the navigation does, or by an address."""

    def __init__(self) -> None:
        self.left: dict[str, dict[str, str]] = {}
        self.there: dict[str, Any] = {
            "models": NAMES,
            "kinds": kinds(NAMES),
            "images": {own_name(OWN): OWN},
            "layout": lambda model: inspect.Layout(4, ("mu", "z")),
        }

    def go(self, name: str, url: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What a page shows; url: None where the navigation led to it."""
        page = PAGES[name]
        if url is None:
            st.session_state["carried"] = True
            url = looking.opening(page, self.left.get(name, {}), self.there)
        state, _ = page.parse(url, **self.there)
        looking.note(name, page, state)
        self.left[name] = page.address(state, **self.there)
        return flat(state)


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch) -> Visitor:
    monkeypatch.setattr(st, "session_state", dict[str, object]())
    return Visitor()


@pytest.mark.parametrize("name", PAGES)
def test_the_first_page_opens_with_its_defaults(visitor: Visitor, name: str):
    assert visitor.go(name) == flat(PAGES[name].parse({}, **visitor.there)[0])


LOOK = {"index": "5", "eps": "0.07", "target": "reconstruction", "draws": "2", "seed": "9"}


@pytest.mark.parametrize("to", PAGES)
@pytest.mark.parametrize("start", PAGES)
def test_image_and_question_come_along(visitor: Visitor, start: str, to: str):
    shown = visitor.go(start, LOOK)
    seen = visitor.go(to)
    assert {key: seen[key] for key in LOOK} == {key: shown[key] for key in LOOK}
    assert (seen["norm"], seen["own"]) == ("linf", b"")


def test_an_own_image_a_norm_and_a_threshold_come_along_and_go(visitor: Visitor):
    asked = {"own": own_name(OWN), "norm": "l2", "eps": "1.5", "threshold": "-99"}
    visitor.go("explorer", asked)
    for name in ("compare", "attack", "inspect", "present"):
        seen = visitor.go(name)
        assert (seen["own"], seen["norm"], seen["eps"]) == (OWN, "l2", 1.5), name
        assert seen.get("threshold", -99) == -99
    visitor.go("present", {"index": "3"})
    for name in ("compare", "attack", "inspect", "explorer"):
        seen = visitor.go(name)
        assert (seen["own"], seen["index"], seen["norm"], seen.get("threshold")) == (b"", 3, "linf", None)


def test_models_come_along_as_far_as_a_page_has_room(visitor: Visitor):
    visitor.go("explorer", {"left": THIRD, "right": STANDARD})
    assert visitor.go("inspect")["model"] == THIRD
    assert {THIRD, STANDARD} <= set(visitor.go("compare")["models"])
    # Which of the two is inspected is the visitor's choice, and no news for the pair.
    visitor.go("inspect", {"model": STANDARD})
    pair = visitor.go("explorer")
    assert (pair["left"], pair["right"]) == (THIRD, STANDARD)
    assert visitor.go("inspect")["model"] == STANDARD
    # Another one takes the right place.
    visitor.go("inspect", {"model": ROBUST})
    pair = visitor.go("attack")
    assert (pair["left"], pair["right"]) == (THIRD, ROBUST)
    visitor.go("compare", {"models": f"{ROBUST},{STANDARD}", "pin": STANDARD})
    pair = visitor.go("explorer")
    assert (pair["left"], pair["right"]) == (STANDARD, ROBUST)


def test_what_only_one_page_has_stays_there(visitor: Visitor):
    visitor.go("inspect", {"model": STANDARD, "layer": "z", "bounds": "ibp", "draws": "2"})
    visitor.go("compare", {"part": "gallery", "sort": "number", "count": "25"})
    visitor.go("explorer", {"method": "crown", "side": "upper", "index": "2"})
    seen = visitor.go("inspect")
    assert (seen["layer"], seen["bounds"], seen["index"]) == ("z", "ibp", 2)
    seen = visitor.go("compare")
    assert (seen["part"], seen["sort"], seen["count"], seen["index"]) == ("gallery", "number", 25, 2)
    seen = visitor.go("explorer")
    assert (seen["method"], seen["side"]) == ("crown", "upper")


def test_a_painting_stays_with_its_image(visitor: Visitor):
    painted = encode(np.full((1, 28, 28), 5, np.int16))
    visitor.go("attack", {"index": "4", "paint": painted})
    assert visitor.go("attack")["paint"] == painted
    visitor.go("explorer", {"index": "6"})
    assert visitor.go("attack")["paint"] == ""


def test_a_page_with_fewer_draws_does_not_take_them_from_the_others(visitor: Visitor):
    visitor.go("explorer", {"draws": "16", "method": "ibp"})
    assert visitor.go("inspect")["draws"] == inspect.MOST_DRAWS
    assert visitor.go("explorer")["draws"] == 16
    visitor.go("inspect", {"model": STANDARD, "draws": "3"})
    assert visitor.go("explorer")["draws"] == 3


def test_pages_about_other_things_neither_give_nor_take():
    assert not looking.carries(lessons.PAGE)
    assert not looking.carries(results.PAGE)
