"""Tiny untrained models in place of the shipped ones: these tests are about the page, not the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

from core.vae import checkpoint
from core.vae.config import VAEConfig
from core.vae.model import VAE
from tests.dashboard.page_parts import NAMES

APP = Path(__file__).resolve().parents[2] / "dashboard" / "pages.py"


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of three small models, by the names that the page expects."""
    monkeypatch.setattr(checkpoint, "MODELS", tmp_path)
    for seed, name in enumerate(NAMES):
        torch.manual_seed(seed)
        training = {"eps": 0.1 if "robust" in name else 0.0, "target": "likelihood"}
        metrics = {"elbo_quantiles": {"0.05": -545.0 - seed}}
        vae = VAE(VAEConfig(latent=4, widths=(8 + seed,)))
        checkpoint.save_model(vae, tmp_path / name, {"training": training, "metrics": metrics})
    st.cache_data.clear()
    st.cache_resource.clear()
    yield tmp_path
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def opened() -> AppTest:
    """The page as it opens, not yet run: with everything that it does by default."""
    return AppTest.from_file(str(APP), default_timeout=60)


@pytest.fixture
def app(opened: AppTest) -> AppTest:
    """The page with its fast part alone, not yet run."""
    opened.query_params["method"] = "ibp"
    return opened
