"""SEAN in the training loop: averaged weights fit their statistics, and a stopped training goes on with the same numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from understudy.dataset.batches import Portion
from understudy.families.regional_inversion.sean import BatchNorm
from understudy.families.regional_inversion.start import start
from understudy.families.regional_inversion.test_sean import portion, sean_recipe
from understudy.family import Stage
from understudy.training.average import AveragedWeights
from understudy.training.loop import Loop, LoopOptions


def test_averaged_weights_have_averaged_statistics() -> None:
    norm = BatchNorm(1)
    average = AveragedWeights(half_life=1)
    average.follow(norm)
    norm(torch.tensor([[[[1.0, 3.0]]]]))  # mean 2, of which a tenth is taken
    average.update(norm, 1)
    assert norm.running_mean.item() == pytest.approx(0.2)
    with average.in_place_of(norm):
        assert norm.running_mean.item() == pytest.approx(0.1)


class Same:
    """One portion after another, in the order of the steps."""

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        return [portion(seed=step % 3)]

    def sample(self, *, each: int, size: int) -> list[Portion]:
        return [portion(seed=9)]


def test_a_stopped_training_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    weights = []
    for name, lengths in (("whole", (8,)), ("parted", (4, 8))):
        for pictures in lengths:
            recipe = replace(sean_recipe(), stages=(Stage(resolution=64, pictures=pictures, batch=2),))
            loop = Loop(start(recipe), recipe, Same(), tmp_path / name, LoopOptions(device="cpu"))
            loop.train()
        weights.append(loop.checkpoint()[0])
    torch.testing.assert_close(weights[1], weights[0], atol=1e-6, rtol=1e-5)
