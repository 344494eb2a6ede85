"""python -m core import: the user's own code, run in process; what is refused is named in a sentence."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import core
from core.command_line.cli import main
from core.data.files import write_bytes
from core.errors import CheckpointError
from core.vae.checkpoint import load_config
from tests.command_line.test_cli_errors import refused
from tests.malice import Bomb, exploded

Capture = pytest.CaptureFixture[str]
HEADER = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
PAIR = (
    HEADER
    + """
def build():
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 4))
    return encoder, nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 16), nn.Sigmoid())
"""
)
MODULE = (
    HEADER
    + """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Dropout(0.5))
        self.mu, self.logvar = nn.Linear(6, 2), nn.Linear(6, 2)
        self.back = nn.Linear(2, 16)

    def encode(self, x):
        h = torch.relu(self.encoder(x))
        return self.mu(h), self.logvar(h)

    def decode(self, z):
        return self.back(z)
"""
)
CHUNKS = ["--shape", "1", "4", "4", "--heads", "chunk", "--output", "probabilities"]
PLAIN = ["--shape", "1", "4", "4"]


def written(tmp_path: Path, code: str) -> str:
    path = tmp_path / "vae.py"
    path.write_text(code)
    return str(path)


def model_of(code: str, name: str = "build") -> Any:
    names: dict[str, Any] = {"__name__": "vae"}
    exec(code, names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return names[name]()


def state(code: str, name: str = "build") -> dict[str, Tensor]:
    """The weights of the model of a piece of code, the same each time."""
    found = model_of(code, name)
    module = (
        found if isinstance(found, nn.Module) else nn.ModuleDict({"encoder": found[0], "decoder": found[1]})
    )
    return module.state_dict()


def run(tmp_path: Path, code: str, *options: str, name: str = "build", out: str = "out") -> int:
    argv = ["import", f"{written(tmp_path, code)}:{name}", *options, "--out", str(tmp_path / out)]
    return main(argv)


def sentence(tmp_path: Path, capsys: Capture, code: str, *options: str, name: str = "build") -> str:
    argv = ["import", f"{written(tmp_path, code)}:{name}", *options, "--out", str(tmp_path / "out")]
    found = refused(argv, capsys)
    assert not (tmp_path / "out").exists()
    return found


def test_a_pair_is_taken_in_and_said_to_be_so(tmp_path: Path, capsys: Capture) -> None:
    torch.save(state(PAIR), tmp_path / "model.pt")
    assert run(tmp_path, PAIR, "--weights", str(tmp_path / "model.pt"), *CHUNKS) == 0
    out = capsys.readouterr().out
    for line in (
        "the pair that build gives in vae.py, run as it is; put into evaluation mode",
        "model.pt, 8 tensors",
        "2 dimensions; heads chunk, scale logvar",
        "linear: 1 Flatten, 2 Linear; between two lines: 1 ReLU",
        "4 images of noise",
        "mu equal to the bit, logvar equal to the bit, output equal to the bit",
        "ibp, crown-ibp, crown, alpha-crown, quadratic, bab",
        "expectation and coverage",
    ):
        assert line in out
    assert "refused" not in out
    vae = core.load_model(tmp_path / "out")
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 4))
    encoder.load_state_dict({key[8:]: v for key, v in state(PAIR).items() if key.startswith("encoder.")})
    x = torch.rand(3, 1, 4, 4)
    assert torch.equal(torch.cat(vae.encode(x), 1), encoder(x))
    assert load_config(tmp_path / "out")["imported"]["heads"] == "chunk"


def test_a_module_with_methods_and_its_shapes_of_mnist(tmp_path: Path, capsys: Capture) -> None:
    code = MODULE.replace("16", "784")
    assert run(tmp_path, code, "--shape", "1", "28", "28", name="Model") == 0
    out = capsys.readouterr().out
    assert "encode and decode of what Model gives" in out
    assert "the first 4 test images of mnist" in out
    assert "output equal to the bit" in out


def test_what_is_not_a_chain_is_told_what_it_has_not(tmp_path: Path, capsys: Capture) -> None:
    assert run(tmp_path, PAIR.replace("ReLU", "ELU"), *CHUNKS) == 0
    out = capsys.readouterr().out
    assert "certificates  ibp, crown-ibp, crown, alpha-crown\n" in out
    assert "quadratic, bab: Method 'quadratic' needs an exact affine form" in out
    assert "expectation and coverage, as well as given draws" in out
    assert "between two lines: 1 elu" in out


@pytest.mark.parametrize("pixels", [("0", "1"), ("-1", "1")])
def test_a_learned_variance_scores_as_the_module(
    tmp_path: Path, capsys: Capture, pixels: tuple[str, str]
) -> None:
    code = MODULE.replace("nn.Linear(2, 16)", "nn.Linear(2, 32)")
    code = code.replace("return self.back(z)", "return self.back(z).chunk(2, 1)")
    options = ["--likelihood", "gaussian", "--output", "mean_logvar", "--pixels", *pixels]
    assert run(tmp_path, code, *PLAIN, *options, name="Model") == 0
    out = capsys.readouterr().out
    assert "gaussian; the decoder gives mean_logvar" in out
    assert "coverage; Certificates on the expectation have no growth rule for a learned variance" in out
    (ours,) = [line.split()[2] for line in out.splitlines() if line.startswith("clean ELBO")]
    (own,) = [line.split()[2] for line in out.splitlines() if line.startswith("the module")]
    assert ours == own
    assert core.load_model(tmp_path / "out").config.learned_variance


def test_a_gaussian_with_everything_said(tmp_path: Path, capsys: Capture) -> None:
    code = MODULE.replace(
        "return self.mu(h), self.logvar(h)", "return self.mu(h), F.softplus(self.logvar(h))"
    )
    code = code.replace("return self.back(z)", "return torch.tanh(self.back(z))")
    options = ["--likelihood", "gaussian", "--sigma", "0.5", "--pixels", "-1", "1", "--scale", "sigma"]
    assert run(tmp_path, code, *PLAIN, *options, name="Model") == 0
    out = capsys.readouterr().out
    assert "gaussian, sigma 0.5; the decoder gives mean" in out
    assert "black and white are -1 and 1 for the model" in out
    (ours,) = [line.split()[2] for line in out.splitlines() if line.startswith("clean ELBO")]
    (own,) = [line.split()[2] for line in out.splitlines() if line.startswith("the module")]
    assert ours == own


@pytest.mark.slow
@pytest.mark.parametrize(
    "nesting", [(), ("state_dict",), ("model_state_dict",), ("model",), ("model", "state_dict")]
)
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "vae.", "module.vae."])
def test_weights_are_found_under_their_prefix_and_entry(
    nesting: tuple[str, ...], prefix: str, tmp_path: Path, capsys: Capture
) -> None:
    if nesting and prefix not in ("", "module.vae."):
        return
    content: Any = {prefix + key: value for key, value in state(PAIR).items()}
    for key in reversed(nesting):
        content = {"epoch": 3, key: content}
    torch.save(content, tmp_path / "model.pt")
    assert run(tmp_path, PAIR, "--weights", str(tmp_path / "model.pt"), *CHUNKS) == 0
    found = core.load_model(tmp_path / "out").state_dict()
    assert torch.equal(found["encoder.1.weight"], state(PAIR)["encoder.1.weight"])
    assert ("without" in capsys.readouterr().out) == bool(prefix)


@pytest.mark.slow
def test_safetensors_and_code_that_loads_by_itself(tmp_path: Path) -> None:
    safetensors.torch.save_file(state(PAIR), tmp_path / "model.safetensors")
    assert run(tmp_path, PAIR, "--weights", str(tmp_path / "model.safetensors"), *CHUNKS) == 0
    code = PAIR.replace("def build():", "def build():\n    import helper")
    (tmp_path / "helper.py").write_text("here = 1\n")
    assert run(tmp_path, code, *CHUNKS, out="second") == 0


NAN = {key: value.clone().fill_(torch.nan) for key, value in state(PAIR).items()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({key: v for key, v in state(PAIR).items() if "3" not in key}, "lacks 2 of the module's weights"),
        (state(PAIR) | {"other.weight": torch.zeros(1)}, "holds 1 that it has not (other.weight)"),
        (state(PAIR.replace("6", "7").replace("17", "16")), "the module's (6, 16)"),
        (
            {key: v.bfloat16() for key, v in state(PAIR).items()},
            "torch.bfloat16, the module's torch.float32",
        ),
        ({key: v.to(torch.complex64) for key, v in state(PAIR).items()}, "is torch.complex64"),
        (NAN, "has NaN or infinite values"),
        ({"epoch": 3, "optimizer": {}}, "holds the entries epoch, optimizer, and no state_dict"),
        ([torch.zeros(2)], "holds a list, and no state_dict"),
        (torch.zeros(2), "holds a Tensor, and no state_dict"),
        ({}, "and no state_dict"),
    ],
)
def test_weights_that_do_not_fit(content: Any, said: str, tmp_path: Path, capsys: Capture) -> None:
    torch.save(content, tmp_path / "model.pt")
    assert said in sentence(tmp_path, capsys, PAIR, "--weights", str(tmp_path / "model.pt"), *CHUNKS)


def test_pickles_are_never_opened(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "model.pt"
    for write in (
        lambda: path.write_bytes(Bomb(tmp_path).pickled()),
        lambda: torch.save(Bomb(tmp_path), path),
    ):
        write()
        said = sentence(tmp_path, capsys, PAIR, "--weights", str(path), *CHUNKS)
        assert "holds more than tensors" in said
    torch.save(nn.Linear(2, 2), path)
    assert "holds more than tensors" in sentence(tmp_path, capsys, PAIR, "--weights", str(path), *CHUNKS)
    path.write_bytes(b"nothing of the kind")
    assert "model.pt" in sentence(tmp_path, capsys, PAIR, "--weights", str(path), *CHUNKS)
    path.unlink()
    assert "There is no file" in sentence(tmp_path, capsys, PAIR, "--weights", str(path), *CHUNKS)
    assert not exploded(tmp_path)


def changed(old: str, new: str, code: str = MODULE) -> str:
    assert old in code
    return code.replace(old, new)


BAD = {
    "noise": (
        changed("self.mu(h), self", "self.mu(h) + torch.randn(2), self"),
        PLAIN,
        "another result each time",
    ),
    "dropout": (
        changed("self.encoder(x)", "F.dropout(self.encoder(x))"),
        PLAIN,
        "another result each time",
    ),
    "shape": (MODULE, ["--shape", "1", "5", "4"], "The encoder does not take shape (3, 1, 5, 4)"),
    "no shape": (MODULE, [], "--shape CHANNELS HEIGHT WIDTH"),
    "k": (changed("nn.Linear(2, 16)", "nn.Linear(3, 16)"), PLAIN, "The decoder does not take shape (3, 2)"),
    "other sizes": (
        changed("self.logvar(h)", "self.logvar(h)[:, :1]"),
        PLAIN,
        "mu has 2 values and its scale 1",
    ),
    "one head": (changed("self.mu(h), self.logvar(h)", "self.mu(h)"), PLAIN, "heads='two' is for 2"),
    "odd": (
        changed("self.mu(h), self.logvar(h)", "h[:, :5]"),
        [*PLAIN, "--heads", "chunk"],
        "an odd number",
    ),
    "output": (changed("self.back(z)", "self.back(z)[:, :9]"), PLAIN, "one output of (1, 4, 4) is needed"),
    "two images": (changed("return self.back(z)", "return self.back(z), z"), PLAIN, "The decoder gives"),
    "no tensor": (changed("self.mu(h), self.logvar(h)", "{}"), PLAIN, "it has to give tensors"),
    "no rule": (
        changed("self.back(z)", "torch.erfinv(self.back(z).clamp(-0.9, 0.9))"),
        PLAIN,
        "aten.erfinv",
    ),
    "nan": (changed("self.back(z)", "torch.log(-self.back(z) ** 2)"), PLAIN, "The decoder gives NaN"),
    "branch": (
        changed("return self.back(z)", "return self.back(z) if z.sum() > 0 else 2 * self.back(z)"),
        PLAIN,
        "cannot be traced by torch.export",
    ),
    "length": (
        changed("self.back(z)", "self.back(z).reshape(len(z), 16)"),
        PLAIN,
        "(x.shape[0], not len(x))",
    ),
    "complex": (changed("self.back(z)", "torch.fft.fft(self.back(z)).real"), PLAIN, "There is no rule"),
    "integer": (changed("self.back(z)", "self.back(z).long().float()"), PLAIN, "torch.int64"),
    "double": (
        changed("self.back = nn.Linear(2, 16)", "self.back = nn.Linear(2, 16).double()"),
        PLAIN,
        "float64",
    ),
    "half": (
        changed("self.back = nn.Linear(2, 16)", "self.back = nn.Linear(2, 16).bfloat16()"),
        PLAIN,
        "bfloat16",
    ),
    "mixed": (changed("self.back(z)", "self.back(z) - z.mean(0)[:1]"), PLAIN, "images of a batch"),
    "sigma": (MODULE, [*PLAIN, "--likelihood", "gaussian"], "core.sigma_of_loss"),
    "unfit output": (MODULE, [*PLAIN, "--output", "mean"], "output is 'mean'"),
    "pixels": (MODULE, [*PLAIN, "--pixels", "1", "-1"], "white must be"),
    "channels": (MODULE, ["--shape", "2", "4", "4"], "images have 1 or 3 channels"),
}


@pytest.mark.parametrize("case", BAD)
def test_models_that_cannot_be_taken_in(case: str, tmp_path: Path, capsys: Capture) -> None:
    code, options, said = BAD[case]
    assert said in sentence(tmp_path, capsys, code, *options, name="Model")


@pytest.mark.parametrize(
    ("code", "name", "said"),
    [
        ("1 / 0", "build", "vae.py raises ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)", "build", "raises SystemExit"),
        ("def build(:", "build", "raises SyntaxError"),
        ("import nowhere_to_be_found", "build", "raises ModuleNotFoundError"),
        ("x = 1", "build", "has nothing that is called build"),
        ("def build(size): pass", "build", "build() in"),
        ("def build(): return 3", "build", "build gives a int; it has to give (encoder, decoder)"),
        ("build = 3", "build", "build gives a int"),
        (HEADER + "def build(): return nn.Linear(2, 2)", "build", "build gives a Linear"),
    ],
)
def test_code_that_gives_no_vae(code: str, name: str, said: str, tmp_path: Path, capsys: Capture) -> None:
    assert said in sentence(tmp_path, capsys, code, *PLAIN, name=name)


def test_sources_that_are_none(tmp_path: Path, capsys: Capture) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert "either FILE.py:NAME" in refused(["import", *out], capsys)
    assert "names no code" in refused(["import", "vae.py", *out], capsys)
    assert "There is no file nowhere.py" in refused(["import", "nowhere.py:build", *out], capsys)
    path = tmp_path / "vae.txt"
    path.write_text("")
    assert "is no Python file" in refused(["import", f"{path}:build", *out], capsys)


def test_a_function_has_no_names_for_weights(tmp_path: Path, capsys: Capture) -> None:
    code = HEADER + "def build():\n    return (lambda x: x.flatten(1).chunk(2, 1)), lambda z: z\n"
    torch.save(state(PAIR), tmp_path / "model.pt")
    said = sentence(tmp_path, capsys, code, "--weights", str(tmp_path / "model.pt"), *PLAIN)
    assert "functions have none" in said


@pytest.mark.slow
def test_tied_weights_are_taken_in_once_or_twice(tmp_path: Path) -> None:
    """A weight that two layers share comes in a file under both names, or under one."""
    code = changed(
        "self.back = nn.Linear(2, 16)",
        "self.back = nn.Linear(2, 16)\n        self.logvar.weight = self.mu.weight",
    )
    weights = state(code, "Model")
    torch.save(weights, tmp_path / "both.pt")
    torch.save({k: v for k, v in weights.items() if k != "logvar.weight"}, tmp_path / "one.pt")
    for name in ("both", "one"):
        assert (
            run(tmp_path, code, "--weights", str(tmp_path / f"{name}.pt"), *PLAIN, name="Model", out=name)
            == 0
        )
    x = torch.rand(3, 1, 4, 4)
    both, one = (core.load_model(tmp_path / name) for name in ("both", "one"))
    model = model_of(code, "Model").eval()
    model.load_state_dict(weights)
    for mine, other, own in zip(both.encode(x), one.encode(x), model.encode(x), strict=True):
        assert torch.equal(mine, own)
        assert torch.equal(other, own)


def test_of_two_sigmoids_the_outer_one_is_taken_off(tmp_path: Path, capsys: Capture) -> None:
    code = PAIR.replace("nn.Sigmoid())", "nn.Sigmoid(), nn.Sigmoid())")
    assert run(tmp_path, code, *CHUNKS) == 0
    out = capsys.readouterr().out
    assert "1 ReLU, 1 sigmoid" in out
    assert "output equal to the bit" in out


@pytest.mark.slow
def test_a_model_that_is_there_is_replaced_by_force_only(tmp_path: Path, capsys: Capture) -> None:
    assert run(tmp_path, PAIR, *CHUNKS) == 0
    before = (tmp_path / "out" / "weights.safetensors").read_bytes()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    capsys.readouterr()
    argv = ["import", f"{tmp_path}/vae.py:build", *CHUNKS, "--out", str(tmp_path / "out")]
    assert "--force replaces it" in refused(argv, capsys)
    assert (tmp_path / "out" / "weights.safetensors").read_bytes() == before
    assert main([*argv, "--force"]) == 0
    assert (tmp_path / "out" / "weights.safetensors").read_bytes() != before
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_one(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "out").write_text("a file")
    argv = ["import", f"{written(tmp_path, PAIR)}:build", *CHUNKS, "--out", str(tmp_path / "out")]
    assert "cannot be written" in refused(argv, capsys)


def both_at_once(*calls: Callable[[], None]) -> None:
    threads = [threading.Thread(target=call, name=str(number)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.slow
def test_two_saves_into_one_folder_leave_one_whole_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same sizes, so that files of two saves would fit each other."""
    pairs = [model_of(PAIR), model_of(PAIR.replace("ReLU", "Tanh"))]
    vaes = []
    pairs[1][0].requires_grad_(False)[1].weight.mul_(2)
    for encoder, decoder in pairs:
        settings: dict[str, Any] = {"shape": (1, 4, 4), "heads": "chunk", "output": "probabilities"}
        vaes.append(core.wrap(encoder.eval(), decoder.eval(), **settings))
    x = torch.rand(2, 1, 4, 4)
    wanted = [torch.cat(vae.encode(x), 1) for vae in vaes]

    def slowly(path: Path, content: bytes) -> None:
        """Between two files of the first save is time for the whole second one, unless that waits."""
        first = threading.current_thread().name == "0"
        time.sleep(0.0 if first else 0.02)
        write_bytes(path, content)
        time.sleep(0.1 if first else 0.0)

    monkeypatch.setattr("core.vae.checkpoint.write_bytes", slowly)
    for _ in range(3):
        both_at_once(*(lambda vae=vae: core.save_model(vae, tmp_path / "out") for vae in vaes))
        found = torch.cat(core.load_model(tmp_path / "out").encode(x), 1)
        assert sum(torch.equal(found, mine) for mine in wanted) == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "config.json",
        "graph.json",
        "weights.safetensors",
    ]


@pytest.mark.slow
def test_files_of_two_saves_are_no_model(tmp_path: Path) -> None:
    for name, code in (("out", PAIR), ("other", PAIR.replace("ReLU", "Tanh"))):
        (tmp_path / name).mkdir()
        assert run(tmp_path / name, code, *CHUNKS, out="m") == 0
    for name in ("graph.json", "weights.safetensors"):
        before = (tmp_path / "out" / "m" / name).read_bytes()
        (tmp_path / "out" / "m" / name).write_bytes((tmp_path / "other" / "m" / name).read_bytes())
        with pytest.raises(CheckpointError, match="was not saved with the config"):
            core.load_model(tmp_path / "out" / "m")
        (tmp_path / "out" / "m" / name).write_bytes(before)
    core.load_model(tmp_path / "out" / "m")


@pytest.mark.slow
def test_other_commands_take_the_folder(tmp_path: Path, capsys: Capture) -> None:
    code = PAIR.replace("16", "784")
    assert run(tmp_path, code, *CHUNKS[4:], "--shape", "1", "28", "28") == 0
    folder = str(tmp_path / "out")
    capsys.readouterr()
    shown = ["--model", folder, "--index", "0", "--eps", "0.01"]
    assert main(["certify", *shown, "--method", "crown", "--out", str(tmp_path / "c.json")]) == 0
    assert main(["attack", *shown, "--steps", "2"]) == 0
    assert main(["verify", str(tmp_path / "c.json"), "--model", folder]) == 0


class FakeVAE(nn.Module):
    """As pythae's: networks by configuration, which give what they give by name."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        assert config["input_dim"] == [1, 4, 4]
        self.encoder, self.decoder = FakeEncoder(), FakeDecoder()


class FakeEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.log_var = nn.Linear(16, 2), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        flat = x.reshape(-1, 16)
        return {"embedding": self.embedding(flat), "log_covariance": self.log_var(flat)}


class FakeDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 16)

    def forward(self, z: Tensor) -> dict[str, Tensor]:
        return {"reconstruction": self.layer(z).sigmoid().reshape(z.shape[0], 1, 4, 4)}


@pytest.fixture
def pythae(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A package with pythae's names, and a folder as it saves one; gives the folder's configuration."""
    models = ModuleType("pythae.models")
    names = {"VAE": FakeVAE, "BetaVAE": FakeVAE, "VAEConfig": dict, "BetaVAEConfig": dict}
    models.__dict__.update(names)
    monkeypatch.setitem(sys.modules, "pythae", ModuleType("pythae"))
    monkeypatch.setitem(sys.modules, "pythae.models", models)
    config = {"name": "VAEConfig", "input_dim": [1, 4, 4], "latent_dim": 2, "reconstruction_loss": "mse"}
    (tmp_path / "model_config.json").write_text(json.dumps(config))
    torch.save({"model_state_dict": FakeVAE(config).state_dict()}, tmp_path / "model.pt")
    return config


def pythaes(tmp_path: Path) -> list[str]:
    return ["import", "--pythae", str(tmp_path), "--out", str(tmp_path / "out"), "--force"]


@pytest.mark.slow
def test_a_folder_of_pythaes(pythae: dict[str, Any], tmp_path: Path, capsys: Capture) -> None:
    assert main(pythaes(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "half the squared error + 1 KL, the loss of a Gaussian of sigma 1" in out
    assert "gaussian, sigma 1; the decoder gives mean" in out
    changes = {"name": "BetaVAEConfig", "beta": 2.0, "reconstruction_loss": "bce"}
    (tmp_path / "model_config.json").write_text(json.dumps(pythae | changes))
    assert main(pythaes(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "binary cross entropy + 2 KL; the ELBO here has the KL once" in out
    assert "bernoulli; the decoder gives probabilities" in out
    assert core.load_model(tmp_path / "out").config.latent == 2


def test_a_pickled_network_of_pythaes_is_never_opened(
    pythae: dict[str, Any], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "encoder.pkl").write_bytes(Bomb(tmp_path).pickled())
    assert "import vae.py:build --weights model.pt" in refused(pythaes(tmp_path), capsys)
    assert not exploded(tmp_path)
    (tmp_path / "encoder.pkl").unlink()
    (tmp_path / "model_config.json").write_text(json.dumps(pythae | {"uses_default_decoder": False}))
    assert "networks of one's own (not saved)" in refused(pythaes(tmp_path), capsys)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "has no model_config.json"),
        ("{", "cannot be read as JSON"),
        ("[]", "is no configuration"),
        ('{"name": "VQVAEConfig"}', "is a VQVAEConfig; those of pythae's models"),
        ('{"name": "VAEConfig"}', "pythae's VAE raises KeyError"),
    ],
)
@pytest.mark.usefixtures("pythae")
def test_folders_that_are_not_pythaes(
    content: str | None, said: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "model_config.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert said in refused(pythaes(tmp_path), capsys)


@pytest.mark.usefixtures("pythae")
def test_pythae_is_asked_for_where_it_is_not_there(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pythae", None)
    monkeypatch.delitem(sys.modules, "pythae.models")
    assert "needs the package pythae" in refused(pythaes(tmp_path), capsys)
    assert "leave --weights out" in refused([*pythaes(tmp_path), "--weights", "model.pt"], capsys)
