from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.evaluation import results_files
from core.evaluation.ceiling import CEILING
from core.evaluation.evaluate import CONSTANT
from core.evaluation.results import TIGHTEST, as_csv
from core.evaluation.results_files import read_results
from dashboard.results import picking
from dashboard.shared import result_rows, text
from dashboard.shared.curves import Lines
from tests.dashboard.addressed import parse_results
from tests.dashboard.page_parts import NAMES, address
from tests.evaluation.results_files import IMAGES, MODELS, SUBSET

STANDARD, ROBUST, REC, ADVERSARIAL, BETA, GAUSSIAN = (model.name for model in MODELS)
PAGE = "entries/results.py"


def described(app: AppTest) -> list[str]:
    """The charts' texts: curves, then frontier."""
    return [chart.proto.alt for chart in app.get("plotly_chart")]


def test_bounds_in_the_table_of_models_are_rounded_down(page: AppTest, paper: Path):
    for name, column in (("summary.csv", "mean"), ("models.csv", "constant")):
        lines = pd.read_csv(paper / name, keep_default_na=False)
        lines[column] -= 0.033  # no whole tenths
        lines.to_csv(paper / name, index=False)
    page.run()
    results, table = read_results(paper), page.dataframe[0].value.set_index("Name")
    for name in (ROBUST, REC):
        entry = results.entry(name)
        proved = results.curve(name, entry.target, "certified", TIGHTEST, IMAGES)
        bounds = {
            "Proved": next(mean.mean for mean in proved if mean.eps == entry.eps),
            "Constant": entry.constant,
        }
        for column, bound in bounds.items():
            assert bound is not None
            assert table.loc[name, column] == text.floor(bound, 1) != bound


def test_the_page_opens_with_curves_points_pictures_and_tables(page: AppTest, paper: Path):
    page.run()
    assert not page.exception
    assert not page.warning
    assert not page.error
    assert address(page) == {}
    assert page.get("html")[0].proto.body == text.head(text.RESULTS_TITLE, text.RESULTS_SUBTITLE)
    curves, frontier = described(page)
    for name in ("Standard MLP", "Robust MLP (eps 0.1)", REC, ADVERSARIAL, "Constant decoder"):
        assert f"{name} at eps 0.1: " in curves
    assert "Robust MLP (eps 0.1) at eps 0.1: clean: −176.0 nats" in curves
    assert f"proved by IBP: vacuous for {IMAGES:,} of {IMAGES:,} images" in curves
    assert f"{BETA} at eps 0.1: " in frontier
    assert GAUSSIAN not in frontier
    assert len(page.get("image")) == 2
    assert [len(table.value) for table in page.table] == [6, 5 * 4, 6]
    first = f"[Robust MLP (eps 0.1)](/?left={STANDARD}&right={ROBUST}&eps=0.1&target=likelihood)"
    assert page.table[0].value.index[0] == first
    assert list(page.dataframe[0].value["Name"]) == [model.name for model in MODELS[:5]]
    assert read_results(paper).suite.command in [code.value for code in page.code]


def test_the_page_says_which_images_draws_and_methods(page: AppTest):
    page.run()
    said = " ".join(caption.value for caption in page.caption)
    assert f"Attacked by PGD on the first {IMAGES:,} test images." in said
    assert f"Proved by the tightest certificate of each model on the first {IMAGES:,} test images." in said
    assert "1 noise draw (seed 0)" in said
    page.selectbox(key="results-certificate").set_value("alpha-crown").run()
    said = " ".join(caption.value for caption in page.caption)
    assert f"Proved by alpha-CROWN on {SUBSET} images." in said
    assert "Different images" in said
    page.selectbox(key="results-attack").set_value("strongest").run()
    said = " ".join(caption.value for caption in page.caption)
    assert "Different images" not in said
    assert f"Constant decoder on the first {IMAGES:,} test images." in said
    assert address(page) == {"attack": "strongest", "certificate": "alpha-crown"}


def test_filters_change_what_is_shown_and_the_address(page: AppTest):
    page.run()
    page.segmented_control(key="results-arch").set_value("conv").run()
    assert address(page) == {"arch": "conv"}
    assert page.button_group(key="results-models").value == [ADVERSARIAL]
    assert list(page.dataframe[0].value["Name"]) == [ADVERSARIAL, BETA]
    page.button_group(key="results-recipes").set_value(["beta"]).run()
    assert address(page) == {"arch": "conv", "recipes": "beta"}
    assert page.button_group(key="results-models").value == [BETA]
    page.segmented_control(key="results-likelihood").set_value("gaussian").run()
    assert address(page) == {"arch": "conv", "likelihood": "gaussian"}
    assert not page.warning
    curves, frontier = described(page)
    assert GAUSSIAN in curves
    assert all(name not in curves + frontier for name in (BETA, ADVERSARIAL, "Robust"))
    page.radio(key="results-target").set_value("reconstruction").run()
    page.segmented_control(key="results-eps").set_value(0.05).run()
    assert address(page)["target"] == "reconstruction"
    assert "at eps 0.05" in described(page)[1]
    next(b for b in page.button if b.label == "Reset").click().run()
    assert address(page) == {}
    assert "Robust MLP (eps 0.1)" in described(page)[0]


def test_the_address_restores_every_setting(page: AppTest):
    wanted = {
        "target": "reconstruction",
        "arch": "mlp",
        "recipes": "standard,ibp",
        "models": f"{REC},{STANDARD}",
        "attack": "strongest",
        "certificate": "alpha-crown",
        "eps": "0.05",
        "upto": "0.2",
        "axis": "all",
        "sample": REC,
    }
    for key, value in wanted.items():
        page.query_params[key] = value
    page.run()
    assert not page.warning
    assert address(page) == wanted
    assert page.button_group(key="results-models").value == [REC, STANDARD]
    assert page.segmented_control(key="results-upto").value == 0.2
    assert page.selectbox(key="results-sample").value == REC


def test_a_bad_address_gets_a_message_for_each_value_and_a_page(page: AppTest):
    bad = {"eps": "nan", "models": "../../etc", "likelihood": "<b>", "sample": "x" * 9000, "recipes": "`"}
    for key, value in bad.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    assert sorted(w.value.split("`")[1] for w in page.warning) == sorted(bad)
    assert len(described(page)) == 2
    assert address(page) == {}
    page.segmented_control(key="results-axis").set_value("all").run()
    assert not page.warning


def test_no_models_and_no_curves_are_said(page: AppTest):
    page.query_params["models"] = ""
    page.run()
    assert not page.exception
    assert [info.value for info in page.info] == [text.NO_MODELS]
    page.query_params["arch"] = "mlp"
    page.query_params["recipes"] = "beta"
    page.run()
    assert not page.exception
    assert not page.get("image")
    assert text.NO_ROWS in [caption.value for caption in page.caption]


def test_rows_lead_to_the_explorer(page: AppTest):
    page.run()
    cells = page.table[1].value.reset_index()
    row = cells[(cells["eps"] == "0.05") & cells["Model"].str.contains("Robust MLP")].iloc[0]
    label, _, link = row["Model"].partition("](")
    assert label == "[Robust MLP (eps 0.1)"
    path, _, query = link.removesuffix(")").partition("?")
    assert path == "/"
    wanted = {"left": STANDARD, "right": ROBUST, "eps": "0.05", "target": "likelihood"}
    assert parse_qs(query) == {key: [value] for key, value in wanted.items()}
    assert ADVERSARIAL in list(cells["Model"])  # not shipped, hence no link
    assert row["Proved"].startswith("−253.")
    # The table of the models asks the page's question, at the page's eps.
    page.radio(key="results-target").set_value("reconstruction").run()
    page.segmented_control(key="results-eps").set_value(0.05).run()
    linked = {
        name: url for name, _, url in (cell.partition("](") for cell in page.table[0].value.index) if url
    }
    assert set(linked) == {"[Standard MLP", "[Robust MLP (eps 0.1)"}
    assert linked["[Robust MLP (eps 0.1)"] == (
        f"/?left={STANDARD}&right={ROBUST}&eps=0.05&target=reconstruction)"
    )


def test_files_hold_the_rows_shown_and_all_rows(page: AppTest, paper: Path):
    page.query_params["target"] = "reconstruction"
    page.query_params["recipes"] = "ibp"
    page.run()
    results = read_results(paper)
    choice, _ = parse_results({"target": "reconstruction", "recipes": "ibp"}, results)
    rows = result_rows.rows(results, choice)
    # Two models and the constant decoder: clean at five eps, attacked and certified at four, the models by
    # two certificates.
    assert len(rows) == 3 * (5 + 2 * 4) + 2 * 4
    assert {row.target for row in rows} == {"reconstruction"}
    assert {row.model for row in rows} == {ROBUST, REC, "constant-decoder-bernoulli"}
    assert {row.method for row in rows} == {"", "pgd", "ibp", "crown-ibp", "closed-form"}
    labels = [button.proto.label for button in page.get("download_button")]
    assert labels == ["Rows shown (CSV): 47", f"All rows (CSV): {len(results.means):,}"]
    assert as_csv(results.means).splitlines() == (paper / "summary.csv").read_text().splitlines()


@pytest.mark.parametrize("broken", ["folder", "format", "row"])
def test_results_that_cannot_be_read_are_a_sentence_with_the_command(
    page: AppTest, paper: Path, broken: str
):
    suite, summary = paper / "suite.json", paper / "summary.csv"
    if broken == "folder":
        paper.rename(paper.with_name("elsewhere"))
    elif broken == "format":
        suite.write_text(suite.read_text().replace('"format": 1', '"format": 7'))
    else:
        summary.write_text(summary.read_text().replace("pgd", "magic"))
    page.run()
    assert not page.exception
    assert [results_files.COMMAND in error.value for error in page.error] == [True]
    assert page.get("page_link")
    # Mended while the server runs.
    if broken == "row":
        summary.write_text(summary.read_text().replace("magic", "pgd"))
        page.run()
        assert not page.error
        assert len(described(page)) == 2


def test_a_damaged_picture_spoils_nothing_else(page: AppTest, paper: Path):
    (paper / "samples" / f"{ROBUST}-prior.png").write_bytes(b"x")
    page.run()
    assert not page.exception
    assert ["prior" in error.value for error in page.error] == [True]
    assert len(page.get("image")) == 1
    assert len(page.dataframe) == 1


def test_files_that_change_are_read_again(page: AppTest, paper: Path):
    page.run()
    suite = paper / "suite.json"
    suite.write_text(suite.read_text().replace("some.suite", "other.suite"))
    page.run()
    assert any(code.value.startswith("python -m other.suite") for code in page.code)


def test_other_weights_than_those_evaluated_are_said(page: AppTest, models: Path):
    weights = models / ROBUST / "weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b"x")
    page.run()
    assert not page.exception
    assert [ROBUST in warning.value and STANDARD not in warning.value for warning in page.warning] == [True]


def test_each_page_goes_on_where_it_was_left(page: AppTest):
    page.query_params["axis"] = "all"
    page.run()
    page.query_params.clear()
    page.query_params |= {"right": NAMES[2], "index": "5", "method": "ibp", "steps": "3"}
    page.switch_page("entries/explorer.py").run()
    assert not page.exception
    assert page.selectbox(key="right").value == NAMES[2]
    page.query_params.clear()
    page.switch_page(PAGE).run()
    assert address(page) == {"axis": "all"}
    assert page.segmented_control(key="results-axis").value == "all"
    page.query_params.clear()
    page.switch_page("entries/explorer.py").run()
    assert not page.exception
    assert not page.warning
    assert page.number_input(key="index").value == 5
    assert address(page) == {"right": NAMES[2], "index": "5", "method": "ibp", "steps": "3"}


def test_an_address_in_other_words_stays_as_it_is(app: AppTest):
    app.query_params["left"] = NAMES[1]
    app.query_params["steps"] = "3"
    app.run()
    app.run()
    assert address(app) == {"left": NAMES[1], "steps": "3", "method": "ibp"}
    app.number_input(key="index").set_value(4).run()
    assert address(app) == {"index": "4", "steps": "3", "method": "ibp"}


@pytest.fixture
def lines(paper: Path) -> list[Lines]:
    results = read_results(paper)
    names = {entry.model: entry.model for entry in results.entries} | {
        CONSTANT: "Constant decoder",
        CEILING: "Ceiling",
    }
    return result_rows.points(results, parse_results({}, results)[0], names)


def test_a_click_is_a_model_and_an_eps(lines: list[Lines]):
    event = {"selection": {"points": [{"customdata": [ROBUST, 0.05]}, {"customdata": [REC, 0.1]}]}}
    found = picking.picked(event, lines)
    assert found is not None
    assert (found[0].model, found[1]) == (ROBUST, 0.05)


@pytest.mark.parametrize(
    "point",
    [
        {},
        {"customdata": None},
        {"customdata": "xy"},
        {"customdata": ["../../etc", 0.1]},
        {"customdata": [ROBUST, 0.03]},
        {"customdata": [ROBUST, [0.1]]},
        {"customdata": [ROBUST, 0.1, 1]},
        {"customdata": [[], {}]},
    ],
)
def test_a_click_that_is_none_is_nothing(lines: list[Lines], point: dict[str, object]):
    assert picking.picked({"selection": {"points": [point]}}, lines) is None
    assert picking.picked({"selection": {"points": []}}, lines) is None
