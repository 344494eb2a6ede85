"""What is computed without cuDNN; tests/test_gpu.py says what a GPU gives."""

from __future__ import annotations

import pytest
import torch

import core
from core.device import plain_convolutions
from tests.conftest import make_vae


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says that a GPU is in use; the switch is the real one."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)


def test_scores_and_certificates_are_computed_without_cudnn(gpu: None) -> None:
    vae, x = make_vae(), core.load_samples("mnist")[0][:1]
    noise, seen = core.sample_noise(vae), []
    before = torch.backends.cudnn.enabled

    def look(*arguments: object) -> None:
        seen.append(torch.backends.cudnn.enabled)

    vae.encoder[0].register_forward_hook(look)
    core.certify(vae, x, noise, eps=0.01, method="crown", progress=look)
    core.elbo(vae, x, noise)
    assert len(seen) > 3
    assert not any(seen)
    assert torch.backends.cudnn.enabled is before


def test_between_two_steps_it_is_as_it_was(gpu: None) -> None:
    vae, x = make_vae(), core.load_samples("mnist")[0][:1]
    before, seen = torch.backends.cudnn.enabled, []

    def clock() -> float:
        seen.append(torch.backends.cudnn.enabled)
        return 0.0

    for _ in core.refine(vae, x, core.sample_noise(vae), eps=0.01, iterations=3, clock=clock):
        assert torch.backends.cudnn.enabled is before
    assert seen
    assert not any(seen)


def test_without_a_gpu_nothing_is_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    with plain_convolutions():
        assert torch.backends.cudnn.enabled
