"""A graph.json that somebody edited: refused by name, without code and without memory on its word."""

from __future__ import annotations

import copy
import hashlib
import json
import resource
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import core
from core.errors import CheckpointError
from core.network import files
from core.network.operations import OPERATIONS

SHAPE = (1, 4, 4)
Entries = list[Any]


class Encoder(nn.Module):
    """Convolution, batch norm, a branch, pooling, slices: entries of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.prelu, self.out = nn.PReLU(), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.conv(x))
        h = nn.functional.avg_pool2d(h + nn.functional.elu(h, 0.5), 2)
        return self.out(self.prelu(h).flatten(1))


@pytest.fixture(scope="module")
def vae() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder, decoder = Encoder().eval(), nn.Linear(2, 16).eval()
    return core.wrap(encoder, decoder, shape=SHAPE, heads="chunk")


@pytest.fixture
def entries(vae: Any) -> Entries:
    return json.loads(json.dumps(files.describe(vae.encoder)))


def number_of(entries: Entries, op: str) -> int:
    return next(index for index, entry in enumerate(entries) if entry["op"] == op)


def refused(entries: Any, row: tuple[int, ...] = SHAPE) -> str:
    with pytest.raises(CheckpointError) as caught:
        files.build(entries, row, "graph.json: encoder")
    assert len(str(caught.value)) < 600
    return str(caught.value)


def test_a_description_is_built_again(vae: Any, entries: Entries) -> None:
    found = files.build(entries, SHAPE, "it")
    assert files.describe(found) == files.describe(vae.encoder)
    assert all(value.is_meta for value in found.parameters())


def change(op: str, key: str, value: Any) -> Callable[[Entries], None]:
    def edit(entries: Entries) -> None:
        entry = entries[number_of(entries, op)]
        entry["options"][key] = value

    return edit


def entry(at: str, **changed: Any) -> Callable[[Entries], None]:
    def edit(entries: Entries) -> None:
        entries[number_of(entries, at)].update(changed)

    return edit


def shape(op: str, key: str, value: Any) -> Callable[[Entries], None]:
    def edit(entries: Entries) -> None:
        entries[number_of(entries, op)]["tensors"][key] = value

    return edit


CODE = "__import__('os').system('true')"
EDITS: dict[str, tuple[Callable[[Entries], None], str]] = {
    "unknown operation": (entry("Add", op="Dropout"), "'Dropout', an operation that is not known"),
    "operation that is code": (entry("Add", op=CODE[:20]), "an operation that is not known"),
    "operation of nn": (entry("Add", op="Module"), "an operation that is not known"),
    "operation that is a list": (entry("Add", op=["Add"]), "an operation that is not known"),
    "itself": (lambda e: e[2].update(sources=[3, 2]), "takes [3, 2]; it may take values before it"),
    "forward": (lambda e: e[0].update(sources=[4]), "takes [4]"),
    "negative": (lambda e: e[1].update(sources=[-1]), "takes [-1]"),
    "no source": (lambda e: e[1].update(sources=[]), "takes []"),
    "true as source": (lambda e: e[1].update(sources=[True]), "takes [True]"),
    "float as source": (lambda e: e[1].update(sources=[1.0]), "takes [1.0]"),
    "text as source": (lambda e: e[1].update(sources="0"), "takes 0"),
    "two of one": (entry("BatchNorm", sources=[0, 1]), "does not take what it gets"),
    "one of two": (entry("Add", sources=[0]), "does not take what it gets"),
    "extra key": (entry("Add", code=CODE), "has not the keys op, sources and options"),
    "missing key": (lambda e: e[0].pop("sources"), "has not the keys"),
    "an entry that is text": (lambda e: e.insert(0, "Add"), "has not the keys"),
    "extra option": (change("Add", "dim", 1), "which it cannot have"),
    "extra option of a layer": (change("Conv2d", "padding_mode", "circular"), "which it cannot have"),
    "missing option": (lambda e: e[0]["options"].pop("stride"), "its options must be"),
    "option that is code": (change("Conv2d", "stride", CODE), "encoder, operation 0"),
    "option that is a mapping": (change("Conv2d", "stride", {"a": 1}), "no numbers, words or lists"),
    "list in a list": (change("Conv2d", "stride", [[1]]), "no numbers, words or lists"),
    "long text": (change("Elementwise", "name", "x" * 4000), "no numbers, words or lists"),
    "no function": (change("Elementwise", "name", "system"), "there is no function 'system'"),
    "a function's dunder": (change("Elementwise", "name", "__class__"), "there is no function"),
    "text for alpha": (change("Elementwise", "alpha", "0.5"), "encoder, operation"),
    "no alpha": (change("Elementwise", "alpha", None), "encoder, operation"),
    "NaN for alpha": (change("Elementwise", "alpha", float("nan")), "encoder, operation"),
    "infinite alpha": (change("Elementwise", "alpha", float("inf")), "encoder, operation"),
    "a list for alpha": (change("Elementwise", "alpha", [0.5]), "encoder, operation"),
    "other option": (change("Elementwise", "beta", 0.5), "which it cannot have"),
    "NaN for eps": (change("BatchNorm", "eps", float("nan")), "encoder, operation"),
    "text for eps": (change("BatchNorm", "eps", "1e-5"), "encoder, operation"),
    "negative eps": (change("BatchNorm", "eps", -1e9), "encoder, operation"),
    "stride 0": (change("Conv2d", "stride", 0), "encoder, operation 0"),
    "stride of a million": (change("Conv2d", "stride", [1, 2, 3]), "encoder, operation 0"),
    "negative padding": (change("Conv2d", "padding", -1), "encoder, operation 0"),
    "float channels": (change("Conv2d", "in_channels", 1.0), "encoder, operation 0"),
    "no channels": (change("Conv2d", "out_channels", 0), "encoder, operation 0"),
    "many channels": (change("Conv2d", "out_channels", 10**12), "encoder, operation 0"),
    "huge padding": (change("Conv2d", "padding", 10**6), "gives shape"),
    "huge number": (change("Conv2d", "padding", 10**30), "encoder, operation 0"),
    "kernel of the pool": (change("AveragePool", "kernel", [10**9, 10**9]), "encoder, operation"),
    "kernel 0": (change("AveragePool", "kernel", [0, 2]), "encoder, operation"),
    "pool with text": (change("AveragePool", "ceil", "no"), "encoder, operation"),
    "groups": (change("Conv2d", "groups", 3), "encoder, operation 0"),
    "tensors that lie": (shape("Conv2d", "weight", [2, 1, 3, 4]), "has other tensors than it says"),
    "a tensor of nothing": (shape("Conv2d", "weight", [2, 0, 3, 3]), "has a tensor of shape"),
    "a tensor of everything": (shape("Conv2d", "bias", [10**9]), "has a tensor of shape"),
    "sizes that multiply": (shape("BatchNorm", "mean", [1 << 20, 1 << 20]), "encoder, operation 1"),
    "tensor of floats": (shape("Conv2d", "bias", [2.0]), "has a tensor of shape"),
    "no list of sizes": (shape("Conv2d", "bias", 2), "has a tensor of shape"),
    "mean of other size": (shape("BatchNorm", "mean", [3]), "does not take what it gets"),
    "tensors that are a list": (entry("Conv2d", tensors=[1]), "lists no tensors"),
    "tensors elsewhere": (entry("Add", tensors={"weight": [2]}), "cannot be made"),
    "tensor with a strange name": (entry("Add", tensors={"self": [2]}), "cannot be made"),
    "features": (change("Linear", "out_features", 5), "has other tensors than it says"),
}


@pytest.mark.parametrize("case", EDITS)
def test_an_edited_entry_is_refused(case: str, entries: Entries) -> None:
    edit, said = EDITS[case]
    edit(entries)
    assert said in refused(entries)


@pytest.mark.parametrize("content", [None, 3, "x", {}, [], [[]], [None], {"op": "Add"}])
def test_what_is_no_list_of_operations(content: Any) -> None:
    assert "graph.json: encoder" in refused(content)


def single(op: str, **options: Any) -> Entries:
    return [{"op": op, "sources": [0], "options": options}]


@pytest.mark.parametrize(
    "content",
    [
        single("Reshape", shape=[-1]),
        single("Reshape", shape=[0]),
        single("Reshape", shape=[17]),
        single("Reshape", shape=[16.0]),
        single("Reshape", shape=16),
        single("Reshape", shape=[1] * 12 + [16]),
        single("Expand", shape=[1 << 30, 4, 4]),
        single("Expand", shape=[-1, -1, -1]),
        single("Permute", order=[1, 2]),
        single("Permute", order=[1, 1, 2]),
        single("Permute", order=[0, 1, 2]),
        single("Permute", order=[3, 2, -1]),
        single("Slice", dim=0, start=0, stop=1),
        single("Slice", dim=1, start=0, stop=1, step=0),
        single("Slice", dim=2, start=0, stop=4, step=-1),
        single("Slice", dim=2, start=3, stop=3),
        single("Slice", dim=2, start="0", stop=3),
        single("Slice", dim=10**9, start=0, stop=3),
        single("Slice", dim=2, start=0, stop=3, step=True),
        single("Gather", dim=0, places=[0]),
        single("Gather", dim=1, places=[5]),
        single("Gather", dim=1, places=[-1]),
        single("Gather", dim=1, places=[]),
        single("Gather", dim=1, places=[0.5]),
        single("Gather", dim=1, places=["a"]),
        single("Pad", amounts=[10**8] * 4),
        single("Pad", amounts=[-3, -3]),
        single("Pad", amounts=[1, 1], mode="code"),
        single("Pad", amounts=[1] * 8, mode="constant"),
        single("Pad", amounts=[1, 1], value=float("nan")),
        single("Pad", amounts=[1, 1], value="0"),
        single("Concatenate", dim=0),
        single("Concatenate", dim=[1]),
        single("Sum", dims=[0], keepdim=False, mean=False, terms=2),
        single("Sum", dims=[1], keepdim=False, mean=False, terms=0),
        single("Sum", dims=[1, 2], keepdim=False, mean=False, terms=1),
        single("Sum", dims=[1], keepdim="no", mean=False, terms=1),
        single("Sum", dims=[2], keepdim=False, mean=False, terms="many"),
        single("Sum", dims=[], keepdim=False, mean=False, terms=1),
        single("Center", dims=[1, 2], terms=-1),
        single("Center", dims=[2], terms=1),
        single("AdaptiveAveragePool", size=[10**9, 10**9], terms=1),
        single("AdaptiveAveragePool", size=[0, 1], terms=1),
        single("AdaptiveAveragePool", size=[2, 2], terms=1),
        single("Upsample", size=[10**9, 10**9], mode="nearest"),
        single("Upsample", size=[8, 8], mode="cubic"),
        single("Upsample", size=[8, 8], mode="nearest", scales=[1e9, 1e9]),
        single("Upsample", size=[8, 8], mode="nearest", scales=[float("nan"), 2.0]),
        single("PixelShuffle", factor=0),
        single("PixelShuffle", factor=10**9),
        single("PixelUnshuffle", factor=3),
        single("Scale"),
        single("Divide"),
        single("BatchNorm", eps=1e-5),
        single("Elementwise", name="prelu"),
        single("Elementwise", name="sigmoid", weight=1.0),
        single("Elementwise", name="clamp", low="a"),
        single("Elementwise", name="gelu", approximate="code"),
        single("Elementwise", name="softplus", beta=0.0, threshold=20.0),
        single("Elementwise", name="softplus", beta=-1.0, threshold=20.0),
        single("Elementwise", name="celu", alpha=0.0),
        single("Elementwise", name="celu", alpha=-1.0),
        single("Elementwise", name="clamp", low=2.0, high=1.0),
        single("Unflatten", unflattened_size=[-1]),
        single("Flatten", start_dim=0),
        single("ReLU", inplace=True),
        single("Linear", in_features=4, out_features=10**9),
        single("Multiply"),
    ],
    ids=lambda content: json.dumps(content[0]["op"]) + json.dumps(content[0]["options"])[:60],
)
def test_an_operation_with_options_that_lie(content: Entries) -> None:
    assert "graph.json: encoder, operation 0" in refused(content)


def test_more_nodes_than_any_network_has() -> None:
    assert "no list of 1 to 5,000 operations" in refused(single("ReLU") * 5001)


def test_nodes_that_double_a_value_end_where_it_is_too_large() -> None:
    entries = [{"op": "Concatenate", "sources": [i, i], "options": {"dim": 1}} for i in range(100)]
    assert "gives shape" in refused(entries)


def test_images_of_a_batch_may_not_mix() -> None:
    entries = [
        {"op": "Flatten", "sources": [0], "options": {}},
        {
            "op": "Linear",
            "sources": [1],
            "options": {"in_features": 16, "out_features": 4},
            "tensors": {"weight": [4, 16], "bias": [4]},
        },
    ]
    assert isinstance(files.build(entries, SHAPE, "it"), nn.Sequential)
    for dim in (0, -2):
        assert "along dimension" in refused(
            [*entries, {"op": "Concatenate", "sources": [2, 2], "options": {"dim": dim}}]
        )


def test_refusing_takes_no_memory(entries: Entries) -> None:
    """Neither of Python nor of torch: claims of a million million numbers are read in a few megabytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    for edit, _ in EDITS.values():
        edited = copy.deepcopy(entries)
        edit(edited)
        refused(edited)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def saved(vae: Any, folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """A folder whose graph was edited by somebody who also wrote its digest anew."""
    core.save_model(vae, folder)
    graph = json.loads((folder / "graph.json").read_text())
    edit(graph)
    (folder / "graph.json").write_text(json.dumps(graph))
    config = json.loads((folder / "config.json").read_text())
    config["digests"]["graph.json"] = hashlib.sha256((folder / "graph.json").read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


WHOLE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no decoder": (lambda g: g.pop("decoder"), "has not the entries encoder and decoder"),
    "more": (lambda g: g.update(code=CODE), "has not the entries encoder and decoder"),
    "other k": (lambda g: g["encoder"].pop(), "its configuration says"),
    "a layer of other size": (
        lambda g: g["decoder"][0].update(
            options={"in_features": 2, "out_features": 17}, tensors={"weight": [17, 2], "bias": [17]}
        ),
        "does not take what it gets",
    ),
    "no bias": (
        lambda g: g["decoder"][0]["tensors"].pop("bias"),
        r"decoder.0.bias \(16,\), which the model",
    ),
    "another weight": (
        lambda g: g["encoder"].append(
            {"op": "Scale", "sources": [len(g["encoder"])], "options": {}, "tensors": {"shift": [4]}}
        ),
        "lacks encoder.",
    ),
    "too many weights": (
        lambda g: g["encoder"].insert(
            0,
            {
                "op": "Linear",
                "sources": [0],
                "options": {"in_features": 4, "out_features": 1 << 24},
                "tensors": {"weight": [1 << 24, 4], "bias": [1 << 24]},
            },
        ),
        "encoder, operation",
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_folder_with_an_edited_graph_is_refused(case: str, vae: Any, tmp_path: Path) -> None:
    edit, said = WHOLE[case]
    with pytest.raises(CheckpointError, match=said):
        core.load_model(saved(vae, tmp_path / "m", edit))


def test_an_edited_graph_does_not_fit_its_digest(vae: Any, tmp_path: Path) -> None:
    core.save_model(vae, tmp_path)
    path = tmp_path / "graph.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(CheckpointError, match="was not saved with the config"):
        core.load_model(tmp_path)
    path.write_text('{"encoder": ' + "[" * 100_000)
    with pytest.raises(CheckpointError):
        core.load_model(tmp_path)


def test_a_folder_without_digests_is_refused(vae: Any, tmp_path: Path) -> None:
    core.save_model(vae, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for digests in (None, [], {"graph.json": "x"}):
        (tmp_path / "config.json").write_text(json.dumps(config | {"digests": digests}))
        with pytest.raises(CheckpointError, match="was not saved with the config"):
            core.load_model(tmp_path)


def test_every_operation_is_named_as_its_class() -> None:
    assert len({kind.__name__ for kind in OPERATIONS}) == len(OPERATIONS)


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.out = nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(x.flatten(1)))


@pytest.fixture(scope="module")
def normalised() -> Any:
    return core.wrap(Normalised().eval(), nn.Linear(2, 16).eval(), shape=SHAPE, heads="chunk")


def step(graph: dict[str, Any], op: str, name: str | None = None) -> dict[str, Any]:
    return next(e for e in graph["encoder"] if e["op"] == op and e["options"].get("name") == name)


CLAIMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "fewer terms": lambda g: step(g, "Center")["options"].update(terms=4),
    "fewer added": lambda g: step(g, "Sum")["options"].update(terms=4),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_what_bounds_rely_on_is_looked_at(case: str, normalised: Any, tmp_path: Path) -> None:
    core.save_model(normalised, tmp_path / "good")
    core.load_model(tmp_path / "good")
    with pytest.raises(CheckpointError, match="says that it adds 4 numbers"):
        core.load_model(saved(normalised, tmp_path / "m", CLAIMS[case]))
