"""Values from elsewhere: numpy's numbers, pixels a rounding outside of [0, 1], no models, exponents."""

from __future__ import annotations

import functools
import inspect
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import core
from core.claims.claim import Claim, read_claim
from core.claims.making import make_claim
from core.command_line import cli
from core.command_line.cli import main
from core.errors import CoreError, InputError, ModelNotFoundError
from core.evaluation.suite.plan import SUITES, make_plan
from core.evaluation.verdicts import find_verdicts
from core.inspection.lessons import descend, one_pixel, parts, promised, slope
from core.scalars import real, whole
from core.training.settings import TrainSettings
from core.vae.checkpoint import MODELS, load_config, save_model
from core.vae.config import VAEConfig
from core.vae.model import VAE
from core.vae.validate import check_count, check_seed
from tests.conftest import make_images, make_vae

WHOLE = [3, np.int64(3), np.int8(3), np.uint64(3), np.array(3), torch.tensor(3), torch.tensor(3).short()]
NOT_WHOLE = [
    *(True, np.bool_(True), np.array(True), torch.tensor(True), 3.0, np.float64(3), torch.tensor(3.0)),
    *("3", None, [3], np.array([3]), torch.tensor([3]), 3j),
]


@pytest.mark.parametrize("value", WHOLE, ids=repr)
def test_whole_numbers_are_whole_numbers_whoever_made_them(value: Any) -> None:
    for found in (whole(value), check_count("draws", value), check_seed(value)):
        assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    assert whole(value) is None
    for check in (lambda: check_count("draws", value), lambda: check_seed(value)):
        with pytest.raises(InputError, match="must be a whole number"):
            check()


def test_real_numbers() -> None:
    assert [real(v) for v in (2, 0.5, np.float32(0.5), np.int32(2))] == [2, 0.5, 0.5, 2]
    assert {type(real(v)) for v in (0.5, np.float32(0.5), np.float64(0.5))} == {float}
    assert [real(v) for v in (True, np.bool_(False), "1", None, 1j)] == [None] * 5


def test_numpy_counts_give_the_same_results() -> None:
    vae, three, two = make_vae(), np.int64(3), np.int32(2)
    x, noise = make_images(vae), core.sample_noise(vae, 3, 2)
    assert torch.equal(core.sample_noise(vae, three, torch.tensor(2)), noise)  # type: ignore[arg-type]
    numbers: list[Any] = [3, three, np.array(3)]
    bounds = [
        core.certify(vae, x, noise, eps=0.01, method="alpha-crown", iterations=n).lower for n in numbers
    ]
    found = [core.attack(vae, x, noise, eps=0.1, steps=n, restarts=n, seed=n).elbo for n in numbers]
    for first, second, third in (bounds, found):
        assert torch.equal(first, second)
        assert torch.equal(first, third)
    sampled = {"eps": 0.01, "states": "expectation"}
    one = core.certify(vae, x, noise, draws=200, seed=2, **sampled)
    other = core.certify(vae, x, noise, draws=np.int64(200), seed=two, **sampled)  # type: ignore[arg-type]
    assert torch.equal(one.lower, other.lower)
    assert type(other.draws) is int


def test_numpy_numbers_in_configurations_are_written_as_numbers(tmp_path: Path) -> None:
    config = VAEConfig(
        channels=np.int64(1),  # type: ignore[arg-type]
        size=np.int32(28),  # type: ignore[arg-type]
        latent=torch.tensor(3),  # type: ignore[arg-type]
        widths=tuple(np.array([12, 8])),
        sigma=np.float32(0.5),  # type: ignore[arg-type]
    )
    assert config == VAEConfig(latent=3, widths=(12, 8), sigma=0.5)
    given = {"epochs": np.int64(2), "seed": np.uint8(255), "lr": np.float32(0.25), "eps": np.float64(0.5)}
    settings = TrainSettings(model=config, **given)  # type: ignore[arg-type]
    plain = TrainSettings(model=config, epochs=2, seed=255, lr=0.25, eps=0.5)
    assert json.dumps(asdict(settings)) == json.dumps(asdict(plain))
    assert settings.command() == plain.command()
    save_model(make_vae(latent=3), tmp_path, {})
    assert load_config(tmp_path)["model"]["widths"] == [12, 8]
    with pytest.raises(CoreError, match="latent is True"):
        VAEConfig(latent=True)


def test_a_certificate_says_numpy_numbers_too_and_none_that_it_could_not_read(model: str) -> None:
    vae = core.load_model(model)
    x, noise = core.load_samples()[0][:1], core.sample_noise(vae, 2, 5)
    proved = core.certify(vae, x, noise, eps=0.01)
    kinds: list[Any] = [int, np.int64, torch.tensor]
    claims = [make_claim(model, x, proved, draws=kind(2), seed=kind(5)) for kind in kinds]
    assert claims[0] == claims[1] == claims[2] == read_claim(claims[2].to_json())
    assert isinstance(claims[1], Claim)
    for wrong in ({"draws": 20_000}, {"draws": 2, "seed": -1}, {"draws": 2.0}, {"draws": True}):
        with pytest.raises(InputError, match="a certificate takes whole numbers"):
            make_claim(model, x, proved, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "shown", "todo"),
    [
        (np.float32(1 + 1.2e-7).item(), "1.0000001192092896", r"x\.clamp\(0, 1\)"),
        (-1e-9, "-9.999999717180685e-10", r"x\.clamp\(0, 1\)"),
        (255.0, "255.0", r"x\.float\(\) / 255"),
        (-0.5, "-0.5", r"x\.float\(\) / 255"),
    ],
)
def test_a_pixel_outside_is_named_as_it_is(value: float, shown: str, todo: str) -> None:
    vae = make_vae()
    x, noise = make_images(vae), core.sample_noise(vae)
    x[0, 0, 3, 3] = value
    for call in (core.elbo, lambda *given: core.certify(*given, eps=0.1)):
        with pytest.raises(InputError, match=rf"Images range from .*{shown}.*\[0, 1\] \(.*{todo}"):
            call(vae, x, noise)
    core.elbo(vae, x.clamp(0, 1), noise)


def test_a_radius_a_rounding_above_1_is_named_as_it_is() -> None:
    vae = make_vae()
    x, noise = make_images(vae), core.sample_noise(vae)
    for eps in (1 + 1e-9, torch.tensor(1 + 1e-9, dtype=torch.float64)):
        with pytest.raises(InputError, match=r"eps is 1\.000000001;"):
            core.certify(vae, x, noise, eps=eps)


NO_VAE = {
    "nothing": None,
    "name": "mnist-mlp-standard",
    "layer": nn.Linear(784, 6),
    "weights": make_vae().state_dict(),
    "class": VAE,
    "sequence": nn.Sequential(nn.Flatten(), nn.Linear(784, 6)),
}


@pytest.mark.parametrize("kind", NO_VAE)
def test_what_is_no_vae_is_a_typed_error_everywhere(kind: str, tmp_path: Path) -> None:
    good, bad = make_vae(), NO_VAE[kind]
    x, noise = make_images(good, 1), core.sample_noise(good)
    known: dict[str, Any] = {"x": x, "noise": noise, "eps": 0.1, "threshold": -100.0, "steps": 1}
    known |= {"clamped": True, "folder": tmp_path, "record": {}, "radii": [0.1], "most": 0.1}
    public = {name: getattr(core, name) for name in core.__all__}
    extra = (one_pixel, slope, promised, descend, parts, find_verdicts, save_model)
    takers = {**public, **{f.__name__: f for f in extra}}
    takers = {name: f for name, f in takers.items() if "vae" in inspect.signature(f).parameters}
    assert set(takers) >= {"attack", "certified_radius", "certify", "elbo", "elbo_curve", "refine"}
    for name, function in takers.items():
        needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        given = {p.name: known[p.name] for p in needed if p.name in known}
        if name == "elbo_curve":
            given["eps"] = [0.1]
        call = functools.partial(function, bad, **given)
        with pytest.raises(
            InputError, match=r"The model is a \w+, not a VAE; load one with core\.load_model"
        ):
            next(call()) if name == "refine" else call()


@pytest.mark.parametrize("kind", ["nothing", "layer", "weights"])
def test_what_is_no_name_of_a_model_is_a_typed_error(kind: str) -> None:
    x, y = core.load_samples()
    with pytest.raises(ModelNotFoundError, match="no name of a model"):
        core.load_model(NO_VAE[kind])
    with pytest.raises(ModelNotFoundError, match="no name of a model"):
        list(core.evaluate([NO_VAE[kind]], x[:1], y[:1], eps=[0.1]))
    with pytest.raises(InputError, match="give a list of names"):
        list(core.evaluate("mnist-mlp-standard", x[:1], y[:1], eps=[0.1]))


def test_what_is_named_twice_is_evaluated_once(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--samples", "2", "--steps", "1", "--out", "/dev/null"]
    once = ["--models", model, "--eps", "0.1", "--targets", "likelihood"]
    again = ["--models", model, f"{model}/", f"{model}/../{Path(model).name}", "--eps", "0.1", ".1", "1e-1"]
    tables = []
    for argv in (once, [*again, "--targets", "likelihood", "likelihood"]):
        assert main(["evaluate", *argv, *few]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]
    assert {line.split()[3] for line in tables[0].splitlines()[1:-1]} == {"2"}


def test_labels_are_one_an_image(model: str) -> None:
    x, y = core.load_samples()
    with pytest.raises(InputError, match="2 images but 3 labels"):
        list(core.evaluate([model], x[:2], y[:3], eps=[0.1]))


def test_a_suite_takes_a_model_that_is_named_twice_once() -> None:
    x, y = core.load_samples()
    name = core.list_models()[0]
    plan = make_plan([name, MODELS / name, str(MODELS / name)], x[:2], y[:2], SUITES["paper"], "mnist")
    assert list(plan.entries) == [name]


@pytest.mark.parametrize("number", ["-2.45e2", "-245", "-.245e3", "-2450E-1", "-245.", "-1_000", "-1e-3"])
def test_negative_numbers_are_values(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(cli, "_radius", lambda options: seen.append(options.threshold))
    monkeypatch.setattr(cli, "_evaluate", lambda options: seen.append(options.eps))
    monkeypatch.setattr(cli, "_certify", lambda options: seen.append(options.seconds))
    assert main(["radius", "--model", "m", "--index", "0", "--threshold", number]) == 0
    assert main(["evaluate", "--eps", "0.1", number, number]) == 0
    assert main(["certify", "--model", "m", "--index", "0", "--seconds", number]) == 0
    assert seen == [float(number), [0.1, float(number), float(number)], float(number)]


@pytest.mark.parametrize("number", ["-inf", "-Infinity", "-nan", "inf", "-1e400"])
def test_numbers_that_are_no_thresholds_are_a_sentence(
    number: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["radius", "--model", model, "--index", "0", "--threshold", number]) == 2
    assert "it must be a finite number of nats" in capsys.readouterr().err


def test_an_unknown_option_is_still_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["radius", "--model", "m", "--index", "0", "-e5"])
    assert "unrecognized arguments: -e5" in capsys.readouterr().err


STRANGE = [None, "abc", [0.0, None], {0.1}, {"a": 0.1}, 10**400, [[0.1], [0.2]], [True], [], [0.2, 0.1]]


@pytest.mark.parametrize("eps", STRANGE, ids=lambda value: str(value)[:12])
def test_radii_of_a_grid_are_an_ascending_list(eps: Any) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    with pytest.raises(InputError):
        core.elbo_curve(vae, x, noise, eps)
    with pytest.raises(InputError):
        find_verdicts(vae, x, noise, eps, threshold=-500.0)
    numbers: Any = np.array([0.0, 0.1], np.float32)
    assert core.elbo_curve(vae, x, noise, numbers, steps=1).eps[0] == 0


def test_a_verdict_takes_numbers_only() -> None:
    vae = make_vae()
    curve = core.elbo_curve(vae, make_images(vae, 1), core.sample_noise(vae), [0.0, 0.1], steps=1)
    with pytest.raises(InputError):
        curve.verdict(float("nan"))
    with pytest.raises(InputError):
        curve.best(float("nan"))


SPARSE = ["meta", "sparse", "nested"]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("kind", SPARSE)
@pytest.mark.parametrize("which", ["x", "noise", "eps", "start"])
def test_tensors_without_plain_values_are_named(which: str, kind: str) -> None:
    vae = make_vae()
    given: dict[str, Any] = {"x": make_images(vae, 1), "noise": core.sample_noise(vae)}
    given |= {"eps": torch.tensor([0.1], dtype=torch.float64), "start": given["x"]}
    dense = given[which]
    makes = {"meta": dense.to("meta"), "sparse": dense.to_sparse()}
    given[which] = makes[kind] if kind in makes else torch.nested.nested_tensor([dense])
    with pytest.raises(InputError):
        core.attack(vae, steps=1, **given)


def test_choices_are_words() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    for name, word in (("side", "lower"), ("norm", "linf"), ("method", "ibp"), ("target", "likelihood")):
        for value in (np.array(word), np.array([word, word]), None, 3):
            asked: dict[str, Any] = {"eps": 0.1, name: value}
            with pytest.raises(InputError):
                core.certify(vae, x, noise, **asked)
            with pytest.raises(InputError):
                core.attack(vae, x, noise, **asked)


def test_noise_that_the_model_cannot_hold_is_refused() -> None:
    vae = make_vae()
    noise = torch.full((1, 3), 1e39, dtype=torch.float64)
    with pytest.raises(InputError, match="precision"):
        core.elbo(vae, make_images(vae, 1), noise)


def test_no_eps_is_minus_zero(model: str) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    assert "within 0 of" in core.certify(vae, x, noise, eps=-0.0).statement()
    rows = list(core.evaluate([model], x, torch.tensor([3]), eps=[-0.0, 0.0], steps=1))
    assert [str(row.eps) for row in rows] == ["0.0", "0.0"]  # one for each target


def test_tiny_levels_are_a_sentence() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    with pytest.raises(InputError, match="too few"):
        core.certify(vae, x, noise, eps=0.1, states="coverage", delta=1e-309)


@pytest.mark.parametrize("asked", [{"eps": 0.1}, {"eps": [0.1], "targets": "likelihood"}, {"y": None}])
def test_an_evaluation_takes_lists(asked: dict[str, Any], model: str) -> None:
    given = {"y": torch.tensor([1]), "eps": [0.1]} | asked
    with pytest.raises(InputError):
        next(core.evaluate([model], make_images(make_vae(), 1), **given))


@pytest.mark.parametrize("name", ["a" * 300, "a" * 5000, "no/such", "x\0y"])
def test_names_that_no_file_can_have_are_no_models(name: str) -> None:
    with pytest.raises(ModelNotFoundError):
        core.load_model(name)
