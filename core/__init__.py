"""Robust variational auto-encoders: bounds that are proved, attacks that are attained.

vae = core.load_model("mnist-mlp-robust-0.1")
x, y = core.load_samples("mnist")
noise = core.sample_noise(vae, draws=16, seed=0)
clean = core.elbo(vae, x[:8], noise).total
found = core.attack(vae, x[:8], noise, eps=0.1).elbo
proved = core.certify(vae, x[:8], noise, eps=0.1).lower     # proved <= found <= clean
"""

from core.attacks import attack
from core.checkpoint import list_models, load_model
from core.claim import make_claim, read_claim
from core.curve import elbo_curve
from core.data import load_samples
from core.elbo import elbo, sample_noise
from core.evaluate import evaluate
from core.inspection import inspect_layers
from core.prove import certify, refine
from core.radius import certified_radius
from core.suite import run_suite
from core.train import train
from core.verify import verify_claim

__all__ = [
    "attack",
    "certified_radius",
    "certify",
    "elbo",
    "elbo_curve",
    "evaluate",
    "inspect_layers",
    "list_models",
    "load_model",
    "load_samples",
    "make_claim",
    "read_claim",
    "refine",
    "run_suite",
    "sample_noise",
    "train",
    "verify_claim",
]
