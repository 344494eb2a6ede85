"""How much the linear bounds of a VAE have to multiply, known before any is computed."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor, nn

from core.bounds.rule_table import bent
from core.inspection.layers import some_values
from core.network.graph import Network, sources_of
from core.vae.model import VAE


@torch.no_grad()
def crown_products(vae: VAE, draws: int = 1) -> float:
    """Multiplications of `certify(..., method="crown")` for one image and so many draws, at most: each unit
    that a bend takes, and each of the output, is a row that goes back through all that stands before it,
    once for each of its ends. Units that turn out stable are rows less."""
    seen = some_values(vae)
    encoder = _work(vae.encoder, [value.lower for value in seen.encoder], 0)
    before = sum(products_of(vae.encoder, [value.lower for value in seen.encoder]))
    decoder = _work(vae.decoder, [value.lower for value in seen.decoder], before)
    return 2 * (encoder + draws * decoder)


def _work(network: Network, values: list[Tensor], before: int) -> float:
    """Rows times what each multiplies; before: what stands before the network."""
    taken = {s for i, layer in enumerate(network) for s in bent(layer, sources_of(network, i))}
    way = list(accumulate(products_of(network, values), initial=before))
    return float(sum(values[i].numel() * way[i] for i in {*taken, len(network)}))


def products_of(network: Network, values: list[Tensor]) -> list[int]:
    """What each operation multiplies for one row."""
    return [
        _own(layer, values[sources_of(network, index)[0]], values[index + 1])
        for index, layer in enumerate(network)
    ]


def _own(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    if isinstance(layer, nn.Linear):
        return y.numel() * layer.in_features
    if isinstance(layer, nn.Conv2d):
        return y.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):
        return x.numel() * layer.weight[0].numel()
    return y.numel()
