"""The page that looks inside: it opens, its numbers are core's, and no address and no model breaks it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import core
from core.bounds.interval import Interval
from dashboard.addresses.digit import Digit, own_name
from dashboard.inspector import text
from dashboard.shared.text import head
from tests.dashboard.page_parts import NAMES, address, refused, rounds

PAGE = "entries/inspect.py"
ROOT = Path(__file__).resolve().parents[3]
CHARTS = [
    "Line chart of the mean width",
    "Relaxation of unit",
    "Intervals of",
    "Bars of what is known",
    "Latent dimensions",
]
HOSTILE = [
    ("model", "../../etc"),
    ("eps", "nan"),
    ("eps", "-1"),
    ("eps", "1e400"),
    ("target", "x" * 100_000),
    ("norm", "l1"),
    ("draws", "5"),
    ("seed", "-1"),
    ("index", "500"),
    ("layer", "<script>alert(1)</script>"),
    ("draw", "2"),
    ("bounds", "magic"),
    ("across", "5"),
    ("up", "1.5"),
    ("unit", "785"),
    ("unit", "-1"),
    ("unit", "1e9"),
    ("lines", "ibp"),
    ("own", "0123456789ab"),
]
"""The models of these tests have four latent dimensions; the page opens with one draw."""


@pytest.fixture
def page(app: AppTest) -> AppTest:
    """The page, not yet run."""
    app.query_params.clear()
    return app.switch_page(PAGE)


def described(app: AppTest) -> list[str]:
    return [chart.proto.alt for chart in app.get("plotly_chart")]


def words(app: AppTest) -> str:
    return " ".join([m.value for m in app.markdown] + [c.value for c in app.caption])


def links(app: AppTest) -> list[tuple[str, dict[str, str]]]:
    return [(link.proto.page, dict(parse_qsl(link.proto.query_string))) for link in app.get("page_link")]


def test_the_page_opens_with_every_picture_and_its_text(page: AppTest):
    page.run()
    assert not page.exception
    assert not page.warning
    assert not page.error
    assert address(page) == {}
    assert page.get("html")[0].proto.body == head(text.TITLE, text.SUBTITLE)
    said = described(page)
    assert [any(alt.startswith(start) for alt in said) for start in CHARTS] == [True] * 5
    assert all(re.search(r"\d", alt) for alt in said)
    assert "IBP allows a pixel's logit" in words(page)
    assert "Unstable: " in words(page)


def test_the_first_words_come_before_the_slow_imports():
    code = (ROOT / "dashboard" / "entries" / "inspect.py").read_text()
    first = code.index("from dashboard.inspector import text")
    assert first < code.index("st.html(") < code.index("from dashboard.inspector import view")


def test_the_numbers_are_those_of_core(page: AppTest):
    page.query_params.update({"model": NAMES[0], "eps": "0.05", "index": "3", "draws": "2"})
    page.run()
    assert not page.exception
    vae = core.load_model(NAMES[0])
    x, noise = core.load_samples("mnist")[0][3:4], core.sample_noise(vae, 2, 0)
    clean, found = core.elbo(vae, x, noise).total.item(), core.attack(vae, x, noise, eps=0.05).elbo.item()
    ibp, crown = (core.certify(vae, x, noise, eps=0.05, method=m) for m in ("ibp", "crown"))
    said = words(page)
    for value in (clean, found, ibp.lower.item()):
        assert f"{abs(value):,.1f} nats" in said
    mean = [c.intervals[-1].interval.width.mean().item() for c in (ibp, crown)]
    assert f"IBP allows a pixel's logit **{text.allowed(mean[0])}**" in said
    assert f"CROWN **{text.allowed(mean[1])}**" in said


def test_a_layer_is_chosen_and_kept_in_the_address(page: AppTest):
    page.run()
    page.selectbox(key="inspect-layer").set_value("pixels").run()
    assert not page.exception
    assert address(page) == {"layer": "pixels"}
    maps = [alt for alt in described(page) if alt.startswith("Heat map of Pixels")]
    assert [alt.split(", ")[1].split(":")[0] for alt in maps] == [
        "lower end (CROWN)",
        "clean",
        "attacked",
        "upper end (CROWN)",
        "width",
    ]
    page.button_group(key="inspect-bounds").set_value("ibp").run()
    assert address(page) == {"layer": "pixels", "bounds": "ibp"}
    assert any("lower end (IBP)" in alt for alt in described(page))


def test_every_layer_of_the_list_can_be_shown(page: AppTest):
    page.query_params["draws"] = "2"
    page.run()
    options = list(page.selectbox(key="inspect-layer").options)
    assert len(options) == 12
    for option in options[1:]:
        page.selectbox(key="inspect-layer").select(option).run()
        assert not page.exception, option
        shown = "Logits" if option == "Likelihood" else option
        assert any(shown in alt for alt in described(page)), option
        assert [alt for alt in described(page) if alt.startswith("Relaxation of unit")] != [], option


def test_the_address_restores_every_setting(page: AppTest):
    wanted = {
        "model": NAMES[2],
        "index": "17",
        "eps": "0.123",
        "target": "reconstruction",
        "norm": "l2",
        "draws": "3",
        "seed": "9",
        "layer": "z",
        "draw": "2",
        "bounds": "ibp",
        "unit": "5",
        "lines": "crown",
        "across": "4",
        "up": "1",
    }
    page.query_params.update(wanted)
    page.run()
    assert not page.exception
    assert not page.warning
    assert address(page) == wanted
    assert any(alt.startswith("Latent dimensions 4 and 1") for alt in described(page))


@pytest.mark.parametrize("bad", rounds(HOSTILE))
def test_a_bad_address_gets_a_message_for_each_value_and_a_page(page: AppTest, bad: dict[str, str]):
    page.query_params |= bad
    page.run()
    assert not page.exception
    assert refused(page) == sorted(bad)
    # An image of one's own is still asked for: the browser may have it.
    assert not set(bad) & set(address(page)) - {"own"}
    assert len(described(page)) >= 4


def test_what_another_model_does_not_have_is_given_up_without_a_word(page: AppTest):
    page.query_params.update({"draws": "2", "draw": "2", "layer": "z"})
    page.run()
    page.number_input(key="inspect-draws").set_value(1).run()
    assert not page.exception
    assert not page.warning
    assert address(page) == {"layer": "z"}


def test_a_digit_is_found_by_its_class_and_reset_returns(page: AppTest):
    page.run()
    page.button_group(key="inspect-digit").set_value(3).run()
    index = int(page.number_input(key="inspect-index").value or 0)
    assert core.load_samples("mnist")[1][index] == 3
    next(b for b in page.button if b.label == "Next 3").click().run()
    assert core.load_samples("mnist")[1][int(address(page)["index"])] == 3
    next(b for b in page.button if b.label == "Reset").click().run()
    assert address(page) == {}


def test_from_the_explorer_and_back(app: AppTest, page: AppTest):
    page.switch_page("entries/explorer.py")
    page.query_params.update({"method": "ibp", "eps": "0.07", "index": "3", "left": NAMES[2], "seed": "4"})
    page.run()
    assert not page.exception
    there = [found for _, found in links(page) if "model" in found]
    assert [found["model"] for found in there] == [NAMES[2], NAMES[0]]
    common = {"eps": "0.07", "index": "3", "seed": "4", "draws": "4"}
    assert all(common.items() <= found.items() for found in there)
    page.switch_page(PAGE)
    page.query_params.clear()
    page.query_params.update(there[0])
    page.run()
    assert not page.exception
    assert not page.warning
    (back,) = [found for _, found in links(page) if "right" in found]
    assert {"right": NAMES[2], "eps": "0.07", "index": "3", "seed": "4"}.items() <= back.items()


def test_where_nothing_moves_the_page_says_so(page: AppTest):
    page.query_params["eps"] = "0"
    page.run()
    assert not page.exception
    assert "At eps 0 nothing moves" in words(page)
    assert text.NOTHING in words(page)


def test_an_image_of_ones_own_is_looked_into(page: AppTest):
    pixels = np.linspace(0, 1, 28 * 28, dtype=np.float32).tobytes()
    page.session_state["own images"] = {own_name(pixels): pixels}
    page.query_params["own"] = own_name(pixels)
    page.run()
    assert not page.exception
    assert not page.warning
    assert address(page) == {"own": own_name(pixels)}
    vae = core.load_model(NAMES[0])
    clean = core.elbo(vae, Digit(pixels=pixels).image(), core.sample_noise(vae)).total.item()
    assert f"{abs(clean):,.1f} nats" in words(page)
    next(b for b in page.button if b.label.startswith("Next ")).click().run()
    assert "own" not in address(page)


def test_a_damaged_model_is_a_sentence(page: AppTest, models: Path):
    weights = models / NAMES[0] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    page.query_params["model"] = NAMES[0]
    page.run()
    assert not page.exception
    assert [("damaged" in e.value) for e in page.error] == [True]


def test_what_explodes_is_said_in_words(page: AppTest, monkeypatch: pytest.MonkeyPatch):
    from core.bounds import interval

    def endless(x: Interval, *args: object) -> Interval:
        return Interval(x.lower * 0, x.upper * 0 + float("inf"))

    monkeypatch.setattr("core.vae.latent.exp", endless)
    assert interval.exp is not endless
    page.query_params["layer"] = "z"
    page.run()
    assert not page.exception
    assert "endless by IBP" in words(page)
    assert "vacuous" in words(page)
    widths = next(alt for alt in described(page) if alt.startswith(CHARTS[0]))
    assert "z: IBP explodes" in widths
    assert "inf" not in widths
    assert "nan" not in " ".join(described(page)).lower().replace("nanti", "")
