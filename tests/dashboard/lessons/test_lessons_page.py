from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

import core
from core.evaluation import results_files
from core.inspection import lessons
from dashboard.addresses.lessons import EPS, PLANS, ROBUST, STANDARD, Place
from dashboard.lessons import text
from dashboard.lessons.board import filled, tex
from dashboard.lessons.page import BOARDS
from dashboard.shared import destinations
from dashboard.shared.text import nats, proved_nats
from tests.dashboard.addressed import lessons_url, parse_explorer, parse_lessons
from tests.dashboard.page_parts import NAMES, address, refused, rounds
from tests.evaluation.results_files import write_results

ROOT = Path(__file__).resolve().parents[3]
NUMBERS = range(1, len(PLANS) + 1)
HOSTILE = [
    ("lesson", "0"),
    ("lesson", "7"),
    ("lesson", "../../etc"),
    ("index", "99999"),
    ("index", "nan"),
    ("eps", "0.03"),
    ("eps", "inf"),
    ("eps", "x" * 100_000),
    ("move", "rotate-45"),
    ("move", "<script>alert(1)</script>"),
    ("present", "yes"),
]


@pytest.fixture
def page(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The lessons' page with tiny models and a small evaluation, not yet run."""
    for name in NAMES:
        config = json.loads((models / name / "config.json").read_text())
        config["training"]["kappa"] = 0.25
        (models / name / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(results_files, "RESULTS", write_results(tmp_path / "paper"))
    app = AppTest.from_file(str(ROOT / "dashboard" / "pages.py"), default_timeout=60)
    return app.switch_page(destinations.LESSONS)


def shown(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_every_lesson_has_words_a_board_and_a_plan():
    assert len(text.LESSONS) == len(BOARDS) == len(PLANS) == 6
    assert set(text.MOVES) == set(lessons.MOVES)
    for lesson in text.LESSONS:
        # A formula counts as one word.
        words = re.sub(r"\$[^$]*\$", "x", lesson.words).split()
        assert 80 <= len(words) <= 150, (lesson.title, len(words))


def test_the_first_words_need_no_torch():
    code = "import sys, dashboard.lessons.text; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
    entry = (ROOT / "dashboard" / destinations.LESSONS).read_text()
    assert entry.index("import text") < entry.index("st.html(") < entry.index("import page")


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("present", ["0", "1"])
def test_every_lesson_opens(page: AppTest, number: int, present: str):
    page.query_params |= {"lesson": str(number), "present": present}
    page.run()
    assert not page.exception
    assert not page.error
    assert not page.warning
    charts = page.get("plotly_chart")
    assert charts
    assert all(re.search(r"\d", chart.proto.alt) for chart in charts)
    assert bool(page.metric) == (present == "0")
    formulas = [m.value for m in (page.latex if present == "0" else page.markdown) if "\\" in m.value]
    assert len(formulas) >= 2
    assert not any(re.search("<[a-z_]+>", formula) for formula in formulas)
    said = " ".join(m.value for m in page.markdown)
    assert text.LESSONS[number - 1].question in said
    assert text.LESSONS[number - 1].title in said + " ".join(h.value for h in page.header)


def test_the_numbers_are_those_of_core(page: AppTest):
    x = core.load_samples("mnist")[0][4:5]
    vae = core.load_model(STANDARD)
    noise = core.sample_noise(vae, 4, 0)
    clean = core.elbo(vae, x, noise)
    page.query_params |= {"lesson": "1", "index": "4"}
    page.run()
    assert shown(page) == {
        "Reconstruction": nats(clean.recon.item(), 1),
        "KL": nats(clean.kl.item(), 1),
        "ELBO": nats(clean.total.item(), 1),
    }
    page.query_params |= {"lesson": "2", "eps": "0.2"}
    page.run()
    fgsm = core.attack(vae, x, noise, eps=0.2, method="fgsm").elbo.item()
    assert shown(page)["All pixels, FGSM"] == nats(fgsm, 1)
    page.query_params |= {"lesson": "3"}
    page.run()
    assert shown(page)["PGD done right"] == nats(core.attack(vae, x, noise, eps=0.2).elbo.item(), 1)


def test_what_is_proved_is_rounded_down(page: AppTest):
    vae = core.load_model(ROBUST)
    x, noise = core.load_samples("mnist")[0][:1], core.sample_noise(vae, 4, 0)
    page.query_params["lesson"] = "6"
    page.run()
    numbers = shown(page)
    for label, options in {
        "These draws": {"method": "crown-ibp"},
        "Other target": {"method": "crown-ibp", "target": "reconstruction"},
        "Expectation": {"states": "expectation", "draws": 4096},
        "Coverage": {"states": "coverage", "draws": 4096},
    }.items():
        bound = core.certify(vae, x, noise, eps=0.01, **options).lower.item()
        assert numbers[label] == nats(math.floor(bound * 10) / 10, 1)
        stated = float(numbers[label].removesuffix(" nats").replace("−", "-").replace(",", ""))
        assert stated <= bound < stated + 0.1 + 1e-9
    assert proved_nats(-math.inf, 1) == "vacuous"
    assert tex(-math.inf) == r"\text{vacuous}"


def test_next_and_previous_go_through_all_lessons_with_the_same_digit(page: AppTest):
    page.query_params["index"] = "7"
    page.run()
    for number in NUMBERS[1:]:
        page.button(key="lessons-Next").click().run()
        assert not page.exception
        assert address(page) == {"lesson": str(number), "index": "7"}
        assert page.button_group(key="lessons-overview").value == number
    assert not [b for b in page.button if b.key == "lessons-Next"]
    page.button(key="lessons-Previous").click().run()
    assert address(page) == {"lesson": "5", "index": "7"}
    page.button_group(key="lessons-overview").set_value(1).run()
    assert address(page) == {"index": "7"}
    assert not [b for b in page.button if b.key == "lessons-Previous"]


def test_the_address_restores_a_lesson(page: AppTest):
    page.query_params |= {"lesson": "3", "eps": "0.2", "index": "7"}
    page.run()
    assert not page.exception
    assert page.button_group(key="lessons-eps").value == 0.2
    assert address(page) == {"lesson": "3", "eps": "0.2", "index": "7"}
    page.button_group(key="lessons-eps").set_value(0.05).run()
    assert address(page) == {"lesson": "3", "eps": "0.05", "index": "7"}


def test_a_digit_is_chosen_by_its_class(page: AppTest):
    _, labels = core.load_samples("mnist")
    page.run()
    page.button_group(key="lesson-digit").set_value(3).run()
    first = int(address(page)["index"])
    next(b for b in page.button if b.label == "Another 3").click().run()
    second = int(address(page)["index"])
    assert labels[first] == labels[second] == 3
    assert second > first


def test_a_lesson_opens_in_the_explorer_with_its_question(page: AppTest):
    page.query_params |= {"lesson": "4", "eps": "0.05", "index": "9"}
    page.run()
    (link,) = [link for link in page.get("page_link") if link.proto.label == text.OPEN]
    query = {key: value[0] for key, value in parse_qs(link.proto.query_string).items()}
    found, messages = parse_explorer(query, core.list_models())
    assert messages == []
    assert (found.left, found.right, found.index, found.eps) == (STANDARD, ROBUST, 9, 0.05)
    assert found.method == "crown"
    fixed = page.caption[-1].value
    assert "Fixed in this lesson" in fixed
    assert "(test image 9)" in fixed
    assert "eps 0.05" not in fixed


def titled(app: AppTest) -> bool:
    return any(text.TITLE in part.proto.body for part in app.get("html"))


def test_the_presenter_view_is_left_where_it_was_entered(page: AppTest):
    page.query_params["lesson"] = "2"
    page.run()
    assert titled(page)
    next(b for b in page.button if b.label == text.PRESENT).click().run()
    assert address(page) == {"lesson": "2", "present": "1"}
    page.run()
    page.button(key="lessons-Next").click().run()
    assert address(page) == {"lesson": "3", "present": "1"}
    assert not titled(page)
    next(b for b in page.button if b.label == text.LEAVE).click().run()
    assert address(page) == {"lesson": "3"}
    assert page.metric


@pytest.mark.parametrize("bad", rounds(HOSTILE))
def test_each_bad_value_gets_one_message_and_a_lesson(page: AppTest, bad: dict[str, str]):
    page.query_params |= bad
    page.run()
    assert not page.exception
    assert refused(page) == sorted(bad)
    assert page.metric


def test_without_its_models_the_page_says_so(page: AppTest, models: Path):
    shutil.rmtree(models / ROBUST)
    page.run()
    assert not page.exception
    assert [ROBUST in error.value for error in page.error] == [True]


def test_without_results_the_rest_of_the_lesson_stands(page: AppTest, tmp_path: Path):
    shutil.rmtree(tmp_path / "paper")
    page.query_params["lesson"] = "5"
    page.run()
    assert not page.exception
    assert [results_files.COMMAND in error.value for error in page.error] == [True]
    assert len(page.metric) == 3
    assert page.button(key="lessons-Next")


def test_a_damaged_model_is_a_sentence(page: AppTest, models: Path):
    weights = models / STANDARD / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    page.run()
    assert not page.exception
    assert ["damaged" in error.value for error in page.error] == [True]


@given(
    some.dictionaries(
        some.sampled_from(["lesson", "index", "eps", "move", "present"]),
        some.sampled_from(["1", "3", "6", "0.2", "0.01", "7", "shift-1", "nan", ""])
        | some.text(max_size=50),
    )
)
def test_any_address_is_a_place_that_its_own_address_gives_back(params: dict[str, str]):
    place, _ = parse_lessons(params)
    assert 1 <= place.lesson <= len(PLANS)
    assert place.eps in EPS
    assert parse_lessons(lessons_url(place)) == (place, [])


def test_a_turn_stays_within_the_lessons():
    assert Place().turn(0).lesson == 1
    assert Place(lesson=6).turn(7).lesson == 6
    assert Place(index=3, present=True).turn(4) == Place(4, 3, 0.02, present=True)


def test_a_formula_without_its_number_is_an_error():
    assert filled(("a = <a> < <b_c>",), a=1, b_c="2") == ("a = 1 < 2",)
    with pytest.raises(KeyError):
        filled(("<missing>",), a=1)
