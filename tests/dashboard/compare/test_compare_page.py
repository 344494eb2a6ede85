from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import core
from core.vae import checkpoint
from core.vae.config import VAEConfig
from core.vae.model import VAE
from dashboard.addresses.digit import own_name
from dashboard.addresses.models import ROOTS
from dashboard.compare import compute, gallery, text
from dashboard.compare.controls import Panel
from dashboard.shared import destinations
from dashboard.shared.text import head
from tests.dashboard.page_parts import NAMES, address

PAGE = "entries/compare.py"
ROOT = Path(__file__).resolve().parents[3]
CHEAP = {"steps": "2", "draws": "1", "models": ",".join(NAMES)}


@pytest.fixture
def page(opened: AppTest) -> AppTest:
    """The page of comparisons, not yet run."""
    opened.query_params |= CHEAP
    return opened.switch_page(PAGE)


def changed(app: AppTest) -> dict[str, str]:
    """The address without what every test here begins with; its default models are other ones."""
    return {key: value for key, value in address(app).items() if key not in CHEAP}


def described(app: AppTest) -> list[str]:
    return [chart.proto.alt for chart in app.get("plotly_chart")]


def links(app: AppTest) -> list[tuple[str, dict[str, list[str]]]]:
    """The cards' labels and what the explorer is asked for."""
    found = [link.proto for link in app.get("page_link")]
    return [(link.label, parse_qs(link.query_string)) for link in found]


def badges(app: AppTest) -> list[str]:
    """The word on each card that is shown, in order."""
    return [
        word for m in app.markdown for word in ("certified", "open", "broken") if f": {word}]" in m.value
    ]


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_the_page_opens_with_models_on_one_digit(opened: AppTest):
    app = opened.switch_page(PAGE).run()
    assert not app.exception
    assert not app.warning
    assert not app.error
    assert address(app) == {}
    assert app.get("html")[0].proto.body == head(text.TITLE, text.SUBTITLE)
    (chart,) = described(app)
    assert chart.startswith("Image 0 (a 7). Line chart of the ELBO in nats over eps. At eps 0.04: ")
    assert "Standard MLP" in chart
    assert "Robust MLP (eps 0.1)" in chart
    (table,) = app.table
    assert list(table.value.reset_index()["Model"]) == [f"Standard MLP, {NAMES[1]}", "Robust MLP (eps 0.1)"]


def test_the_first_words_come_before_the_slow_imports():
    code = (ROOT / "dashboard" / "entries" / "compare.py").read_text()
    assert code.index("import text") < code.index("st.html(") < code.index("import view")


def test_the_numbers_are_those_of_core(page: AppTest):
    page.query_params |= {"eps": "0.037", "index": "3", "target": "reconstruction"}
    page.run()
    rows = page.table[0].value.reset_index()
    assert len(rows) == 3
    vae = core.load_model(NAMES[1])
    x, noise = core.load_samples("mnist")[0][3:4], core.sample_noise(vae, 1, 0)
    found = core.attack(vae, x, noise, eps=0.037, steps=2, target="reconstruction").elbo.item()
    proved = core.certify(
        vae, x, noise, eps=0.037, target="reconstruction", method="crown-ibp"
    ).lower.item()
    row = rows.iloc[1]
    assert float(row["Clean"].replace("−", "-")) == pytest.approx(
        core.elbo(vae, x, noise).total.item(), abs=0.051
    )
    assert float(row["Attacked"].replace("−", "-")) <= found + 0.051
    assert float(row["Proved"].replace("−", "-")) >= proved - 0.11


def test_a_pinned_model_and_a_pinned_digit(page: AppTest):
    page.run()
    assert len(page.table) == 1
    page.selectbox(key="compare-pin").set_value(NAMES[0]).run()
    assert changed(page) == {"pin": NAMES[0]}
    assert [len(table.value) for table in page.table] == [3, 2]
    press(page, "Pin this image")
    assert address(page)["against"] == "0"
    assert len(described(page)) == 1
    page.number_input(key="compare-index").set_value(5).run()
    assert not page.exception
    assert [d.split(".")[0] for d in described(page)] == ["Image 0 (a 7), pinned", "Image 5 (a 1)"]
    assert [len(table.value) for table in page.table] == [6, 4]
    press(page, "Unpin")
    assert changed(page) == {"pin": NAMES[0], "index": "5"}
    assert len(described(page)) == 1


def test_who_is_not_compared_is_not_pinned(page: AppTest):
    page.query_params["pin"] = NAMES[0]
    page.run()
    page.button_group(key="compare-models").set_value([NAMES[1], NAMES[2]]).run()
    assert not page.exception
    assert not page.warning
    assert "pin" not in address(page)
    page.button_group(key="compare-models").set_value([NAMES[2]]).run()
    assert [info.value for info in page.info] == [text.TOO_FEW]
    assert len(page.table) == 1
    page.button_group(key="compare-models").set_value([]).run()
    assert not page.exception
    assert [info.value for info in page.info] == [text.NONE_CHOSEN]
    press(page, "Reset")
    assert address(page) == {}
    assert len(page.table[0].value) == 2


def test_models_of_another_likelihood_are_left_out_and_said(page: AppTest, models: Path):
    vae = VAE(VAEConfig(latent=4, widths=(8,), likelihood="gaussian"))
    checkpoint.save_model(vae, models / "gauss", {"training": {"eps": 0.0, "target": "likelihood"}})
    page.run()
    assert page.button_group(key="compare-models").options != []
    assert text.left_out(1) in [caption.value for caption in page.caption]
    assert "gauss" not in str(page.button_group(key="compare-models").options)
    press(page, "Compare Gaussian models instead")
    assert not page.exception
    assert page.button_group(key="compare-models").value == ["gauss"]
    assert text.left_out(3) in [caption.value for caption in page.caption]


def test_the_address_restores_every_setting(page: AppTest):
    wanted = {
        "models": f"{NAMES[2]},{NAMES[0]}",
        "part": "gallery",
        "pin": NAMES[0],
        "of": "all",
        "count": "25",
        "classes": "1,7",
        "sort": "weakest",
        "verdict": "broken",
        "eps": "0.123",
        "target": "reconstruction",
        "norm": "l2",
        "attack": "fgsm",
        "draws": "2",
        "steps": "3",
        "seed": "9",
        "threshold": "-546",
        "upto": "0.6",
        "against": "4",
        "index": "17",
    }
    page.query_params |= wanted
    page.run()
    assert not page.exception
    assert not page.warning
    assert address(page) == wanted
    assert page.button_group(key="compare-models").value == [NAMES[2], NAMES[0]]
    assert page.selectbox(key="compare-count").value == 25
    assert page.number_input(key="compare-threshold").value == -546
    assert page.number_input(key="compare-eps_box").value == 0.123
    # What one part does not show it does not forget.
    page.button_group(key="compare-part").set_value("digit").run()
    assert address(page) == {k: v for k, v in wanted.items() if k != "part"}
    assert page.number_input(key="compare-index").value == 17


BAD = {
    "eps": "nan",
    "models": "../../etc",
    "of": "<b>",
    "page": "1e9",
    "classes": "`",
    "against": "x" * 9000,
}


def test_a_bad_address_gets_a_message_for_each_value_and_a_page(page: AppTest):
    page.query_params |= BAD
    page.run()
    assert not page.exception
    assert sorted(w.value.split("`")[1] for w in page.warning) == sorted(BAD)
    assert len(page.table) == 1
    assert not set(BAD) & set(address(page)) - {"eps"}
    page.number_input(key="compare-index").set_value(4).run()
    assert not page.warning


@pytest.fixture
def many(page: AppTest) -> AppTest:
    """The gallery of one model, with all verdicts in it."""
    page.query_params |= {
        "part": "gallery",
        "of": NAMES[1],
        "count": "50",
        "target": "reconstruction",
        "threshold": "-546",
        "eps": "0.02",
    }
    return page.run()


def test_the_gallery_counts_sorts_and_filters(many: AppTest):
    assert not many.exception
    summary = next(m.value for m in many.markdown if "of 50 images" in m.value)
    counts = {
        word: int(summary.split(f" {word}**")[0].split("**")[-1])
        for word in ("certified", "open", "broken")
    }
    assert sum(counts.values()) == 50
    assert f"threshold {text.summary('', counts, 0, -546, 50).split('threshold ')[1]}" in summary
    assert counts["certified"] > 0
    assert counts["broken"] > 0
    assert len(links(many)) == 24
    shown = badges(many)
    assert shown == sorted(shown, key=["certified", "open", "broken"].index)
    for verdict, count in counts.items():
        many.button_group(key="compare-verdict").set_value(verdict).run()
        assert address(many)["verdict"] == verdict
        assert len(links(many)) == min(count, 24)
        assert set(badges(many)) == ({verdict} if count else set())
        assert bool(count) != (text.NOTHING_PASSES in [info.value for info in many.info])
    (chart,) = described(many)
    assert f"{counts['certified'] / 50:.0%} certified" in chart


def test_the_gallery_has_pages_and_a_file_of_all(many: AppTest):
    first = [label for label, _ in links(many)]
    press(many, "Next page")
    assert address(many)["page"] == "2"
    press(many, "Next page")
    assert len(links(many)) == 2
    assert "Page 3 of 3" in [m.value for m in many.markdown]
    assert [b.disabled for b in many.button if b.label == "Next page"] == [True]
    labels = [button.proto.label for button in many.get("download_button")]
    assert labels == ["Rows (CSV): 50"]
    # Another order begins at the front; a page that there is not is the last one.
    many.selectbox(key="compare-sort").set_value("number").run()
    assert "page" not in address(many)
    assert [label for label, _ in links(many)][:2] == ["0 (a 7)", "1 (a 2)"]
    assert first[:2] != ["0 (a 7)", "1 (a 2)"]
    many.query_params["page"] = "8"
    many.run()
    assert "Page 3 of 3" in [m.value for m in many.markdown]


def test_a_card_leads_to_the_explorer(many: AppTest):
    many.selectbox(key="compare-sort").set_value("number").run()
    label, asked = links(many)[3]
    assert label == "3 (a 0)"
    wanted = {"left": NAMES[0], "right": NAMES[1], "index": "3", "eps": "0.02", "target": "reconstruction"}
    wanted |= {"threshold": "-546", "steps": "2", "draws": "1", "upto": "0.05"}
    assert asked == {key: [value] for key, value in wanted.items()}


def test_all_compared_have_a_badge_each(many: AppTest):
    many.selectbox(key="compare-of").set_value("all").run()
    assert not many.exception
    cards = [m.value for m in many.markdown if "-badge[" in m.value]
    assert len(cards) == 24
    assert all(card.count("-badge[") == 3 for card in cards)
    assert len(next(m.value for m in many.markdown if "of 50 images" in m.value).split("\n\n")) == 3
    assert [b.proto.label for b in many.get("download_button")] == ["Rows (CSV): 150"]


def test_verdicts_stop_when_time_is_over_and_go_on(page: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gallery, "SECONDS", -1.0)
    page.query_params |= {"part": "gallery", "of": NAMES[0], "count": "50"}
    page.run()
    assert [info.value for info in page.info] == [text.stopped(16, 50, -1.0)]
    assert any("of 16 images of 50 so far" in m.value for m in page.markdown)
    calls: list[int] = []
    search = compute.find_verdicts
    monkeypatch.setattr(
        compute, "find_verdicts", lambda vae, x, *a, **k: calls.append(len(x)) or search(vae, x, *a, **k)
    )
    monkeypatch.setattr(gallery, "SECONDS", 100.0)
    press(page, text.GO_ON)
    assert calls == [16, 16, 2]
    assert any("of 50 images" in m.value for m in page.markdown)
    assert text.GO_ON not in [button.label for button in page.button]


def test_a_common_threshold_and_the_other_norm(page: AppTest):
    page.run()
    page.radio(key="compare-kind").set_value(Panel.common).run()
    page.number_input(key="compare-threshold").set_value(-544.0).run()
    assert changed(page) == {"threshold": "-544"}
    assert set(page.table[0].value["Threshold"]) == {"−544.0"}
    page.button_group(key="compare-norm").set_value("l2").run()
    assert not page.exception
    assert changed(page) == {"threshold": "-544", "norm": "l2"}
    assert page.slider(key="compare-slider").value == 0.2


def test_broken_models_are_said_and_spoil_nothing(page: AppTest, models: Path):
    (models / NAMES[0] / "weights.safetensors").write_bytes(b"x")
    page.run()
    assert not page.exception
    assert len(page.error) == 1
    assert len(page.table[0].value) == 2
    page.query_params |= {"part": "gallery", "of": NAMES[0], "count": "25"}
    page.run()
    assert not page.exception
    assert len(page.error) == 1


def test_from_the_explorer_and_back(app: AppTest):
    app.query_params |= {"index": "5", "eps": "0.2", "steps": "2", "draws": "1"}
    app.run()
    label, asked = next(link for link in links(app) if link[0] == destinations.TO_COMPARE)
    assert asked["index"] == ["5"]
    assert asked["eps"] == ["0.2"]
    app.query_params.clear()
    app.query_params |= {key: value for key, (value,) in asked.items()}
    app.switch_page(PAGE).run()
    assert not app.exception
    assert not app.warning
    assert app.number_input(key="compare-index").value == 5
    label, asked = next(link for link in links(app) if link[0] == text.TO_EXPLORER)
    assert label
    assert asked["index"] == ["5"]
    app.query_params.clear()
    app.switch_page("entries/explorer.py").run()
    assert app.number_input(key="index").value == 5


def test_an_image_of_ones_own_is_compared_with_a_shipped_digit(page: AppTest):
    pixels = np.linspace(0, 1, 28 * 28, dtype=np.float32).tobytes()
    page.session_state["own images"] = {own_name(pixels): pixels}
    page.query_params |= {"own": own_name(pixels), "against": "3"}
    page.run()
    assert not page.exception
    assert not page.warning
    assert [d.split(".")[0] for d in described(page)] == ["Image 3 (a 0), pinned", "Your own image"]
    assert list(page.table[0].value["Image"]) == ["3 (a 0)", "your own"] * 3
    _, asked = next(link for link in links(page) if link[0] == text.TO_EXPLORER)
    assert asked["own"] == [own_name(pixels)]
    page.number_input(key="compare-index").set_value(8).run()
    assert "own" not in address(page)
    assert described(page)[1].startswith("Image 8 (a 5).")


def test_models_in_the_allowed_folders_are_compared_too(
    page: AppTest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path_factory.mktemp("roots") / "lab"
    training = {"eps": 0.2, "target": "likelihood"}
    checkpoint.save_model(VAE(VAEConfig(latent=4, widths=(8,))), root / "mine", {"training": training})
    monkeypatch.setenv(ROOTS, str(root))
    page.query_params |= {"models": f"lab/mine,{NAMES[0]}", "part": "gallery", "count": "25", "of": "all"}
    page.run()
    assert not page.exception
    assert not page.warning
    assert not page.error
    assert page.button_group(key="compare-models").value == ["lab/mine", NAMES[0]]
    assert "Robust MLP (eps 0.2), lab/mine" in described(page)[0]
    assert links(page)[0][1]["left"] == ["lab/mine"]
