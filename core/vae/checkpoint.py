"""Checkpoints: a folder with weights.safetensors, config.json, of a wrapped model graph.json, and the
images that go with a model.

Nothing is ever unpickled."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from core.data.files import alone, write_bytes, writing
from core.data.image_sets import take_images
from core.data.samples import ASSETS
from core.data.saved_images import as_files, left_over
from core.errors import CheckpointError, ConfigError, InputError, ModelNotFoundError
from core.isolation import isolated
from core.network import files
from core.vae.config import MOST_WEIGHTS, ModelConfig, VAEConfig
from core.vae.filling import fill
from core.vae.model import VAE
from core.vae.validate import check_vae
from core.vae.wrapped import KIND, WrappedConfig

FORMAT = 1
WEIGHTS, CONFIG, GRAPH = "weights.safetensors", "config.json", "graph.json"
MODELS = ASSETS / "models"
_MOST_NAME = 200
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
_MOST_CONFIG_BYTES, _MOST_GRAPH_BYTES = 1_000_000, 20_000_000
_MOST_WEIGHT_BYTES = 4 * MOST_WEIGHTS + 1_000_000


def list_models() -> list[str]:
    """Names of the shipped models, sorted.

    >>> "mnist-mlp-robust-0.1" in core.list_models()
    True
    """
    if not MODELS.is_dir():
        return []
    return sorted(path.parent.name for path in MODELS.glob(f"*/{CONFIG}"))


def is_shipped(name: str) -> bool:
    """Whether that is the name of a shipped model; no path is."""
    single = 0 < len(name) <= _MOST_NAME and Path(name).name == name != ".."
    return single and os.path.isfile(MODELS / name / CONFIG)


def find_model(name: str | Path) -> Path:
    """The folder of a shipped model, or of a path. Raises ModelNotFoundError with near names."""
    if not isinstance(name, str | Path):
        raise ModelNotFoundError(
            f"A {type(name).__name__} is no name of a model; give a shipped name, or the path of a folder."
        )
    if is_shipped(str(name)):
        return MODELS / str(name)
    if os.path.isdir(name):  # which takes any text: a path's own is_dir raises for names that are too long
        return Path(name)
    names = list_models()
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise ModelNotFoundError(
        f"There is no model {str(name)!r}. {hint}Shipped: {', '.join(names) or 'none'}; "
        "or give the path of a folder made by `python -m core train`."
    )


@isolated()
def load_model(name: str | Path) -> VAE:
    """A shipped model by name, or the model in a folder; in evaluation mode, on the CPU.

    Raises ModelNotFoundError for an unknown name, CheckpointError for a folder that is incomplete,
    damaged, too large, of another version or does not match its configuration.

    >>> core.load_model("mnist-mlp-robust-0.1").config.shape
    (1, 28, 28)
    """
    folder = find_model(name)
    known = load_config(folder)
    config = model_config(known, folder)
    weights = _weights_of(folder)
    if isinstance(config, VAEConfig):
        with torch.device("meta"):
            vae = VAE(config)
        fill(vae, read_tensors(weights), weights)
    else:
        assert isinstance(config, WrappedConfig)
        graph = _same_save(known, folder / GRAPH, _MOST_GRAPH_BYTES)
        vae = _empty(config, _parsed(folder / GRAPH, graph), folder)
        fill(vae, _tensors(weights, _same_save(known, weights)), weights)
    return vae.eval().requires_grad_(False)


def _same_save(known: dict[str, Any], path: Path, most: int = _MOST_WEIGHT_BYTES) -> bytes:
    """A file of a wrapped model. Raises CheckpointError unless it was saved with its config.json: of two
    saves at once, or of one that was stopped, there may be parts, which fit each other."""
    content = _content(path, most)
    digests = known.get("digests")
    if not isinstance(digests, dict) or digests.get(path.name) != hashlib.sha256(content).hexdigest():
        raise CheckpointError(
            f"{path} was not saved with the {CONFIG} beside it, or was changed since; import the model "
            "again."
        )
    return content


def _empty(config: WrappedConfig, graph: Any, folder: Path) -> VAE:
    """The model of a configuration without values (device meta): sizes alone, no memory is taken on its
    word."""
    if not isinstance(graph, dict) or set(graph) != {"encoder", "decoder"}:
        raise CheckpointError(f"{folder / GRAPH} has not the entries encoder and decoder, and no others.")
    encoder = files.build(
        graph["encoder"], config.shape, f"{folder / GRAPH}: encoder", (2 * config.latent,)
    )
    decoder = files.build(
        graph["decoder"], (config.latent,), f"{folder / GRAPH}: decoder", config.natural_shape
    )
    vae = VAE.of_networks(config, encoder, decoder)
    if sum(weight.numel() for weight in vae.parameters()) > MOST_WEIGHTS:
        raise CheckpointError(f"{folder / GRAPH} has more than {MOST_WEIGHTS:,} weights.")
    return vae


def load_config(name: str | Path) -> dict[str, Any]:
    """The parsed config.json of a model; the same errors as `load_model`."""
    path = find_model(name) / CONFIG
    config = _read_json(path, _MOST_CONFIG_BYTES)
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise CheckpointError(f"{path} has no entry 'model'; it is not one of our configurations.")
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {config.get('format')!r}; this version reads format {FORMAT}. "
            "Train the model again, or load it with the version that wrote it."
        )
    return config


def _read_json(path: Path, most_bytes: int) -> Any:
    return _parsed(path, _content(path, most_bytes))


def _content(path: Path, most_bytes: int) -> bytes:
    if not os.path.isfile(path):
        raise CheckpointError(f"{path.parent} has no {path.name}; it is not a complete checkpoint.")
    try:
        if path.stat().st_size > most_bytes:
            raise CheckpointError(f"{path} is over {most_bytes // 1_000_000} MB, which none of ours is.")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error


def _parsed(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}).") from error


def model_config(config: dict[str, Any], folder: Path) -> ModelConfig:
    """The configuration of a model in a parsed config.json."""
    kind = WrappedConfig if config["model"].get("kind") == KIND else VAEConfig
    try:
        return kind.from_dict(config["model"])
    except (ConfigError, TypeError) as error:
        raise CheckpointError(f"{folder / CONFIG} describes no model: {error}") from error


def model_digest(folder: Path) -> str:
    """SHA-256 of what a model computes: its weights and configuration. The errors of `load_model`."""
    config = model_config(load_config(folder), folder)
    known = json.dumps(config.to_dict(), sort_keys=True).encode()
    try:
        if isinstance(config, WrappedConfig):
            known += json.dumps(_read_json(folder / GRAPH, _MOST_GRAPH_BYTES), sort_keys=True).encode()
        return hashlib.sha256(known + _weights_of(folder).read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"{folder / WEIGHTS} cannot be read ({error.strerror}).") from error


def _weights_of(folder: Path) -> Path:
    """The file of a model's weights. Raises CheckpointError unless it is a file of a size that we read."""
    path = folder / WEIGHTS
    if not os.path.isfile(path):
        raise CheckpointError(f"{folder} has no {WEIGHTS}; the checkpoint is incomplete.")
    if path.stat().st_size > _MOST_WEIGHT_BYTES:
        raise CheckpointError(
            f"{path} is over {_MOST_WEIGHT_BYTES // 1_000_000} MB, larger than any model that is read here."
        )
    return path


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file. Raises CheckpointError if it is missing or damaged."""
    if not path.is_file():
        raise CheckpointError(f"{path.parent} has no {path.name}; the checkpoint is incomplete.")
    return _tensors(path)


def _tensors(path: Path, content: bytes | None = None) -> dict[str, Tensor]:
    """The tensors of a file, or of what was read of it."""
    try:
        if content is None:
            return safetensors.torch.load_file(path)
        return safetensors.torch.load(content)
    except (SafetensorError, OSError, ValueError) as error:
        if _is_pickle(path if content is None else content):
            raise CheckpointError(
                f"{path} is a pickle, as torch.save writes it, which can run code and is never read; "
                "write the weights with safetensors.torch.save_file."
            ) from error
        raise CheckpointError(
            f"{path} is damaged or truncated ({error}); copy or train it again."
        ) from error


def _is_pickle(source: Path | bytes) -> bool:
    """Whether a file, or what was read of one, begins as pickles do, or as the archives of torch.save."""
    if isinstance(source, bytes):
        return source.startswith(PICKLES)
    try:
        with source.open("rb") as file:
            return file.read(8).startswith(PICKLES)
    except OSError:
        return False


def save_model(
    vae: VAE,
    folder: Path | str,
    record: Mapping[str, Any] | None = None,
    *,
    images: Tensor | Path | str | None = None,
    labels: Tensor | Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Write a checkpoint, which `load_model` reads without running anybody's code.

    record   kept in config.json beside the model's own configuration; what is not said is left out.
    images   up to 200 to show the model with, see `load_images`: (N, C, H, W) of the model's shape, uint8
             or float in [0, 1] on whole multiples of 1/255, for they are kept exactly, as PNG; or a folder
             of PNG files, whose sub-folders are classes. None: none are kept.
    labels, classes  of a tensor: for each image a place in the classes, counted from 0, and their names;
             without names these are the numbers. Without labels the images have no classes.

    Each file is replaced whole, so a kill leaves the old or the new one; two saves into one folder wait for
    each other. Raises OutputError if the folder cannot be written, InputError for images, labels or classes
    that are none of these, DataError for such files.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, y = core.load_samples("mnist")
    >>> core.save_model(vae, folder, images=x[:2], labels=y[:2], classes=list("0123456789"))
    >>> core.load_model(folder).config == vae.config, len(core.load_images(folder).x)
    (True, 2)
    """
    kept = None if images is None else take_images(images, labels, classes, check_vae(vae).config.shape)
    if kept is None and (labels is not None or classes is not None):
        raise InputError("There are labels or classes without images; give the images, too.")
    config = {
        "format": FORMAT,
        "model": check_vae(vae).config.to_dict(),
        **(record or {}),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": version("torchvision"),
            "safetensors": safetensors.__version__,
        },
    }
    contents = {} if kept is None else as_files(kept)
    bound = list(contents)[-1:]  # the index, by which the images are bound
    contents[WEIGHTS] = _as_bytes(dict(vae.state_dict()))
    if isinstance(vae.config, WrappedConfig):
        graph = {"encoder": files.describe(vae.encoder), "decoder": files.describe(vae.decoder)}
        contents[GRAPH] = (json.dumps(graph) + "\n").encode()
        bound += [WEIGHTS, GRAPH]
    if bound:
        config["digests"] = {name: hashlib.sha256(contents[name]).hexdigest() for name in bound}
    contents[CONFIG] = (json.dumps(config, indent=2) + "\n").encode()
    with alone(folder):
        for name, content in contents.items():
            write_bytes(Path(folder) / name, content)
        with writing(folder):
            for path in left_over(Path(folder), 0 if kept is None else len(kept.x)):
                path.unlink(missing_ok=True)


def read_metadata(path: Path) -> dict[str, str]:
    """The text that `write_tensors` put beside the tensors."""
    with safetensors.safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a .safetensors file, whole or not at all."""
    write_bytes(path, _as_bytes(tensors, metadata))


def _as_bytes(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    ready = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    return safetensors.torch.save(ready, metadata)
