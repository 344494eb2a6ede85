"""Counterexamples as files: a false certificate is contradicted, a forged file is refused."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import core
from core.claims import claim as claims
from core.claims.claim import Claim
from core.claims.counterexample import (
    MOST_BYTES,
    Counterexample,
    make_counterexample,
    read_counterexample,
    verify_counterexample,
)
from core.command_line.cli import main
from core.errors import ClaimError, InputError
from core.vae import checkpoint
from core.vae.checkpoint import save_model
from tests.conftest import make_images, make_vae
from tests.malice import Bomb, exploded

EPS, DRAWS, SEED = 0.03, 2, 5


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed, name in ((3, "small"), (4, "other")):
        save_model(make_vae(seed=seed), tmp_path / name, {"training": {}})
    monkeypatch.setattr(checkpoint, "MODELS", tmp_path)
    return tmp_path


def question() -> tuple[Any, torch.Tensor, torch.Tensor]:
    vae = core.load_model("small")
    return vae, make_images(vae, 1), core.sample_noise(vae, DRAWS, SEED)


def attacked(**asked: Any) -> tuple[torch.Tensor, float]:
    vae, x, noise = question()
    found = core.attack(vae, x, noise, **{"eps": EPS * 0.999, "method": "fgsm", **asked})
    return found.x_adv, found.elbo.item()


def claim(lift: float = 0.0, **asked: Any) -> Claim:
    """A true certificate, or one that says so many nats too much."""
    vae, x, noise = question()
    proved = core.certify(vae, x, noise, **{"eps": EPS, "method": "crown", **asked})
    made = core.make_claim("small", x, proved, draws=DRAWS, seed=SEED)
    return replace(made, bound=round(made.bound + lift, 2))


def false(**asked: Any) -> Counterexample:
    return make_counterexample(claim(lift=500.0, **asked), attacked(**asked)[0])


def encoded(x: torch.Tensor) -> str:
    return base64.b64encode(x.float().numpy().tobytes()).decode()


@pytest.mark.parametrize(
    "asked", [{}, {"norm": "l2", "eps": 0.2}, {"target": "reconstruction"}, {"arithmetic": "float32"}]
)
def test_a_false_certificate_is_contradicted(asked: dict[str, Any]) -> None:
    threat = {name: value for name, value in asked.items() if name != "arithmetic"}
    if "eps" in threat:
        threat["eps"] *= 0.999
    image, score = attacked(**threat)
    found = make_counterexample(claim(lift=500.0, **asked), image)
    again = read_counterexample(found.to_json())
    assert again == found
    verdict = verify_counterexample(again)
    assert verdict.holds
    assert verdict.bound == pytest.approx(score, rel=1e-9)
    assert "Confirmed: the certificate in the file is false." in verdict.sentence


def test_an_upper_bound_is_contradicted_from_above() -> None:
    image, _ = attacked(side="upper")
    found = make_counterexample(claim(lift=-500.0, side="upper"), image)
    assert verify_counterexample(found).holds


def test_a_true_certificate_is_not() -> None:
    image, score = attacked()
    with pytest.raises(ClaimError, match="does not contradict"):
        make_counterexample(claim(), image)
    verdict = verify_counterexample(Counterexample(claim(), encoded(image), score))
    assert not verdict.holds
    assert verdict.sentence.startswith("Not confirmed.")


def test_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    file.write_text(false().to_json())
    assert main(["verify", "--counterexample", str(file)]) == 0
    assert "Confirmed" in capsys.readouterr().out
    file.write_text(Counterexample(claim(), encoded(attacked()[0]), attacked()[1]).to_json())
    assert main(["verify", "--counterexample", str(file)]) == 1
    file.write_text(false().to_json()[:-9])
    assert main(["verify", "--counterexample", str(file)]) == 2
    assert main(["verify", "--counterexample", str(tmp_path / "none.json")]) == 2
    assert main(["verify"]) == 2
    assert main(["verify", str(file), "--counterexample", str(file)]) == 2
    assert main(["verify", "--independent", "--counterexample", str(file)]) == 2
    assert "error: --independent" in capsys.readouterr().err


def test_a_forged_one_is_refused() -> None:
    true, (image, score) = claim(), attacked()
    x = question()[1]
    nan, far, outside = image.clone(), (x + 0.2).clamp(0, 1), image.clone()
    nan[0, 0, 3, 3], outside[0, 0, 3, 3] = math.nan, 1.5
    for changed, why in (
        (Counterexample(true, encoded(image), score - 100), "it scores"),
        (Counterexample(true, encoded(far), -9999.0), "not in the ball"),
        (Counterexample(true, encoded(nan), score), "not in the ball"),
        (Counterexample(true, encoded(outside), score), "not in the ball"),
        (Counterexample(true, encoded(image)[:-8], score), "cannot be asked"),
        (Counterexample(true, "?" * 4, score), "cannot be asked"),
        (Counterexample(true, "", score), "cannot be asked"),
        (Counterexample(replace(true, model="other"), encoded(image), score), "other weights"),
        (Counterexample(replace(true, weights="0" * 64), encoded(image), score), "other weights"),
        (Counterexample(replace(true, seed=SEED + 1), encoded(image), score), "other noise"),
        (Counterexample(replace(true, draws=DRAWS + 1), encoded(image), score), "another model"),
        (Counterexample(replace(true, model="gone"), encoded(image), score), "No shipped model"),
        (Counterexample(replace(true, states="coverage"), encoded(image), score), "all noise"),
        (Counterexample(replace(true, norm="l3"), encoded(image), score), "cannot be asked"),
        (Counterexample(replace(true, eps=math.inf), encoded(image), score), "larger than any"),
    ):
        with pytest.raises(ClaimError, match=why):
            verify_counterexample(changed)


def test_a_broken_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    good = false()
    content = json.loads(good.to_json())
    text = good.to_json()
    broken: list[str | bytes] = [
        "",
        "[]",
        "null",
        "[" * 100_000,
        "x" * (MOST_BYTES + 1),
        text[: len(text) // 2],
        text.replace('"format": 1', '"format": 1, "format": 1', 1),
        json.dumps(content | {"attained": math.nan}),
        json.dumps(content | {"attained": "low"}),
        json.dumps(content | {"attained": True}),
        json.dumps(content | {"attained": 10**400}),
        json.dumps(content | {"attained": content["attained"] - 1}),
        json.dumps(content | {"attacked": encoded(question()[1])}),
        json.dumps(content | {"attacked": None}),
        json.dumps(content | {"format": 2}),
        json.dumps(content | {"format": True}),
        json.dumps(content | {"more": 1}),
        json.dumps(content | {"certificate": None}),
        json.dumps(content | {"certificate": {"format": claims.FORMAT, **asdict(good.claim)}}),
        json.dumps(content | {"certificate": content["certificate"] | {"bound": -1.0}}),
        Bomb(tmp_path).pickled(),
    ]
    for each in broken:
        with pytest.raises(ClaimError, match=r"\.$"):
            read_counterexample(each)
    assert not exploded(tmp_path)


def test_what_is_no_file_at_all_is_named() -> None:
    image, _ = attacked()
    calls: list[Any] = [
        lambda: read_counterexample(3),  # type: ignore[arg-type]
        lambda: verify_counterexample("x"),  # type: ignore[arg-type]
        lambda: make_counterexample("x", image),  # type: ignore[arg-type]
        lambda: make_counterexample(claim(lift=500.0), image.repeat(2, 1, 1, 1)),
        lambda: make_counterexample(claim(lift=500.0), image * math.nan),
    ]
    for call in calls:
        with pytest.raises(InputError):
            call()
