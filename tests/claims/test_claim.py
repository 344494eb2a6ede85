"""Certificates as files: what is written is verified, what is changed is refused, what is false falls."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import shutil
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import core
from core.claims.claim import FORMAT, MOST_BYTES, Claim, read_claim
from core.claims.making import make_claim, worded
from core.claims.verify import verify_claim
from core.command_line.cli import main
from core.errors import ClaimError, InputError
from core.vae import checkpoint
from core.vae.checkpoint import save_model
from tests.conftest import make_images, make_vae

EPS, DRAWS, SEED = 0.03, 2, 5
NAMES = [field.name for field in fields(Claim)]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped")
    save_model(make_vae(seed=3), folder / "small", {"training": {}})
    return folder


@pytest.fixture(autouse=True)
def models(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoint, "MODELS", shipped)
    return shipped


def claim(**question: Any) -> Claim:
    vae = core.load_model("small")
    x, noise = make_images(vae, 1), core.sample_noise(vae, DRAWS, SEED)
    asked = {"eps": EPS, "iterations": 10, **question}
    proved = core.certify(vae, x, noise, seed=SEED, **asked)
    return make_claim("small", x, proved, draws=DRAWS, seed=SEED, iterations=10)


def signed(changed: Claim) -> Claim:
    """As a forger would write it: with a checksum that fits."""
    return read_claim(changed.to_json())


@pytest.mark.slow
@pytest.mark.parametrize(
    "question",
    [
        {},
        {"target": "reconstruction", "method": "crown-ibp"},
        {"method": "alpha-crown", "norm": "l2", "eps": 0.2},
        {"method": "crown", "side": "upper"},
        {"method": "quadratic"},
        {"arithmetic": "float32"},
        {"states": "expectation", "draws": 500},
        {"states": "coverage", "draws": 500, "delta": 0.2},
    ],
)
def test_what_was_proved_is_verified(question: dict[str, Any]) -> None:
    made = claim(**question)
    again = read_claim(made.to_json())
    assert again == made
    verdict = verify_claim(again)
    assert verdict.holds, verdict.sentence
    side = made.side == "lower"
    assert verdict.bound >= made.bound if side else verdict.bound <= made.bound
    assert abs(verdict.bound - made.bound) < 0.02


def test_the_claim_is_the_sentence() -> None:
    made = claim()
    assert f"{made.bound:.2f} nats" in made.statement
    assert (made.eps, made.draws, made.seed, made.model) == (EPS, DRAWS, SEED, "small")
    for part in (f"seed {SEED}", "model small", made.weights[:16], f"eps {EPS}", made.versions):
        assert part in made.statement


@pytest.mark.parametrize(
    ("question", "zero"),
    [
        ({}, ("sample", "alpha", "delta", "iterations")),
        ({"method": "alpha-crown"}, ("sample", "alpha", "delta")),
        ({"states": "expectation", "draws": 500}, ("draws", "delta", "iterations", "margin")),
        ({"states": "coverage", "draws": 500}, ("draws", "iterations", "margin")),
    ],
)
def test_what_plays_no_part_is_0(question: dict[str, Any], zero: tuple[str, ...]) -> None:
    made = claim(**question)
    numbers = ("draws", "sample", "alpha", "delta", "iterations", "margin")
    assert {name for name in numbers if getattr(made, name) == 0} == set(zero)
    for name in zero:
        changed = replace(made, **{name: getattr(made, name) + 1})
        with contextlib.suppress(ClaimError):
            assert not verify_claim(signed(changed)).holds


def test_a_radius_is_rounded_to_the_safe_side() -> None:
    made = claim(eps=0.0312345678)
    assert made.eps == 0.0312345678
    assert claim(eps=0.0312341234).eps == 0.0312341
    assert verify_claim(made).holds


def test_a_field_that_is_there_twice_is_refused() -> None:
    text = claim().to_json()
    with pytest.raises(ClaimError, match="twice"):
        read_claim(text.replace('"eps": 0.03', '"eps": 0.3, "eps": 0.03'))


def test_an_image_that_is_written_in_another_way_is_refused() -> None:
    made = claim()
    assert made.image.endswith("==")
    at = len(made.image) - 3
    other = made.image[:at] + chr(ord(made.image[at]) + 1) + "=="
    assert base64.b64decode(other) == base64.b64decode(made.image)
    verdict = verify_claim(signed(replace(made, image=other)))
    assert not verdict.holds
    assert "its image is" in verdict.sentence


@pytest.mark.parametrize("name", [*NAMES, "format"])
def test_a_changed_field_is_refused(name: str) -> None:
    content = json.loads(claim().to_json())
    old = content[name]
    for new in (f"{old}x" if isinstance(old, str) else old + 1, None, [], ""):
        with pytest.raises(ClaimError):
            read_claim(json.dumps(content | {name: new}))
    del content[name]
    with pytest.raises(ClaimError):
        read_claim(json.dumps(content))


@pytest.mark.parametrize(
    "change", [{"bound": -1.0}, {"eps": 0.2}, {"norm": "l2", "eps": 5.0}, {"side": "upper"}]
)
def test_a_forged_claim_falls_when_it_is_computed_again(change: dict[str, Any]) -> None:
    verdict = verify_claim(signed(replace(claim(), **change)))
    assert not verdict.holds
    assert "Not verified" in verdict.sentence


@pytest.mark.parametrize(
    "change", [{"seed": SEED + 1}, {"draws": DRAWS + 1}, {"target": "reconstruction"}, {}]
)
def test_what_is_computed_again_is_what_the_claim_asks(change: dict[str, Any]) -> None:
    vae = core.load_model("small")
    x = make_images(vae, 2)[1:]
    image = base64.b64encode(x.numpy().tobytes()).decode()
    asked = signed(replace(claim(), image=image, witness="", **change))
    noise = core.sample_noise(vae, asked.draws, asked.seed)
    wanted = core.certify(vae, x, noise, eps=EPS, target=asked.target).lower.item()
    for bound, holds in ((wanted - 0.01, True), (wanted + 0.01, False)):
        verdict = verify_claim(signed(replace(asked, bound=bound)))
        assert verdict.bound == wanted
        assert ("can be proved" not in verdict.sentence) == holds


def test_a_claim_that_falls_short_gets_twice_the_steps() -> None:
    made = claim(method="alpha-crown")
    few, many = (verify_claim(replace(made, iterations=n, bound=-1e9, statement="")).bound for n in (5, 10))
    assert many > few + 1e-6
    between = (few + many) / 2
    assert verify_claim(replace(made, iterations=5, bound=between)).bound == many
    assert verify_claim(replace(made, iterations=5, bound=many + 1e-3)).bound == many
    assert not verify_claim(replace(made, iterations=5, bound=many + 1e-3)).holds


@pytest.mark.parametrize(
    ("old", "new"), [("0.03", "0.3"), ("draws", "lives"), ("at least -", "at least -1")]
)
def test_a_sentence_that_says_more_than_the_numbers_falls(old: str, new: str) -> None:
    made = claim()
    assert old in made.statement
    verdict = verify_claim(signed(replace(made, statement=made.statement.replace(old, new, 1))))
    assert not verdict.holds
    assert "its sentence says something else" in verdict.sentence


def test_other_weights_are_said(models: Path, tmp_path: Path) -> None:
    made = claim()
    save_model(make_vae(seed=4), tmp_path / "small", {"training": {}})
    verdict = verify_claim(made, model=tmp_path / "small")
    assert not verdict.holds
    assert math.isnan(verdict.bound)
    assert "other weights" in verdict.sentence
    copy = tmp_path / "copy"
    shutil.copytree(models / "small", copy)
    assert verify_claim(made, model=copy).holds
    config = json.loads((copy / "config.json").read_text())
    config["model"]["sigma"] = 0.7  # the same weights are another model
    (copy / "config.json").write_text(json.dumps(config))
    assert "other weights" in verify_claim(made, model=copy).sentence


@pytest.mark.parametrize("name", ["../small", "/etc", "small/../small", "", "none", "small\0"])
def test_a_claim_opens_no_folder_that_is_not_shipped(name: str) -> None:
    with pytest.raises(ClaimError, match="No shipped model"):
        verify_claim(signed(replace(claim(), model=name)))


@pytest.mark.parametrize(
    "change",
    [
        {"image": "not base64!"},
        {"image": "AAAA"},
        {"image": ""},
        {"image": "é"},
        {"image": base64.b64encode(torch.full((784,), math.nan).numpy().tobytes()).decode()},
        {"image": base64.b64encode(torch.full((784,), 7.0).numpy().tobytes()).decode()},
        {"eps": 1e300},
        {"eps": -1},
        {"method": "magic"},
        {"target": "moon"},
        {"norm": "l7"},
        {"states": "always"},
        {"side": "left"},
        {"arithmetic": "float8"},
        {"method": "alpha-crown", "iterations": 0},
        {"draws": 0},
        {"states": "expectation", "alpha": 2.0},
    ],
)
def test_questions_that_cannot_be_asked(change: dict[str, Any]) -> None:
    with pytest.raises(ClaimError, match=r"asks what cannot be asked|must not be below 0"):
        verify_claim(signed(replace(claim(), **change)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"draws": 10**9}, "must be in 0"),
        ({"iterations": 10**9}, "must be in 0"),
        ({"sample": 10**9}, "must be in 0"),
        ({"seed": -1}, "must be in 0"),
        ({"eps": "0.1"}, "must be a float"),
        ({"draws": 1.5}, "must be a int"),
        ({"draws": True}, "must be a int"),
        ({"bound": 10**400}, "larger than any number"),
        ({"method": 7}, "must be a str"),
    ],
)
def test_fields_of_the_wrong_kind_or_size(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ClaimError, match=sentence):
        signed(replace(claim(), **change))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b"7",
        b"[" * 100_000,
        b'{"eps": NaN}',
        b" " * (MOST_BYTES + 1),
        json.dumps({"format": FORMAT}).encode(),
    ],
)
def test_files_that_are_no_certificates(content: bytes) -> None:
    with pytest.raises(ClaimError):
        read_claim(content)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none(value: float) -> None:
    content = {"format": FORMAT, **asdict(replace(claim(), eps=value))}
    with pytest.raises(ClaimError, match="is no number"):
        read_claim(json.dumps({**content, "checksum": ""}))


def test_nothing_is_claimed_of_nothing() -> None:
    vae = core.load_model("small")
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    with pytest.raises(InputError, match="about one image"):
        make_claim("small", x, core.certify(vae, x, noise, eps=EPS), draws=1)
    steep = make_vae(scale=3.0)
    vacuous = core.certify(steep, x[:1], noise, eps=1.0)
    with pytest.raises(InputError, match="Nothing is proved"):
        make_claim("small", x[:1], vacuous, draws=1)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "claim.json"
    asked = ["certify", "--model", "small", "--index", "3", "--eps", "0.03", "--draws", "2", "--seed", "5"]
    assert main([*asked, "--method", "crown-ibp", "--out", str(path)]) == 0
    assert f"certificate in {path}" in capsys.readouterr().out
    assert main(["verify", str(path)]) == 0
    assert "Holds. For every image" in capsys.readouterr().out
    made = read_claim(path.read_bytes())
    path.write_text(replace(made, bound=made.bound + 0.02).to_json())
    assert main(["verify", str(path)]) == 1
    assert "Not verified" in capsys.readouterr().out
    path.write_text(path.read_text().replace("0.03", "0.3"))
    assert main(["verify", str(path)]) == 2
    assert "was changed" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["verify", str(tmp_path)]) == 2


@pytest.mark.parametrize("name", ["my model", "modèle", "a" * 200])
def test_a_folder_of_any_name_has_certificates_that_are_verified(
    name: str, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "small", folder := tmp_path / name)
    vae = core.load_model(folder)
    x, noise = make_images(vae, 1), core.sample_noise(vae, DRAWS, SEED)
    made = make_claim(folder, x, core.certify(vae, x, noise, eps=EPS), draws=DRAWS, seed=SEED)
    assert verify_claim(read_claim(made.to_json()), folder).holds
    # As they were written before names became words: held where the folder has that name.
    former = signed(worded(replace(made, model=name, statement=made.statement.split(" From ")[0])))
    assert verify_claim(former, folder).holds
    if name == "my model":
        shutil.copytree(folder, other := tmp_path / "other")
        with pytest.raises(ClaimError, match="no name"):
            verify_claim(former, other)


def test_a_link_among_the_shipped_models_is_called_as_it_is(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "small", tmp_path / "elsewhere")
    (link := models / "linked").symlink_to(tmp_path / "elsewhere")
    try:
        vae = core.load_model("linked")
        x, noise = make_images(vae, 1), core.sample_noise(vae, DRAWS, SEED)
        made = make_claim("linked", x, core.certify(vae, x, noise, eps=EPS), draws=DRAWS, seed=SEED)
        assert made.model == "linked"
        assert verify_claim(made).holds
    finally:
        link.unlink()


@pytest.mark.parametrize(
    "torch_version", ["2.10.0+rocm7.2.1.lw.gitff65f5bc", "2.14.1+cu130", "3.0.0a0+git123"]
)
def test_long_versions_are_versions(torch_version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", torch_version)
    assert verify_claim(read_claim(claim().to_json())).holds


def test_a_number_too_long_to_print_is_a_sentence() -> None:
    with pytest.raises(ClaimError, match="hundreds of digits"):
        verify_claim(replace(claim(), draws=10**5000))
