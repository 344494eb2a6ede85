"""Graphs give what the modules give that they are traced from; what has no rule is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import core
from core.errors import CoreError, InputError, UnsupportedLayerError, UnsupportedModelError
from core.network.builder import Builder
from core.network.graph import Graph
from core.network.operations import Elementwise, Multiply
from core.network.trace import trace
from core.network.translations import TRANSLATIONS
from core.vae.model import VAE

ROW = (4, 4, 6)
W = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)) / 3


class Called(nn.Module):
    """A function of a batch of images, with a module that it may use."""

    def __init__(self, function: Callable[..., Any], part: nn.Module | None = None) -> None:
        super().__init__()
        self.function, self.part = function, part

    def forward(self, v: Tensor) -> Any:
        return self.function(v) if self.part is None else self.function(v, self.part)


def normed(layer: nn.Module) -> nn.Module:
    """A normalisation with statistics and weights of its own."""
    generator = torch.Generator().manual_seed(1)
    for name, value in [*layer.named_parameters(), *layer.named_buffers()]:
        if value.dtype.is_floating_point:
            value.data = torch.rand(value.shape, generator=generator) + (0.5 if "var" in name else 0)
    return layer


FUNCTIONS: dict[str, Callable[[Tensor], Any]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": lambda v: F.softplus(v, 2.0, 1.0),
    "leaky_relu": lambda v: F.leaky_relu(v, 0.2),
    "silu": F.silu,
    "swish": lambda v: (
        v * torch.sigmoid(v) + (lambda u: torch.sigmoid(u) * u)(v - 1) + v * (2 * v).sigmoid()
    ),
    "gelu": F.gelu,
    "gelu by tanh": lambda v: F.gelu(v, approximate="tanh"),
    "mish": F.mish,
    "elu": lambda v: F.elu(v, 0.7),
    "selu": F.selu,
    "celu": lambda v: F.celu(v, 0.7),
    "relu6": lambda v: F.relu6(3 * v),
    "hardsigmoid": lambda v: F.hardsigmoid(3 * v),
    "hardswish": lambda v: F.hardswish(3 * v),
    "hardtanh": F.hardtanh,
    "softsign": F.softsign,
    "log_sigmoid": F.logsigmoid,
    "exp": torch.exp,
    "log": lambda v: torch.log(v.abs() + 1),
    "sqrt": lambda v: torch.sqrt(v.square() + 1),
    "rsqrt": lambda v: torch.rsqrt(v * v + 1),
    "reciprocal": lambda v: 1 / (v**2 + 1),
    "powers": lambda v: (v.abs() + 1) ** 0.5 + (v.abs() + 1) ** -0.5 + (v.abs() + 1) ** -1,
    "logit": lambda v: torch.logit(torch.sigmoid(v)),
    "neg": lambda v: -v,
    "clamp": lambda v: v.clamp(-0.5, 0.3) + v.clamp(min=0) + v.clamp(max=0.1),
    "prelu": lambda v: F.prelu(v, torch.tensor([0.1, -0.2, 0.3, 2.0])),
    "prelu of one": lambda v: F.prelu(v, torch.tensor([0.1])),
    "matrices": lambda v: v @ W + torch.matmul(v, W),
    "addmm": lambda v: torch.addmm(torch.ones(6), v.flatten(1)[:, :6], W),
    "product of values": lambda v: v @ v.transpose(2, 3),
    "bmm": lambda v: torch.bmm(v.flatten(1, 2), v.flatten(1, 2).transpose(1, 2)),
    "attention": lambda v: F.scaled_dot_product_attention(v, 2 * v, v + 1),
    "softmax": lambda v: v.softmax(1) + F.softmax(3 * v, -1),
    "view": lambda v: v.view(-1, 8, 12).reshape(v.shape[0], 4, 24).flatten(1).unflatten(1, (2, 48)),
    "squeeze": lambda v: v[:, :1].squeeze(1).unsqueeze(2),
    "permute": lambda v: v.permute(0, 3, 1, 2).contiguous().view(v.shape[0], -1),
    "transpose": lambda v: v.transpose(1, 3).clone(),
    "batch elsewhere": lambda v: torch.relu(v.permute(1, 0, 3, 2)).permute(1, 0, 2, 3),
    "t": lambda v: (v.flatten(1).t() * 2).t(),
    "expand": lambda v: v[:, :, :1].expand(-1, -1, 5, -1),
    "slice": lambda v: v[:, 1:3, ::2, -2:],
    "select": lambda v: v[:, 1] + v[:, -1] + v.select(1, 2),
    "split": lambda v: [*v.chunk(2, 1), *v.split([1, 3], 1), *v.unbind(2), *v.tensor_split(2, 3)],
    "index_select": lambda v: v.index_select(1, torch.tensor([2, 0, 0])) + v[:, [1, 1, 3]],
    "flip": lambda v: v.flip(1, 3),
    "cat": lambda v: torch.cat([v, 2 * v, v[:, :1]], 1),
    "stack": lambda v: torch.stack([v, v + 1], 2),
    "repeat": lambda v: v.repeat(1, 2, 1, 3),
    "pad": lambda v: F.pad(v, (1, 2, 0, 1), value=0.1),
    "pad, reflected": lambda v: F.pad(v, (1, 1, 1, 1), mode="reflect"),
    "pad, replicated": lambda v: F.pad(v, (1, 1, 1, 1), mode="replicate"),
    "pixel_shuffle": lambda v: F.pixel_unshuffle(F.pixel_shuffle(v, 2), 2),
    "avg_pool2d": lambda v: F.avg_pool2d(v, 3, 2, 1, True, False),
    "adaptive_avg_pool2d": lambda v: F.adaptive_avg_pool2d(v, (3, 2)),
    "max_pool2d": lambda v: F.max_pool2d(v, (2, 3), 1),
    "nearest": lambda v: F.interpolate(v, scale_factor=2) + F.interpolate(v, (8, 12)),
    "bilinear": lambda v: F.interpolate(v, (7, 9), mode="bilinear"),
    "bilinear, aligned": lambda v: F.interpolate(v, scale_factor=1.7, mode="bilinear", align_corners=True),
    "mean": lambda v: v.mean((2, 3)) + v.sum(3).mean(2, keepdim=True).squeeze(2),
    "add": lambda v: v + 2 * v + 1 + torch.ones(6) + torch.add(v, v, alpha=3),
    "sub": lambda v: (
        (v - 0.5 * v - 1) + (1 - v) + torch.sub(v, torch.ones(4, 6), alpha=2) + torch.rsub(v, 3)
    ),
    "mul": lambda v: v * (v + 1) * 3 * torch.arange(6.0),
    "mul that broadcasts": lambda v: v * v.mean((2, 3), keepdim=True),
    "div": lambda v: v / 3 / (torch.arange(6.0) + 1) + 1 / (v.abs() + 1) + v / (v.abs() + 1),
    "maximum": lambda v: torch.maximum(v, -v) + torch.minimum(v, v * 2),
    "amax": lambda v: v.amax(1) + v.max(1).values + v.amin(1, keepdim=True)[:, 0] + v.min(1)[0],
    "sort": lambda v: v.view(-1, 2, 48).sort(1).values + v.view(-1, 2, 48).sort(1, descending=True)[0],
    "dropout": lambda v: F.dropout(v, training=False).to(torch.float32).detach(),
}
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3, bias=False)),
    "conv2d": lambda: nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1, groups=2), nn.Conv2d(6, 2, 3, padding="same")),
    "conv_transpose2d": lambda: nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1, groups=2),
    "batch_norm": lambda: normed(nn.BatchNorm2d(4)),
    "batch_norm of rows": lambda: nn.Sequential(nn.Flatten(), normed(nn.BatchNorm1d(96))),
    "layer_norm": lambda: normed(nn.LayerNorm([4, 6])),
    "group_norm": lambda: normed(nn.GroupNorm(2, 4)),
    "instance_norm": lambda: normed(nn.InstanceNorm2d(4, affine=True)),
    "instance_norm, tracked": lambda: normed(nn.InstanceNorm2d(4, track_running_stats=True)),
    "spectral_norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3)),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.5)),
    "softplus": lambda: nn.Softplus(),
    "attention": lambda: Called(lambda v, part: part(v, v, v, need_weights=False)[0].unsqueeze(1)),
}
ABSENT: set[str] = set()
"""What this torch never names."""


def modules() -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {name: Called(function) for name, function in FUNCTIONS.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, make in LAYERS.items():
            if name == "attention":
                part = nn.MultiheadAttention(6, 2, batch_first=True)
                made: nn.Module = Called(lambda v, part: part(v[:, 0], v[:, 1], v[:, 1])[0], part)
            else:
                made = make()
            found[f"layer: {name}"] = made
    return {name: module.eval().requires_grad_(False) for name, module in found.items()}


MODULES = modules()


USED = set[Any]()
"""Translations, which may have several names, that the modules needed."""
BY_NAME = dict(TRANSLATIONS)


@pytest.fixture(autouse=True)
def noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def note(translation: Any) -> Any:
        return lambda build, asked: (USED.add(translation), translation(build, asked))[1]

    for name, translation in BY_NAME.items():
        monkeypatch.setitem(TRANSLATIONS, name, note(translation))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_a_graph_gives_what_the_module_gives(name: str) -> None:
    gives_the_same(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODULES)[::6])
def test_so_does_one_of_operations_that_torch_took_apart(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.network.trace._can_stay", lambda node: False)
    gives_the_same(name)


def test_writes_whose_results_nobody_takes_are_seen() -> None:
    def written(v: Tensor) -> Tensor:
        h = v.clone()
        h.relu_()
        h.view(-1, 2).mul_(2.0)
        return h

    x, build = torch.randn(3, *ROW, generator=torch.Generator().manual_seed(5)), Builder(ROW)
    (found,) = trace(Called(written).eval(), x, "part", build, build.start)
    assert torch.equal(build.network(found)(x), written(x))


def gives_the_same(name: str) -> None:
    module, build = MODULES[name], Builder(ROW)
    x = torch.randn(3, *ROW, generator=torch.Generator().manual_seed(5))
    wanted = module(x)
    wanted = [wanted] if isinstance(wanted, Tensor) else [*wanted]
    found = trace(module, x, "part", build, build.start)
    assert len(found) == len(wanted)
    for value, other in zip(found, wanted, strict=True):
        given = build.network(value)(x) if value.number else x
        torch.testing.assert_close(given.flatten(1), other.flatten(1), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_every_translation_is_used(request: pytest.FixtureRequest) -> None:
    if any(f"[{name}]" not in str(request.session.items) for name in MODULES):
        pytest.skip("not all modules were traced")
    assert {name for name, translation in BY_NAME.items() if translation not in USED} == ABSENT


REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "an unknown operation": (torch.sin, r"no rule for the operation aten\.sin in the part"),
    "a branch on values": (lambda v: v if v.sum() > 0 else -v, "cannot be traced"),
    "the mean of a batch": (lambda v: v - v.mean(0, keepdim=True), "batch"),
    "a softmax over the batch": (lambda v: v.softmax(0), "batch"),
    "a batch made one row": (lambda v: v.reshape(1, -1).softmax(1), "batch"),
    "images in another order": (lambda v: v.flip(0), "batch"),
    "half precision": (lambda v: v.half().float(), "precision"),
    "half precision on the way": (lambda v: v.softmax(1, dtype=torch.float16).float(), "precision"),
    "precision of another": (lambda v: v.to(torch.ones(1).half()).float(), "precision"),
    "complex numbers": (lambda v: torch.fft.fft2(v).abs(), "no rule for the operation"),
    "a power": (lambda v: v.abs() ** 3, "Powers with a rule"),
    "a softplus downwards": (lambda v: F.softplus(v, -1.0), "softplus has a rule for beta > 0"),
    "a celu downwards": (lambda v: F.celu(v, -1.0), "celu has a rule for alpha > 0"),
    "a constant": (lambda v: torch.ones(3), "does not depend on its input|gives"),
    "a product along the batch": (lambda v: v.flatten(1).t() @ v.flatten(1), "batch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused(name: str) -> None:
    function, reason = REFUSED[name]
    build = Builder(ROW)
    x = torch.randn(3, *ROW, generator=torch.Generator().manual_seed(5))
    with pytest.raises(CoreError, match=reason) as caught:
        trace(Called(function).eval(), x, "part", build, build.start)
    assert isinstance(caught.value, UnsupportedLayerError | UnsupportedModelError)


def test_an_error_names_the_place() -> None:
    part = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(96, 4), Called(torch.sin))).eval()
    build = Builder(ROW)
    with pytest.raises(UnsupportedLayerError, match=r"aten\.sin in the part at 1\.1"):
        trace(part, torch.randn(3, *ROW), "part", build, build.start)


class Residual(nn.Module):
    """A bit of everything that a convolutional VAE has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3, padding=1), nn.GroupNorm(1, 2)
        self.second, self.out = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(32, 4)

    def forward(self, v: Tensor) -> Tensor:
        v = F.silu(self.norm(self.conv(v)))
        return self.out((v + F.elu(self.second(v))).flatten(1))


def wrapped(encoder: nn.Module, **asked: Any) -> VAE:
    decoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 16), nn.Unflatten(1, (1, 4, 4)))
    return core.wrap(encoder, decoder.eval(), shape=(1, 4, 4), heads="chunk", **asked)


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
def test_a_wrapped_module_is_certified(side: str, arithmetic: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = wrapped(Residual().eval())
    assert isinstance(vae.encoder, Graph)
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    noise = core.sample_noise(vae, 2)
    sign = 1 if side == "lower" else -1
    found = core.attack(vae, x, noise, eps=0.01, side=side, steps=8).elbo
    last = torch.full((2,), -torch.inf).double()
    for method in ("ibp", "crown-ibp", "crown", "alpha-crown"):
        bound = core.certify(
            vae, x, noise, eps=0.01, method=method, side=side, arithmetic=arithmetic, iterations=3
        ).bound
        assert bool((sign * bound <= sign * found).all())
        assert bool((sign * bound >= last).all())
        last = sign * bound
    assert bool((sign * found - last < 0.5).all())


def test_modules_in_training_are_refused() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Dropout(0.5)).eval()
    encoder[2].train()
    with pytest.raises(InputError, match=r"training mode \(at 2\)"):
        wrapped(encoder)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float64, torch.float16])
def test_weights_of_other_kinds_are_refused(dtype: torch.dtype) -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 4)).eval()
    encoder[1].register_buffer("extra", torch.zeros(2, dtype=dtype))
    with pytest.raises(InputError, match="give float32"):
        wrapped(encoder)


class FlattensTwice(nn.Module):
    """An encoder each of whose heads flattens for itself, as pythae's convolutional ones do."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.mu, self.logvar = nn.Conv2d(1, 2, 4, 4), nn.Linear(8, 2), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(self.body(x))
        return self.mu(h.reshape(x.shape[0], -1)), self.logvar(h.reshape(x.shape[0], -1))


def test_the_same_reshape_twice_is_one() -> None:
    """The heads then take one value, and are one layer: the encoder is a chain."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder, decoder, x = FlattensTwice().eval(), nn.Linear(2, 64).eval(), torch.rand(3, 1, 8, 8)
    # Each output is one product, so that one layer and two give the same bits on any processor.
    for head, rows in ((encoder.mu, torch.eye(8)[:2]), (encoder.logvar, -torch.eye(8)[2:4])):
        head.load_state_dict({"weight": rows, "bias": torch.zeros(2)})
    vae = core.wrap(encoder, decoder, shape=(1, 8, 8))
    assert isinstance(vae.encoder, nn.Sequential)
    assert [type(layer) for layer in vae.encoder] == [nn.Conv2d, nn.ReLU, nn.Flatten, nn.Linear]
    assert all(torch.equal(a, b) for a, b in zip(vae.encode(x), encoder(x), strict=True))


def test_what_is_gated_by_its_own_sigmoid_is_one_function() -> None:
    function, build = FUNCTIONS["swish"], Builder(ROW)
    x = 9 * torch.randn(3, *ROW, generator=torch.Generator().manual_seed(5))
    (found,) = trace(Called(function).eval(), x, "part", build, build.start)
    network = build.network(found)
    assert torch.equal(network(x), function(x))
    names = [layer.name for layer in network if isinstance(layer, Elementwise)]
    assert names.count("swish") == 2
    assert sum(isinstance(layer, Multiply) for layer in network) == 1
