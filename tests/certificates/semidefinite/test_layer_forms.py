"""Affine forms of what lies before a layer: evaluated at what an image makes of the variables, they are
what the network computes for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from core.bounds.interval import Interval
from core.bounds.relaxations import half_exp_form, relu_form
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import Relaxation
from core.certificates.semidefinite.layer_forms import (
    LayerForms,
    PrefixBounder,
    decoder_forms,
    encoder_forms,
    posterior_forms,
)
from core.vae.latent import reparameterise
from tests.certificates.semidefinite.test_sdp_tightening import extreme_points, question
from tests.conftest import make_images, make_vae


class Case:
    """One ball and draw: encoder and decoder, and the variables of points of the ball."""

    def __init__(self, arch: str, widths: tuple[int, ...] | None, eps: float, draw: int) -> None:
        vae = make_vae(arch, widths=widths, scale=1.5)
        self.problem = question(vae, make_images(vae, 1), eps)
        self.relaxation: Relaxation = self.problem.relaxation()
        self.bounds: LayerBounds = self.relaxation.tighten(self.relaxation.interval_bounds())
        self.encoder = encoder_forms(self.relaxation, self.bounds.encoder)
        posterior = posterior_forms(self.encoder)
        self.decoder = decoder_forms(self.relaxation, self.bounds, posterior, draw)
        self.noise = self.problem.noise[draw]

    def values(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Inputs of every layer, of encoder and decoder."""
        encoder, decoder = [x], []
        for layer in self.problem.vae.encoder:
            encoder.append(layer(encoder[-1]))
        mu, logvar = encoder[-1].chunk(2, -1)
        decoder = [reparameterise(mu, logvar, self.noise[None])[0]]
        for layer in self.problem.vae.decoder:
            decoder.append(layer(decoder[-1]))
        return encoder, decoder

    def variables(self, x: Tensor) -> Tensor:
        encoder, decoder = self.values(x)
        middle, radius = self.relaxation.ball.box.centered()
        pixels = (x.flatten(1) - middle) / torch.where(radius > 0, radius, 1)
        logvar = encoder[-1].chunk(2, -1)[1]
        half = torch.full_like(self.noise[0], 0.5)
        slope, center, radius = (v[0] for v in half_exp_form(self.bounds.posterior[1], half))
        latent = ((logvar / 2).exp() - slope * logvar - center) / radius
        return torch.cat(
            [pixels, *_errors(self.encoder, encoder), latent, *_errors(self.decoder, decoder)], 1
        )


def _errors(layers: LayerForms, values: list[Tensor]) -> list[Tensor]:
    errors = []
    for index, units in layers.unstable.items():
        v, x = values[index].flatten(1)[:, units], layers.bounds(index)
        slope, radius = relu_form(x, (x.upper / x.width).clamp(0, 1))
        errors.append((v.relu() - slope * v - radius) / radius)
    return errors


CASES = [
    ("mlp", None, 0.1, 0),
    ("mlp", None, 1.0, 1),
    ("mlp", (10, 9, 8), 0.2, 1),
    ("conv", None, 0.01, 0),
]


@pytest.mark.parametrize(("arch", "widths", "eps", "draw"), CASES)
@torch.no_grad()
def test_forms_are_what_the_network_computes(
    arch: str, widths: tuple[int, ...] | None, eps: float, draw: int
) -> None:
    case = Case(arch, widths, eps, draw)
    x = extreme_points(case.problem, 20)
    y, seen = case.variables(x), 0
    assert y.abs().max() <= 1 + 1e-6
    for layers, values in zip((case.encoder, case.decoder), case.values(x), strict=True):
        for index in layers.unstable_relus(len(layers.network)):
            units, bounds = layers.units(index), layers.bounds(index)
            v = values[index].flatten(1)[:, layers.unstable[index]]
            form = y[:, : units.slope.shape[1]] @ units.slope.T + units.constant
            torch.testing.assert_close(form, v, rtol=1e-9, atol=1e-9)
            assert (v >= bounds.lower).all()
            assert (v <= bounds.upper).all()
            hidden, gaps = layers.products(index + 1)
            count = len(units.constant)
            for found, wanted in ((hidden, v.relu()), (gaps, v.relu() - v)):
                form = y[:, : found.slope.shape[1]] @ found.slope[-count:].T + found.constant[-count:]
                torch.testing.assert_close(form, wanted, rtol=1e-9, atol=1e-9)
            seen += count
        output = values[-1].flatten(1)
        rows = torch.eye(output.shape[1], dtype=torch.float64).view(-1, 1, *values[-1].shape[1:])
        end = layers.forms(len(layers.network), rows)
        form = y[:, : end.slope.shape[1]] @ end.slope.T + end.constant
        torch.testing.assert_close(form, output, rtol=1e-9, atol=1e-9)
    assert seen > 10


@pytest.mark.parametrize(("arch", "widths", "eps", "draw"), CASES)
@pytest.mark.parametrize("steps", [1, 20])
def test_rows_are_bounded_wherever_they_start(
    arch: str, widths: tuple[int, ...] | None, eps: float, draw: int, steps: int
) -> None:
    case = Case(arch, widths, eps, draw)
    encoder, decoder = case.values(extreme_points(case.problem, 100))
    known = case.encoder.products(len(case.encoder.network))
    for layers, values, earlier in ((case.encoder, encoder, None), (case.decoder, decoder, known)):
        output = values[-1].flatten(1)
        generator = torch.Generator().manual_seed(0)
        rows = torch.randn(6, output.shape[1], generator=generator).double()
        before = PrefixBounder(layers, len(layers.network), earlier)
        shaped = rows.view(6, 1, *values[-1].shape[1:])
        found, multipliers = before.lowest(shaped, steps)
        assert bool(torch.isfinite(found).all())
        assert (found <= (output @ rows.T).amin(0)).all()
        # Multipliers of other rows are valid too.
        warm, _ = before.lowest(shaped.flip(0), steps, multipliers)
        assert (warm <= (output @ rows.flip(0).T).amin(0)).all()


def test_a_start_from_the_same_rows_saves_steps() -> None:
    case = Case("mlp", None, 0.2, 0)
    known = case.encoder.products(len(case.encoder.network))
    before = PrefixBounder(case.decoder, len(case.decoder.network), known)
    rows = torch.eye(784, dtype=torch.float64)[:40].view(40, 1, 1, 28, 28)
    cold, found = before.lowest(rows, 60)
    short, _ = before.lowest(rows, 10)
    warm, _ = before.lowest(rows, 20, found)  # half of them
    assert warm.sum() > short.sum()
    assert warm.sum() > (cold.sum() + short.sum()) / 2


def test_a_start_of_another_shape_is_not_used() -> None:
    """From draw to draw other units are open, and even another layer may be the last that is."""
    case, rows = Case("mlp", (10, 9, 8), 0.2, 0), torch.eye(6, dtype=torch.float64)[:, None]
    before = PrefixBounder(case.encoder, len(case.encoder.network))
    for widths in (None, (12, 12, 30)):
        other = Case("mlp", widths, 0.2, 0)
        _, found = PrefixBounder(other.encoder, len(other.encoder.network)).lowest(rows, 5)
        with_it, _ = before.lowest(rows, 5, found)
        torch.testing.assert_close(with_it, before.lowest(rows, 5)[0])


@torch.no_grad()
def test_stable_layers_have_no_errors() -> None:
    """Neither a ReLU that never bends nor a network without any adds a variable."""
    case, linear = Case("mlp", None, 0.1, 0), nn.Linear(2, 3).double()
    x = Interval(torch.ones(1, 2).double(), 2 * torch.ones(1, 2).double())
    y = Interval(torch.zeros(1, 3).double(), torch.ones(1, 3).double())
    start = case.encoder.units(2).chosen(slice(0, 2))
    rows = torch.eye(3, dtype=torch.float64)[:, None]
    for network, inputs in (([nn.ReLU(), linear], [x, x, y]), ([linear], [x, y])):
        layers = LayerForms(nn.Sequential(*network), inputs, start, case.relaxation.arithmetic)
        assert layers.unstable_relus(len(network)) == []
        assert layers.count(len(network)) == 0
        found = layers.forms(len(network), rows)
        torch.testing.assert_close(found.slope, linear.weight @ start.slope)
        torch.testing.assert_close(found.constant, linear.weight @ start.constant + linear.bias)
