"""Somebody's encoder and decoder: made by his own code, with weights that are never unpickled."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.data.files import read_bytes
from core.errors import CheckpointError, InputError
from core.network.trace import Part, modules_of
from core.vae.checkpoint import read_tensors
from core.vae.wrap import sigma_of_loss

NESTINGS = ("state_dict", "model_state_dict", "model")
"""Entries of a checkpoint under which a state_dict is."""
PREFIXES = ("module.", "model.", "vae.", "_orig_mod.")
"""What trainers put before the names of weights: at most two of them, one after the other."""
PYTHAE = {
    "VAEConfig": "VAE",
    "BetaVAEConfig": "BetaVAE",
    "BetaTCVAEConfig": "BetaTCVAE",
    "DisentangledBetaVAEConfig": "DisentangledBetaVAE",
    "FactorVAEConfig": "FactorVAE",
    "INFOVAE_MMD_Config": "INFOVAE_MMD",
    "IWAEConfig": "IWAE",
}
"""Models of pythae by configuration: those with a Gaussian posterior, and N(0, I) as prior."""
_SHOWN = 5


@dataclass
class Foreign:
    """Two parts in evaluation mode, as core.wrap takes them.

    said   what was taken, by what it is. known: arguments of core.wrap that the source itself says.
    """

    encoder: Part
    decoder: Part
    said: dict[str, str]
    known: dict[str, Any] = field(default_factory=dict)


@contextmanager
def beside(file: Path) -> Iterator[None]:
    """Modules beside a file can be imported, as when it is run."""
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def file_and_name(source: str) -> tuple[Path, str]:
    """The two halves of vae.py:build. Raises InputError."""
    file, colon, name = source.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise InputError(f"{source!r} names no code; write FILE.py:NAME, as in vae.py:build.")
    if not Path(file).is_file():
        raise InputError(f"There is no file {file}; write FILE.py:NAME, as in vae.py:build.")
    return Path(file), name


def from_code(source: str, weights: Path | None) -> Foreign:
    """Run the user's file, and what it has under a name; it is his code, in this process.

    Raises InputError for code that fails or gives no VAE, CheckpointError for weights that do not fit.
    """
    file, name = file_and_name(source)
    model = _built(file, name)
    encoder, decoder, what = _parts(model, name)
    said = {"code": f"{what} in {file.name}, run as it is"}
    modules = [module for part in (encoder, decoder) for module in modules_of(part)]
    if any(part.training for module in modules for part in module.modules()):
        said["code"] += "; put into evaluation mode"
    if weights is not None:
        said["weights"] = _load(_holder(model, encoder, decoder), weights)
    for module in modules:
        module.eval()
    return Foreign(encoder, decoder, said)


def _built(file: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"imported_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is no Python file; write FILE.py:NAME, as in vae.py:build.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    _run(lambda: spec.loader and spec.loader.exec_module(module), f"{file}")
    if not hasattr(module, name):
        raise InputError(f"{file} has nothing that is called {name}.")
    found = getattr(module, name)
    if callable(found) and not isinstance(found, nn.Module):
        return _run(found, f"{name}() in {file}")
    return found


def _run(call: Callable[[], Any], what: str) -> Any:
    """What the user's code gives. Raises InputError for whatever it raises."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(f"{what} raises {type(error).__name__}: {reason}") from error


def _parts(model: Any, name: str) -> tuple[Part, Part, str]:
    if isinstance(model, tuple | list) and len(model) == 2 and all(map(callable, model)):
        return model[0], model[1], f"the pair that {name} gives"
    found = []
    for method, part in (("encode", "encoder"), ("decode", "decoder")):
        held = method if callable(getattr(model, method, None)) else part
        found.append((held, getattr(model, held, None)))
    if isinstance(model, nn.Module) and all(callable(part) for _, part in found):
        (first, encoder), (second, decoder) = found
        return encoder, decoder, f"{first} and {second} of what {name} gives"
    raise InputError(
        f"{name} gives a {type(model).__name__}; it has to give (encoder, decoder), or a module with "
        "methods encode and decode, or with parts encoder and decoder."
    )


def _holder(model: Any, encoder: Part, decoder: Part) -> nn.Module:
    """The module whose names the weights have. Of a pair they are encoder.NAME and decoder.NAME."""
    if isinstance(model, nn.Module):
        return model
    if isinstance(encoder, nn.Module) and isinstance(decoder, nn.Module):
        return nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    owners = {id(module): module for part in (encoder, decoder) for module in modules_of(part)}
    if len(owners) == 1:
        return next(iter(owners.values()))
    raise InputError(
        "--weights needs to know their names, and functions have none; give modules, or load the weights "
        "in the function and leave --weights out."
    )


# Weights


def _load(module: nn.Module, path: Path) -> str:
    """Fill a module; what was read, in words."""
    found, nesting = _state_dict(_read(path), path.name)
    wanted = module.state_dict()
    prefix = _prefix(set(wanted), set(found))
    given = {key[len(prefix) :] if key.startswith(prefix) else key: value for key, value in found.items()}
    _check_names(wanted, given, path.name)
    for key, value in given.items():
        _check_tensor(key, value, wanted[key], path.name)
    module.load_state_dict(given, strict=False)
    inside = "".join(f", under {key!r}" for key in nesting)
    return f"{path.name}, {len(given)} tensors{inside}" + (f", without {prefix!r}" if prefix else "")


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return read_tensors(path)
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors: objects, which only running code could make, and that is not "
            "done. Where the model is at home, save torch.save(model.state_dict(), ...)."
        ) from error
    except Exception as error:  # torch.load raises whatever it meets in a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} is no file of weights: {reason}") from error


def _state_dict(content: Any, name: str) -> tuple[dict[str, Tensor], list[str]]:
    """Names and tensors, and under which entries they were."""
    nesting = list[str]()
    while isinstance(content, Mapping):
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return {str(key): value for key, value in content.items()}, nesting
        inner = next((key for key in NESTINGS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        nesting.append(inner)
        content = content[inner]
    what = (
        f"the entries {_some(content)}" if isinstance(content, Mapping) else f"a {type(content).__name__}"
    )
    raise CheckpointError(
        f"{name} holds {what}, and no state_dict, alone or under one of {', '.join(NESTINGS)}; save "
        "model.state_dict()."
    )


def _prefix(wanted: set[str], given: set[str]) -> str:
    """The prefix without which most names are those of the module."""
    pairs = itertools.product(("", *PREFIXES), repeat=2)
    prefixes = dict.fromkeys(sorted((first + second for first, second in pairs), key=len))
    return max(prefixes, key=lambda p: sum(p + key in given for key in wanted))


def _check_names(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], name: str) -> None:
    """Raises CheckpointError unless all weights are there and no others. One that two names share may be
    given under one of them; counters of training may be absent."""
    shared = {wanted[key].data_ptr() for key in wanted if key in given and wanted[key].numel()}
    missing = [key for key in wanted if key not in given and wanted[key].data_ptr() not in shared]
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    extra = [key for key in given if key not in wanted]
    if missing or extra:
        lacks = f"lacks {len(missing)} of the module's weights ({_some(missing)})" if missing else ""
        holds = f"holds {len(extra)} that it has not ({_some(extra)})" if extra else ""
        raise CheckpointError(
            f"{name} {' and '.join(filter(None, (lacks, holds)))}: it is of another architecture, or named "
            "otherwise; the names that are needed are those of the module's own state_dict()."
        )


def _check_tensor(key: str, value: Tensor, wanted: Tensor, name: str) -> None:
    if value.shape != wanted.shape:
        raise CheckpointError(
            f"{name}: {key} has shape {tuple(value.shape)}, the module's {tuple(wanted.shape)}; build it "
            "with the sizes that it was trained with."
        )
    if value.dtype != wanted.dtype and (value.is_floating_point() or value.is_complex()):
        raise CheckpointError(
            f"{name}: {key} is {value.dtype}, the module's {wanted.dtype}, and what is certified is a "
            "float32 network. Save model.float().state_dict(), if that is what you use."
        )


def _some(names: Any) -> str:
    shown = [str(name)[:60] for name in itertools.islice(names, _SHOWN)]
    return ", ".join(shown) + (", ..." if len(names) > _SHOWN else "")


# pythae


def from_pythae(folder: Path) -> Foreign:
    """A folder that pythae saved, rebuilt by pythae's own classes; a pickled network in it is never opened.

    Raises InputError where pythae is not installed, or the model is another kind, CheckpointError for a
    folder that is none of pythae's.
    """
    values = _pythae_config(folder)
    name = str(values.pop("name", None))
    if (kind := PYTHAE.get(name)) is None:
        raise InputError(
            f"{folder} is a {name[:40]}; those of pythae's models are taken in that have a Gaussian "
            f"posterior and the prior N(0, I): {', '.join(PYTHAE.values())}."
        )
    try:
        models: Any = importlib.import_module("pythae.models")
    except Exception as error:
        reason = f"which cannot be imported: {error}."
        raise InputError(f"--pythae needs the package pythae, {reason}") from error
    model = _run(lambda: getattr(models, kind)(getattr(models, name)(**values)), f"pythae's {kind}")
    said = {"code": f"pythae's {kind}", "weights": _load(model, folder / "model.pt")}
    model.eval()
    encoder, decoder = model.encoder, model.decoder

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        found = encoder(x)
        return found["embedding"], found["log_covariance"]

    def decode(z: Tensor) -> Tensor:
        return decoder(z)["reconstruction"]

    return Foreign(encode, decode, said, _pythae_settings(kind, values, said))


def _pythae_config(folder: Path) -> dict[str, Any]:
    path = folder / "model_config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {path.name}; name the folder that pythae's save() made.")
    try:
        values = json.loads(read_bytes(path, 1_000_000))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is no configuration of pythae's.")
    pickled = [name for name in ("encoder.pkl", "decoder.pkl") if (folder / name).exists()]
    usual = values.get("uses_default_encoder", True), values.get("uses_default_decoder", True)
    if pickled or usual != (True, True):
        raise InputError(
            f"{folder} has networks of one's own ({', '.join(pickled) or 'not saved'}), as pickles, which "
            "are never opened: they run code. Write a file vae.py with a function build() that makes them, "
            "and import vae.py:build --weights model.pt."
        )
    return values


def _pythae_settings(kind: str, values: Mapping[str, Any], said: dict[str, str]) -> dict[str, Any]:
    """What the loss that a model was trained with says of its likelihood."""
    shape = values.get("input_dim")
    beta = float(values.get("beta", 1.0)) if kind == "BetaVAE" else 1.0
    if values.get("reconstruction_loss") == "bce":
        if beta != 1:
            said["loss"] = f"binary cross entropy + {beta:g} KL; the ELBO here has the KL once"
        return {"shape": shape, "likelihood": "bernoulli", "output": "probabilities"}
    sigma = sigma_of_loss("half-sum", pixels=1, kl_weight=beta)
    said["loss"] = f"half the squared error + {beta:g} KL, the loss of a Gaussian of sigma {sigma:g}"
    return {"shape": shape, "likelihood": "gaussian", "output": "mean", "sigma": sigma}
