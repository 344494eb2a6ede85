"""What a finished suite says, beside what the functions under it say."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from PIL import Image

import core
from core.data.samples import load_levels
from core.errors import CheckpointError, InputError
from core.evaluation.ceiling import highest_worst
from core.evaluation.suite.merge import MODELS, SUMMARY
from core.evaluation.suite.tables import Table
from core.training.baseline import fit_constant_decoder
from core.training.metrics import active_units
from core.vae.checkpoint import save_model
from core.vae.threat import Threat
from tests.conftest import make_vae
from tests.evaluation.suite.small import IMAGES, SMALL, contents, run_small

pytestmark = pytest.mark.slow

TARGETS = ("likelihood", "reconstruction")
Row = dict[str, str]


def read(content: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.fixture(scope="module")
def summary(expected: dict[str, bytes]) -> list[Row]:
    return read(expected["summary.csv"])


def rows_of(expected: dict[str, bytes], name: str) -> list[Row]:
    return read(gzip.decompress(expected[f"rows/{name}.csv.gz"]))


def test_files_and_columns(expected: dict[str, bytes], summary: list[Row]) -> None:
    names = ("plain", "steep")
    constants = ("constant-decoder-bernoulli", "constant-decoder-gaussian")
    assert set(expected) == {
        *("suite.json", "summary.csv", "models.csv"),
        *(f"samples/{name}-{kind}.png" for name in names for kind in ("prior", "reconstructions")),
        *(f"rows/{name}.csv.gz" for name in (*names, *constants)),
    }
    header = "model,target,eps,quantity,method,images,draws,mean,low,high,vacuous"
    assert expected["summary.csv"].decode().splitlines()[0] == header == ",".join(SUMMARY)
    header = "model,arch,likelihood,latent,recipe,eps,target,kappa,"
    header += "parameters,active_units,clean,recon,kl,constant"
    assert expected["models.csv"].decode().splitlines()[0] == header == ",".join(MODELS)
    ceilings = ("ceiling-bernoulli", "ceiling-gaussian")
    assert {row["model"] for row in summary} == {*names, *constants, *ceilings}
    keys = [tuple(row[key] for key in SUMMARY[:6]) for row in summary]
    assert len(set(keys)) == len(keys)
    for row in summary:
        assert float(row["low"]) <= float(row["mean"]) <= float(row["high"])
        assert (int(row["vacuous"]) > 0) == (float(row["mean"]) == -math.inf)


def test_suite_json(expected: dict[str, bytes], models: list[Path], summary: list[Row]) -> None:
    suite = json.loads(expected["suite.json"])
    assert (suite["format"], suite["dataset"], suite["images"]) == (1, "mnist", IMAGES)
    assert (suite["subset"], suite["draws"], suite["seed"]) == (2, 1, 0)
    assert suite["settings"] == json.loads(json.dumps(asdict(SMALL)))
    assert suite["command"] == (
        f"python -m core evaluate --suite paper --samples {IMAGES} --models plain steep"
    )
    assert suite["violations"] == 0
    assert list(suite["weights"]) == ["plain", "steep"]
    assert all(len(digest) == 64 for digest in suite["weights"].values())
    assert suite["versions"]["torch"] == torch.__version__
    # Of the steep model at the large radius nothing is proved, and no number says so.
    missing = {
        (gap["model"], gap["target"], eps, gap["method"])
        for gap in suite["not_computed"]
        for eps in gap["eps"]
    }
    assert ("steep", "likelihood", 0.4, "crown-ibp") in missing
    assert ("steep", "likelihood", 0.4, "alpha-crown") in missing
    assert not [gap for gap in missing if gap[0] == "plain" or gap[3] == "ibp"]
    given = {(r["model"], r["target"], float(r["eps"]), r["method"]) for r in summary}
    assert not missing & given
    tried = {
        (m, t, e, c) for m in suite["weights"] for t in TARGETS for e in SMALL.eps for c in SMALL.probes
    }
    assert tried == missing | {key for key in given if key[3] in SMALL.probes}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("eps", SMALL.eps)
def test_means_are_those_of_the_functions_under_it(
    target: str, eps: float, summary: list[Row], models: list[Path]
) -> None:
    x, vae = core.load_samples("mnist")[0][:IMAGES], core.load_model(models[0])
    noise, few = core.sample_noise(vae), x[:2]
    threat = {"eps": eps, "target": target}

    blocks, singles = x.split(4), few.split(1)
    wanted = {
        ("clean", "", IMAGES): core.elbo(vae, x, noise).total,
        ("clean", "", 2): core.elbo(vae, few, noise).total,
        ("attacked", "pgd", IMAGES): torch.cat(
            [core.attack(vae, part, noise, **threat, method="pgd", steps=2).elbo for part in blocks]
        ),
        ("attacked", "strongest", 2): torch.cat(
            [core.attack(vae, part, noise, **threat, method="strongest", steps=1).elbo for part in singles]
        ),
        ("certified", "ibp", IMAGES): core.certify(vae, x, noise, **threat, method="ibp").lower,
        ("certified", "crown-ibp", IMAGES): core.certify(vae, x, noise, **threat, method="crown-ibp").lower,
        ("certified", "alpha-crown", 2): core.certify(
            vae, few, noise, **threat, method="alpha-crown", iterations=1
        ).lower,
    }
    found = [r for r in summary if (r["model"], r["target"], float(r["eps"])) == ("plain", target, eps)]
    assert {(r["quantity"], r["method"], int(r["images"])) for r in found} == set(wanted)
    for row in found:
        mean = wanted[row["quantity"], row["method"], int(row["images"])].mean().item()
        assert float(row["mean"]) == pytest.approx(mean, rel=1e-9)


def test_at_radius_0_there_is_the_clean_elbo_only(summary: list[Row]) -> None:
    zero = [row for row in summary if float(row["eps"]) == 0]
    assert {(row["quantity"], row["method"]) for row in zero} == {("clean", ""), ("ceiling", "closed-form")}
    # Tables, targets, all images and the subset; of the two ceilings all images.
    assert len(zero) == 4 * 2 * 2 + 2 * 2


def test_rows_image_by_image(expected: dict[str, bytes], summary: list[Row]) -> None:
    labels = core.load_samples("mnist")[1][:IMAGES].tolist()
    for name in ("plain", "steep"):
        rows = rows_of(expected, name)
        assert len(rows) == 2 * 3 * IMAGES
        assert [int(r["label"]) for r in rows] == labels * 6
        for row in rows:
            subset = int(row["image"]) < 2 and float(row["eps"]) > 0
            assert (row["attacked_strongest"] != "") == subset
            lower = [float(row[c]) for c in row if c.startswith("certified") and row[c]]
            attacked = [float(row[c]) for c in row if c.startswith("attacked") and row[c]]
            assert all(c <= a + 1e-9 for c in lower for a in attacked)
            assert all(a <= float(row["clean"]) + 1e-9 for a in attacked)
    rows = [r for r in rows_of(expected, "steep") if (r["target"], r["eps"]) == ("likelihood", "0.4")]
    assert {r["certified_ibp"] for r in rows} == {"-inf"}
    assert {r["certified_crown-ibp"] + r["certified_alpha-crown"] for r in rows} == {""}
    key = ("steep", "likelihood", "0.4", "attacked", "pgd")
    (mean,) = (float(r["mean"]) for r in summary if tuple(r[k] for k in SUMMARY[:5]) == key)
    assert mean == fmean(float(r["attacked_pgd"]) for r in rows)


def test_models_csv(expected: dict[str, bytes], models: list[Path]) -> None:
    plain, steep = read(expected["models.csv"])
    assert (steep["model"], steep["arch"], steep["likelihood"]) == ("steep", "mlp", "gaussian")
    assert (steep["recipe"], plain["recipe"]) == ("crown", "plain")
    assert (steep["eps"], steep["target"], steep["kappa"]) == ("0.1", "reconstruction", "0.3")
    x = core.load_samples("mnist")[0][:IMAGES]
    for row, path in zip((plain, steep), models, strict=True):
        vae = core.load_model(path)
        clean = core.elbo(vae, x, core.sample_noise(vae))
        for key, value in (("clean", clean.total), ("recon", clean.recon), ("kl", clean.kl)):
            assert float(row[key]) == pytest.approx(value.mean().item(), rel=1e-9)
        assert int(row["parameters"]) == sum(p.numel() for p in vae.parameters())
        assert int(row["active_units"]) == active_units(vae, x)
        assert int(row["latent"]) == vae.config.latent
        eps, target = float(row["eps"]), row["target"]
        constant = fit_constant_decoder(load_levels(), vae.likelihood, eps, target)
        mean = constant.lower(x.double(), eps, target).mean().item()
        assert float(row["constant"]) == pytest.approx(mean, rel=1e-9)


def test_the_constant_decoder_is_fitted_to_each_threat(summary: list[Row]) -> None:
    x, bernoulli = core.load_samples("mnist")[0][:IMAGES].double(), make_vae().likelihood
    for row in summary:
        if row["model"] != "constant-decoder-bernoulli" or int(row["images"]) < IMAGES:
            continue
        eps, target = float(row["eps"]), row["target"]
        constant = fit_constant_decoder(load_levels(), bernoulli, eps, target)
        clean = row["quantity"] == "clean"
        assert row["method"] == ("" if clean else "closed-form")
        values = constant.elbo(x) if clean else constant.lower(x, eps, target)
        assert float(row["mean"]) == pytest.approx(values.mean().item(), rel=1e-12)


def test_the_ceiling_is_above_all_that_is_certified(summary: list[Row]) -> None:
    x, bernoulli = core.load_samples("mnist")[0][:IMAGES], make_vae().likelihood
    highest = {(row["target"], row["eps"]): row for row in summary if row["model"] == "ceiling-bernoulli"}
    assert len(highest) == 2 * len({row["eps"] for row in summary})
    for (target, eps), row in highest.items():
        assert (row["quantity"], row["method"], row["vacuous"]) == ("ceiling", "closed-form", "0")
        mean = highest_worst(bernoulli, x, Threat(float(eps), target)).mean().item()
        assert float(row["mean"]) == pytest.approx(mean, rel=1e-12)
        certified = [
            other
            for other in summary
            if (other["target"], other["eps"], other["quantity"]) == (target, eps, "certified")
            and other["model"] in ("plain", "constant-decoder-bernoulli")
            and other["images"] == row["images"]
        ]
        assert all(float(other["mean"]) <= float(row["mean"]) for other in certified)


def picture(expected: dict[str, bytes], name: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(expected[f"samples/{name}.png"])))


@torch.no_grad()
def test_prior_grid(expected: dict[str, bytes], models: list[Path]) -> None:
    for name, path in zip(("plain", "steep"), models, strict=True):
        vae = core.load_model(path)
        means = vae.likelihood.mean(vae.decode(core.sample_noise(vae, 64, 0))).clamp(0, 1)
        grid = picture(expected, f"{name}-prior")
        assert grid.shape == (224, 224)
        for row, column in ((0, 0), (0, 7), (5, 2)):
            part = grid[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
            assert np.abs(part - 255 * means[8 * row + column, 0].numpy()).max() <= 0.51


def test_reconstruction_grid(expected: dict[str, bytes], models: list[Path]) -> None:
    x, y = (part[:IMAGES] for part in core.load_samples("mnist"))
    classes = sorted(set(y.tolist()))
    grid = picture(expected, "plain-reconstructions").reshape(4, 28, len(classes), 28).swapaxes(1, 2) / 255
    digits = torch.stack([x[y.tolist().index(label)] for label in classes])
    assert np.abs(grid[0] - digits[:, 0].numpy()).max() < 1e-6
    away = np.abs(grid[2] - grid[0]).max(axis=(1, 2))
    assert np.all(away <= 0.1 + 0.51 / 255)  # a model that was trained for no radius is attacked at 0.1
    assert np.all(away > 0.04)
    vae = core.load_model(models[0])
    with torch.no_grad():
        means = vae.likelihood.mean(vae.decode(vae.encode(digits)[0]))
    assert np.abs(grid[1] - means[:, 0].numpy()).max() <= 0.51 / 255
    assert not np.array_equal(grid[3], grid[1])


def test_small_tables_can_go_elsewhere(
    models: list[Path], whole: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "rank-0.jsonl").write_bytes((whole / "log" / "rank-0.jsonl").read_bytes())
    run_small(tmp_path, models, results=tmp_path / "assets")
    assert {name for name in contents(tmp_path) if not name.startswith("assets/")} == {
        name for name in expected if name.startswith("rows/")
    }
    tables = {name for name in expected if not name.startswith("rows/")}
    assert {name: expected[name] for name in tables} == contents(tmp_path / "assets")


def test_fewer_images_than_the_subset(models: list[Path], tmp_path: Path) -> None:
    run_small(tmp_path, models[:1], count=2, suite=replace(SMALL, eps=(0.02,)))
    rows = read((tmp_path / "summary.csv").read_bytes())
    assert {row["images"] for row in rows} == {"2"}
    assert json.loads((tmp_path / "suite.json").read_text())["subset"] == 2


def test_threads_are_given_back_and_change_no_bit(
    models: list[Path], expected: dict[str, bytes], tmp_path: Path
) -> None:
    torch.set_num_threads(2)
    try:
        run_small(tmp_path, models[:1])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    found = contents(tmp_path)
    for name in ("rows/plain.csv.gz", "samples/plain-prior.png", "samples/plain-reconstructions.png"):
        assert found[name] == expected[name]


def test_gaussians_of_two_widths_have_two_constants(models: list[Path], tmp_path: Path) -> None:
    training = {"recipe": "ibp", "eps": 0.02, "target": "likelihood", "kappa": 0.2}
    save_model(make_vae(likelihood="gaussian", sigma=0.5), tmp_path / "wide", {"training": training})
    run_small(tmp_path / "out", [models[1], tmp_path / "wide"], count=2, suite=replace(SMALL, eps=()))
    rows = read((tmp_path / "out" / "summary.csv").read_bytes())
    means = {row["model"]: float(row["mean"]) for row in rows if row["target"] == "likelihood"}
    # An older folder does not name its recipe.
    assert read((tmp_path / "out" / "models.csv").read_bytes())[1]["recipe"] == "ibp"
    x = core.load_samples("mnist")[0][:2].double()
    for sigma in (0.2, 0.5):
        likelihood = make_vae(likelihood="gaussian", sigma=sigma).likelihood
        wanted = fit_constant_decoder(load_levels(), likelihood, 0.0).elbo(x).mean().item()
        assert means[f"constant-decoder-gaussian-{sigma}"] == pytest.approx(wanted, rel=1e-12)


def test_bad_arguments(models: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="suite is 'thesis'; choose one of paper"):
        run_small(tmp_path, models, suite="thesis")
    with pytest.raises(InputError, match="--jobs is 0"):
        run_small(tmp_path, models, jobs=0)
    with pytest.raises(InputError, match="Two models are called plain"):
        run_small(tmp_path, [models[0], Path(shutil.copytree(models[0], tmp_path / "other" / "plain"))])
    with pytest.raises(InputError, match="3 images but 2 labels"):
        core.run_suite(models, torch.zeros(3, 1, 28, 28), torch.zeros(2), load_levels(), out=tmp_path)
    save_model(make_vae(), tmp_path / "unknown", {})
    with pytest.raises(CheckpointError, match="does not say in its config"):
        run_small(tmp_path, [tmp_path / "unknown"])
    assert not (tmp_path / "log").exists()


def test_values_that_break_the_chain_are_counted() -> None:
    part = {
        "clean": np.array([-1.0, -1.0, -1.0]),
        "attacked_pgd": np.array([-2.0, -0.5, -1.0 + 1e-12]),
        "attacked_strongest": np.array([-3.0]),
        "certified_ibp": np.array([-2.5, -np.inf, np.nan]),
    }
    # pgd above clean; ibp above strongest; a value that is none, above or below nothing.
    assert Table("m", tuple(part), {("likelihood", 0.1): part}, {}).violations() == 3
    del part["certified_ibp"]
    assert Table("m", tuple(part), {("likelihood", 0.1): part}, {}).violations() == 1


@pytest.mark.parametrize("gain", [0.0, 1e9])
def test_alpha_crown_on_all_images_where_it_gains_much(tmp_path: Path, gain: float) -> None:
    training = {"eps": 0.1, "target": "reconstruction", "kappa": 0.3, "recipe": "mtl-ibp"}
    vae = make_vae()
    save_model(vae, tmp_path / "shy", {"training": training})
    suite = replace(SMALL, eps=(0.05, 0.1), gain=gain)
    run_small(tmp_path / "out", [tmp_path / "shy"], suite=suite)
    found = contents(tmp_path / "out")
    tight = [
        (row["target"], float(row["eps"]), int(row["images"]))
        for row in read(found["summary.csv"])
        if (row["model"], row["method"]) == ("shy", "alpha-crown")
    ]
    few = [(target, eps, 2) for target in TARGETS for eps in (0.05, 0.1)]
    own = ("reconstruction", 0.1, IMAGES)
    assert set(tight) == {*few, own} if gain == 0 else set(tight) == set(few)
    rows = [r for r in rows_of(found, "shy") if (r["target"], r["eps"]) == ("reconstruction", "0.1")]
    values = [row["certified_alpha-crown_all"] for row in rows]
    record = json.loads(found["suite.json"])
    assert (record["violations"], record["not_computed"]) == (0, [])
    if gain:
        assert set(values) == {""}
        return
    x = core.load_samples("mnist")[0][:IMAGES]
    bounds = torch.cat(
        [
            core.certify(
                vae,
                part,
                core.sample_noise(vae),
                eps=0.1,
                target="reconstruction",
                method="alpha-crown",
                iterations=1,
            ).lower
            for part in x.split(4)
        ]
    )
    assert [float(value) for value in values] == pytest.approx(bounds.tolist(), rel=1e-9)


def test_no_image_is_proved_twice_where_the_subset_is_all(tmp_path: Path) -> None:
    save_model(
        make_vae(),
        tmp_path / "shy",
        {"training": {"eps": 0.02, "target": "likelihood", "kappa": 0.3, "recipe": "mtl-ibp"}},
    )
    run_small(tmp_path / "out", [tmp_path / "shy"], suite=replace(SMALL, gain=-1e9), count=2)
    rows = read(contents(tmp_path / "out")["summary.csv"])
    keys = [tuple(row[key] for key in SUMMARY[:6]) for row in rows]
    assert len(set(keys)) == len(keys)
