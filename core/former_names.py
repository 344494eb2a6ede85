"""Modules by the names that they had before core had wings: scripts that import them by these go on."""

from __future__ import annotations

import sys
from importlib import import_module

from core.bounds.backward import BackwardPass
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation

_SAME = {
    "vae": "model config likelihood latent elbo checkpoint validate consistency",
    "bounds": "ball",
    "data": "files",
    "certificates": "prove methods certificate radius guard",
    "certificates.elbo_bounds": "relaxation alpha ascent branching",
    "certificates.noise": "expectation statistics",
    "training": "train settings objective recipes fast_ibp schedule resume metrics baseline",
    "evaluation": "evaluate curve verdicts results results_files",
    "inspection": "lessons",
    "claims": "claim verify",
}
_OTHER = {
    "picture": "data.pictures",
    "fit": "data.digits",
    "plain": "scalars",
    "problem": "certificates.question",
    "layers": "certificates.elbo_bounds.layer_bounds",
    "robust": "certificates.elbo_bounds.robust_elbo",
    "slopes": "certificates.elbo_bounds.relaxation_parameters",
    "shells": "certificates.noise.truncation",
    "sampled": "certificates.noise_certificate",
    "ranks": "training.distributed",
    "workers": "training.distributed",
    "bounds.cuts": "bounds.intersect",
    "bounds.passage": "bounds.backward",
    "bounds.compact": "bounds.dead_units",
    "bounds.kinds": "bounds.rule_table",
    "bounds.forms": "certificates.semidefinite.zonotope",
}


def register() -> None:
    """Make `from core.model import VAE` and its like find the modules where they are now."""
    same = {name: f"{wing}.{name}" for wing, names in _SAME.items() for name in names.split()}
    for former, now in (same | _OTHER).items():
        sys.modules[f"core.{former}"] = import_module(f"core.{now}")
    setattr(Relaxation, "_passage", _passage)  # noqa: B010


def _passage(relaxation: Relaxation, part: str, index: int, bounds: LayerBounds) -> BackwardPass:
    """The backward pass from the input of a layer of the "encoder" or "decoder"."""
    linear = LinearBounds(relaxation, bounds)
    return linear.relaxation.backward(linear.encoder if part == "encoder" else linear.decoder, index)
