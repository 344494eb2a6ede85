from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import core
from dashboard.addresses.digit import Digit, own_name
from dashboard.addresses.explorer import default_state, to_params
from tests.dashboard.addressed import parse_explorer
from tests.dashboard.page_parts import NAMES

PIXELS = np.linspace(0, 1, 784, dtype=np.float32).tobytes()


def test_a_shipped_digit_is_the_one_with_that_number():
    assert Digit(7).image().equal(core.load_samples("mnist")[0][7:8])
    assert Digit(7).name == "7"


def test_an_own_image_comes_back_pixel_for_pixel():
    image = Digit(7, PIXELS).image()
    assert image.shape == (1, 1, 28, 28)
    assert image.numpy().tobytes() == PIXELS
    assert Digit(7, PIXELS).name == f"own-{own_name(PIXELS)}"


def script(pixels: bytes) -> None:
    """Asks the same twice, then something else."""
    import streamlit as st

    from dashboard.addresses.digit import Digit, cached

    calls: list[str] = []

    @cached(4)
    def work(name: str, digit: Digit) -> int:
        calls.append(name)
        return len(calls)

    same, other = Digit(0, pixels), Digit(1, pixels[::-1])
    asked = [("a", same), ("a", same), ("a", other), ("b", other)]
    st.session_state["seen"] = [work(*question) for question in asked]


@pytest.mark.parametrize("pixels", [b"", PIXELS])
def test_results_are_kept_for_the_same_digit_alone(pixels: bytes):
    app = AppTest.from_function(script, args=(pixels,)).run(timeout=30)
    assert app.session_state["seen"] == [1, 1, 2, 3]


def ask() -> None:
    """Attacks and certifies an image of one's own."""
    import numpy as np
    import streamlit as st

    from dashboard.addresses.digit import Digit
    from dashboard.addresses.explorer import Settings
    from dashboard.shared import compute
    from tests.dashboard.page_parts import NAMES

    pixels = np.linspace(0, 1, 784, dtype=np.float32).tobytes()
    found = compute.explore(NAMES[0], Digit(0, pixels), Settings(steps=2), (0.0, 0.1), lambda now: None)
    st.session_state["same"] = found.image.tobytes() == pixels
    st.session_state["proved"] = found.curve.best(0.0) is not None


def test_an_own_image_is_attacked_and_certified():
    app = AppTest.from_function(ask).run(timeout=60)
    assert not app.exception
    assert app.session_state["same"]
    assert app.session_state["proved"]


def test_the_address_names_an_own_image_and_finds_it_in_the_session_only():
    own = {own_name(PIXELS): PIXELS}
    state, messages = parse_explorer({"own": own_name(PIXELS)}, NAMES, own)
    assert (state.digit, messages) == (Digit(0, PIXELS), [])
    assert to_params(state, NAMES) == {"own": own_name(PIXELS)}
    lost, messages = parse_explorer({"own": own_name(PIXELS)}, NAMES)
    assert lost == default_state(NAMES)
    assert "kept only in the browser" in messages[0].text
