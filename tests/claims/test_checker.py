"""The second program: it accepts what is true, up to rounding, and nothing else, and it stands alone."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import core
from benchmarks import second_opinion as second_opinion_benchmark
from core.bounds.ball import Ball
from core.bounds.kinked import Kinked
from core.certificates.certificate import Certificate
from core.claims import checker
from core.claims.claim import Claim, read_claim
from core.claims.making import make_claim, worded
from core.claims.opinion import FAILS, HOLDS, NOT_COVERED, UNREADABLE, second_opinion
from core.claims.verify import verify_claim
from core.claims.witness import pack, unpack
from core.command_line.cli import main
from core.errors import CheckpointError, ClaimError
from core.vae import checkpoint
from core.vae.checkpoint import list_models, save_model
from core.vae.likelihood import Gaussian
from tests.conftest import make_images, make_vae

pytestmark = pytest.mark.slow

DRAWS, SEED, ITERATIONS = 2, 5, 4
METHODS = ("ibp", "crown-ibp", "crown", "alpha-crown")
KINDS = [f"{arch}-{likelihood}" for arch, likelihood in product(("mlp", "conv"), ("bernoulli", "gaussian"))]
SLOPES = {"method": "alpha-crown", "eps": 0.05}
"""A question whose answer has slopes in its witness."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped")
    for kind in KINDS:
        arch, likelihood = kind.split("-")
        save_model(make_vae(arch, likelihood, seed=3), folder / kind, {"training": {}})
    save_model(make_vae(latent=16, seed=4), folder / "wide", {"training": {}})
    return folder


@pytest.fixture(autouse=True)
def models(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoint, "MODELS", folders)
    return folders


def proved(model: str, **question: Any) -> tuple[Claim, Certificate]:
    vae = core.load_model(model)
    x, noise = make_images(vae, 1), core.sample_noise(vae, DRAWS, SEED)
    asked = {"eps": 0.03, "iterations": ITERATIONS, **question}
    found = core.certify(vae, x, noise, seed=SEED, **asked)
    return make_claim(model, x, found, draws=DRAWS, seed=SEED, iterations=ITERATIONS), found


def said(claim: Claim, tmp_path: Path, model: Path | None = None) -> int:
    """The checker's exit code."""
    path = tmp_path / "claim.json"
    path.write_text(claim.to_json())
    return checker.main([str(path), str(checkpoint.MODELS / claim.model if model is None else model)])


def moved(claim: Claim, bound: float) -> Claim:
    """The claim with another bound, in its sentence too."""
    statement = claim.statement.replace(f"{claim.bound:.2f} nats", f"{bound:.2f} nats", 1)
    return replace(claim, bound=bound, statement=statement)


# From crown on all pixels get bounds of their own, which takes time: fewer models and cells.
COVERED = [*product(KINDS, METHODS[:2]), *product(("mlp-bernoulli", "conv-gaussian"), METHODS[2:])]
CELLS = {
    "crown": (("likelihood", "upper"), ("reconstruction", "lower")),
    "alpha-crown": (("likelihood", "lower"), ("reconstruction", "upper")),
}


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("kind", "method"), COVERED)
def test_what_is_proved_is_accepted_and_a_little_more_is_not(
    kind: str, method: str, norm: str, tmp_path: Path
) -> None:
    for target, side in CELLS.get(method, product(("likelihood", "reconstruction"), ("lower", "upper"))):
        eps = 0.03 if norm == "linf" else 0.3
        claim, found = proved(kind, method=method, target=target, side=side, norm=norm, eps=eps)
        exact, better = found.bound[0].item(), 1 if side == "lower" else -1
        assert said(claim, tmp_path) == HOLDS, claim.statement
        assert said(moved(claim, exact + better * 1e-4 * abs(exact)), tmp_path) == FAILS


@pytest.mark.parametrize(
    "question",
    [
        {"eps": 0.0, "method": "crown"},
        {"eps": 0.0, "method": "crown", "norm": "l2"},
        {"eps": 1e-9, "method": "alpha-crown"},
        {"eps": 0.0312345678, "method": "alpha-crown"},
        {"eps": 0.5, "method": "crown", "side": "upper"},
    ],
)
def test_other_radii_and_long_rows_of_noise(question: dict[str, Any], tmp_path: Path) -> None:
    assert said(proved("wide", **question)[0], tmp_path) == HOLDS


@pytest.mark.slow
def test_all_shipped_models_are_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert len(list_models()) >= 16
    x = core.load_samples("mnist")[0][3:4]
    for index, name in enumerate(list_models()):
        vae = core.load_model(name)
        noise = core.sample_noise(vae, 1, index)
        side, target = ("lower", "upper")[index % 2], ("likelihood", "reconstruction")[index // 2 % 2]
        found = core.certify(vae, x, noise, eps=1e-5, method="crown-ibp", side=side, target=target)
        claim = make_claim(name, x, found, draws=1, seed=index)
        assert said(claim, tmp_path) == HOLDS, claim.statement
        exact = found.bound[0].item()
        beyond = exact + (1e-4 if side == "lower" else -1e-4) * abs(exact)
        assert said(moved(claim, beyond), tmp_path) == FAILS


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        *product(["mlp-bernoulli"], ["encoder.1", "encoder.3", "decoder.0", "decoder.2", "decoder.4"]),
        *product(["conv-gaussian"], ["encoder.0", "encoder.7", "decoder.0", "decoder.5", "decoder.7"]),
    ],
)
def test_layers_of_other_shapes_are_no_model(kind: str, layer: str, tmp_path: Path) -> None:
    """A bias of shape (n, 1) would be added to every row, and the score be a sum of n times as many."""
    shutil.copytree(checkpoint.MODELS / kind, folder := tmp_path / kind)
    weights = safetensors.torch.load_file(folder / checkpoint.WEIGHTS)
    weights[f"{layer}.bias"] = weights[f"{layer}.bias"][:, None].clone()
    safetensors.torch.save_file(weights, folder / checkpoint.WEIGHTS)
    claim, _ = proved(kind, side="upper")
    forged = replace(claim, weights=checkpoint.model_digest(folder))
    statement = forged.statement.replace(claim.weights[:16], forged.weights[:16])
    forged = moved(replace(forged, statement=statement), -20_000.0)
    assert said(forged, tmp_path, folder) == UNREADABLE
    with pytest.raises(CheckpointError):
        verify_claim(forged, folder)


@pytest.mark.parametrize("widths", [[2, 3], [2, 3, 8, 8], [], [2, 3, "8"], [2, 3, None], [2, 3, 9], "238"])
def test_configurations_that_are_none_are_refused(widths: Any, tmp_path: Path) -> None:
    shutil.copytree(checkpoint.MODELS / "conv-bernoulli", folder := tmp_path / "model")
    path = folder / checkpoint.CONFIG
    config = json.loads(path.read_text())
    config["model"]["widths"] = widths
    path.write_text(json.dumps(config))
    claim, _ = proved("conv-bernoulli")
    weights = hashlib.sha256(json.dumps(config["model"], sort_keys=True).encode())
    weights.update((folder / checkpoint.WEIGHTS).read_bytes())
    assert said(replace(claim, weights=weights.hexdigest()), tmp_path, folder) in (UNREADABLE, NOT_COVERED)


@pytest.mark.parametrize(
    "change", [lambda text: "\ufeff" + text, lambda text: text.replace('"format": 1', '"format": 2')]
)
def test_a_configuration_that_core_refuses_is_refused(change: Callable[[str], str], tmp_path: Path) -> None:
    shutil.copytree(checkpoint.MODELS / "mlp-bernoulli", folder := tmp_path / "model")
    path = folder / checkpoint.CONFIG
    path.write_text(change(path.read_text()), encoding="utf-8")
    claim, _ = proved("mlp-bernoulli")
    assert said(claim, tmp_path, folder) == UNREADABLE
    with pytest.raises(CheckpointError):
        verify_claim(claim, folder)


LIES = {
    "a sentence in the versions": {"versions": "python 3.11.7, torch 2. The ELBO is at least -10.00 nats"},
    "lines in the versions": {"versions": "python 3.11.7, torch 2\n"},
    "other digits": {"versions": "python \u0663.\u0661, torch \u0662"},
    "a sentence in the name": {"model": "x. The ELBO is at least -10.00 nats"},
    "an unknown method": {"method": "nonsense"},
    "an unknown statement": {"states": "nonsense"},
    "an unknown arithmetic": {"arithmetic": "float128"},
    "no steps": {"iterations": 0},
    "too many steps": {"iterations": 10_001},
    "a margin below 0": {"margin": -1.0},
    "a radius below 0": {"eps": -0.5},
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_question_is_unreadable_for_both(lie: str, tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli", **SLOPES)
    forged = worded(replace(claim, **LIES[lie], statement=claim.statement.split(" From ")[0]))
    folder = checkpoint.MODELS / "mlp-bernoulli"
    assert said(forged, tmp_path, folder) == UNREADABLE
    with pytest.raises(ClaimError):
        verify_claim(read_claim(forged.to_json()), folder)


def test_what_the_image_itself_beats_is_refused_however_little(tmp_path: Path) -> None:
    """Within the tolerance for other bounds, but plainly false."""
    for kind, side in product(("mlp-gaussian", "mlp-bernoulli"), ("lower", "upper")):
        vae = core.load_model(kind)
        clean = core.elbo(vae, make_images(vae, 1), core.sample_noise(vae, DRAWS, SEED)).total.item()
        claim, _ = proved(kind, method="crown-ibp", side=side, eps=0.0)
        step = 0.02 if side == "lower" else -0.02
        assert said(claim, tmp_path) == HOLDS
        assert said(moved(claim, round(clean + step, 2)), tmp_path) == FAILS


def test_a_verdict_that_nobody_reads_is_its_exit_code(tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli")
    folder = str(checkpoint.MODELS / "mlp-bernoulli")
    for forged, code in ((claim, HOLDS), (moved(claim, -1.0), FAILS)):
        (path := tmp_path / "claim.json").write_text(forged.to_json())
        with open("/dev/full", "w") as full:
            ran = subprocess.run([sys.executable, checker.__file__, path, folder], stdout=full, check=False)
        assert ran.returncode == code


def test_without_numpy_nothing_is_said_of_a_claim(tmp_path: Path) -> None:
    command = [sys.executable, "-S", checker.__file__, "claim.json"]  # -S: without installed packages
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ran.returncode, ran.stdout) == (UNREADABLE, "")
    assert "numpy and safetensors are needed" in ran.stderr


def test_a_pipe_is_checked_too(tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli")
    os.mkfifo(pipe := tmp_path / "pipe")
    writer = threading.Thread(target=lambda: pipe.write_text(claim.to_json()))
    writer.start()
    assert second_opinion(pipe, checkpoint.MODELS / "mlp-bernoulli").code == HOLDS
    writer.join()


def test_a_bound_of_a_program_with_a_fault_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault that was shipped once: what a plane has for an image that stands still was dropped."""
    monkeypatch.undo()
    question = {"target": "reconstruction", "side": "upper", "eps": 0.1, "index": 3}
    for method in ("crown-ibp", "alpha-crown"):
        asked = {"model": "mnist-mlp-gaussian-mtl-0.1", "method": method, **question}
        honest, proved = second_opinion_benchmark.certified(**asked)
        with second_opinion_benchmark.fault():
            claim, claimed = second_opinion_benchmark.certified(**asked)
        assert claimed < proved - 1
        assert honest is not None
        assert claim is not None
        path = tmp_path / "claim.json"
        assert [second_opinion_benchmark.checked(text, path)[0] for text in (honest, claim)] == [
            HOLDS,
            FAILS,
        ]


@pytest.mark.parametrize(
    "question",
    [
        {"method": "quadratic"},
        {"method": "bab"},
        {"arithmetic": "float32"},
        {"states": "expectation", "draws": 500},
        {"states": "coverage", "draws": 500},
    ],
)
def test_what_is_not_covered_never_holds(question: dict[str, Any], tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli", **question)
    assert said(claim, tmp_path) == NOT_COVERED


def without_witness(claim: Claim) -> dict[str, Any]:
    """The same as a file of format 2 had it."""
    content = {
        name: v for name, v in json.loads(claim.to_json()).items() if name not in ("witness", "checksum")
    }
    content["format"] = 2
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return content | {"checksum": hashlib.sha256(text.encode()).hexdigest()}


def test_a_graph_of_operations_is_not_covered(tmp_path: Path) -> None:
    def pair(inputs: int, hidden: int, outputs: int) -> torch.nn.Sequential:
        layers = torch.nn.Linear(inputs, hidden), torch.nn.ELU(), torch.nn.Linear(hidden, outputs)
        return torch.nn.Sequential(torch.nn.Flatten(), *layers).eval()

    vae = core.wrap(pair(16, 5, 4), pair(2, 5, 16), shape=(1, 4, 4), heads="chunk")
    folder, path = str(tmp_path / "own"), str(tmp_path / "certificate.json")
    core.save_model(vae, folder, images=torch.rand(1, 1, 4, 4).mul(255).round() / 255)
    asked = ["--model", folder, "--index", "0", "--eps", "0.01", "--method", "crown", "--out", path]
    assert main(["certify", *asked]) == 0
    assert main(["verify", path, "--model", folder]) == 0
    assert main(["verify", path, "--model", folder, "--independent"]) == NOT_COVERED
    assert second_opinion(path, folder).said.startswith("Not covered: the model is a graph")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["a", "b", "c"]])
def test_how_it_is_called_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert checker.main(arguments) == UNREADABLE
    assert "usage: checker.py certificate.json [MODEL_FOLDER]" in capsys.readouterr().err


def test_format_2_is_verified_but_not_independently(tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli", method="crown")
    path, folder = tmp_path / "old.json", str(checkpoint.MODELS / "mlp-bernoulli")
    path.write_text(json.dumps(without_witness(claim)))
    assert verify_claim(read_claim(path.read_bytes())).holds
    assert checker.main([str(path), folder]) == NOT_COVERED
    path.write_text(json.dumps(without_witness(moved(claim, -1.0))))
    assert checker.main([str(path), folder]) == FAILS  # the image itself beats it


def test_a_certificate_survives_other_programs(tmp_path: Path) -> None:
    """A round trip through JavaScript spells 0.0 as 0, and numbers stay what they are."""
    claim, _ = proved("mlp-bernoulli", method="crown")
    for text in (claim.to_json(), json.dumps(without_witness(claim))):
        spelt = re.sub(r"(\d)\.0(?=,)", r"\1", text).replace(f'"draws": {DRAWS}', f'"draws": {DRAWS}.0')
        assert spelt != text
        assert read_claim(spelt) == read_claim(text)
        path = tmp_path / "through.json"
        path.write_text(spelt)
        assert checker.read_claim(path)["draws"] == DRAWS
        path.write_text(spelt.replace(f'"seed": {SEED}', f'"seed": {SEED + 1}'))
        with pytest.raises(ClaimError, match="checksum"):
            read_claim(path.read_bytes())
        assert checker.main([str(path)]) == UNREADABLE


def spoilt(change: Callable[[dict[str, Tensor]], object]) -> Callable[[str], str]:
    def spoil(witness: str) -> str:
        tensors = unpack(witness)
        change(tensors)
        return pack(tensors)

    return spoil


def put(name: str, value: float) -> Callable[[str], str]:
    return spoilt(lambda tensors: tensors[name].view(-1)[:1].fill_(value))


def bomb(witness: str) -> str:
    return base64.b64encode(zlib.compress(bytes(checker.MOST_WITNESS + 1))).decode()


BAD: dict[str, Callable[[str], str]] = {
    "cut short": lambda w: w[: len(w) // 8 * 4],
    "no base64": lambda w: "#" + w[1:],
    "no zlib": lambda w: base64.b64encode(b"not compressed").decode(),
    "nothing inside": lambda w: base64.b64encode(zlib.compress(b"")).decode(),
    "more behind": lambda w: base64.b64encode(base64.b64decode(w) + b"more").decode(),
    "larger than any": bomb,
    "NaN": put("mix", math.nan),
    "infinite": put("mu", math.inf),
    "NaN in the noise": put("noise", math.nan),
    "below 0": put("decoder.0", -0.5),
    "above 1": put("encoder.0", 1.5),
    "a mix above 1": put("mix", 1.0001),
    "other noise": put("noise", 0.125),
    "doubles": spoilt(lambda t: t.update(mu=t["mu"].double())),
    "a part too few": spoilt(lambda t: t.pop("mix")),
    "a part too many": spoilt(lambda t: t.update(more=torch.zeros(1))),
    "a layer of another model": spoilt(lambda t: t.update({"encoder.0": torch.zeros(5)})),
    "fewer draws": spoilt(lambda t: t.update(noise=t["noise"][:1])),
    "no noise": spoilt(lambda t: t.pop("noise")),
    "nothing": spoilt(lambda t: t.clear()),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_witness_never_holds(name: str, tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli", **SLOPES)
    assert "mix" in unpack(claim.witness)
    bad = replace(claim, witness=BAD[name](claim.witness))
    assert said(bad, tmp_path) in (FAILS, UNREADABLE)


@pytest.mark.parametrize("name", ["cut short", "no base64", "larger than any", "NaN", "no noise"])
def test_a_bad_witness_is_not_verified_either(name: str) -> None:
    claim, _ = proved("mlp-bernoulli", **SLOPES)
    with pytest.raises(ClaimError, match="witness"):
        verify_claim(replace(claim, witness=BAD[name](claim.witness)))


def test_noise_of_another_seed_is_not_verified() -> None:
    claim, _ = proved("mlp-bernoulli", **SLOPES)
    for change in ({"seed": claim.seed + 1}, {"witness": BAD["other noise"](claim.witness)}):
        verdict = verify_claim(replace(claim, **change))
        assert not verdict.holds
        assert "other noise than its seed" in verdict.sentence


def test_the_witness_of_another_model(tmp_path: Path) -> None:
    claim, other = (proved(kind, **SLOPES)[0] for kind in ("mlp-bernoulli", "wide"))
    assert said(replace(claim, witness=other.witness), tmp_path) == UNREADABLE


def test_slopes_are_advice(tmp_path: Path) -> None:
    """Other slopes in range make a bound looser, never wrong."""
    claim, _ = proved("mlp-bernoulli", **SLOPES)
    assert said(claim, tmp_path) == HOLDS
    flat = unpack(claim.witness)
    flat["mix"].fill_(0.0)
    assert said(replace(claim, witness=pack(flat)), tmp_path) == FAILS
    assert said(replace(claim, witness=pack({"noise": flat["noise"]})), tmp_path) == FAILS


def test_a_model_that_changed_is_refused(models: Path, tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli")
    folder = tmp_path / "copy"
    shutil.copytree(models / "mlp-bernoulli", folder)
    assert said(claim, tmp_path, folder) == HOLDS
    assert said(replace(claim, model="../mlp-bernoulli"), tmp_path, folder) == UNREADABLE
    weights = folder / "weights.safetensors"
    tensors = safetensors.torch.load_file(weights)
    tensors["decoder.0.bias"][0] += 1e-6
    before = weights.read_bytes()
    safetensors.torch.save_file(tensors, weights)
    assert said(claim, tmp_path, folder) == FAILS
    weights.write_bytes(before[:-1])
    assert said(claim, tmp_path, folder) == FAILS
    weights.write_bytes(before)
    config = json.loads((folder / "config.json").read_text())
    config["model"]["sigma"] = 0.7
    (folder / "config.json").write_text(json.dumps(config))
    assert said(claim, tmp_path, folder) == FAILS
    weights.unlink()
    assert said(claim, tmp_path, folder) == UNREADABLE
    assert said(claim, tmp_path, tmp_path / "none") == UNREADABLE


@pytest.mark.parametrize(
    "change",
    [
        {"draws": 0},
        {"eps": -0.1},
        {"eps": 1.5},
        {"norm": "l7"},
        {"target": "moon"},
        {"side": "left"},
        {"image": "AAAA"},
        {"image": "é"},
        {"image": base64.b64encode(np.full(784, 7.0, np.float32).tobytes()).decode()},
    ],
)
def test_what_cannot_be_asked(change: dict[str, Any], tmp_path: Path) -> None:
    assert said(replace(proved("mlp-bernoulli")[0], **change), tmp_path) == UNREADABLE


@pytest.mark.parametrize(
    "change",
    [{"seed": SEED + 1}, {"target": "reconstruction"}, {"eps": 0.02}, {"method": "crown"}, {"margin": 1.0}],
)
def test_a_sentence_that_is_not_what_the_numbers_say(change: dict[str, Any], tmp_path: Path) -> None:
    assert said(replace(proved("mlp-bernoulli")[0], **change), tmp_path) == FAILS


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"null", b"[]", b"{}", b"[" * 100_000, b" " * 1_000_001]
)
def test_files_that_are_no_certificates(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    path.write_bytes(content)
    assert checker.main([str(path)]) == UNREADABLE
    assert checker.main([str(tmp_path)]) == UNREADABLE
    assert checker.main([]) == UNREADABLE


def test_it_runs_alone_with_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claim, found = proved("mlp-bernoulli", **SLOPES)
    path, folder = tmp_path / "claim.json", str(checkpoint.MODELS / "mlp-bernoulli")
    better = moved(claim, found.bound[0].item() + 1)
    asked = ((claim, HOLDS), (better, FAILS), (proved("mlp-bernoulli", method="quadratic")[0], NOT_COVERED))
    for made, code in asked:
        path.write_text(made.to_json())
        assert main(["verify", "--independent", str(path), "--model", folder]) == code
        assert capsys.readouterr().out
    path.write_text("{")
    assert main(["verify", "--independent", str(path)]) == UNREADABLE
    assert "Cannot be read" in capsys.readouterr().err
    path.write_text(claim.to_json())
    late = second_opinion(path, folder, seconds=0.001)
    assert (late.code, "longer than" in late.said) == (UNREADABLE, True)


def test_it_imports_nothing_of_ours_and_is_short() -> None:
    text = Path(checker.__file__).read_text(encoding="utf-8")
    tree, prose = ast.parse(text), set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= {
                *sys.stdlib_module_names,
                "numpy",
                "safetensors",
            }
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert str(node.module).split(".")[0] in {*sys.stdlib_module_names, "numpy", "safetensors"}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node):
            prose |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = [line for number, line in enumerate(text.splitlines(), 1) if number not in prose]
    assert sum(bool(line.strip()) and not line.strip().startswith("#") for line in lines) <= 520
    assert "__import__" not in text
    assert "importlib" not in text


@pytest.mark.slow
def test_files_stay_small() -> None:
    vae = core.load_model("conv-bernoulli")
    x, noise = make_images(vae, 1), core.sample_noise(vae, 16)
    found = core.certify(vae, x, noise, eps=0.05, method="alpha-crown", iterations=2)
    text = make_claim("conv-bernoulli", x, found, draws=16, iterations=2).to_json()
    assert '"witness": ""' not in text
    assert len(text) < 1_000_000
    assert pack({"noise": torch.randn(2000, 256)}) == ""  # too large: no witness, hence not covered


@pytest.mark.parametrize("latent", [1, 3, 15, 16, 32])
@pytest.mark.parametrize("seed", [0, 7, 2**33 + 1])
def test_noise_is_that_of_the_seed(latent: int, seed: int) -> None:
    wanted = core.sample_noise(make_vae(latent=latent), 5, seed).numpy()
    assert np.abs(checker.seeded_noise(seed, 5, latent) - wanted).max() < 2e-6


@given(
    st.floats(-50, 50), st.floats(-50, 50), st.floats(-30, 10), st.floats(0, 20), st.sampled_from([1, -1])
)
def test_extremes_of_the_curve_in_logvar(c: float, d: float, low: float, width: float, weight: int) -> None:
    s = checker.sigma(np.array([[low], [low + width]]))
    with np.errstate(all="ignore"):
        found = checker.lowest_curved(np.array([c]), np.array([d]), weight, s)[0]
    points = np.exp(np.linspace(np.log(s[0, 0]), np.log(s[1, 0]), 2001))
    values = c * points - weight * points**2 / 2 + d * np.log(points)
    size = 1 + np.abs(c * points).max() + (points**2).max() + np.abs(d * np.log(points)).max()
    assert found <= values.min() + 1e-14 * size
    assert found >= values.min() - 1e-4 * size  # not by far, and the grid is coarse


@given(st.floats(-0.5, 1.5), st.floats(-60, 60), st.floats(0, 40))
def test_extremes_of_the_score(c: float, low: float, width: float) -> None:
    a = np.array([[low], [low + width]])
    with np.errstate(all="ignore"):
        found = checker.highest(np.array([c]), a)[0]
    points = np.linspace(low, low + width, 2001)
    values = c * points - np.logaddexp(0, points)
    assert values.max() - 1e-13 <= found <= values.max() + 1e-2


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([0.01, 0.5, 3.0, 40.0]))
def test_the_minimum_over_an_l2_ball(seed: int, eps: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, rows = (
        torch.rand(1, 12, generator=generator).round(decimals=1),
        torch.randn(3, 12, generator=generator),
    )
    rows[0, :6] = 0
    question = checker.Question(None, x[0].double().numpy(), eps, "l2", np.zeros((1, 1)), 1, True)
    with np.errstate(all="ignore"):
        found = question.lowest(rows.double().numpy(), np.zeros(3), np.zeros(3))
    ball = Ball(x.double(), torch.tensor([eps], dtype=torch.float64), "l2")
    for row, value in zip(rows.double(), found, strict=True):
        best = (row * ball.minimiser(row[None])[0]).sum().item()
        tried = [(row * ball.random(generator)[0]).sum().item() for _ in range(5)]
        assert value <= min(best, *tried) + 1e-12
        assert value == pytest.approx(best, abs=1e-3 * (1 + abs(best)))


def test_a_gaussian_plane_lies_below() -> None:
    """The plane on which the fault was, by points."""
    rng, gaussian = np.random.default_rng(0), Gaussian(0.2)
    model = checker.SimpleNamespace(bernoulli=False, scale=gaussian._scale, base=gaussian._constant)
    for weight in (1, -1):
        question = checker.Question(model, rng.random(50), 0.2, "linf", np.zeros((1, 1)), weight, True)
        a = np.sort(rng.normal(size=(2, 50)), axis=0)
        on_a, on_t, constant = question.plane(a, np.array([[0.3]]), question.t)
        for _ in range(200):
            t, v = (end[0] + rng.random(50) * (end[1] - end[0]) for end in (question.t, a))
            assert (on_a * v + on_t * t + constant <= weight * question.log_p(t, v) + 1e-12).all()


@pytest.mark.parametrize("bernoulli", [True, False])
@pytest.mark.parametrize("weight", [1, -1])
def test_what_is_bent_lies_below_in_the_ball(bernoulli: bool, weight: int) -> None:
    """By points of the ball, its edge among them; with kinks at the centre and anywhere in the box."""
    rng, gaussian = np.random.default_rng(0), Gaussian(0.2)
    model = checker.SimpleNamespace(bernoulli=bernoulli, scale=gaussian._scale, base=gaussian._constant)
    for eps in (1e-6, 0.3, 2.0):
        question = checker.Question(model, rng.random(50), eps, "l2", np.zeros((1, 1)), weight, True)
        a, (low, high) = np.sort(rng.normal(size=(2, 50)), axis=0), question.box
        for at in (question.x, low + rng.random(50) * (high - low)):
            on_a, on_t, constant, reach = question.bent(a, np.array([[0.3]]), at)
            for turn in range(100):
                way = rng.normal(size=50)
                t = np.clip(question.x + way * eps / np.linalg.norm(way), 0, 1)
                share = rng.random(50)
                v = a[0] + (share.round() if turn % 2 else share) * (a[1] - a[0])
                found = (on_a * v + on_t * t - reach * np.abs(t - at) + constant).sum()
                assert found <= weight * question.log_p(t, v).sum() + 1e-10


@pytest.mark.parametrize("eps", [0.0, 1e-6, 0.3, 2.0, 100.0])
def test_the_lowest_of_what_is_bent_is_that_of_core(eps: float) -> None:
    generator = torch.Generator().manual_seed(3)
    x = (3 * torch.rand(1, 1, 1, 40, generator=generator, dtype=torch.float64) - 1).clamp(0, 1)
    ball = Ball(x, torch.tensor([eps], dtype=torch.float64), "l2")
    slope, reach = (
        torch.randn(3, 1, 40, generator=generator).double(),
        torch.rand(3, 1, 40, generator=generator).double(),
    )
    at = ball.random(generator).flatten(1)
    question = checker.Question(None, x.flatten().numpy(), eps, "l2", np.zeros((1, 1)), 1, True)
    found = question.lowest_bent(slope[:, 0].numpy(), reach[:, 0].numpy(), at[0].numpy())
    assert found == pytest.approx(Kinked(slope, reach, at).lowest(ball)[:, 0].numpy(), rel=1e-5)
    for _ in range(20):
        y = ball.random(generator).flatten(1)
        assert (found <= (slope * y - reach * (y - at).abs()).sum(-1)[:, 0].numpy() + 1e-12).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"iterations": 7},
        {"sample": 3},
        {"alpha": 0.01},
        {"delta": 0.5},
        {"margin": -5.0},
        {"versions": "any other"},
        {"versions": "python 3, torch 2. It holds for all noise"},
    ],
)
def test_what_plays_no_part_is_nothing(changes: dict[str, Any], tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli")
    assert said(claim, tmp_path) == HOLDS
    assert said(replace(claim, **changes), tmp_path) in (FAILS, UNREADABLE)


@pytest.mark.parametrize("tail", ["", " In fact for every image and all noise.", " From model x."])
def test_the_whole_sentence_is_compared(tail: str, tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli")
    start = claim.statement[: claim.statement.index("From model ")]
    assert said(replace(claim, statement=start + tail), tmp_path) == FAILS
    assert said(replace(claim, statement=claim.statement + tail), tmp_path) == (FAILS if tail else HOLDS)


def test_a_bound_with_more_digits_than_the_sentence_has(tmp_path: Path) -> None:
    """at least -47.9435 is true, and at least -47.94 is what is read."""
    claim, found = proved("mlp-bernoulli")
    exact = found.bound[0].item()
    assert float(f"{exact:.2f}") != exact
    assert said(replace(claim, bound=exact), tmp_path) == FAILS
    assert said(moved(claim, exact), tmp_path) == FAILS


@pytest.mark.parametrize(
    "changes",
    [
        {"sigma": float("nan")},
        {"sigma": -0.2},
        {"sigma": True},
        {"size": -28},
        {"channels": 784, "size": 1},
        {"widths": [1, 1]},
        {"arch": "conv"},
        {"more": 1},
        {"latent": "3"},
    ],
)
def test_a_model_that_core_refuses(changes: dict[str, Any], models: Path, tmp_path: Path) -> None:
    """Even where its digest is what the certificate says."""
    claim, _ = proved("mlp-bernoulli")
    folder = tmp_path / "copy"
    shutil.copytree(models / "mlp-bernoulli", folder)
    content = json.loads((folder / "config.json").read_text())
    content["model"] |= changes
    (folder / "config.json").write_text(json.dumps(content))
    raw = (folder / "weights.safetensors").read_bytes()
    digest = hashlib.sha256(json.dumps(content["model"], sort_keys=True).encode() + raw).hexdigest()
    assert said(replace(claim, weights=digest), tmp_path, folder) in (UNREADABLE, NOT_COVERED)


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8, torch.complex64, torch.float16])
def test_weights_of_another_type(dtype: torch.dtype, models: Path, tmp_path: Path) -> None:
    claim, _ = proved("mlp-bernoulli")
    folder = tmp_path / "copy"
    shutil.copytree(models / "mlp-bernoulli", folder)
    tensors = safetensors.torch.load_file(folder / "weights.safetensors")
    tensors["decoder.0.bias"] = tensors["decoder.0.bias"].to(dtype)
    safetensors.torch.save_file(tensors, folder / "weights.safetensors")
    config = json.loads((folder / "config.json").read_text())["model"]
    raw = (folder / "weights.safetensors").read_bytes()
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode() + raw).hexdigest()
    assert said(replace(claim, weights=digest), tmp_path, folder) == UNREADABLE
