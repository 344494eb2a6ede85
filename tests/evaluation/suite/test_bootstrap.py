"""The bootstrap interval beside one that is computed in another way, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.evaluation.suite.bootstrap import RESAMPLES, interval, resamples


def test_resamples_draw_as_many_images_as_there_are() -> None:
    counts = resamples(7, seed=3)
    assert counts.shape == (RESAMPLES, 7)
    assert bool((counts.sum(1) == 7).all())
    assert counts.mean(0).tolist() == pytest.approx([1.0] * 7, abs=0.15)
    assert torch.equal(counts, resamples(7, seed=3))
    assert not torch.equal(counts, resamples(7, seed=4))


def test_beside_numpy() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(-100, 30, 400) + rng.exponential(20, 400)
    low, high = interval(values, resamples(400))
    means = rng.choice(values, (20_000, 400)).mean(1)
    wanted = np.quantile(means, [0.025, 0.975])
    # An end of 1,000 resamples has a standard error of about 0.1 standard errors of the mean.
    assert np.abs(np.array([low, high]) - wanted).max() < 0.4 * means.std()
    assert low < values.mean() < high


def test_covers_the_mean_about_as_often_as_it_says() -> None:
    rng, counts = np.random.default_rng(1), resamples(60)
    hits = 0
    for _ in range(400):
        low, high = interval(rng.exponential(1, 60), counts)
        hits += low <= 1 <= high
    assert 0.88 <= hits / 400 <= 0.97


def test_by_hand() -> None:
    assert interval(np.array([3.0]), resamples(1)) == (3.0, 3.0)
    # Two images: a quarter of the resamples has either alone.
    assert interval(np.array([1.0, 5.0]), resamples(2)) == (1.0, 5.0)
    # Half of the images: the share of ones in 40 draws, 0.5 +- 1.96 * 0.079.
    low, high = interval(np.array([0.0] * 20 + [1.0] * 20), resamples(40))
    assert (low, high) == pytest.approx((0.345, 0.655), abs=0.03)


def test_an_image_without_a_bound() -> None:
    bounded = np.arange(50.0)
    one = np.where(bounded == 7, -math.inf, bounded)
    low, high = interval(one, resamples(50))
    # About one resample in e leaves it out, the others are -inf.
    assert low == -math.inf
    assert 20 < high < interval(bounded, resamples(50))[1] + 2
    most = np.where(bounded < 10, -math.inf, bounded)
    assert interval(most, resamples(50)) == (-math.inf, -math.inf)
