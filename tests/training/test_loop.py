"""A training in memory, epoch by epoch: the same training, whoever watches it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import core
from core.data.samples import load_dataset
from core.errors import Cancelled, CoreError, InputError
from core.training.loop import EpochReport, train_epochs
from core.training.settings import TrainSettings
from tests.conftest import make_images, make_vae
from tests.training.trainings import CONV, PLAIN, ROBUST, weights_equal


@pytest.mark.parametrize(
    "settings", [PLAIN, ROBUST, replace(PLAIN, model=CONV)], ids=["plain", "robust", "conv"]
)
def test_the_epochs_are_those_of_a_training_that_is_written(
    settings: TrainSettings, mnist: Path, tmp_path: Path
) -> None:
    reports: list[EpochReport] = []
    written = core.train(settings, tmp_path, data=mnist, on_epoch=reports.append)
    epochs = list(train_epochs(settings, load_dataset("mnist", "train", mnist)[0]))
    assert [epoch.report for epoch in epochs[1:]] == reports
    assert weights_equal(epochs[-1].vae, written)
    assert not any(weights_equal(a.vae, b.vae) for a, b in pairwise(epochs))
    first = epochs[0].report
    assert (first.epoch, first.epochs, first.eps) == (0, settings.epochs, 0)
    assert math.isnan(first.clean)
    assert math.isnan(first.robust)


def test_the_seed_decides_every_epoch_and_an_epoch_stays_as_it_is() -> None:
    x = make_images(make_vae(), count=40)
    kept, weights = [], []
    for epoch in train_epochs(ROBUST, x):
        kept.append(epoch)
        weights.append({key: value.clone() for key, value in epoch.vae.state_dict().items()})
    torch.manual_seed(9)
    for epoch, then, again in zip(kept, weights, train_epochs(ROBUST, x), strict=True):
        assert all(torch.equal(value, then[key]) for key, value in epoch.vae.state_dict().items())
        assert weights_equal(epoch.vae, again.vae)
        assert repr(epoch.report) == repr(again.report)
        assert not epoch.vae.training
        assert not any(weight.requires_grad for weight in epoch.vae.parameters())
    other = list(train_epochs(replace(ROBUST, seed=1), x))
    assert not weights_equal(other[-1].vae, kept[-1].vae)


def test_epochs_are_trained_when_they_are_asked_for_and_steps_can_stop_them() -> None:
    x, seen = make_images(make_vae(), count=40), list[tuple[int, int]]()

    def step(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise Cancelled

    epochs = train_epochs(PLAIN, x, step)
    next(epochs)
    assert seen == []
    next(epochs)
    assert seen == [(1, 8), (2, 8)]
    with pytest.raises(Cancelled):
        next(epochs)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InputError):
        next(train_epochs(PLAIN, torch.zeros(0, 1, 28, 28)))
    with pytest.raises(CoreError):
        next(train_epochs(PLAIN, torch.full((2, 1, 28, 28), 2.0)))
