"""The network that is certified is the network that is scored: what would tell them apart is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import core
from core.attacks import ATTACKS
from core.certificates.methods import METHODS
from core.errors import InputError, UnsupportedLayerError, UnsupportedModelError
from core.vae.likelihood import Bernoulli
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")


class Clamped(VAE):
    """What a researcher does against exploding variances."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = super().encode(x)
        return mu, logvar.clamp(-1, 1)


class Bright(VAE):
    def decode(self, z: Tensor) -> Tensor:
        return 2 * super().decode(z)


class Sharp(nn.ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return 3 * torch.relu(input)


class Halved(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) / 2


class Residual(nn.Sequential):
    def forward(self, input: Any) -> Any:
        return input + super().forward(input)


class Tempered(Bernoulli):
    def log_prob(self, t: Tensor, a: Tensor) -> Tensor:
        return super().log_prob(t, a / 2)


def of_class(kind: type[VAE]) -> VAE:
    vae = make_vae()
    vae.__class__ = kind
    return vae


def changed(change: Callable[[VAE], object]) -> VAE:
    vae = make_vae()
    change(vae)
    return vae


def one_more(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    return output + 1


def with_encode(vae: VAE) -> None:
    whole = vae.encode
    vae.encode = lambda x: whole(x / 2)


def with_forward(vae: VAE) -> None:
    layer = vae.encoder[1]
    layer.forward = lambda input: input @ layer.weight.T  # pyright: ignore


def residual(vae: VAE) -> None:
    vae.encoder = Residual(*vae.encoder)


def nested_residual(vae: VAE) -> None:
    vae.encoder[2] = Residual(nn.Linear(12, 12))


def hook_inside(vae: VAE) -> None:
    vae.decoder[1].register_forward_hook(one_more)


def pre_hook_inside(vae: VAE) -> None:
    vae.decoder[2].register_forward_pre_hook(lambda module, args: (args[0] * 2,))


def hook_outside(vae: VAE) -> None:
    vae.encoder.register_forward_hook(one_more)


def old_weight_norm(vae: VAE) -> None:
    nn.utils.weight_norm(vae.encoder[1])


def weight_norm(vae: VAE) -> None:
    parametrizations.weight_norm(vae.encoder[1])


def other_likelihood(vae: VAE) -> None:
    vae.likelihood = Tempered()


def layer(position: int, kind: nn.Module) -> Callable[[VAE], object]:
    return lambda vae: vae.encoder.__setitem__(position, kind)


REFUSED = {
    "encode of a subclass": (lambda: of_class(Clamped), r"own encode\(\)"),
    "decode of a subclass": (lambda: of_class(Bright), r"own decode\(\)"),
    "encode of the instance": (lambda: changed(with_encode), r"encode\(\) of its own"),
    "forward of an instance": (lambda: changed(with_forward), r"encoder\.1 \(Linear\) has a forward"),
    "forward of a ReLU's subclass": (lambda: changed(layer(2, Sharp())), "Sharp"),
    "forward of a linear subclass": (lambda: changed(layer(1, Halved(784, 12))), "Halved"),
    "a sequence of another kind": (lambda: changed(residual), r"vae\.encoder is a Residual"),
    "a sequence inside": (lambda: changed(nested_residual), "Residual"),
    "a hook": (lambda: changed(hook_inside), r"decoder\.1 .*forward hook"),
    "a pre-hook": (lambda: changed(pre_hook_inside), r"decoder\.2 .*forward pre-hook"),
    "a hook on the whole": (lambda: changed(hook_outside), r"encoder .*forward hook"),
    "weight norm of old": (lambda: changed(old_weight_norm), "weight_norm"),
    "weight norm": (lambda: changed(weight_norm), "ParametrizedLinear"),
    "dropout": (lambda: changed(layer(2, nn.Dropout())), "Dropout"),
    "batch statistics": (lambda: changed(layer(2, nn.BatchNorm1d(12))), "BatchNorm1d"),
    "a likelihood's subclass": (lambda: changed(other_likelihood), "Tempered"),
    "float16": (lambda: make_vae().half(), "float16"),
    "bfloat16": (lambda: make_vae().bfloat16(), "bfloat16"),
}


@pytest.mark.parametrize("method", ["ibp", "crown", "bab"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_differs_is_refused_by_name(case: str, method: str) -> None:
    build, named = REFUSED[case]
    vae, plain = build(), make_vae()
    x, noise = make_images(plain, 1), core.sample_noise(plain, 2)
    question: dict[str, Any] = {"eps": 0.02, "method": method}
    with pytest.raises((UnsupportedModelError, InputError), match=named):
        core.certify(vae, x, noise, **question)
    with pytest.raises((UnsupportedModelError, InputError), match=named):
        next(core.refine(vae, x, noise, **question))
    with pytest.raises((UnsupportedModelError, InputError), match=named):
        core.certified_radius(vae, x, noise, threshold=-1e4, method=method)


@pytest.mark.parametrize("states", ["expectation", "coverage"])
@pytest.mark.parametrize("case", REFUSED)
def test_statements_on_all_noise_refuse_it_too(case: str, states: str) -> None:
    build, named = REFUSED[case]
    vae, plain = build(), make_vae()
    with pytest.raises((UnsupportedModelError, InputError), match=named):
        core.certify(
            vae, make_images(plain, 1), core.sample_noise(plain), eps=0.01, states=states, draws=100
        )


def test_hooks_on_all_modules_are_refused() -> None:
    vae = make_vae()
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: output * 2)
    try:
        with pytest.raises(UnsupportedModelError, match="forward hook"):
            core.certify(vae, make_images(vae, 1), core.sample_noise(vae), eps=0.01)
    finally:
        handle.remove()
    assert core.certify(vae, make_images(vae, 1), core.sample_noise(vae), eps=0.01).lower.isfinite().all()


def test_a_call_that_goes_another_way_is_seen_at_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is that no rule looks for: here a function that layers call was changed."""
    vae = make_vae()
    x, noise = make_images(vae, 2), core.sample_noise(vae)
    monkeypatch.setattr(nn.functional, "relu", lambda input, inplace=False: input.clamp(min=0) * (1 + 1e-9))
    with pytest.raises(UnsupportedModelError, match="computes something else than the layers"):
        core.certify(vae, x, noise, eps=0.01)


PATCHED = {
    "encode": (VAE, "encode", lambda vae, x: (vae.encoder(x)[:, :3], vae.encoder(x)[:, 3:].clamp(-1, 1))),
    "decode": (VAE, "decode", lambda vae, z: 2 * vae.decoder(z)),
    "forward": (nn.Linear, "forward", lambda layer, v: v @ layer.weight.T),
    "what forward calls": (nn.Conv2d, "_conv_forward", lambda layer, v, weight, bias: v),
}


@pytest.mark.parametrize("name", PATCHED)
def test_a_class_that_was_patched_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, method, patch = PATCHED[name]
    vae = make_vae("conv")
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    monkeypatch.setattr(kind, method, patch)
    with pytest.raises(UnsupportedModelError, match=r"was patched|has its own"):
        core.certify(vae, x, noise, eps=0.01)


@pytest.mark.parametrize(
    ("part", "method"),
    [
        (lambda vae: vae.encoder[0], "_conv_forward"),
        (lambda vae: vae.encoder[0], "_call_impl"),
        (lambda vae: vae.decoder[2], "forward"),
        (lambda vae: vae.encoder, "forward"),
        (lambda vae: vae.likelihood, "log_prob"),
        (lambda vae: vae.likelihood, "plane"),
        (lambda vae: vae, "decode"),
    ],
)
def test_any_method_on_an_object_is_refused(part: Callable[[VAE], object], method: str) -> None:
    vae = make_vae("conv")
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    held = part(vae)
    held.__dict__[method] = getattr(held, method)
    with pytest.raises(UnsupportedModelError, match=rf"{method}\(\) of its own, on the object"):
        core.certify(vae, x, noise, eps=0.01)


def test_a_copy_that_is_another_network_is_refused() -> None:
    vae, other = make_vae(), make_vae(seed=1)
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    vae.encoder.__dict__["__deepcopy__"] = lambda memo: other.encoder
    asked: dict[str, Any] = {"eps": 0.01}
    for name, more in (("elbo", {}), ("attack", asked), ("certify", asked)):
        with pytest.raises(UnsupportedModelError, match="__deepcopy__"):
            getattr(core, name)(vae, x, noise, **more)


def pruned(vae: VAE) -> None:
    prune.l1_unstructured(vae.encoder[1], "weight", 0.5)


def old_spectral_norm(vae: VAE) -> None:
    nn.utils.spectral_norm(vae.encoder[1])
    vae.train()
    vae.encode(make_images(vae, 2))
    vae.eval()


def unused_head(vae: VAE) -> None:
    vae.head = nn.Linear(3, 3)
    vae.head = None  # pyright: ignore


@pytest.mark.parametrize("change", [pruned, old_spectral_norm, unused_head])
def test_what_can_be_copied_is_scored_and_attacked(change: Callable[[VAE], None]) -> None:
    vae = make_vae()
    change(vae)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 2)
    mu, logvar = vae.encode(x)
    a = vae.decode((mu + (logvar / 2).exp() * noise[:, None]).flatten(0, 1)).unflatten(0, (2, 2))
    scored = vae.likelihood.log_prob(x, a).mean(0) + (1 + logvar - mu**2 - logvar.exp()).sum(1) / 2
    torch.testing.assert_close(core.elbo(vae, x, noise).total.float(), scored, rtol=1e-4, atol=1e-3)
    assert (core.attack(vae, x, noise, eps=0.05, steps=2).elbo <= core.elbo(vae, x, noise).total).all()


def test_a_likelihood_that_was_patched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = make_vae()
    log_prob = Bernoulli.log_prob
    monkeypatch.setattr(Bernoulli, "log_prob", lambda kind, t, a: log_prob(kind, t, a) - 2)
    with pytest.raises(UnsupportedModelError, match="Bernoulli was patched"):
        core.certify(vae, make_images(vae, 1), core.sample_noise(vae), eps=0.01)


def several_rows(vae: VAE) -> None:
    """A linear layer over the last of three dimensions, at the right shape in the end."""
    vae.encoder = nn.Sequential(nn.Flatten(2), nn.Linear(784, 6), nn.Flatten(1))


def buffers(vae: VAE) -> None:
    for module in list(vae.modules()):
        for name, weight in list(module._parameters.items()):
            del module._parameters[name]
            module.register_buffer(name, weight.detach() if weight is not None else None)


def plain_bias(vae: VAE) -> None:
    linear = vae.encoder[1]
    bias = linear.get_parameter("bias").detach()
    del linear.bias
    linear.bias = bias


UNBOUNDED = {
    "a row in three": (several_rows, "mlp", "gets values of shape"),
    "weights that are buffers": (buffers, "mlp", "no parameter"),
    "a plain tensor": (plain_bias, "mlp", "plain tensor"),
    "padding as a number": (lambda vae: setattr(vae.encoder[0], "padding", 1), "conv", "padding is 1"),
    "a part that is None": (lambda vae: vae.encoder.register_module("1", None), "mlp", "None"),
    "no encoder": (lambda vae: setattr(vae, "encoder", None), "mlp", "vae.encoder is a NoneType"),
    "no likelihood": (lambda vae: setattr(vae, "likelihood", None), "mlp", "log_prob"),
    "no configuration": (lambda vae: setattr(vae, "config", None), "mlp", "vae.config"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", UNBOUNDED)
def test_layers_of_other_shapes_or_parts_are_refused(name: str, method: str) -> None:
    change, arch, said = UNBOUNDED[name]
    vae = make_vae(arch)
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    change(vae)
    with pytest.raises(UnsupportedModelError, match=said):
        core.certify(vae, x, noise, eps=0.01, method=method)


def test_what_encode_gives_is_looked_at() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    for found in ((1, 2, 3), None, ("a", "b"), torch.zeros(1, 3)):
        vae.__class__ = type("Odd", (VAE,), {"encode": lambda self, x, found=found: found})
        with pytest.raises(UnsupportedModelError, match=r"vae\.encode gives"):
            core.elbo(vae, x, noise)


@pytest.mark.parametrize("method", METHODS)
def test_images_and_weights_lie_in_memory_as_they_like(method: str) -> None:
    vae = make_vae("conv")
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    asked: dict[str, Any] = {"eps": 0.01, "method": method, "iterations": 1}
    wanted = core.certify(vae, x, noise, **asked).lower
    vae.to(memory_format=torch.channels_last)
    found = core.certify(vae, x.to(memory_format=torch.channels_last), noise, **asked).lower
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)


def test_a_first_layer_that_works_in_place_can_be_attacked() -> None:
    vae = changed(lambda vae: vae.encoder.insert(0, nn.ReLU(inplace=True)))
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    for method in ATTACKS:
        found = core.attack(vae, x, noise, eps=0.05, method=method, steps=2)
        assert found.elbo <= core.elbo(vae, x, noise).total


@pytest.mark.parametrize("method", METHODS)
def test_training_mode_changes_nothing(method: str) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    asked: dict[str, Any] = {"eps": 0.02, "method": method, "iterations": 2}
    bound = core.certify(vae, x, noise, **asked).lower
    vae.train()
    assert torch.equal(core.certify(vae, x, noise, **asked).lower, bound)
    assert vae.training


@pytest.mark.parametrize("method", ["pgd", "apgd", "strongest"])
def test_attacks_leave_batch_statistics_alone(method: str) -> None:
    vae = changed(layer(2, nn.BatchNorm1d(12)))
    x, noise = make_images(vae, 3), core.sample_noise(vae)
    asked: dict[str, Any] = {"eps": 0.05, "method": method, "steps": 2}
    calm = core.attack(vae, x, noise, **asked)
    vae.train()
    before = {key: value.clone() for key, value in vae.state_dict().items()}
    found = core.attack(vae, x, noise, **asked)
    assert all(torch.equal(before[key], value) for key, value in vae.state_dict().items())
    assert torch.equal(found.x_adv, calm.x_adv)
    assert vae.training


def test_the_models_that_we_build_pass() -> None:
    for arch in ("mlp", "conv"):
        for vae in (make_vae(arch), make_vae(arch).double()):
            x = make_images(make_vae(arch), 1).to(next(vae.parameters()).dtype)
            assert (
                core.certify(vae, x, core.sample_noise(vae), eps=0.01, method="crown")
                .lower.isfinite()
                .all()
            )


def test_an_unknown_layer_is_no_affine_form() -> None:
    vae = changed(layer(2, nn.Tanh()))
    with pytest.raises(UnsupportedLayerError, match=r"'quadratic'.*Tanh"):
        core.certify(vae, make_images(vae, 1), core.sample_noise(vae), eps=0.01, method="quadratic")


def of_other_shape(vae: VAE) -> None:
    del vae.decoder[-1]


def half_double(vae: VAE) -> None:
    vae.encoder.double()


def sparse(vae: VAE) -> None:
    weight = vae.decoder[0].get_parameter("weight").to_sparse()
    vae.decoder[0].weight = nn.Parameter(weight, requires_grad=False)


def without_weights(vae: VAE) -> None:
    vae.encoder = vae.decoder = nn.Sequential(nn.Flatten())


UNSCORED = {
    "float64 and float32": (half_double, "bring it into one"),
    "no values": (lambda vae: vae.to("meta"), "meta"),
    "sparse": (sparse, "sparse"),
    "not called yet": (layer(1, nn.LazyLinear(12)), "no values yet"),
    "no weights": (without_weights, "no weights"),
    "codes of another shape": (layer(-1, nn.Linear(8, 5)), r"vae\.encode gives shape \(1, \d\)"),
    "images of another shape": (of_other_shape, r"vae\.decode gives shape \(\d, 784\)"),
    "encode of the instance": (with_encode, r"encode\(\) of its own"),
    "forward of an instance": (with_forward, r"forward\(\) of its own"),
    "weight norm of old": (old_weight_norm, "weight_norm"),
}
"""What neither a certificate nor a score is given for: a copy in float64 would not be the same."""


@pytest.mark.parametrize("name", UNSCORED)
@pytest.mark.parametrize("ask", [core.elbo, core.attack, core.certify, core.inspect_layers])
def test_a_model_that_cannot_be_scored_is_named(name: str, ask: Callable[..., object]) -> None:
    change, said = UNSCORED[name]
    vae, x, noise = make_vae(), make_images(make_vae(), 1), core.sample_noise(make_vae(), 2)
    change(vae)
    # Certificates look at more, and may have found something else before.
    words = said if ask in (core.elbo, core.attack) else None
    with pytest.raises((UnsupportedModelError, UnsupportedLayerError), match=words):
        ask(vae, x, noise, **({} if ask is core.elbo else {"eps": 0.01}))
