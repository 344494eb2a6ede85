from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import DataError
from core.evaluation import results_files
from core.evaluation.results import TIGHTEST, Mean, Results, as_csv, frontier
from core.evaluation.results_files import RESULTS, changed, read_results, read_sample
from core.vae import checkpoint
from tests.evaluation.results_files import HEADER, IMAGES, MODELS, RADII, SUBSET, write_results

STANDARD, ROBUST, REC, CONSTANT = (
    "mnist-mlp-standard",
    "mnist-mlp-robust-0.1",
    "mnist-mlp-robust-rec-0.1",
    "constant-decoder-bernoulli",
)
COMMAND = f"`{results_files.COMMAND}`"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_results(tmp_path / "paper")


@pytest.fixture
def results(folder: Path) -> Results:
    return read_results(folder)


def test_the_files_are_read_as_they_are(results: Results):
    suite, entry = results.suite, results.entry(REC)
    assert (suite.images, suite.subset, suite.draws, suite.seed) == (IMAGES, SUBSET, 1, 0)
    assert [entry.model for entry in results.entries] == [model.name for model in MODELS]
    assert (entry.recipe, entry.eps, entry.target, entry.kappa) == ("ibp", 0.1, "reconstruction", 0.5)
    assert results.entry("mnist-mlp-standard").kappa is None
    assert results.radii == RADII
    assert results.methods("attacked") == ("pgd", "strongest")
    assert results.methods("certified") == ("ibp", "crown-ibp", "alpha-crown")


def test_a_line_is_over_one_number_of_images_by_eps(results: Results):
    line = results.line(ROBUST, "likelihood", "certified", "alpha-crown", SUBSET)
    assert [mean.eps for mean in line] == list(RADII[1:])
    assert {mean.images for mean in line} == {SUBSET}
    assert line[2].low < line[2].mean < line[2].high
    vacuous = results.line(STANDARD, "likelihood", "certified", "ibp", IMAGES)
    assert [mean.vacuous for mean in vacuous] == [IMAGES] * 4
    assert vacuous[0].mean == -math.inf
    assert results.line(ROBUST, "likelihood", "certified", "ibp", SUBSET) == ()
    assert results.line(ROBUST, "likelihood", "certified", "crown", IMAGES) == ()
    assert results.line(ROBUST, "likelihood", "certified", "ibp", None) == ()


def test_a_curve_begins_at_clean_and_says_what_was_skipped(results: Results):
    curve = results.curve(STANDARD, "likelihood", "certified", "crown-ibp", IMAGES)
    assert [mean.eps for mean in curve] == list(RADII)
    assert [mean.vacuous for mean in curve] == [0, 0, 0, None, None]
    assert [mean.mean for mean in curve[3:]] == [-math.inf] * 2
    clean = results.clean(STANDARD, "likelihood", 0, IMAGES)
    assert clean is not None
    assert (curve[0].mean, curve[0].low, curve[0].high) == (clean.mean, clean.low, clean.high)
    assert curve[1:3] == results.line(STANDARD, "likelihood", "certified", "crown-ibp", IMAGES)
    assert results.curve(STANDARD, "likelihood", "certified", "bab", IMAGES) == ()
    assert results.curve(STANDARD, "likelihood", "certified", "ibp", None) == ()
    attacked = results.curve(CONSTANT, "likelihood", "attacked", "closed-form", IMAGES)
    assert [mean.eps for mean in attacked] == list(RADII)
    assert attacked[0].mean == -200


def test_the_constant_decoder_is_over_what_there_is(results: Results):
    assert results.decoder("bernoulli", "likelihood", IMAGES) == (CONSTANT, IMAGES)
    assert results.decoder("bernoulli", "likelihood", SUBSET) == (CONSTANT, IMAGES)
    assert results.decoder("poisson", "likelihood", SUBSET) == ("constant-decoder-poisson", None)


def test_kinds_and_which_of_them_are_robust(results: Results):
    kinds = {entry.model: entry.kind for entry in results.entries}
    assert [kinds[model.name] for model in MODELS] == [
        "standard",
        "ibp",
        "ibp",
        "adversarial",
        "beta",
        "standard",
    ]
    assert [entry.robust for entry in results.entries] == [False, True, True, False, False, False]


def test_attack_and_proof_are_shown_over_the_same_images_where_they_can(results: Results):
    assert results.sizes("likelihood", "pgd", "ibp") == (IMAGES, IMAGES)
    assert results.sizes("likelihood", "strongest", "ibp") == (SUBSET, IMAGES)
    assert results.sizes("likelihood", "strongest", "alpha-crown") == (SUBSET, SUBSET)
    assert results.sizes("likelihood", "pgd", "alpha-crown") == (IMAGES, SUBSET)
    assert results.sizes("likelihood", "fgsm", "alpha-crown") == (None, SUBSET)


def test_clean_is_found_at_any_eps_but_the_constant_decoders(results: Results):
    kept = tuple(
        m for m in results.means if m.quantity != "clean" or (m.eps, m.target) == (0, "likelihood")
    )
    sparse = replace(results, means=kept)
    found = sparse.clean(ROBUST, "reconstruction", 0.1, SUBSET)
    assert found is not None
    assert found.images == SUBSET
    assert found.mean == pytest.approx(-176)
    assert sparse.clean(CONSTANT, "likelihood", 0.1, SUBSET) is None
    constant = results.clean(CONSTANT, "likelihood", 0.1, SUBSET)
    assert constant is not None
    assert constant.mean == pytest.approx(-250)
    assert results.clean(ROBUST, "likelihood", 0.1, 7) is None


def test_rows_are_written_as_they_were_read(results: Results, folder: Path):
    written = as_csv(results.means)
    assert written.splitlines()[0] == HEADER
    (folder / "summary.csv").write_text(written)
    assert read_results(folder) == results


def test_no_results_is_a_sentence_with_the_command(tmp_path: Path):
    with pytest.raises(DataError, match="no results") as caught:
        read_results(tmp_path / "none")
    assert COMMAND in str(caught.value)


@pytest.mark.parametrize("name", ["suite.json", "summary.csv", "models.csv"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(b"[" * 100_000),
        lambda path: path.write_text(path.read_text() + "x" * 21_000_000),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_damaged_file_is_a_sentence_with_the_command(
    folder: Path, name: str, damage: Callable[[Path], object]
):
    damage(folder / name)
    with pytest.raises(DataError, match=name) as caught:
        read_results(folder)
    assert COMMAND in str(caught.value)
    assert len(str(caught.value)) < 600


BAD_SUITE = {
    "format": 2,
    "command": "\x1b[2Jrm",
    "dataset": "<b>",
    "images": 0,
    "subset": True,
    "draws": "1",
    "seed": -1,
    "weights": {"../../etc": "0" * 64},
    "versions": {"torch": 2},
}


@pytest.mark.parametrize(
    ("field", "value"), [*BAD_SUITE.items(), ("weights", {"a": "zz"}), ("weights", [])]
)
def test_a_suite_that_is_not_ours_is_refused(folder: Path, field: str, value: object):
    path = folder / "suite.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(DataError, match=r"suite\.json"):
        read_results(folder)


def test_a_suite_without_an_entry_is_refused(folder: Path):
    path = folder / "suite.json"
    path.write_text(json.dumps({"format": 1}))
    with pytest.raises(DataError, match="command"):
        read_results(folder)


ROW = f"{ROBUST},likelihood,0.1,certified,quadratic,9,1,-10.0,-11.0,-9.0,0".split(",")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "../../etc/passwd"),
        ("model", "<script>"),
        ("model", "mnist-mlp-unheard-of"),
        ("target", "all"),
        ("eps", "nan"),
        ("eps", "2"),
        ("eps", "-0.1"),
        ("quantity", "proved"),
        ("method", "pgd"),
        ("images", "0"),
        ("images", "9.5"),
        ("images", "9" * 30),
        ("draws", "0"),
        ("mean", "inf"),
        ("mean", "nan"),
        ("mean", "-inf"),
        ("low", "-9.5"),
        ("low", "-inf"),
        ("high", "-10.5"),
        ("vacuous", "3"),
        ("vacuous", "-1"),
    ],
)
def test_a_row_that_is_not_ours_is_refused(folder: Path, field: str, value: str):
    path = folder / "summary.csv"
    good = path.read_text() + ",".join(ROW) + "\n"
    path.write_text(good)
    assert read_results(folder).means[-1].method == "quadratic"
    row = [value if name == field else cell for name, cell in zip(HEADER.split(","), ROW, strict=True)]
    path.write_text(good.replace(",".join(ROW), ",".join(row)))
    with pytest.raises(DataError, match=r"summary\.csv"):
        read_results(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mnist-conv-beta-4,conv", "a/b,conv"),
        ("mnist-conv-beta-4,conv", "mnist-mlp-standard,conv"),
        ("mnist-conv-beta-4,conv", "constant-decoder-x,conv"),
        ("beta-4,conv", "beta-4,transformer"),
        (",plain,", ",<i>,"),
        ("1000000", "-5"),
        ("10.0", "inf"),
        ("kappa,", ""),
    ],
)
def test_a_model_that_is_not_ours_is_refused(folder: Path, old: str, new: str):
    path = folder / "models.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=r"models\.csv"):
        read_results(folder)


@pytest.mark.parametrize("name", ["summary.csv", "models.csv"])
def test_a_row_twice_is_refused(folder: Path, name: str):
    path = folder / name
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(DataError, match="twice"):
        read_results(folder)


def test_a_vacuous_mean_may_have_any_interval():
    values = (ROBUST, "likelihood", 0.1, "certified", "ibp", 9, 1, -math.inf)
    assert Mean(*values, -math.inf, -5.0, 1).vacuous == 1
    assert Mean(*values, -math.inf, math.nan, 9).vacuous == 9
    with pytest.raises(ValueError, match="mean"):
        Mean(*values, -math.inf, -math.inf, 0)


def test_a_sample_is_its_grey_levels(results: Results):
    shown = read_sample(results, ROBUST, "reconstructions")
    assert shown.shape == (4 * 28, 3 * 28)
    assert shown.dtype == np.uint8
    saved = np.asarray(Image.open(results.folder / "samples" / f"{ROBUST}-reconstructions.png"))
    assert (shown == saved).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:60]),
        lambda path: path.write_bytes(b"not an image"),
        lambda path: Image.new("L", (5000, 4)).save(path),
        lambda path: Image.new("L", (8, 8)).save(path, "JPEG"),
        lambda path: path.write_bytes(path.read_bytes() + bytes(6_000_000)),
        lambda path: path.rename(path.parents[2] / "x.png") and path.symlink_to(path.parents[2] / "x.png"),
    ],
)
def test_a_damaged_sample_is_a_sentence(results: Results, damage: Callable[[Path], object]):
    damage(results.folder / "samples" / f"{ROBUST}-prior.png")
    with pytest.raises(DataError, match="prior") as caught:
        read_sample(results, ROBUST, "prior")
    assert COMMAND in str(caught.value)


def test_a_shipped_model_with_other_weights_is_named(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoint, "MODELS", tmp_path)
    assert changed(results) == []
    for name in (ROBUST, REC):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.safetensors").write_bytes(b"weights")
    same = hashlib.sha256(b"weights").hexdigest()
    suite = replace(results.suite, weights=results.suite.weights | {REC: same})
    assert changed(replace(results, suite=suite)) == [ROBUST]


def test_the_frontier_holds_what_no_other_beats():
    points = [
        (0.0, 0.0),
        (-1.0, 5.0),
        (-1.0, 4.0),
        (-2.0, 5.0),
        (1.0, -math.inf),
        (-3.0, 7.0),
        (-0.5, -1.0),
    ]
    assert frontier(points) == [5, 1, 0]
    assert frontier([]) == []


def test_means_of_bounds_are_rounded_to_the_safe_side():
    proved = Mean("m", "likelihood", 0.1, "certified", "ibp", 10, 1, -343.01, -344.0, -342.0, 0)
    assert proved.rounded() == -343.1
    assert replace(proved, quantity="attacked", method="pgd").rounded() == -343.0
    assert replace(proved, mean=-math.inf, low=-math.inf, high=-math.inf, vacuous=3).rounded() == -math.inf


def test_shipped_robust_models_lie_above_the_standard_ones() -> None:
    """The paper's picture: strongest attack, eps from 0.05 on, same architecture, intervals disjoint."""
    results, pairs = read_results(RESULTS), 0
    for entry in results.entries:
        if entry.eps == 0:
            continue
        gaussian = "-gaussian" if entry.likelihood == "gaussian" else ""
        names = (entry.model, f"mnist-{entry.arch}{gaussian}-standard")
        lines = [
            results.curve(n, entry.target, "attacked", "strongest", results.suite.subset) for n in names
        ]
        for robust, standard in zip(*lines, strict=True):
            assert robust.eps == standard.eps
            if robust.eps >= 0.05:
                pairs += 1
                assert robust.low > standard.high, (entry.model, robust.eps)
    assert pairs >= 30


def test_the_tightest_proof_holds_at_smaller_eps_too(results: Results):
    loose = results.curve(ROBUST, "likelihood", "certified", "crown-ibp", IMAGES)
    assert results.curve(ROBUST, "likelihood", "certified", TIGHTEST, IMAGES)[1:] == loose[1:]
    known = next(mean for mean in loose if mean.eps == 0.05)
    tight = replace(known, eps=0.1, method="alpha-crown", mean=known.mean + 1, high=known.high + 1)
    found = replace(results, means=(*results.means, tight))
    curve = {mean.eps: mean for mean in found.curve(ROBUST, "likelihood", "certified", TIGHTEST, IMAGES)}
    assert curve[0.1] == tight
    assert curve[0.05] == replace(tight, eps=0.05)
    assert [curve[eps] for eps in (0.01, 0.2)] == [mean for mean in loose if mean.eps in (0.01, 0.2)]
    assert found.sizes("likelihood", "pgd", "alpha-crown") == (IMAGES, SUBSET)
    assert found.sizes("likelihood", "pgd", TIGHTEST) == (IMAGES, IMAGES)
    assert found.sizes("likelihood", "strongest", TIGHTEST) == (SUBSET, SUBSET)
