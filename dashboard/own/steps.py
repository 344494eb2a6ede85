"""The way from a VAE in PyTorch to the files that are dropped here: code to copy, which a test runs, and
tables, which come from core."""

from __future__ import annotations

import json

import torch

from core.vae.checkpoint import FORMAT
from core.vae.config import VAEConfig
from core.vae.model import VAE

ANY = """\
import core
import torch
from my_vae import VAE  # your module
model = VAE()
model.load_state_dict(torch.load("model.pt", weights_only=True))
model.eval()
vae = core.wrap(
    lambda x: model.encode(x.flatten(1)),  # images -> mu, logvar
    model.decode,  # codes -> what the decoder gives
    shape=(1, 28, 28),
    output="probabilities",  # or "logits"; "mean" with sigma=...
)
core.save_model(vae, "mine")  # images=x: up to 200 to show it with
"""
"""Of any architecture, as pytorch/examples has it."""

COMMAND = """\
python -m core import vae.py:build --weights model.pt \\
    --shape 1 28 28 --output probabilities --out mine
"""
"""The same without a script: `build` gives (encoder, decoder)."""

MLP = """\
import json
import torch
from safetensors.torch import save_file

theirs = torch.load("model.pt", weights_only=True)

def taken(*names):  # two heads, mu and logvar, become one layer
    return torch.cat([theirs[name].float() for name in names])

ours = {}
for kind in ("weight", "bias"):
    ours |= {
        f"encoder.1.{kind}": taken(f"fc1.{kind}"),
        f"encoder.3.{kind}": taken(f"fc21.{kind}", f"fc22.{kind}"),
        f"decoder.0.{kind}": taken(f"fc3.{kind}"),
        f"decoder.2.{kind}": taken(f"fc4.{kind}"),
    }
save_file(ours, "weights.safetensors")
config = {"format": 1, "model": {
    "arch": "mlp", "likelihood": "bernoulli", "channels": 1, "size": 28,
    "latent": 20, "widths": [400], "sigma": 0.2}}
with open("config.json", "w") as file:
    json.dump(config, file)
"""
"""Of linear layers and ReLUs alone, without this project: names of pytorch/examples."""

TEMPLATES = {
    "mlp": VAEConfig(latent=20, widths=(400,)),
    "conv": VAEConfig(arch="conv", channels=3, size=32, latent=16, widths=(16, 32, 128)),
}
"""A model of each architecture that has no graph.json."""


def template(arch: str) -> str:
    """A config.json to copy."""
    return json.dumps({"format": FORMAT, "model": TEMPLATES[arch].to_dict()}, indent=1)


def tensors(arch: str) -> list[tuple[str, str, str]]:
    """Name, shape and layer of each tensor that the template's weights.safetensors has."""
    with torch.device("meta"):
        vae = VAE(TEMPLATES[arch])
    return [
        (name, str(tuple(value.shape)), type(vae.get_submodule(name.rpartition(".")[0])).__name__)
        for name, value in vae.state_dict().items()
    ]
