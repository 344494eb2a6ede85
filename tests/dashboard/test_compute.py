from __future__ import annotations

import numpy as np
import pytest
from page_parts import NAMES

import core
from dashboard import compute
from dashboard.state import Settings

GRID = (0.0, 0.1, 0.2)


class Interrupt(BaseException):
    """Like Streamlit's own, which is no Exception either."""


def quiet(share: float, what: str) -> None:
    assert 0 <= share <= 1
    assert what


def explore(report: compute.Report = quiet) -> compute.Result:
    return compute.explore(NAMES[0], 0, Settings(steps=4), GRID, report)


def test_proved_attained_and_clean_are_in_order_and_add_up():
    result = explore()
    curve, terms = result.curve, result.terms
    assert bool((curve.certified <= curve.attained).all())
    assert bool((curve.attained <= curve.clean).all())
    total = terms["attained"].recon - terms["attained"].kl
    assert total == pytest.approx(curve.attained.numpy())
    change = abs(result.attacked - result.image).reshape(3, -1).max(1)
    assert (change <= np.array(GRID) + 1e-6).all()
    assert change[2] > 0.1
    assert result.recon_attacked[0] == pytest.approx(result.recon_image, abs=1e-6)
    assert len(result.statements) == 3


def test_the_second_time_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch):
    first = explore()
    monkeypatch.delattr(core, "elbo_curve")
    assert explore().curve.clean == first.curve.clean


def test_an_interrupted_computation_is_not_kept_and_frees_its_place():
    def interrupt(share: float, what: str) -> None:
        raise Interrupt

    for _ in range(20):
        with pytest.raises(Interrupt):
            explore(interrupt)
    assert len(explore().statements) == 3


def test_labels_say_how_a_model_was_trained(models):
    shown = compute.labels(NAMES)
    assert shown[NAMES[0]] == "Robust MLP (eps 0.1)"
    assert shown[NAMES[1]] == f"Standard MLP, {NAMES[1]}"
    assert shown[NAMES[2]] == f"Standard MLP, {NAMES[2]}"
    assert compute.labels(NAMES[:2])[NAMES[1]] == "Standard MLP"
    (models / NAMES[2] / "config.json").write_text("{}")
    assert compute.labels(NAMES[1:])[NAMES[2]] == NAMES[2]
