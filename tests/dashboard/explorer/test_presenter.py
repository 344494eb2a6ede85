from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from streamlit.testing.v1 import AppTest

import core
from dashboard.addresses.digit import own_name
from dashboard.explorer import presenter
from dashboard.shared import destinations
from dashboard.shared.display_size import DESK, ROOM, enlarged
from dashboard.shared.text import nats
from tests.dashboard.page_parts import HOSTILE, NAMES, address

APP = Path(__file__).resolve().parents[3] / "dashboard" / "pages.py"


@pytest.fixture
def page() -> AppTest:
    """The presenter's page with its fast part alone, not yet run."""
    app = AppTest.from_file(str(APP), default_timeout=60).switch_page(destinations.PRESENT)
    app.query_params["method"] = "ibp"
    return app


def headings(app: AppTest) -> list[str]:
    """What stands in the largest type."""
    return [m.value[2:] for m in app.markdown if m.value.startswith("# ")]


def link(app: AppTest, label: str) -> dict[str, str]:
    (found,) = [link for link in app.get("page_link") if link.proto.label == label]
    return {key: value[0] for key, value in parse_qs(found.proto.query_string).items()}


def test_the_numbers_are_those_of_core_and_what_is_proved_is_rounded_down(page: AppTest):
    page.query_params |= {"eps": "0.02", "index": "3"}
    page.run()
    assert not page.exception
    assert not page.warning
    expected = []
    for name in (NAMES[1], NAMES[0]):
        vae = core.load_model(name)
        x, noise = core.load_samples("mnist")[0][3:4], core.sample_noise(vae, 4, 0)
        bound = core.certify(vae, x, noise, eps=0.02).lower.item()
        expected += [
            nats(core.elbo(vae, x, noise).total.item()),
            nats(core.attack(vae, x, noise, eps=0.02).elbo.item()),
            nats(math.floor(bound) if math.isfinite(bound) else bound),
        ]
    assert headings(page) == expected
    assert not page.sidebar.children


def test_better_proofs_come_in(page: AppTest):
    page.query_params |= {"eps": "0.02", "method": "crown", "draws": "1"}
    page.run()
    assert not page.exception
    statements = page.expander[0].markdown[0].value
    assert statements.count("(crown") == 2
    chart = page.get("plotly_chart")[0].proto.alt
    assert "by CROWN" in chart


def test_few_controls_change_the_question_and_its_address(page: AppTest):
    page.run()
    assert len(page.slider) == 1
    assert len(page.selectbox) == 2
    next(b for b in page.button if b.label == presenter.AFTER).click().run()
    assert address(page) == {"method": "ibp", "index": "1"}
    next(b for b in page.button if b.label == presenter.BEFORE).click().run()
    next(b for b in page.button if b.label == presenter.BEFORE).click().run()
    assert address(page) == {"method": "ibp", "index": "499"}
    page.slider(key="present-slider").set_value(0.2).run()
    page.selectbox(key="present-right").set_value(NAMES[2]).run()
    assert not page.exception
    assert address(page) == {"method": "ibp", "index": "499", "eps": "0.2", "right": NAMES[2]}
    assert link(page, presenter.LEAVE) == address(page)


def test_an_image_of_ones_own_stays_until_the_next_digit(page: AppTest):
    pixels = np.full((28, 28), 0.25, dtype=np.float32).tobytes()
    page.session_state["own images"] = {own_name(pixels): pixels}
    page.query_params["own"] = own_name(pixels)
    page.run()
    assert not page.exception
    assert not page.warning
    vae = core.load_model(NAMES[1])
    clean = core.elbo(vae, torch.full((1, 1, 28, 28), 0.25), core.sample_noise(vae, 4, 0)).total.item()
    assert headings(page)[0] == nats(clean)
    page.slider(key="present-slider").set_value(0.2).run()
    assert address(page) == {"method": "ibp", "own": own_name(pixels), "eps": "0.2"}
    next(b for b in page.button if b.label == presenter.AFTER).click().run()
    assert address(page) == {"method": "ibp", "index": "1", "eps": "0.2"}


def test_a_norm_has_its_own_scale(page: AppTest):
    page.query_params |= {"norm": "l2", "eps": "0.37"}
    page.run()
    assert not page.exception
    assert page.slider(key="present-slider").max == 0.6
    assert address(page)["eps"] == "0.37"


# What a bad method falls back to takes seconds; its message is tested with the explorer.
@pytest.mark.parametrize(("field", "value"), [bad for bad in HOSTILE if bad[0] != "method"])
def test_a_bad_address_gets_a_message_and_a_page(page: AppTest, field: str, value: str):
    page.query_params[field] = value
    page.run()
    assert not page.exception
    assert [f"`{field}`" in w.value for w in page.warning] == [True]
    assert len(headings(page)) == 6


def test_a_damaged_model_is_a_sentence_and_the_other_is_shown(page: AppTest, models: Path):
    weights = models / NAMES[1] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    page.run()
    assert not page.exception
    assert ["damaged" in e.value for e in page.error] == [True]
    assert len(headings(page)) == 3


def test_the_explorer_leads_here_and_to_the_lessons_with_its_state(app: AppTest):
    app.query_params |= {"index": "5", "eps": "0.037"}
    app.run()
    assert link(app, destinations.TO_PRESENT) == {"index": "5", "eps": "0.037", "method": "ibp"}
    assert link(app, destinations.TO_LESSONS) == {}


def test_for_a_room_all_type_and_lines_grow():
    figure = go.Figure()
    figure.add_scatter(x=[1], y=[1], line={"width": 2}, marker={"size": 6})
    figure.add_heatmap(z=np.ones((2, 2)))
    figure.add_annotation(x=1, y=1, text="here", font={"size": 12})
    figure.update_layout(height=300)
    before = figure.to_json()
    big = enlarged(figure, ROOM)
    assert figure.to_json() == before
    drawn = big.to_dict()
    assert drawn["data"][0]["line"]["width"] > 2
    assert drawn["data"][0]["marker"]["size"] > 6
    assert drawn["layout"]["font"]["size"] == ROOM.font > DESK.font
    assert drawn["layout"]["annotations"][0]["font"]["size"] == ROOM.font
    assert drawn["layout"]["height"] > 300
