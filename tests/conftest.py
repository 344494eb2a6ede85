"""Small models and images that every test file shares."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch
from urllib.error import URLError

import pytest
import torch
from hypothesis import settings

from core.vae.checkpoint import save_model
from core.vae.config import VAEConfig
from core.vae.model import VAE
from tests.data.mnist_files import write_mnist

torch.set_num_threads(1)  # the models are tiny; threads only cost
settings.register_profile("core", deadline=None, derandomize=True, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=300)  # --hypothesis-profile=thorough
settings.load_profile("core")

LONG = ("test_linear_certificates", "test_workers", "test_grid", "test_suite_processes", "test_forgeries")
"""Files that take more than a minute: the first to be handed out, so that no worker is left with one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONG)


WIDTHS = {"mlp": (12, 8), "conv": (2, 3, 8)}


def make_vae(
    arch: str = "mlp",
    likelihood: str = "bernoulli",
    channels: int = 1,
    size: int = 28,
    latent: int = 3,
    widths: tuple[int, ...] | None = None,
    sigma: float = 0.2,
    seed: int = 0,
    scale: float = 1.0,
) -> VAE:
    """A small random VAE, its weights multiplied by `scale`. Images of 16 by 16 (any multiple of 4), which
    users cannot ask for, take half the time where nothing depends on their size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with patch("core.vae.config.SIZES", (size,)):
            config = VAEConfig(arch, likelihood, channels, size, latent, widths or WIDTHS[arch], sigma)
        vae = VAE(config)
    vae.eval().requires_grad_(False)
    for parameter in vae.parameters():
        parameter.mul_(scale)
    return vae


def own_config(vae: VAE) -> VAEConfig:
    """The configuration of a VAE that is one of ours."""
    assert isinstance(vae.config, VAEConfig)
    return vae.config


def zero_vae(widths: tuple[int, ...] = (1,), likelihood: str = "bernoulli") -> VAE:
    """A fully connected VAE with one latent dimension and all weights 0, to be set by hand."""
    return make_vae(widths=widths, latent=1, likelihood=likelihood, scale=0.0)


def make_images(vae: VAE, count: int = 2, seed: int = 0) -> torch.Tensor:
    """Random images of which about two thirds of the pixels are exactly 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.rand(count, *vae.config.shape, generator=generator) - 1).clamp(0, 1)


@pytest.fixture
def vae() -> VAE:
    return make_vae()


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small data set in torchvision's layout."""
    return write_mnist(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """AppTest leaves its script in place of the main module, which processes that are spawned would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a small checkpoint."""
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(make_vae(), folder, {})
    return str(folder)


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    """A shell that starts the tests in the background has SIGINT ignored, and Python leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
