from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

import core
from core.inspection import lessons
from core.vae.likelihood import Bernoulli
from tests.conftest import make_images, make_vae

EPS = some.sampled_from((0.0, 0.01, 0.1, 0.3))


def question(seed: int = 0):
    """A small model, one image (1, 1, 28, 28), draws."""
    vae = make_vae(seed=seed, scale=3.0)
    return vae, make_images(vae, 1, seed), core.sample_noise(vae, 3, seed)


@pytest.mark.slow
@given(some.integers(0, 5), EPS)
def test_the_worst_pixel_is_attained_and_none_is_worse(seed: int, eps: float):
    vae, x, noise = question(seed)
    found = lessons.one_pixel(vae, x, noise, eps)
    assert found.clean == pytest.approx(core.elbo(vae, x, noise).total.item())
    row, column = divmod(int(found.lowest.argmin()), x.shape[-1])
    changed = x.clone()
    changed[0, 0, row, column] += found.change[row, column]
    assert found.change.abs().max() <= eps + 1e-6
    assert core.elbo(vae, changed, noise).total.item() == pytest.approx(found.lowest.min().item(), abs=1e-4)
    # Any one pixel, moved to an end of its range, is in the map.
    place = seed * 131 % x.numel()
    for sign in (-1, 1):
        other = x.clone().flatten()
        other[place] = (other[place] + sign * eps).clamp(0, 1)
        score = core.elbo(vae, other.view_as(x), noise).total.item()
        assert score >= found.lowest.flatten()[place].item() - 1e-4
    assert bool((found.lowest <= found.clean).all())


def test_a_pixel_that_cannot_go_down_goes_up():
    vae, _, noise = question()
    found = lessons.one_pixel(vae, torch.zeros(1, 1, 28, 28), noise, 0.1)
    assert bool((found.change >= 0).all())
    assert found.change.max() > 0


@given(some.integers(0, 3))
def test_for_a_small_step_the_slope_keeps_its_promise(seed: int):
    vae, x, noise = question(seed)
    eps = 1e-4
    clean = core.elbo(vae, x, noise).total.item()
    drop = clean - core.attack(vae, x, noise, eps=eps, method="fgsm").elbo.item()
    assert drop == pytest.approx(lessons.promised(vae, x, noise, eps), rel=0.05)


@given(some.integers(0, 5), some.sampled_from((0.02, 0.1, 0.3)))
def test_a_clamp_in_the_graph_holds_pixels_on_the_edge_fast(seed: int, eps: float):
    vae, x, noise = question(seed)
    right = lessons.descend(vae, x, noise, eps, 10, clamped=False)
    wrong = lessons.descend(vae, x, noise, eps, 10, clamped=True)
    edge = (x == 0) | (x == 1)
    assert wrong.dead[0] >= edge.double().mean() > 0.5
    assert right.dead[0] < 0.5
    assert torch.equal(wrong.point[edge], x[edge])
    for path in (right, wrong):
        assert bool((path.point - x).abs().max() <= eps + 1e-6)
        assert bool((path.point - path.point.clamp(0, 1) == 0).all())
        assert path.values[0].item() == pytest.approx(core.elbo(vae, x, noise).total.item())
        assert core.elbo(vae, path.point, noise).total.item() == pytest.approx(path.values.min().item())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist-mlp-standard", "mnist-mlp-robust-0.1"])
def test_on_digits_the_clamp_hides_most_of_what_there_is(name: str):
    vae, (images, _) = core.load_model(name), core.load_samples("mnist")
    noise = core.sample_noise(vae, 4, 0)
    for x in images[:6].split(1):
        for eps in (0.01, 0.1, 0.2):
            right, wrong = (lessons.descend(vae, x, noise, eps, 40, clamped=c) for c in (False, True))
            clean = right.values[0]
            # Signs of few pixels can only do so much: the wrong one never beats the right one.
            assert right.values.min() < wrong.values.min()
            assert clean - wrong.values.min() < 0.5 * (clean - right.values.min())


def test_the_right_descent_is_the_attack():
    vae, x, noise = question()
    right = lessons.descend(vae, x, noise, 0.1, 20, clamped=False)
    attack = core.attack(vae, x, noise, eps=0.1, method="pgd", steps=20)
    assert right.values.min().item() == pytest.approx(attack.elbo.item(), abs=0.05)
    assert core.elbo(vae, right.point, noise).total.item() == pytest.approx(right.values.min().item())


@pytest.mark.parametrize("move", lessons.MOVES)
def test_a_moved_digit_is_an_image_outside_of_every_small_ball(move: str):
    for x in core.load_samples("mnist")[0][:10].split(1):
        moved = lessons.moved(x, move)
        assert moved.shape == x.shape
        assert 0 <= moved.min() <= moved.max() <= 1
        assert lessons.distance(x, moved) > 0.2
        assert moved.sum().item() == pytest.approx(x.sum().item(), rel=0.1)


def test_a_shift_moves_pixels_to_the_right():
    x = torch.zeros(1, 1, 28, 28)
    x[0, 0, 5, 7] = 1
    assert lessons.moved(x, "shift-2").nonzero().tolist() == [[0, 0, 5, 9]]


def test_a_rotation_by_10_degrees_keeps_the_middle():
    x = torch.zeros(1, 1, 28, 28)
    x[0, 0, 13:15, 13:15] = 1
    turned = lessons.moved(x, "rotate-10")
    assert turned[0, 0, 13:15, 13:15].min() > 0.8


def test_widths_grow_with_the_ball_and_say_where():
    vae, x, noise = question()
    small, large = (
        lessons.mean_widths(core.certify(vae, x, noise, eps=eps).intervals) for eps in (0.01, 0.1)
    )
    assert list(small) == list(large)
    assert {"input", "mu", "logvar", "z"} < set(small)
    assert all(small[name] <= large[name] for name in small)
    assert small["input"] < large["input"]
    assert not any("latten" in name for name in small)


def test_the_parts_are_those_of_the_elbo():
    vae, x, noise = question()
    parts, whole = lessons.parts(vae, x, noise), core.elbo(vae, x, noise)
    assert parts.recon.mean().item() == pytest.approx(whole.recon.item())
    assert parts.kl.sum().item() == pytest.approx(whole.kl.item())
    assert parts.total.mean().item() == pytest.approx(whole.total.item())
    assert parts.means.shape == (3, 28, 28)
    alone = core.elbo(vae, x, noise[1:2]).recon.item()
    assert parts.recon[1].item() == pytest.approx(alone)


def test_nothing_attacks_the_constant_decoder_below_its_bound():
    decoder = lessons.constant_decoder(Bernoulli(), 0.1)
    x = core.load_samples("mnist")[0][:5].double()
    lower = decoder.lower(x, 0.1, "likelihood")
    worst = torch.where(decoder.a > 0, x - 0.1, x + 0.1).clamp(0, 1)
    assert decoder.elbo(worst) == pytest.approx(lower)
    assert bool((lower < decoder.elbo(x)).all())
