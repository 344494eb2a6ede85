"""What the page of comparisons computes, and the rows and charts that are made of it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as some

import core
from core.data.samples import load_levels
from core.errors import Cancelled
from core.evaluation.curve import Curve, Proof, Verdict
from core.evaluation.verdicts import BROKEN, CERTIFIED, OPEN, Finding
from core.training.baseline import fit_constant_decoder
from dashboard.addresses.compare import EVERY, PROOF, Comparison
from dashboard.addresses.digit import Digit, images
from dashboard.addresses.kinds import SHIPPED_IMAGES, Kind, kinds
from dashboard.compare import compute, figures, rows, text
from dashboard.compare.compute import Entry
from dashboard.compare.figures import Share
from dashboard.compare.rows import Item
from dashboard.server.background import Now
from dashboard.shared import compute as explorer
from dashboard.shared import limits, tighter_bounds
from dashboard.shared.curves import PALETTE, SYMBOLS
from dashboard.shared.limits import Limits
from dashboard.shared.text import nats
from tests.dashboard.addressed import parse_compare
from tests.dashboard.page_parts import NAMES

SHOWN = images(SHIPPED_IMAGES)
CHEAP = {"steps": "3", "draws": "1", "models": ",".join(NAMES)}


def quiet(now: Now) -> None:
    assert 0 <= now.share <= 1
    assert now.what


def asked(**params: str) -> Comparison:
    found, messages = parse_compare(CHEAP | params, kinds(core.list_models()))
    assert messages == []
    return found


def entries(comparison: Comparison) -> list[Entry]:
    return [
        compute.entry(comparison, name, f"<{name}>", digit, quiet)
        for name in comparison.models
        for digit in comparison.digits
    ]


@pytest.fixture
def two() -> tuple[Comparison, list[Entry]]:
    """Three models on two digits."""
    comparison = asked(against="3", index="5", eps="0.05", threshold="-546")
    return comparison, entries(comparison)


def test_numbers_are_those_of_the_explorer_and_share_its_cache(
    two: tuple[Comparison, list[Entry]], monkeypatch: pytest.MonkeyPatch
):
    comparison, found = two
    monkeypatch.delattr(core, "elbo_curve")
    monkeypatch.delattr(core, "certify")
    for entry in found:
        grid = comparison.asked.grid
        result = explorer.explore(entry.model, entry.digit, comparison.asked.settings, grid, quiet)
        proofs = tighter_bounds.grid(
            entry.model, entry.digit, comparison.asked.settings.proof, PROOF, grid, quiet
        )
        assert entry.curve.attained.tolist() == result.curve.attained.tolist()
        assert entry.curve.proofs == (*result.curve.proofs, *proofs)
        attained, proved = rows.at(entry.curve, 0.05)
        assert proved <= attained <= entry.curve.clean
        assert entry.place == NAMES.index(entry.model)


def test_a_model_that_cannot_be_read_has_no_likelihood(models):
    (models / NAMES[2] / "config.json").write_text("{}")
    assert kinds(NAMES) == {NAMES[0]: Kind("bernoulli"), NAMES[1]: Kind("bernoulli"), NAMES[2]: Kind()}


def test_the_table_has_a_row_for_each_model_and_digit(two: tuple[Comparison, list[Entry]]):
    _, found = two
    table = rows.table(found, 0.05, SHOWN)
    assert [row["Image"] for row in table] == ["3 (a 0)", "5 (a 1)"] * 3
    for row, entry in zip(table, found, strict=True):
        attained, proved = rows.at(entry.curve, 0.05)
        assert float(row["Attacked"].replace("−", "-")) == pytest.approx(attained, abs=0.051)
        shown = float(row["Proved"].replace("−", "-"))
        assert proved - 0.1 <= shown <= proved
        verdict = entry.curve.verdict(-546)
        assert row["Certified up to"] == ("–" if verdict.certified is None else f"{verdict.certified:g}")
        assert row["Broken from"] == ("–" if verdict.broken is None else f"{verdict.broken:g}")
        assert entry.limits is not None
        share = limits.shares(entry.limits, 0.05, proved, attained)[0]
        assert row["Way"] == ("–" if math.isinf(share) else f"{share:g} %" if share >= 0 else "< 0 %")
    one = rows.table(found[:1], 0.05, SHOWN)
    assert "Digit" not in one[0]
    own = replace(found[1], digit=Digit(0, b"\x00" * 4))
    assert [row["Image"] for row in rows.table([found[0], own], 0.05, SHOWN)] == ["3 (a 0)", "your own"]


def test_the_pinned_model_is_what_others_are_held_against(two: tuple[Comparison, list[Entry]]):
    _, found = two
    table = rows.against(found, NAMES[1], 0.05, SHOWN)
    assert [row["Model"] for row in table] == [f"<{NAMES[0]}>"] * 2 + [f"<{NAMES[2]}>"] * 2
    mine, theirs = found[1], found[3]
    assert (mine.digit, theirs.model) == (theirs.digit, NAMES[1])
    difference = mine.curve.clean - theirs.curve.clean
    assert float(table[1]["Clean"].replace("−", "-")) == pytest.approx(difference, abs=0.051)
    assert (
        table[1]["Worst case"]
        == text.ORDER[rows.order(rows.at(mine.curve, 0.05), rows.at(theirs.curve, 0.05))]
    )


@given(
    *(some.tuples(some.floats(-500, 0), some.floats(0, 300)) for _ in "ab"),
    some.floats(0, 1),
    some.floats(0, 1),
)
def test_an_order_that_is_proved_holds_for_all_worst_cases(
    mine: tuple[float, float], theirs: tuple[float, float], first: float, second: float
):
    (a, open_a), (b, open_b) = mine, theirs
    found = rows.order((a, a - open_a), (b, b - open_b))
    worst = a - first * open_a, b - second * open_b
    if found:
        assert found * (worst[0] - worst[1]) > -1e-9
    assert rows.order((b, b - open_b), (a, a - open_a)) == -found
    assert rows.order((a, -math.inf), (b, -math.inf)) == 0


def test_the_limits_are_said_of_each_image_and_of_whom_where_they_differ(
    two: tuple[Comparison, list[Entry]],
):
    _, found = two
    vae, x = core.load_model(NAMES[0]), core.load_samples("mnist")[0]
    said = rows.limits_in_words(found, 0.05, SHOWN)
    for index, label in ((3, "3 (a 0)"), (5, "5 (a 1)")):
        top = core.ceiling(vae, x[index : index + 1], 0.05).item()
        shown = math.ceil(10 * top) / 10
        assert f"ceiling {nats(shown, 1)} (image {label})" in said
    one = [entry for entry in found if entry.digit.index == 3]
    assert rows.limits_in_words(one, 0.05, SHOWN).count("ceiling") == 1
    other = replace(one[1], name="Other", limits=Limits((0.05,), (math.inf,)))
    mixed = rows.limits_in_words([one[0], other], 0.05, SHOWN)
    assert mixed.endswith("ceiling none (Other).")
    assert rows.limits_in_words([replace(one[0], limits=None)], 0.05, SHOWN) == ""


def test_files_hold_the_question_with_each_row(two: tuple[Comparison, list[Entry]]):
    comparison, found = two
    written = list(csv.DictReader(io.StringIO(rows.as_csv(rows.entry_rows(found, comparison)))))
    assert len(written) == 6
    first = written[0]
    question = {"eps": "0.05", "target": "likelihood", "norm": "linf", "attack": "pgd", "steps": "3"}
    question |= {"restarts": "1", "seed": "0", "draws": "1", "threshold": "-546.0", "digit": "3"}
    assert {key: first[key] for key in question} == question
    assert first["model"] == NAMES[0]
    assert first["grid"].split()[-1] == "0.3"
    vae, x = core.load_model(NAMES[0]), core.load_samples("mnist")[0][3:4]
    noise = core.sample_noise(vae, draws=1, seed=0)
    assert float(first["clean"]) == pytest.approx(core.elbo(vae, x, noise).total.item())
    assert float(first["ceiling"]) == core.ceiling(vae, x, 0.05).item()
    decoder = fit_constant_decoder(load_levels(), vae.likelihood, 0.05)
    assert float(first["constant_decoder"]) == decoder.lower(x.double(), 0.05, "likelihood").item()
    lower = core.certify(vae, x, noise, eps=0.05, method=first["method"]).lower.item()
    assert float(first["proved"]) >= lower - 1e-6


def gallery(comparison: Comparison) -> list[Item]:
    labels, items = explorer.samples()[1], list[Item]()
    for chunk in compute.chunks(comparison):
        by = {name: compute.findings(comparison, name, chunk, quiet) for name in comparison.judged}
        items += [
            Item(index, int(labels[index]), {name: found[i] for name, found in by.items()})
            for i, index in enumerate(chunk)
        ]
    return items


@pytest.mark.parametrize("threshold", ["", "-546", "-548", "-600"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_no_badge_says_certified_where_an_attack_breaks_it(threshold: str, target: str):
    level = {"threshold": threshold} if threshold else {}
    comparison = asked(part="gallery", of=EVERY, count="25", eps="0.02", target=target, **level)
    items = gallery(comparison)
    assert [item.index for item in items] == list(range(25))
    x, badges = core.load_samples("mnist")[0][:25], set[str]()
    for name in NAMES:
        vae = core.load_model(name)
        noise = core.sample_noise(vae, draws=1, seed=0)
        strong = core.attack(vae, x, noise, eps=0.02, steps=20, restarts=2, target=target).elbo
        lower = core.certify(vae, x, noise, eps=0.02, method=PROOF, target=target).lower
        weak = core.attack(vae, x, noise, eps=0.02, steps=3, target=target).elbo
        for item, reached, bound, attained in zip(items, strong, lower, weak, strict=True):
            finding = item.found[name]
            badge, at = finding.at(0.02), finding.verdict.threshold
            badges.add(badge)
            assert at == compute.threshold(comparison, name)
            assert badge != CERTIFIED or reached >= at
            assert badge != BROKEN or finding.attained < at
            # And it says as much as is known at this eps.
            assert badge == CERTIFIED or bound < at + 1e-6
            assert badge == BROKEN or attained > at - 1e-6
    if (threshold, target) == ("-546", "reconstruction"):
        assert badges == {CERTIFIED, OPEN, BROKEN}


def test_the_gallery_agrees_with_the_explorer():
    comparison = asked(part="gallery", of=NAMES[1], count="25", threshold="-545")
    for item in gallery(comparison)[:6]:
        entry = compute.entry(comparison, NAMES[1], "", Digit(item.index), quiet)
        assert item.found[NAMES[1]].verdict == entry.curve.verdict(-545)


def test_the_gallery_has_the_first_digits_of_the_classes():
    labels = explorer.samples()[1]
    assert compute.chosen(asked()) == tuple(range(50))
    chosen = compute.chosen(asked(classes="3,7", count="25"))
    assert len(chosen) == 25
    assert {int(labels[i]) for i in chosen} == {3, 7}
    assert chosen == tuple(i for i in range(500) if labels[i] in (3, 7))[:25]


def test_chunks_that_are_done_are_kept_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch):
    comparison, calls = asked(part="gallery", of=NAMES[0], count="50"), []
    search = compute.find_verdicts

    def counted(vae: object, x: Sequence[object], *args: object, **options: object) -> object:
        calls.append(len(x))
        return search(vae, x, *args, **options)  # pyright: ignore

    monkeypatch.setattr(compute, "find_verdicts", counted)
    chunks = compute.chunks(comparison)
    assert [len(chunk) for chunk in chunks] == [16, 16, 16, 2]
    first = compute.findings(comparison, NAMES[0], chunks[0], quiet)
    # Another order, page or number of digits asks for the same.
    other = replace(comparison, sort="class", page=2, count=100)
    assert compute.findings(other, NAMES[0], compute.chunks(other)[0], quiet) == first
    assert calls == [16]

    def cancel(now: Now) -> None:
        raise Cancelled

    slow = replace(comparison, asked=asked(seed="5", steps="200", draws="16").asked)
    with pytest.raises(Cancelled):
        compute.findings(slow, NAMES[0], chunks[0], cancel)


def traces(figure: go.Figure) -> Any:
    """The lines of a chart, for which plotly has no types."""
    return figure.data


def made_up(certified: float | None, broken: float | None) -> dict[str, Finding]:
    return {NAMES[1]: Finding(Verdict(-200.0, certified, broken, 0.3), -100.0, -190.0, -210.0)}


ITEMS = [
    Item(0, 7, made_up(0.02, 0.05)),
    Item(1, 2, made_up(None, 0.0)),
    Item(2, 1, made_up(0.07, None)),
    Item(3, 2, made_up(0.02, None)),
    Item(4, 1, made_up(0.0, 0.01)),
]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("radius", [2, 3, 0, 4, 1]),
        ("weakest", [1, 4, 0, 3, 2]),
        ("broken", [1, 4, 0, 3, 2]),
        ("number", [0, 1, 2, 3, 4]),
        ("class", [2, 4, 1, 3, 0]),
    ],
)
def test_order_and_filter(sort: str, order: list[int]):
    comparison = asked(of=NAMES[1], sort=sort, eps="0.03")
    assert [item.index for item in rows.ordered(ITEMS, comparison, NAMES[1])] == order
    by = {
        verdict: rows.ordered(ITEMS, replace(comparison, verdict=verdict), NAMES[1])
        for verdict in (CERTIFIED, OPEN, BROKEN)
    }
    assert [i.index for i in by[CERTIFIED]] == [2]
    assert sorted(i.index for i in by[OPEN]) == [0, 3]
    assert sorted(i.index for i in by[BROKEN]) == [1, 4]


def test_the_file_of_the_gallery_leaves_empty_what_there_is_not():
    comparison = asked(of=NAMES[1], eps="0.03")
    written = list(csv.DictReader(io.StringIO(rows.as_csv(rows.gallery_rows(ITEMS, comparison)))))
    assert [row["verdict"] for row in written] == [OPEN, BROKEN, CERTIFIED, OPEN, BROKEN]
    assert [row["certified_radius"] for row in written] == ["0.02", "", "0.07", "0.02", "0.0"]
    assert [row["proved_at_certified_radius"] for row in written] == ["-190.0", "", *["-190.0"] * 3]
    assert [row["attained_at_broken_from"] for row in written] == ["-210.0", "-210.0", "", "", "-210.0"]
    assert {(row["model"], row["method"], row["attack"]) for row in written} == {(NAMES[1], PROOF, "pgd")}


def test_shares_count_verdicts():
    certified, unbroken = rows.shares(ITEMS, NAMES[1], (0.0, 0.02, 0.05, 0.3))
    assert certified == [0.8, 0.6, 0.2, 0.0]
    assert unbroken == [0.8, 0.6, 0.4, 0.4]
    share = Share("a", 2, (0.0, 0.02, 0.05, 0.3), certified, unbroken)
    assert figures.share_words(share, 2) == "a: 20% certified, 20% open, 60% broken"
    figure = figures.share_figure([share], 0.05, 0.15, "eps")
    above, below = traces(figure)
    # Neither line may claim more than the radii on the grid: what is broken is broken from there on.
    assert (above.line.shape, below.line.shape) == ("hv", "vh")
    assert (above.line.color, below.line.dash) == (PALETTE[2], "dash")
    assert "At eps 0.05: a: 20% certified" in figures.describe_shares([share], 0.05)


def test_the_chart_has_a_colour_and_a_symbol_a_model(two: tuple[Comparison, list[Entry]]):
    _, found = two
    lines = [figures.line(entry) for entry in found if entry.digit == Digit(5)]
    figure = figures.curve_figure(lines, 0.05, 0.15, (-600, -500), "eps")
    attained = [trace for trace in traces(figure) if trace.mode == "lines+markers"]
    assert [trace.line.color for trace in attained] == list(PALETTE[:3])
    assert [trace.marker.symbol for trace in attained] == list(SYMBOLS[:3])
    dashed = [trace for trace in traces(figure) if trace.line.dash == "dash"]
    assert [min(trace.y) >= -600 - 3 * 100 for trace in dashed] == [True] * 3
    for trace, line in zip(dashed, lines, strict=True):
        assert (trace.y >= line.proved).all()
    html = figures.legend(lines, -500, 0.15)
    assert html.count("&lt;mnist") == 3
    assert "<mnist" not in html
    assert "proved: below the frame from eps 0" in html


def test_a_vacuous_proof_is_a_word():
    (entry, *_) = entries(asked(eps="0.05"))
    nothing = Proof(0.3, "ibp", -math.inf, -math.inf, math.inf, "Nothing.", math.inf)
    curve: Curve = replace(entry.curve, proofs=(nothing,))
    (row,) = rows.table([replace(entry, curve=curve)], 0.05, SHOWN)
    assert (row["Proved"], row["By"], row["Open"]) == ("vacuous", "–", "unbounded")
    assert row["Certified up to"] == "–"
    other = replace(entry, model=NAMES[1])
    (row,) = rows.against([replace(entry, curve=curve), other], NAMES[1], 0.05, SHOWN)
    assert (row["Proved"], row["Certified up to"], row["Worst case"]) == ("–", "–", "open")
