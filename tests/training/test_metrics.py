"""What is measured after training, against the functions it is made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import core
from core.training.metrics import active_units, model_metrics
from core.vae.model import VAE
from tests.conftest import make_images, make_vae


def test_active_units_by_hand() -> None:
    # KL of a dimension is mu^2 / 2 here: 0 for one, 0.005 and 0.5 for the others.
    vae = make_vae(scale=0.0)
    last = vae.encoder[-1]
    assert isinstance(last, nn.Linear)
    last.bias.copy_(torch.tensor([0.0, 0.1, 1.0, 0.0, 0.0, 0.0]))
    assert active_units(vae, make_images(vae, 10)) == 1
    last.bias[1] = 0.2
    assert active_units(vae, make_images(vae, 10)) == 2


@pytest.mark.parametrize("eps", [0.0, 0.02])
def test_metrics_are_the_means(eps: float, vae: VAE, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.metrics.CERTIFIED", 5)
    x, noise = make_images(vae, 12), core.sample_noise(vae, 1, seed=0)
    metrics, clean = model_metrics(vae, x, eps), core.elbo(vae, x, noise)
    assert metrics["images"] == 12
    for name in ("recon", "kl"):
        assert metrics[name] == pytest.approx(getattr(clean, name).mean().item())
    assert metrics["elbo"] == pytest.approx(clean.total.mean().item())
    assert metrics["elbo_first_1000"] == pytest.approx(clean.total[:5].mean().item())
    quantiles = list(metrics["elbo_quantiles"].values())
    assert quantiles == sorted(quantiles)
    assert quantiles[-1] == pytest.approx(clean.total.quantile(0.5).item())
    for target in ("likelihood", "reconstruction"):
        key = f"ibp_{target}_first_1000"
        assert (key in metrics) == (eps > 0)
        if eps > 0:
            proved = core.certify(vae, x[:5], noise, eps=eps, target=target).lower.mean().item()
            assert metrics[key] == pytest.approx(proved)
