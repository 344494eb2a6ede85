"""A training that is watched: every epoch is attacked and proved on images that it does not learn from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import core
from core.errors import Cancelled
from core.evaluation.epochs import Watch, Watched, watch_epochs
from core.training.loop import train_epochs
from core.training.recipes import RECIPES
from core.training.settings import TrainSettings
from tests.training.trainings import PLAIN, ROBUST, weights_equal

X = core.load_samples("mnist")[0]
WATCH = Watch(X[64:68], eps=0.1, draws=2, steps=3)


def watched(settings: TrainSettings, watch: Watch = WATCH) -> list[Watched]:
    return list(watch_epochs(settings, X[:64], watch))


@pytest.mark.parametrize("recipe", ["standard", *RECIPES])
def test_proved_is_below_attained_is_below_clean_in_every_epoch(recipe: str) -> None:
    settings = PLAIN if recipe == "standard" else replace(ROBUST, recipe=recipe)
    found = watched(replace(settings, epochs=2), replace(WATCH, method="crown-ibp"))
    assert [epoch.report.epoch for epoch in found] == [0, 1, 2]
    for epoch in found:
        assert (epoch.proved <= epoch.attained).all()
        assert (epoch.attained <= epoch.clean).all()
        assert (epoch.x_adv - WATCH.x).abs().max() <= WATCH.eps + 1e-6
        again = core.elbo(epoch.vae, epoch.x_adv, epoch.noise).total
        assert torch.equal(again, epoch.attained)


def test_watching_changes_nothing_and_the_same_seed_gives_the_same_curve() -> None:
    first, again = watched(ROBUST), watched(ROBUST)
    plain = list(train_epochs(ROBUST, X[:64]))
    for one, other, unseen in zip(first, again, plain, strict=True):
        assert torch.equal(one.clean, other.clean)
        assert torch.equal(one.attained, other.attained)
        assert torch.equal(one.proved, other.proved)
        assert torch.equal(one.x_adv, other.x_adv)
        assert weights_equal(one.vae, unseen.vae)


@pytest.mark.parametrize("stage", ["training", "attack", "proof"])
def test_it_can_be_stopped_anywhere(stage: str) -> None:
    def step(what: str) -> None:
        if what == stage:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(watch_epochs(ROBUST, X[:64], WATCH, step))
