"""What is computed without cuDNN; tests/test_gpu.py says what a GPU gives."""

from __future__ import annotations

import threading

import pytest
import torch

import core
from core.device import plain_convolutions
from core.vae import likelihood
from tests.conftest import make_vae


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says that a GPU is in use; the switch is the real one."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)


def test_scores_and_certificates_are_computed_without_cudnn(
    gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae, x = make_vae(), core.load_samples("mnist")[0][:1]
    noise, seen = core.sample_noise(vae), []
    before = torch.backends.cudnn.enabled

    def look(*arguments: object) -> None:
        seen.append(torch.backends.cudnn.enabled)

    softplus = likelihood.softplus

    def watched(a: torch.Tensor) -> torch.Tensor:
        look()
        return softplus(a)

    monkeypatch.setattr(likelihood, "softplus", watched)
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


def test_of_two_threads_that_overlap_both_are_without_cudnn(gpu: None) -> None:
    before, seen = torch.backends.cudnn.enabled, []
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def first() -> None:
        with plain_convolutions():
            first_in.set()
            second_in.wait()
        first_out.set()

    def second() -> None:
        first_in.wait()
        with plain_convolutions():
            second_in.set()
            first_out.wait()
            seen.append(torch.backends.cudnn.enabled)

    threads = [threading.Thread(target=run) for run in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [False]
    assert torch.backends.cudnn.enabled is before


def test_an_error_inside_turns_it_on_again(gpu: None) -> None:
    before = torch.backends.cudnn.enabled
    with pytest.raises(ZeroDivisionError), plain_convolutions(), plain_convolutions():
        raise ZeroDivisionError
    assert torch.backends.cudnn.enabled is before


def test_without_a_gpu_nothing_is_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    with plain_convolutions():
        assert torch.backends.cudnn.enabled
