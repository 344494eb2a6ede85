"""Which operations a network has, how each is bounded, and which certificates there are of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from core.bounds.rule_table import name_of
from core.certificates.methods import METHODS
from core.certificates.noise.growth import check_growth
from core.certificates.question import check_layers
from core.errors import UnsupportedLayerError
from core.network.graph import Network
from core.network.operations import Elementwise, InverseSoftmax, Maximum, Minimum, Multiply
from core.vae.model import VAE

LINEAR = "linear"
"""How an operation is bounded that is taken as it is."""
_LINES = "between two lines"
_HOW: dict[type[nn.Module], str] = {
    nn.ReLU: _LINES,
    Elementwise: _LINES,
    Multiply: "products, between planes",
    InverseSoftmax: "exponentials of differences, between lines",
    Maximum: "as a + relu(b - a)",
    Minimum: "as a - relu(a - b)",
}
"""How an operation is bounded; those that are not here are linear."""


@dataclass(frozen=True)
class Kind:
    """Operations of one name in a network, and how they are bounded."""

    name: str
    count: int
    how: str


def kinds_of(network: Network) -> tuple[Kind, ...]:
    """The kinds of operations of a network, in the order in which they first come."""
    count = Counter((name_of(layer), _HOW.get(type(layer), LINEAR)) for layer in network)
    return tuple(Kind(name, number, how) for (name, how), number in count.items())


def refused_methods(vae: VAE) -> dict[str, str]:
    """The methods that have no rule for something in a model, each with the reason."""
    reasons = {method: _refusal(check_layers, vae, method) for method in METHODS}
    return {method: reason for method, reason in reasons.items() if reason}


def no_expectation(vae: VAE) -> str:
    """Why there is no statement on the expectation over all noise; "" if there is."""
    return _refusal(check_growth, vae)


def _refusal(check: Callable[..., Any], *arguments: Any) -> str:
    try:
        check(*arguments)
    except UnsupportedLayerError as error:
        return str(error)
    return ""
