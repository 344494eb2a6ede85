"""Robust variational auto-encoders: bounds that are proved, attacks that are attained.

vae = core.load_model("mnist-mlp-robust-0.1")
x, y = core.load_samples("mnist")
noise = core.sample_noise(vae, draws=16, seed=0)
clean = core.elbo(vae, x[:8], noise).total
found = core.attack(vae, x[:8], noise, eps=0.1).elbo
proved = core.certify(vae, x[:8], noise, eps=0.1).lower     # proved <= found <= clean
"""

from core.attacks import attack
from core.certificates.prove import certify, refine
from core.certificates.radius import certified_radius
from core.claims.claim import read_claim
from core.claims.counterexample import make_counterexample, read_counterexample, verify_counterexample
from core.claims.making import make_claim
from core.claims.verify import verify_claim
from core.data.samples import load_samples
from core.evaluation.ceiling import ceiling
from core.evaluation.curve import elbo_curve
from core.evaluation.evaluate import evaluate
from core.evaluation.suite import run_suite
from core.former_names import register
from core.inspection import inspect_layers
from core.training.train import train
from core.vae.checkpoint import list_models, load_model, save_model
from core.vae.elbo import elbo, sample_noise
from core.vae.model_images import load_images
from core.vae.wrap import sigma_of_loss, wrap

register()

__all__ = [
    "attack",
    "ceiling",
    "certified_radius",
    "certify",
    "elbo",
    "elbo_curve",
    "evaluate",
    "inspect_layers",
    "list_models",
    "load_images",
    "load_model",
    "load_samples",
    "make_claim",
    "make_counterexample",
    "read_claim",
    "read_counterexample",
    "refine",
    "run_suite",
    "sample_noise",
    "save_model",
    "sigma_of_loss",
    "train",
    "verify_claim",
    "verify_counterexample",
    "wrap",
]
