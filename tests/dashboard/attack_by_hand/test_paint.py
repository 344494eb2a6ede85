"""A painting in an address and in a message: what anyone may have written is a painting or refused."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InputError
from dashboard.addresses import attack, explorer
from dashboard.addresses.paint import MOST_TEXT, UNITS, decode, encode, nothing
from dashboard.attack_by_hand.message import read_message
from tests.dashboard.attack_by_hand.hands import message

SHAPE = (1, 28, 28)
MODELS = ("mnist-mlp-standard", "mnist-mlp-robust-0.1")


def random(seed: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(-UNITS, UNITS + 1, shape).astype("<i2")


def packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(raw)).decode().rstrip("=")


@pytest.mark.parametrize("shape", [SHAPE, (3, 32, 32)])
def test_an_address_gives_the_painting_back(shape: tuple[int, int, int]):
    for levels in (nothing(shape), random(0, shape), np.full(shape, -UNITS, "<i2")):
        text = encode(levels)
        found = decode(text, shape)
        assert found is not None
        assert (found == levels).all()
        assert len(text) <= MOST_TEXT
    assert encode(nothing(shape)) == ""
    assert len(encode(np.full(shape, 1638, "<i2"))) < 60


def test_a_painting_that_is_too_long_is_left_out():
    assert encode(random(0, (3, 64, 64))) == ""


@pytest.mark.parametrize(
    "text",
    [
        "A" * (MOST_TEXT + 1),
        "A",
        "AAAA",
        "<script>",
        "../../etc/passwd",
        "eNo=\n",
        "\ud800",
        "٣٣٣",
        packed(b""),
        packed(b"\x00" * 1567),
        packed(b"\x00" * 1569),
        packed(b"\x00" * 10**9)[:MOST_TEXT],
        packed(b"\x00" * 5_000_000),  # it would be 5 MB
        packed(b"\xff\x7f" * 784),  # beyond white
        packed(b"\x00\x80" * 784),
        packed(b"\x00" * 1568) + "AAAA",
        packed(b"\x01\x00" * 784)[:-4],
    ],
)
def test_a_hostile_text_is_refused_in_a_sentence(text: str):
    assert decode(text, SHAPE) is None
    (message,) = attack.PAGE.parse({"paint": text}, models=MODELS, images={})[1]
    assert "`paint` in the address is" in message.text
    assert "copy the whole link" in message.text
    assert len(message.text) < 300


def test_a_link_leads_to_the_explorer_and_back_at_the_same_question():
    asked = {
        "left": MODELS[1],
        "eps": "0.07",
        "index": "3",
        "seed": "5",
        "draws": "2",
        "paint": encode(random(1)),
    }
    hand, messages = attack.PAGE.parse(asked, models=MODELS, images={})
    assert messages == []
    url = attack.explorer_address(hand, MODELS)
    assert "paint" not in url
    state, messages = explorer.PAGE.parse(url, models=MODELS, images={})
    assert messages == []
    assert state == hand.asked
    back, messages = attack.PAGE.parse(attack.address(state, MODELS), models=MODELS, images={})
    assert messages == []
    assert back.asked == state
    upper, _ = explorer.PAGE.parse({"side": "upper", "eps": "0.07"}, models=MODELS, images={})
    back, messages = attack.PAGE.parse(attack.address(upper, MODELS), models=MODELS, images={})
    assert (messages, back.asked.settings.side, back.asked.eps) == ([], "lower", 0.07)


def test_a_message_is_read():
    levels = random(2)
    found = read_message(message(levels, eps=0.05, origin="machine", done=False), SHAPE, 1.0)
    assert found is not None
    assert (found.levels == levels).all()
    assert (found.serial, found.eps, found.origin, found.done) == (1, 0.05, "machine", False)
    assert read_message(None, SHAPE, 1.0) is None


GOOD = message(random(3))


@pytest.mark.parametrize(
    "change",
    [
        {"levels": base64.b64encode(b"\x00" * 10_000_000).decode()},
        {"levels": message(random(0, (1, 27, 28)))["levels"]},
        {"levels": message(random(0, (3, 28, 28)))["levels"]},
        {"levels": GOOD["levels"][:-4] + "????"},
        {"levels": base64.b64encode(b"\xff\x7f" * 784).decode()},
        {"levels": [float("nan")] * 784},
        {"levels": [[0.0, 0.0]] * 10_000_000},
        {"levels": None},
        {"serial": -1},
        {"serial": True},
        {"serial": 1.5},
        {"serial": 2**60},
        {"version": "1"},
        {"origin": "best"},
        {"done": 1},
        {"eps": float("nan")},
        {"eps": -0.1},
        {"eps": 1.1},
        {"eps": "0.1"},
        {"eps": float("inf")},
    ],
    ids=lambda change: f"{next(iter(change))}-{str(next(iter(change.values())))[:12]}",
)
def test_a_hostile_message_is_refused_in_a_sentence(change: dict[str, Any]):
    with pytest.raises(InputError, match="Reload the page"):
        read_message(GOOD | change, SHAPE, 1.0)


def test_a_forged_score_is_not_even_read():
    forged = read_message(GOOD | {"score": -1e9, "best": {"0.1": -1e9}}, SHAPE, 1.0)
    assert "-1000000000" not in repr(forged)


SCRAPS = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=50)


@given(
    some.dictionaries(some.sampled_from([*GOOD, "other"]), SCRAPS) | SCRAPS | some.lists(SCRAPS, max_size=3)
)
def test_whatever_arrives_is_a_message_or_refused(value: object):
    try:
        found = read_message(value, SHAPE, 1.0)
    except InputError:
        return
    assert found is None
