"""Layer by layer: every interval holds, CROWN's lies in IBP's, and what a linear bound lost adds up."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import core
from core.attacks.objective import Evaluation
from core.bounds.interval import Interval
from core.errors import Cancelled, InputError
from core.inspection import METHODS, Inspection, Layer
from core.inspection.layers import values_of
from core.inspection.work import crown_products
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

models = st.builds(
    make_vae,
    arch=st.sampled_from(["mlp", "conv"]),
    likelihood=st.sampled_from(["bernoulli", "gaussian"]),
    size=st.just(16),
    latent=st.integers(1, 4),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.0, 0.3, 1.0, 3.0, 10.0, 1e3, 1e6, 1e18, 1e38]),
)


def look(vae: VAE, eps: float, norm: str = "linf", target: str = "likelihood", seed: int = 0) -> Inspection:
    x, noise = make_images(vae, 1, seed), core.sample_noise(vae, 2)
    run = partial(core.inspect_layers, steps=3, samples=4, iterations=3)
    return run(vae, x, noise, eps=eps, norm=norm, target=target, seed=seed)


def inside(bound: Interval, values: Tensor, most: tuple[float, float] = (-torch.inf, torch.inf)) -> bool:
    """A value that is no number (the network overflowed) may only be where the interval has no end.

    most  what an interval is that says nothing.
    """
    held = (bound.lower <= values) & (values <= bound.upper)
    endless = (bound.lower <= most[0]) | (bound.upper >= most[1])
    return bool((held | (values.isnan() & endless)).all())


def seen(layer: Layer) -> list[Tensor]:
    return [layer.clean, layer.attacked, layer.sampled]


@pytest.mark.slow
@given(
    vae=models,
    eps=st.one_of(st.sampled_from([0.0, 1e-7, 0.01, 0.3, 1.0]), st.floats(0, 1)),
    norm=st.sampled_from(["linf", "l2"]),
    target=st.sampled_from(["likelihood", "reconstruction"]),
    seed=st.integers(0, 100),
)
def test_every_value_lies_in_every_interval(
    vae: VAE, eps: float, norm: str, target: str, seed: int
) -> None:
    found = look(vae, eps, norm, target, seed)
    for layer in found.layers:
        ibp, crown = (layer.bounds[method] for method in METHODS)
        for bound in (ibp, crown):
            assert not bool((bound.lower.isnan() | bound.upper.isnan()).any()), layer.name
            most = (0, 1) if layer.kind == "pixels" else (-torch.inf, torch.inf)
            assert all(inside(bound, values, most) for values in seen(layer)), layer.name
        assert bool((ibp.lower <= crown.lower).all()), layer.name
        assert bool((crown.upper <= ibp.upper).all()), layer.name
        if all(bool(values.isfinite().all()) for values in seen(layer)):
            assert layer.reached <= layer.width("crown") <= layer.width("ibp") * (1 + 1e-12), layer.name
    for terms in found.separate.values():
        assert terms.recon <= found.attained.recon
        assert terms.kl >= found.attained.kl
    assert found.separate["ibp"].total <= found.separate["crown"].total
    assert found.attained.total <= found.clean.total


@pytest.mark.slow
@given(
    vae=models,
    eps=st.sampled_from([0.0, 0.01, 0.1, 1.0]),
    norm=st.sampled_from(["linf", "l2"]),
    target=st.sampled_from(["likelihood", "reconstruction"]),
)
def test_what_is_lost_adds_up_and_nothing_is_gained(vae: VAE, eps: float, norm: str, target: str) -> None:
    found = look(vae, eps, norm, target)
    for losses in found.losses:
        size = 1e-9 * (1 + abs(losses.proved) + abs(losses.elbo))
        assert sum(losses.parts.values()) == pytest.approx(losses.elbo - losses.proved, abs=size)
        assert min(losses.parts.values()) >= -size
        assert losses.proved <= found.attained.total
        assert losses.proved <= losses.elbo + size


@pytest.mark.parametrize("arch", ["mlp", "conv"])
def test_losses_are_those_of_the_certificates(arch: str) -> None:
    vae = make_vae(arch, scale=1.5)
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    for target in ("likelihood", "reconstruction"):
        found = core.inspect_layers(vae, x, noise, eps=0.05, target=target, steps=5, iterations=20)
        assert [losses.method for losses in found.losses] == ["crown-ibp", "crown", "alpha-crown"]
        proved = core.certify(vae, x, noise, eps=0.05, target=target, method="alpha-crown", iterations=20)
        best = found.separate["ibp"].total
        for losses in found.losses:
            best = max(best, losses.proved)
            assert best == pytest.approx(proved.by_method[losses.method].item(), abs=1e-9)
            scored = None if target == "likelihood" else x.double()
            at = core.elbo(vae.double(), losses.point, noise, scored).total.item()
            vae.float()
            assert losses.elbo == pytest.approx(at, abs=1e-9)
            relus = {name for name in losses.parts if name.endswith("ReLU")}
            assert relus == {layer.name for layer in found.layers if layer.kind == "relu"}
        ibp = core.certify(vae, x, noise, eps=0.05, target=target)
        assert found.separate["ibp"].recon == pytest.approx(ibp.recon.item())
        assert found.separate["ibp"].kl == pytest.approx(ibp.kl.item())


def test_layers_are_those_of_the_network() -> None:
    vae = make_vae("conv")
    found = look(vae, 0.05)
    kinds = [(layer.kind, tuple(layer.clean.shape)) for layer in found.layers]
    assert kinds == [
        ("input", (1, 1, 28, 28)),
        ("affine", (1, 2, 14, 14)),
        ("relu", (1, 2, 14, 14)),
        ("affine", (1, 3, 7, 7)),
        ("relu", (1, 3, 7, 7)),
        ("affine", (1, 8)),
        ("relu", (1, 8)),
        ("mu", (1, 3)),
        ("logvar", (1, 3)),
        ("z", (2, 3)),
        ("affine", (2, 8)),
        ("relu", (2, 8)),
        ("affine", (2, 147)),
        ("relu", (2, 3, 7, 7)),
        ("affine", (2, 2, 14, 14)),
        ("relu", (2, 2, 14, 14)),
        ("natural", (2, 1, 28, 28)),
        ("pixels", (2, 1, 28, 28)),
    ]
    values = values_of(
        vae.double(), make_images(vae, 1).double(), core.sample_noise(vae, 2).double()[:, None]
    )
    torch.testing.assert_close(found.layers[3].clean, values.encoder[3].lower)
    torch.testing.assert_close(found.layers[-2].clean[:, None], values.natural.lower)
    gaussian = look(make_vae("mlp", "gaussian"), 0.05).layers
    assert [layer.kind for layer in gaussian[-3:]] == ["affine", "relu", "natural"]
    assert gaussian[-1].clean.shape == (2, 1, 28, 28)


def test_units_are_counted_by_what_decides_them() -> None:
    found = look(make_vae(scale=2.0), 0.1)
    for index, layer in enumerate(found.layers):
        if layer.kind != "relu":
            assert layer.units == {}
            continue
        for method, units in layer.units.items():
            before = found.layers[index - 1].bounds[method]
            crossing = (before.lower < 0) & (before.upper > 0)
            assert units.open == int(crossing.sum())
            assert units.dead == int((before.upper <= 0).sum())
            assert units.total == layer.clean.numel()
        assert layer.units["crown"].open <= layer.units["ibp"].open


def test_the_path_is_what_the_attack_tried() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    tried: list[Evaluation] = []
    result = core.attack(vae, x, noise, eps=0.1, steps=6, watch=tried.append)
    found = core.inspect_layers(vae, x, noise, eps=0.1, steps=6, samples=1, iterations=1)
    assert torch.equal(found.x_adv, result.x_adv)
    assert len(tried) == len(found.path.elbo) == 7
    assert torch.equal(tried[found.path.best].point, found.x_adv)
    model = vae.double()
    torch.testing.assert_close(found.path.mu[found.path.best], model.encode(result.x_adv.double())[0][0])
    torch.testing.assert_close(found.path.mu[0], model.encode(x.double())[0][0])
    mu = next(layer for layer in found.layers if layer.kind == "mu").bounds["crown"]
    assert inside(mu, found.path.mu)


def test_progress_is_counted_and_cancels() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    steps: list[tuple[int, int]] = []
    run = partial(core.inspect_layers, vae, x, noise, eps=0.1, steps=4, samples=2, iterations=5)
    run(progress=lambda *now: steps.append(now))
    assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
    assert steps[-1] == (len(steps), len(steps))

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run(progress=stop)


def test_bad_arguments_are_answered_in_words() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    with pytest.raises(InputError, match="one image"):
        core.inspect_layers(vae, x, noise, eps=0.1)
    for eps, samples, iterations in ((2.0, 1, 1), (0.1, 0, 1), (0.1, 1, 0)):
        with pytest.raises(InputError):
            core.inspect_layers(vae, x[:1], noise, eps=eps, samples=samples, iterations=iterations)


def test_the_model_stays_as_it_was() -> None:
    vae = make_vae().train().requires_grad_(True)
    before = {key: value.clone() for key, value in vae.state_dict().items()}
    core.inspect_layers(vae, make_images(vae, 1), core.sample_noise(vae), eps=0.1, steps=2, iterations=2)
    assert vae.training
    assert all(torch.equal(before[key], value) for key, value in vae.state_dict().items())
    assert all(p.grad is None for p in vae.parameters())


class Branches(nn.Module):
    """A value that two operations take, a product, curves, and rearrangements."""

    def __init__(self, sizes: tuple[int, int]) -> None:
        super().__init__()
        self.first, self.gate, self.last = nn.Linear(sizes[0], 6), nn.Linear(6, 6), nn.Linear(12, sizes[1])

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.silu(self.first(x.flatten(1)))
        gated = h * torch.sigmoid(self.gate(h)) + h
        return self.last(torch.cat([torch.relu(gated), h], 1))


def graph(likelihood: str = "bernoulli") -> VAE:
    torch.manual_seed(0)
    decoder = nn.Sequential(Branches((2, 60)), nn.Unflatten(1, (3, 5, 4)))
    output = "mean" if likelihood == "gaussian" else "logits"
    encoder = Branches((60, 4)).eval()
    asked: dict[str, Any] = {
        "shape": (3, 5, 4),
        "heads": "chunk",
        "likelihood": likelihood,
        "output": output,
    }
    return core.wrap(encoder, decoder.eval(), sigma=1.0, **asked)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_graphs_are_looked_into_as_chains_are(likelihood: str, norm: str, target: str) -> None:
    vae = graph(likelihood)
    found = look(vae, 0.05, norm, target)
    kinds = [layer.kind for layer in found.layers]
    assert kinds[:2] == ["input", "affine"]
    assert kinds[-1] == ("pixels" if likelihood == "bernoulli" else "natural")
    assert {"relu", "curve"} < {*kinds}
    assert {layer.op for layer in found.layers if layer.kind == "curve"} == {"silu", "sigmoid", "Multiply"}
    for layer in found.layers:
        for method in METHODS:
            assert all(inside(layer.bounds[method], values) for values in seen(layer)), layer.name
        assert bool((layer.bounds["ibp"].lower <= layer.bounds["crown"].lower).all())
        if layer.kind == "relu":
            assert {units.total for units in layer.units.values()} == {layer.clean.numel()}
    natural = next(layer for layer in found.layers if layer.kind == "natural")
    assert natural.clean.shape == (2, 3, 5, 4)
    assert [losses.method for losses in found.losses] == ["crown-ibp", "crown", "alpha-crown"]
    for losses in found.losses:
        assert sum(losses.parts.values()) == pytest.approx(losses.elbo - losses.proved, abs=1e-6)
        assert min(losses.parts.values()) >= -1e-6
        bent = {layer.name for layer in found.layers if layer.kind in ("relu", "curve")}
        assert {name for name in losses.parts if " " in name} == bent
    assert found.losses[0].proved <= found.losses[-1].proved <= found.attained.total


def test_what_crown_multiplies_is_counted() -> None:
    vae = make_vae("mlp", latent=1, widths=(2,), size=4)
    # Encoder: rows of 2 units and 2 outputs back through 16 x 2, then 2 x 2; of a bend one each.
    encoder = 2 * 16 * 2
    assert crown_products(vae, 1) > 2 * encoder
    assert crown_products(vae, 3) - crown_products(vae, 2) == crown_products(vae, 2) - crown_products(
        vae, 1
    )
    assert crown_products(make_vae("conv"), 1) > crown_products(make_vae("mlp"), 1)


class Attends(nn.Module):
    """A softmax between linear layers."""

    def __init__(self, sizes: tuple[int, int]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(sizes[0], 5), nn.Linear(5, sizes[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.softmax(self.first(x.flatten(1)), 1))


def test_what_softmax_loses_is_among_the_parts() -> None:
    torch.manual_seed(0)
    decoder = nn.Sequential(Attends((2, 60)), nn.Unflatten(1, (3, 5, 4)))
    vae = core.wrap(Attends((60, 4)).eval(), decoder.eval(), shape=(3, 5, 4), heads="chunk")
    found = look(vae, 0.05, "linf", "likelihood")
    for losses in found.losses:
        assert sum(losses.parts.values()) == pytest.approx(losses.elbo - losses.proved, abs=1e-6)
        assert min(losses.parts.values()) >= -1e-6
        assert sum(name.endswith("InverseSoftmax") for name in losses.parts) == 2
        assert max(nats for name, nats in losses.parts.items() if name.endswith("InverseSoftmax")) > 0
    assert found.losses[0].proved <= found.losses[-1].proved <= found.attained.total
