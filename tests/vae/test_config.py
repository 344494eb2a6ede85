"""Configurations: every branch of the validation, and the way to config.json and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from core.training.settings import TrainSettings
from core.vae.config import VAEConfig
from core.vae.model import VAE

BAD: list[tuple[str, Any]] = [
    *(("arch", v) for v in ("MLP", "resnet", None, 1, ["mlp"])),
    *(("likelihood", v) for v in ("Bernoulli", "", None, 2)),
    *(("channels", v) for v in (0, 2, 4, -1, 1.0, True, "1", None)),
    *(("size", v) for v in (0, 27, 64, 28.0, True, "28", None)),
    *(("latent", v) for v in (0, -1, 1025, 2.0, True, "16", None, 10**400)),
    *(
        ("widths", v)
        for v in (5, None, "512", (0,), (8193,), (1.5,), (True,), (), (8,) * 9, ("a",), {"a": 1})
    ),
    *(("sigma", v) for v in (0, -1, 0.0009, 10.1, float("nan"), float("inf"), "1", True, None)),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_values_are_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} .*(it must|choose one of)"):
        VAEConfig(**{name: value})


@pytest.mark.parametrize("widths", [(8,), (8, 8), (8, 8, 8, 8), ()])
def test_conv_needs_three_widths(widths: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="conv needs three"):
        VAEConfig(arch="conv", widths=widths)


@pytest.mark.parametrize(("arch", "widths"), [("mlp", (5,)), ("mlp", (5, 7, 9)), ("conv", (3, 4, 5))])
@pytest.mark.parametrize(("channels", "size", "latent"), [(1, 28, 2), (3, 32, 5)])
def test_the_weights_are_counted(
    arch: str, widths: tuple[int, ...], channels: int, size: int, latent: int
) -> None:
    config = VAEConfig(arch, channels=channels, size=size, latent=latent, widths=widths)
    assert config.weights == sum(parameter.numel() for parameter in VAE(config).parameters())


@pytest.mark.parametrize(("arch", "widths"), [("mlp", (8192,) * 8), ("conv", (8192,) * 3)])
def test_a_model_that_would_not_fit_is_refused_before_it_is_built(
    arch: str, widths: tuple[int, ...]
) -> None:
    with pytest.raises(ConfigError, match=r"would have \d[\d,]+ weights, more than 50,000,000"):
        VAEConfig(arch, widths=widths)


@given(
    arch=st.sampled_from(["mlp", "conv"]),
    likelihood=st.sampled_from(["bernoulli", "gaussian"]),
    channels=st.sampled_from([1, 3]),
    size=st.sampled_from([28, 32]),
    latent=st.integers(1, 1024),
    widths=st.lists(st.integers(1, 500), min_size=3, max_size=3),
    sigma=st.floats(1e-3, 10),
)
def test_round_trip_through_json(**values: Any) -> None:
    config = VAEConfig(**values)
    assert config.widths == tuple(values["widths"])
    assert VAEConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.shape == (config.channels, config.size, config.size)
    assert config.pixels == config.channels * config.size**2


def test_from_dict_names_unknown_and_missing_keys() -> None:
    values = VAEConfig().to_dict()
    with pytest.raises(ConfigError, match="unknown keys: colour, depth"):
        VAEConfig.from_dict(values | {"depth": 3, "colour": 1})
    del values["latent"], values["arch"]
    with pytest.raises(ConfigError, match="lacks: arch, latent"):
        VAEConfig.from_dict(values)


BAD_SETTINGS: list[tuple[str, Any]] = [
    *(("dataset", v) for v in ("MNIST", "imagenet", None)),
    *(("target", v) for v in ("both", None)),
    *(("eps", v) for v in (-0.1, 1.1, float("nan"), "0.1", True, None)),
    *(("recipe", v) for v in ("IBP", "plain", None)),
    *(("init", v) for v in ("zero", None)),
    *((name, v) for name in ("kappa", "share") for v in (-0.1, 1.1, float("nan"), True)),
    *((name, v) for name in ("beta", "kl_warmup", "regularise") for v in (-1, float("nan"), 1e7, "1")),
    *(("attack_steps", v) for v in (0, 1.5, True, 10**6)),
    *(("epochs", v) for v in (0, -1, 1.5, 10_001, True, "3")),
    *(("warmup", v) for v in (-1, float("nan"), float("inf"), None)),
    *(("ramp", v) for v in (-1, float("nan"), float("inf"), None)),
    *(("batch", v) for v in (0, 1.5, True, 10**6)),
    *(("lr", v) for v in (0, -1, 2, float("nan"), True)),
    *(("seed", v) for v in (-1, 0.5, True, 2**40)),
]


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_bad_training_settings_are_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} is .*(it must|choose one of)"):
        TrainSettings(**{name: value})


def test_the_model_has_to_fit_the_images() -> None:
    with pytest.raises(ConfigError, match=r"cifar10 has 3 channels of size 32.*\(1, 28, 28\)"):
        TrainSettings(dataset="cifar10")
    assert TrainSettings(dataset="cifar10", model=VAEConfig(channels=3, size=32)).model.pixels == 3072


def test_a_bound_on_the_whole_elbo_has_no_weight_for_its_kl() -> None:
    changes: list[dict[str, Any]] = [{"beta": 2.0}, {"kl_warmup": 1.0}]
    for change in changes:
        with pytest.raises(ConfigError, match="crown-ibp bounds the ELBO as a whole"):
            TrainSettings(eps=0.1, recipe="crown-ibp", **change)
        TrainSettings(recipe="crown-ibp", **change)  # plain training does not use the recipe
