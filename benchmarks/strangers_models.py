"""Models of strangers for `benchmarks.strangers`: built, trained by their own packages, and taken in.

Each `build` gives a module without weights, as a person's own vae.py would; `python -m core import` takes
it by FILE.py:NAME.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import core
from core.command_line.cli import main as command
from core.vae.model import VAE

EPOCHS, RATE, BATCH, LATENT = 1, 1e-3, 64, 16


class PythaeParts(nn.Module):
    """The networks of one of pythae's models, under the names that its state_dict has."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder, self.decoder = model.encoder, model.decoder

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.encoder(x)
        return found["embedding"], found["log_covariance"]

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)["reconstruction"]


def pythae_mlp() -> PythaeParts:
    return PythaeParts(_pythae("mse"))


def pythae_conv() -> PythaeParts:
    return PythaeParts(_pythae("bce", "Conv"))


def pythae_resnet() -> PythaeParts:
    return PythaeParts(_pythae("bce", "ResNet"))


def _pythae(loss: str, networks: str | None = None) -> Any:
    """pythae's VAE of its usual networks, or of those that it has for MNIST."""
    models = importlib.import_module("pythae.models")
    config = models.VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss=loss)
    if networks is None:
        return models.VAE(config)
    nets = importlib.import_module("pythae.models.nn.benchmarks.mnist")
    encoder = getattr(nets, f"Encoder_{networks}_VAE_MNIST")(config)
    return models.VAE(config, encoder, getattr(nets, f"Decoder_{networks}_AE_MNIST")(config))


def disent_conv() -> Any:
    model = importlib.import_module("disent.model")
    nets = importlib.import_module("disent.model.ae")
    encoder = nets.EncoderConv64((1, 64, 64), LATENT, z_multiplier=2)
    return model.AutoEncoder(encoder, nets.DecoderConv64((1, 64, 64), LATENT))


class BurgessEncoder(nn.Module):
    """Of YannDubs/disentangling-vae, under its names: mu and logvar in turns."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(c, 32, 4, 2, 1) for c in (1, 32, 32))
        self.lin1, self.lin2, self.mu_logvar_gen = (
            nn.Linear(512, 256),
            nn.Linear(256, 256),
            nn.Linear(256, 20),
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.conv1, self.conv2, self.conv3):
            x = F.relu(layer(x))
        return self.mu_logvar_gen(F.relu(self.lin2(F.relu(self.lin1(x.flatten(1))))))


class BurgessDecoder(nn.Module):
    """Of the same project: probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.lin1, self.lin2, self.lin3 = nn.Linear(10, 256), nn.Linear(256, 256), nn.Linear(256, 512)
        self.convT1, self.convT2, self.convT3 = (nn.ConvTranspose2d(32, c, 4, 2, 1) for c in (32, 32, 1))

    def forward(self, z: Tensor) -> Tensor:
        for layer in (self.lin1, self.lin2, self.lin3):
            z = F.relu(layer(z))
        z = F.relu(self.convT2(F.relu(self.convT1(z.view(-1, 32, 4, 4)))))
        return torch.sigmoid(self.convT3(z))


def burgess() -> nn.Module:
    """Encoder and decoder of the public models, beside each other."""
    return nn.ModuleDict({"encoder": BurgessEncoder(), "decoder": BurgessDecoder()})


def train_pythae(loss: str, networks: str | None, x: Tensor, folder: Path) -> None:
    """Train by pythae's own pipeline; what its save() writes is put into the folder."""
    trainers, pipelines = (importlib.import_module(f"pythae.{name}") for name in ("trainers", "pipelines"))
    work = folder.with_name(folder.name + ".work")
    config = trainers.BaseTrainerConfig(
        output_dir=str(work),
        num_epochs=EPOCHS,
        learning_rate=RATE,
        per_device_train_batch_size=BATCH,
        no_cuda=True,
    )
    pipelines.TrainingPipeline(training_config=config, model=_pythae(loss, networks))(x)
    (made,) = work.glob("*/final_model")
    shutil.move(made, folder)
    shutil.rmtree(work)


def train_disent(x: Tensor, folder: Path) -> None:
    """Train by disent's own VAE under lightning: binary cross entropy, summed over an image, and KL."""
    model = disent_conv()
    lightning: Any = importlib.import_module("lightning")
    vae: Any = importlib.import_module("disent.frameworks.vae").Vae
    config = vae.cfg(recon_loss="bce", loss_reduction="mean_sum")
    framework = vae(model, config)
    framework.configure_optimizers = lambda: torch.optim.Adam(model.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(8)
    batches = [
        {"x_targ": (x[which],)} for which in torch.randperm(len(x), generator=generator).split(BATCH)
    ]
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(framework, torch.utils.data.DataLoader(batches, batch_size=None))  # pyright: ignore[reportArgumentType]
    folder.mkdir(parents=True)
    torch.save(model.state_dict(), folder / "model.pt")


@dataclass(frozen=True)
class Stranger:
    """One model. settings: arguments of core.wrap. package: what has to be installed. train: writes a
    folder with model.pt; None of a model that comes with weights, in the folder `public` of those."""

    name: str
    build: Callable[[], Any]
    settings: dict[str, Any]
    package: str = ""
    train: Callable[[Tensor, Path], None] | None = None
    public: str = ""

    def missing(self, public: Path | None) -> str:
        """What is not there that the model needs; nothing if all is."""
        if self.package and importlib.util.find_spec(self.package) is None:
            return f"{self.package} is not installed"
        if self.public and (public is None or not (public / self.public).is_dir()):
            return f"no folder {self.public} in --public"
        return ""

    def folder(self, trained: Path, public: Path | None) -> Path:
        """Where its model.pt is, or is to be."""
        return public / self.public if self.public and public is not None else trained / self.name

    def loaded(self, weights: Path) -> Any:
        module, state = self.build(), torch.load(weights, map_location="cpu", weights_only=True)
        module.load_state_dict(state.get("model_state_dict", state))
        return module.eval()

    def parts(self, module: Any) -> tuple[Any, Any]:
        """What encodes and what decodes."""
        return (module.encoder, module.decoder) if self.public else (module.encode, module.decode)

    def outputs(self, module: Any, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """mu and logvar of images, (N, k), and the decoder's output for codes, as the module gives them."""
        encode, decode = self.parts(module)
        found = encode(x)
        if self.settings["heads"] == "two":
            mu, logvar = found
        elif self.settings["heads"] == "chunk":
            mu, logvar = found.chunk(2, 1)
        else:
            mu, logvar = found[:, ::2], found[:, 1::2]
        return mu, logvar, decode(z)

    def ours(self, vae: VAE, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of what was made of it."""
        natural = vae.decode(z)
        return *vae.encode(x), natural.sigmoid() if self.settings["output"] == "probabilities" else natural

    def command(self, weights: Path) -> list[str]:
        """What python -m core import has to be told."""
        options = {
            name: self.settings[name]
            for name in ("likelihood", "output", "heads", "sigma")
            if name in self.settings
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        shape = map(str, self.settings["shape"])
        return [f"{__file__}:{self.build.__name__}", "--weights", str(weights), *words, "--shape", *shape]


class Taken:
    """A stranger's model, by every way there is, beside its own module, with images.

    ways, refused  how it was taken in, and how not. apart: the farthest that one of mu, logvar and the
    decoder's output is from the module's own, by any way; 0: equal to the bit.
    """

    def __init__(self, stranger: Stranger, folder: Path, x: Tensor) -> None:
        self.name, self.x, self.refused = stranger.name, x, list[str]()
        module = stranger.loaded(folder / "model.pt")
        self.vae = core.wrap(*stranger.parts(module), **stranger.settings)
        self.noise = core.sample_noise(self.vae, 1)
        ways = {"build": stranger.command(folder / "model.pt")}
        if stranger.package == "pythae":
            ways["pythae"] = ["--pythae", str(folder)]
        found = {"wrap": self.vae}
        for way, words in ways.items():
            with tempfile.TemporaryDirectory() as out:
                if command(["import", *words, "--out", f"{out}/model"]) == 0:
                    found[way] = core.load_model(f"{out}/model")
                else:
                    self.refused.append(way)
        self.ways = list(found)
        z = torch.randn(len(x), self.vae.config.latent, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            own = stranger.outputs(module, x, z)
            pairs = [
                pair for vae in found.values() for pair in zip(stranger.ours(vae, x, z), own, strict=True)
            ]
        self.apart = max((a - b.reshape(a.shape)).abs().max().item() for a, b in pairs)


def strangers() -> Iterator[Stranger]:
    mnist: dict[str, Any] = {"shape": (1, 28, 28), "heads": "two", "scale": "logvar"}
    seen = mnist | {"likelihood": "bernoulli", "output": "probabilities"}
    means = mnist | {"likelihood": "gaussian", "output": "mean", "sigma": 1.0}
    yield Stranger("pythae-mlp", pythae_mlp, means, "pythae", partial(train_pythae, "mse", None))
    yield Stranger("pythae-conv", pythae_conv, seen, "pythae", partial(train_pythae, "bce", "Conv"))
    yield Stranger("pythae-resnet", pythae_resnet, seen, "pythae", partial(train_pythae, "bce", "ResNet"))
    large = seen | {"shape": (1, 64, 64), "output": "logits", "heads": "chunk"}
    yield Stranger("disent-conv", disent_conv, large, "disent", train_disent)
    turns = seen | {"shape": (1, 32, 32), "heads": "interleaved"}
    for name in ("VAE_mnist", "betaH_mnist"):
        yield Stranger(f"public-{name}", burgess, turns, public=name)
