"""What a browser sends as images that it kept: anyone may have written it."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import streamlit as st

from dashboard.addresses import sync
from dashboard.addresses.digit import own_name
from dashboard.shared import kept_images, own_images

SIZES = frozenset({784})


def text(values: np.ndarray) -> str:
    return base64.b64encode(values.astype(np.float32).tobytes()).decode()


def image(value: float) -> np.ndarray:
    return np.full(784, value, np.float32)


def with_one(value: float) -> np.ndarray:
    found = image(0.5)
    found[100] = value
    return found


HOSTILE: list[Any] = [
    text(with_one(np.nan)),
    text(with_one(np.inf)),
    text(with_one(-1e-6)),
    text(with_one(1.001)),
    text(image(0.5)[:-1]),
    text(np.zeros(785)),
    base64.b64encode(bytes(784)).decode(),
    "A" * 10**7,
    "!" * len(text(image(0))),
    "é" * len(text(image(0))),
    "",
    None,
    3,
    [text(image(0.5))],
    {"pixels": text(image(0.5))},
]


@pytest.mark.parametrize("forged", HOSTILE)
def test_what_is_no_image_is_left_out_and_the_others_are_taken(forged: object):
    assert kept_images.checked([forged, text(image(0.5))], SIZES) == [image(0.5).tobytes()]


@pytest.mark.parametrize("sent", [None, 3, "A" * 100, {"a": 1}, {}, [], [[]], b"x"])
def test_what_is_no_list_of_images_is_none(sent: object):
    assert kept_images.checked(sent, SIZES) == []


def test_no_more_are_taken_than_are_kept():
    sent = [text(image(k / 20)) for k in range(20)]
    assert len(kept_images.checked(sent, SIZES)) == kept_images.MOST_IMAGES


def test_images_that_come_back_are_what_they_were_and_the_address_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
):
    session: dict[str, Any] = {"page": "explorer", "url of explorer": {"own": "x"}}
    monkeypatch.setattr(st, "session_state", session)
    sent = [text(image(0.25)), text(with_one(np.nan))]
    session[kept_images.KEY] = type("Sent", (), {"images": sent})
    kept_images._take()
    pixels = image(0.25).tobytes()
    assert dict(own_images.images()) == {own_name(pixels): pixels}
    assert sync.last("explorer") == {}
    session["url of explorer"] = {"own": "x"}
    session[kept_images.KEY] = type("Sent", (), {"images": ["forged"]})
    kept_images._take()
    assert sync.last("explorer") == {"own": "x"}
