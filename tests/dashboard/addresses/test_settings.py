"""What holds for every setting of every page, whatever its kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.evaluation.results_files import read_results
from dashboard.addresses import attack, compare, explorer, inspect, lessons, results
from dashboard.addresses.digit import own_name
from dashboard.addresses.inspect import Layout
from dashboard.addresses.page import Page, flat
from dashboard.addresses.settings import Number, as_text
from dashboard.addresses.settings import given as given_
from tests.evaluation.results_files import write_results

MODELS = ("a", "b", "mnist-mlp-standard", "mnist-mlp-robust-0.1")
KINDS = dict.fromkeys(MODELS, "bernoulli") | {"g": "gaussian"}
OWN = {own_name(b"\x00" * 16): b"\x00" * 16}
PAGES: dict[str, tuple[Page[Any], dict[str, Any]]] = {
    "attack": (attack.PAGE, {"models": MODELS, "images": OWN}),
    "explorer": (explorer.PAGE, {"models": MODELS, "images": OWN}),
    "inspect": (
        inspect.PAGE,
        {"models": MODELS, "images": OWN, "layout": lambda model: Layout(4, ("mu", "z", "pixels"))},
    ),
    "compare": (compare.PAGE, {"models": tuple(KINDS), "kinds": KINDS, "images": OWN}),
    "lessons": (lessons.PAGE, {}),
    "results": (results.PAGE, {}),
}
HOSTILE = ("nan", "-1", "1e999", "", "x" * 5000, "<b>", "`\n", "../../etc", "1.5", "٣", "\x00", ",,,")
pages = pytest.mark.parametrize("name", PAGES)


@pytest.fixture(scope="module", autouse=True)
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = read_results(write_results(tmp_path_factory.mktemp("all") / "paper"))
    PAGES["results"][1]["every"] = {"mnist": found, "fashion-mnist": found}


@pages
def test_a_page_that_is_asked_for_nothing_has_an_empty_address(name: str):
    page, there = PAGES[name]
    state, messages = page.parse({}, **there)
    assert messages == []
    assert page.address(state, **there) == {}


@pages
@given(data=some.data())
def test_whatever_an_address_says_the_next_one_says_the_same_state(name: str, data: some.DataObject):
    page, there = PAGES[name]
    # Values of other settings too: what one takes another has to refuse.
    known = [as_text(value) for value in flat(page.parse({}, **there)[0]).values()]
    texts = some.sampled_from([text for text in (*known, *HOSTILE) if text is not None]) | some.text()
    texts |= some.integers(-2, 600).map(str) | some.floats().map(str)
    names = some.sampled_from(list(page.settings))
    params = data.draw(some.dictionaries(names, texts))
    state, messages = page.parse(params, **there)
    address = page.address(state, **there)
    assert page.parse(address, **there) == (state, [])
    assert page.address(state, **there) == address
    for message in messages:
        assert message.field in page.settings
        assert len(message.text) < 700
        assert "\n" not in message.text


@pages
@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_taken_or_refused_in_a_sentence_and_harms_no_other(name: str, value: str):
    page, there = PAGES[name]
    usual = flat(page.parse({}, **there)[0])
    for setting in page.settings:
        state, messages = page.parse({setting: value}, **there)
        if messages:
            assert {message.field for message in messages} == {setting}
            assert f"`{setting}` in the address is " in messages[0].text
            # The comparison opens with another eps than what takes the place of one that is refused.
            assert flat(state) == usual or (name == "compare" and setting in ("eps", "upto"))
        else:
            assert value in ("", "-1", "1.5", "٣")


@pages
def test_the_ends_of_a_range_are_in_it_and_what_is_beyond_is_not(name: str):
    page, there = PAGES[name]
    usual = flat(page.parse({}, **there)[0])
    ranges = {
        s.name: (s.low, given_(s.high, there | usual))
        for s in page.settings.values()
        if isinstance(s, Number)
    }
    for setting, ends in ranges.items():
        for end in ends:
            text = as_text(end) or ""
            assert flat(page.parse({setting: text}, **there)[0])[setting] == end
        for beyond in (ends[0] - 1, ends[1] + 1):
            (message,) = page.parse({setting: as_text(beyond) or ""}, **there)[1]
            assert message.field == setting
