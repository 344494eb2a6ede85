"""Where float32 sums are so long that their rounding is unbounded, nothing is proved, from neither side."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import core
from core.network.operations import Sum


class Encoder(nn.Module):
    """A mean and a log variance, to which a sum of units is added `share` times."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.linear, self.share = nn.Linear(16, 4), share

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.linear(x.flatten(1))
        return h[:, :2] + (self.share * h).sum(1, keepdim=True), 0.1 * h[:, 2:]


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 16)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z).reshape(-1, 1, 4, 4)


@pytest.mark.parametrize("share", [0.0, 0.5])  # a margin that is infinite times nothing, too
@pytest.mark.parametrize("method", ["ibp", "crown-ibp", "crown", "alpha-crown"])
def test_nothing_is_proved(method: str, share: float):
    vae = core.wrap(Encoder(share).eval(), Decoder().eval(), shape=(1, 4, 4), output="logits")
    x = torch.full((2, 1, 4, 4), 0.4, dtype=torch.float32, device="cpu")
    noise = core.sample_noise(vae, 2)

    def bounds() -> list[float]:
        asked = {"eps": 0.05, "method": method, "arithmetic": "float32"}
        lower = core.certify(vae, x, noise, **asked).lower
        upper = core.certify(vae, x, noise, **asked, side="upper").upper
        return [*lower.tolist(), *(-upper).tolist()]

    assert all(bound > -1e6 for bound in bounds())
    (added,) = [layer for layer in vae.encoder if isinstance(layer, Sum)]
    added.terms = 2**24
    assert bounds() == [-torch.inf] * 4
