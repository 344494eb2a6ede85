"""core.wrap: the ELBO of what it makes is the one that the module's own outputs have."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, ContinuousBernoulli, Normal, kl_divergence
from torch.nn import functional as F

import core
from core.errors import ConfigError, InputError, UnsupportedLayerError, UnsupportedModelError
from core.vae.model import VAE
from core.vae.wrap import HEADS, SCALES
from core.vae.wrapped import WrappedConfig

pytestmark = pytest.mark.slow

SHAPE, K = (1, 4, 4), 3
ROOT = Path(__file__).resolve().parents[2]


class Encoder(nn.Module):
    """Two heads on one hidden layer, in any order and on any scale."""

    def __init__(self, heads: str, scale: str) -> None:
        super().__init__()
        self.heads, self.scale = heads, scale
        self.hidden, self.mu, self.spread = nn.Linear(16, 5), nn.Linear(5, K), nn.Linear(5, K)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.hidden(x.flatten(1)))
        spread = self.spread(h)
        return self.mu(h), F.softplus(spread) + 0.1 if self.scale == "sigma" else spread

    def forward(self, x: Tensor) -> Any:
        mu, spread = self.both(x)
        if self.heads == "two":
            return mu, spread
        return (
            torch.cat([mu, spread], 1) if self.heads == "chunk" else torch.stack([mu, spread], 2).flatten(1)
        )


class Decoder(nn.Module):
    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.hidden, self.out, self.last = nn.Linear(K, 5), nn.Linear(5, 16), last

    def forward(self, z: Tensor) -> Tensor:
        return self.last(self.out(F.elu(self.hidden(z)))).view(-1, *SHAPE)


LETTERS = {"probabilities": "probs", "logits": "logits"}
LAST = {
    "logits": nn.Identity(),
    "probabilities": nn.Sigmoid(),
    "mean": nn.Tanh(),
}


@pytest.fixture(autouse=True)
def seeded() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def by_hand(encoder: Encoder, decoder: nn.Module, x: Tensor, noise: Tensor, **asked: Any) -> Tensor:
    """The ELBO from a module's own outputs by torch.distributions, in float64."""
    low, high = asked.get("pixels", (0.0, 1.0))
    own = low + (high - low) * x.double()
    encoder, decoder = encoder.double(), decoder.double()
    mu, spread = encoder.both(own)
    std = {"logvar": (spread / 2).exp(), "logsigma": spread.exp(), "sigma": spread}[encoder.scale]
    posterior = Normal(mu, std)
    kl = kl_divergence(posterior, Normal(torch.zeros_like(mu), 1.0)).sum(1)
    found = []
    for n in noise.double():
        a = decoder(mu + std * n)
        if asked["output"] == "mean":
            score = Normal(a, asked["sigma"]).log_prob(own)
        elif asked["output"] == "mean_logvar":
            mean, logvar = a if isinstance(a, tuple) else a.flatten(1).chunk(2, 1)
            score = Normal(mean.view_as(own), (logvar / 2).exp().view_as(own)).log_prob(own)
        elif asked.get("likelihood") == "continuous_bernoulli":
            score = ContinuousBernoulli(**{LETTERS[asked["output"]]: a}).log_prob(x.double())
        else:
            kind = LETTERS[asked["output"]]
            score = Bernoulli(**{kind: a}, validate_args=False).log_prob(x.double())
        found.append(score.flatten(1).sum(1) - kl)
    return torch.stack(found).mean(0)


def check(encoder: Encoder, decoder: nn.Module, **asked: Any) -> VAE:
    encoder, decoder = encoder.eval(), decoder.eval()
    likelihood = "gaussian" if asked["output"].startswith("mean") else "bernoulli"
    settings = {"heads": encoder.heads, "scale": encoder.scale, "likelihood": likelihood, **asked}
    vae = core.wrap(encoder, decoder, shape=SHAPE, **settings)
    x, noise = torch.rand(3, *SHAPE), core.sample_noise(vae, 4)
    with torch.no_grad():
        wanted = by_hand(encoder, decoder, x, noise, **asked)
    torch.testing.assert_close(core.elbo(vae, x, noise).total, wanted, rtol=1e-9, atol=1e-9)
    return vae


@pytest.mark.parametrize(("heads", "scale"), list(product(HEADS, SCALES)))
def test_heads_and_scales(heads: str, scale: str) -> None:
    vae = check(Encoder(heads, scale), Decoder(nn.Identity()), output="logits")
    assert vae.config.latent == K


@pytest.mark.parametrize("output", ["logits", "probabilities"])
@pytest.mark.parametrize("pixels", [(0.0, 1.0), (-1.0, 1.0), (-0.4, 2.8)])
def test_outputs_of_a_bernoulli(output: str, pixels: tuple[float, float]) -> None:
    check(Encoder("two", "logvar"), Decoder(LAST[output]), output=output, pixels=pixels)


def sound(vae: VAE, eps: float = 0.1) -> None:
    """All methods run, and none is beaten."""
    x, noise = torch.rand(2, *SHAPE), core.sample_noise(vae, 2)
    attacked = core.attack(vae, x, noise, eps=eps, steps=10).elbo
    for method in ("ibp", "crown-ibp", "crown", "alpha-crown"):
        proved = core.certify(vae, x, noise, eps=eps, method=method, iterations=5)
        assert (proved.lower <= attacked).all(), method
        assert not proved.vacuous.any(), method


class Folded(nn.Module):
    """Values in a finer shape between a ReLU and the layer behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(16, 8), nn.Linear(8, 2 * K)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x.flatten(1))).view(-1, 2, 2, 2).flatten(1))


def test_a_dead_unit_before_a_finer_shape() -> None:
    encoder = Folded().eval()
    with torch.no_grad():
        encoder.first.bias[3] = -20
    sound(core.wrap(encoder, Decoder(nn.Identity()).eval(), shape=SHAPE, heads="chunk"))


class Scalar(nn.Module):
    """A number an image, without a dimension of its own, that goes through operations of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(K, 5), nn.Linear(5, 16)

    def forward(self, z: Tensor) -> Tensor:
        h = torch.tanh(self.hidden(z))
        gain = torch.maximum(2 * torch.sigmoid(h.mean(1)) + 0.5, h.sum(1) - h.amax(1))
        gain = F.relu(gain - 0.3) * gain
        return (self.out(h) * gain.view(-1, 1)).view(-1, *SHAPE)


def test_values_of_one_number_a_row() -> None:
    sound(core.wrap(Encoder("two", "logvar").eval(), Scalar().eval(), shape=SHAPE))


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_a_continuous_bernoulli(output: str, tmp_path: Path) -> None:
    asked = {"output": output, "likelihood": "continuous_bernoulli"}
    vae = check(Encoder("two", "logvar"), Decoder(LAST[output]), **asked)
    core.save_model(vae, tmp_path / "model")
    again, x, noise = core.load_model(tmp_path / "model"), torch.rand(2, *SHAPE), core.sample_noise(vae, 2)
    attacked = core.attack(again, x, noise, eps=0.02, steps=5).elbo
    for method in ("ibp", "crown", "alpha-crown"):
        assert (
            core.certify(again, x, noise, eps=0.02, method=method, iterations=5).lower <= attacked
        ).all()


def test_quadratic_and_bab_of_a_continuous_bernoulli() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 6)).eval()
    decoder = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 16)).eval()
    vae = core.wrap(encoder, decoder, shape=SHAPE, heads="chunk", likelihood="continuous_bernoulli")
    x, noise = torch.rand(1, *SHAPE), core.sample_noise(vae, 2)
    attacked = core.attack(vae, x, noise, eps=0.1, steps=20).elbo
    for method in ("quadratic", "bab"):
        found = core.certify(vae, x, noise, eps=0.1, method=method, iterations=10)
        assert found.lower <= attacked, method
    assert core.certify(vae, x, noise, eps=0.1, states="expectation").lower.isfinite().all()


@pytest.mark.parametrize("pixels", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
@pytest.mark.parametrize("sigma", [1.0, 0.1, 3.0])
def test_a_gaussian_scores_on_the_scale_of_the_model(sigma: float, pixels: tuple[float, float]) -> None:
    check(Encoder("two", "logvar"), Decoder(nn.Tanh()), output="mean", sigma=sigma, pixels=pixels)


class Variances(nn.Module):
    """A decoder of means and log variances: two tensors, twice the channels, or one flat row."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.hidden, self.out = form, nn.Linear(K, 5), nn.Linear(5, 32)

    def forward(self, z: Tensor) -> Any:
        found = self.out(torch.tanh(self.hidden(z)))
        if self.form == "pair":
            return found[:, :16].view(-1, *SHAPE), found[:, 16:].view(-1, *SHAPE)
        return found.view(-1, 2, 4, 4) if self.form == "channels" else found


@pytest.mark.parametrize("pixels", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
@pytest.mark.parametrize("form", ["pair", "channels", "flat"])
def test_a_learned_variance(form: str, pixels: tuple[float, float], tmp_path: Path) -> None:
    vae = check(Encoder("two", "logvar"), Variances(form), output="mean_logvar", pixels=pixels)
    x, noise = torch.rand(2, *SHAPE), core.sample_noise(vae, 2)
    core.save_model(vae, tmp_path / "model")
    again = core.load_model(tmp_path / "model")
    clean = core.elbo(again, x, noise).total
    assert torch.equal(clean, core.elbo(vae, x, noise).total)
    for method in ("ibp", "crown-ibp", "crown", "alpha-crown"):
        proved = core.certify(again, x, noise, eps=0.01, method=method, iterations=5)
        found = core.attack(again, x, noise, eps=0.01, steps=5)
        assert bool((proved.lower <= found.elbo).all()), method
        upper = core.certify(again, x, noise, eps=0.01, method=method, side="upper", iterations=5).upper
        assert bool((upper >= clean).all()), method
    certificate = core.certify(again, x, noise, eps=0.01, states="coverage", method="crown")
    assert bool(certificate.lower.isfinite().all()) == (pixels[1] == 1)  # the scores of 255 are vacuous


def test_a_configuration_without_a_learned_variance_is_written_as_before_there_was_one() -> None:
    config = WrappedConfig("gaussian", SHAPE, K)
    assert set(config.to_dict()) == {
        *("kind", "likelihood", "image", "latent", "own_sigma", "pixels_from", "pixels_to"),
    }
    assert WrappedConfig.from_dict(config.to_dict()) == config
    learned = WrappedConfig("gaussian", SHAPE, K, learned_variance=True)
    assert WrappedConfig.from_dict(learned.to_dict()) == learned


@pytest.mark.parametrize("name", ["own_sigma", "pixels_from", "pixels_to"])
@pytest.mark.parametrize("value", [10**400, -(10**400), 1e300, float("nan"), float("inf"), "1", None, True])
def test_a_number_that_is_none_of_float32_is_refused(name: str, value: Any) -> None:
    known = WrappedConfig("gaussian", SHAPE, K).to_dict()
    with pytest.raises(ConfigError, match=f"{name} is .*; it must be a finite number"):
        WrappedConfig.from_dict(known | {name: value})


def test_a_learned_variance_has_no_parabola_and_no_growth() -> None:
    """Of a chain of affine layers and ReLUs, of which otherwise everything can be proved."""
    encoder, decoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6)), nn.Linear(3, 32)
    asked = {"shape": SHAPE, "likelihood": "gaussian", "heads": "chunk"}
    vae = core.wrap(encoder.eval(), decoder.eval(), output="mean_logvar", **asked)
    x, noise = torch.rand(2, *SHAPE), core.sample_noise(vae, 2)
    for method in ("quadratic", "bab"):
        with pytest.raises(UnsupportedLayerError, match="learned variance"):
            core.certify(vae, x, noise, eps=0.01, method=method)
    with pytest.raises(UnsupportedLayerError, match="learned variance"):
        core.certify(vae, x, noise, eps=0.01, states="expectation")


def test_a_learned_variance_is_said_rightly() -> None:
    encoder, asked = Encoder("two", "logvar").eval(), {"shape": SHAPE, "likelihood": "gaussian"}
    with pytest.raises(InputError, match="has no sigma"):
        core.wrap(encoder, Variances("pair").eval(), output="mean_logvar", sigma=1.0, **asked)
    with pytest.raises(InputError, match=r"one output of \(2, 4, 4\), or two of \(1, 4, 4\)"):
        core.wrap(encoder, Decoder(nn.Identity()).eval(), output="mean_logvar", **asked)
    with pytest.raises(InputError, match="one output of"):
        core.wrap(encoder, Variances("pair").eval(), output="mean", sigma=1.0, **asked)
    with pytest.raises(ConfigError, match="no variance"):
        WrappedConfig("bernoulli", SHAPE, K, learned_variance=True)
    with pytest.raises(ConfigError, match="true or false"):
        WrappedConfig("gaussian", SHAPE, K, learned_variance="yes")  # pyright: ignore[reportArgumentType]


def test_probabilities_without_a_sigmoid_get_their_logit() -> None:
    last = nn.Hardsigmoid()
    vae = check(Encoder("two", "logvar"), Decoder(last), output="probabilities")
    assert [getattr(layer, "name", "") for layer in vae.decoder][-3:-1] == ["hardsigmoid", "logit"] or (
        "logit" in [getattr(layer, "name", "") for layer in vae.decoder]
    )


def test_of_two_sigmoids_one_stays() -> None:
    vae = check(
        Encoder("two", "logvar"), Decoder(nn.Sequential(nn.Sigmoid(), nn.Sigmoid())), output="probabilities"
    )
    assert [getattr(layer, "name", "") for layer in vae.decoder].count("sigmoid") == 1


def test_a_spatial_latent_is_flat_inside() -> None:
    encoder = nn.Conv2d(1, 4, 3, 2, 1).eval()
    decoder = nn.ConvTranspose2d(2, 1, 2, 2).eval()
    vae = core.wrap(encoder, decoder, shape=SHAPE, heads="chunk")
    x = torch.rand(2, *SHAPE)
    mu, logvar = encoder(x).chunk(2, 1)
    assert vae.config.latent == 8
    assert torch.equal(torch.cat(vae.encode(x), 1), torch.cat([mu.flatten(1), logvar.flatten(1)], 1))
    assert torch.equal(vae.decode(mu.flatten(1)), decoder(mu))


@pytest.mark.parametrize("heads", HEADS)
def test_heads_that_are_linear_layers_keep_their_bits(heads: str) -> None:
    encoder = Encoder(heads, "logvar").eval()
    vae = core.wrap(encoder, Decoder(nn.Identity()).eval(), shape=SHAPE, heads=heads)
    x = torch.rand(5, *SHAPE)
    mu, logvar = encoder.both(x)
    assert torch.equal(vae.encode(x)[0], mu)
    assert torch.equal(vae.encode(x)[1], logvar)


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        ({"squares": "half-sum"}, 1.0),
        ({"squares": "sum"}, 0.5**0.5),
        ({"squares": "mean"}, 8.0**0.5),
        ({"squares": "mean", "kl_weight": 0.5}, 4.0**0.5),
        ({"squares": "mean", "kl": "mean", "latent": 4}, 2.0**0.5),
    ],
)
def test_the_sigma_of_a_loss_makes_it_the_negative_elbo(loss: dict[str, Any], wanted: float) -> None:
    """Of two models the losses are as far apart as the ELBOs, times the weight of the KL."""
    sigma = core.sigma_of_loss(**loss, pixels=16)
    assert sigma == pytest.approx(wanted)
    t, g = torch.rand(2, 16, dtype=torch.float64), torch.rand(2, 16, dtype=torch.float64)
    kl = torch.rand(2, 4, dtype=torch.float64)
    factor = {"mean": 1 / 16, "sum": 1.0, "half-sum": 0.5}[loss["squares"]]
    weight = loss.get("kl_weight", 1.0)
    total = (kl.mean(1) if loss.get("kl") == "mean" else kl.sum(1)) * weight
    found = factor * ((t - g) ** 2).sum(1) + total
    elbo = Normal(g, sigma).log_prob(t).sum(1) - kl.sum(1)
    scale = weight / (4 if loss.get("kl") == "mean" else 1)
    torch.testing.assert_close((found[0] - found[1]), -scale * (elbo[0] - elbo[1]))


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"likelihood": "poisson"}, InputError, "likelihood is 'poisson'"),
        ({"output": "mean"}, InputError, "output is 'mean'"),
        ({"heads": "three"}, InputError, "heads is 'three'"),
        ({"scale": "precision"}, InputError, "scale is 'precision'"),
        ({"likelihood": "gaussian", "output": "mean"}, InputError, "sigma_of_loss"),
        ({"likelihood": "gaussian", "output": "mean", "sigma": -1.0}, ConfigError, "sigma"),
    ],
)
def test_arguments_that_are_none(asked: dict[str, Any], kind: type[Exception], said: str) -> None:
    parts = Encoder("two", "logvar").eval(), Decoder(nn.Identity()).eval()
    with pytest.raises(kind, match=said):
        core.wrap(*parts, shape=SHAPE, **asked)


def test_a_module_that_is_trained_is_refused() -> None:
    encoder, decoder = Encoder("two", "logvar").eval(), Decoder(nn.Identity()).eval()
    encoder.hidden.train()
    with pytest.raises(InputError, match=r"The encoder is in training mode \(at hidden\); call .eval\(\)"):
        core.wrap(encoder, decoder, shape=SHAPE)


def test_a_function_that_uses_a_module_in_training_is_refused() -> None:
    layer, decoder = (
        nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Dropout(0.1)),
        Decoder(nn.Identity()).eval(),
    )
    with pytest.raises(InputError, match="is in training mode"):
        core.wrap(lambda x: layer(x).chunk(2, 1), decoder, shape=SHAPE)


def test_weights_are_copied() -> None:
    encoder, decoder = Encoder("two", "logvar").eval(), Decoder(nn.Identity()).eval()
    vae = core.wrap(encoder, decoder, shape=SHAPE)
    x = torch.rand(2, *SHAPE)
    before = vae.encode(x)[0]
    with torch.no_grad():
        encoder.hidden.weight.zero_()
        encoder.mu.weight.zero_()
    assert torch.equal(vae.encode(x)[0], before)
    assert not any(weight.requires_grad for weight in vae.parameters())


def test_an_operation_without_a_rule_is_named_with_its_place() -> None:
    class Odd(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.special.erf(z)

    decoder = nn.Sequential(nn.Linear(K, 16), Odd()).eval()
    with pytest.raises(
        UnsupportedLayerError,
        match=r"no rule for the operation aten.\w*erf in the decoder at 1\. .*docs/own-models.md",
    ):
        core.wrap(Encoder("two", "logvar").eval(), decoder, shape=SHAPE)


def test_noise_in_a_part_is_refused() -> None:
    encoder = Encoder("two", "logvar").eval()

    def draws(x: Tensor) -> tuple[Tensor, Tensor]:
        mu, spread = encoder(x)
        return mu + torch.randn_like(mu), spread

    with pytest.raises(UnsupportedModelError, match="another result each time"):
        core.wrap(draws, Decoder(nn.Identity()).eval(), shape=SHAPE)


def test_defaults_of_torch_reach_nothing() -> None:
    encoder, decoder = Encoder("interleaved", "sigma").eval(), Decoder(nn.Tanh()).eval()
    asked: dict[str, Any] = {
        "heads": "interleaved",
        "scale": "sigma",
        "likelihood": "gaussian",
        "output": "mean",
    }
    asked |= {"sigma": 0.5, "pixels": (-1.0, 1.0), "shape": SHAPE}
    x = torch.rand(2, *SHAPE)
    wanted = core.wrap(encoder, decoder, **asked)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found = core.wrap(encoder, decoder, **asked)
    finally:
        torch.set_default_dtype(torch.float32)
    noise = core.sample_noise(wanted)
    assert torch.equal(core.elbo(found, x, noise).total, core.elbo(wanted, x, noise).total)


SAVED = {
    "chain": (Encoder("two", "logvar"), Decoder(nn.ReLU()), {}),
    "graph": (Encoder("interleaved", "sigma"), Decoder(nn.Sigmoid()), {"output": "probabilities"}),
    "gaussian": (
        Encoder("chunk", "logsigma"),
        Decoder(nn.Tanh()),
        {"likelihood": "gaussian", "output": "mean", "sigma": 0.3, "pixels": (-1.0, 1.0)},
    ),
}


@pytest.mark.parametrize("case", SAVED)
def test_what_is_saved_comes_back_bit_by_bit(case: str, tmp_path: Path) -> None:
    encoder, decoder, asked = SAVED[case]
    settings = {"heads": encoder.heads, "scale": encoder.scale, "shape": SHAPE, **asked}
    vae = core.wrap(encoder.eval(), decoder.eval(), **settings)
    core.save_model(vae, tmp_path / "m", {"note": 1})
    found = core.load_model(tmp_path / "m")
    assert found.config == vae.config
    assert [type(layer) for layer in found.encoder] == [type(layer) for layer in vae.encoder]
    x, noise = torch.rand(3, *SHAPE), core.sample_noise(vae, 2)
    assert all(torch.equal(a, b) for a, b in zip(found.encode(x), vae.encode(x), strict=True))
    assert torch.equal(core.elbo(found, x, noise).total, core.elbo(vae, x, noise).total)
    for method in ("ibp", "crown"):
        proved = [core.certify(v, x, noise, eps=0.01, method=method).lower for v in (found, vae)]
        assert torch.equal(*proved)


@pytest.mark.slow
def test_a_folder_is_loaded_without_torch_export_and_without_the_module(tmp_path: Path) -> None:
    encoder, decoder, asked = SAVED["graph"]
    settings = {"heads": encoder.heads, "scale": encoder.scale, "shape": SHAPE, **asked}
    core.save_model(core.wrap(encoder.eval(), decoder.eval(), **settings), tmp_path / "m")
    code = (
        "import sys, torch, core\n"
        "torch.export.export = None\n"
        f"vae = core.load_model({str(tmp_path / 'm')!r})\n"
        "print(vae.config.latent, 'tests' in sys.modules)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [str(K), "False"]
