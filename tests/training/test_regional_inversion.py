"""Generator and inversion in the training loop: they learn, and a stopped training goes on with the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from understudy.dataset.batches import Portion
from understudy.families.regional_inversion.recipes import GENERATOR, INVERSION
from understudy.families.regional_inversion.test_inversion import GAN_TERMS, OWN_TERMS, portion, tiny_recipe, trainable
from understudy.training.growing import position_at
from understudy.training.loop import Loop, LoopOptions


class Same:
    """The same portion at every step."""

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        return [portion(seed=step % 3)]

    def sample(self, *, each: int, size: int) -> list[Portion]:
        return [portion(seed=9)]


def test_inversion_learns_to_reconstruct(tmp_path: Path) -> None:
    recipe = tiny_recipe(INVERSION, OWN_TERMS, 4 * 30)
    subject = trainable(recipe)
    before = float(subject.loss("inversion", [portion(seed=1)], 1.0)[1]["l1"])
    report = Loop(subject, recipe, Same(), tmp_path, LoopOptions(device="cpu")).train()
    assert report.finished
    after = float(subject.loss("inversion", [portion(seed=1)], 1.0)[1]["l1"])
    assert after < 0.8 * before


@pytest.mark.parametrize(("stage", "terms"), [(GENERATOR, GAN_TERMS), (INVERSION, {**OWN_TERMS, "r1": 1.0})])
def test_a_stopped_training_goes_on_with_the_same_numbers(stage: str, terms: Mapping[str, Any], tmp_path: Path) -> None:
    weights = []
    for name, lengths in (("whole", (24,)), ("parted", (12, 24))):
        for pictures in lengths:
            recipe = tiny_recipe(stage, terms, pictures)
            loop = Loop(trainable(recipe), recipe, Same(), tmp_path / name, LoopOptions(device="cpu"))
            loop.train()
        weights.append(loop.checkpoint()[0])
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, atol=1e-6, rtol=1e-5)


def test_the_rate_drops_where_the_recipe_says(tmp_path: Path) -> None:
    recipe = tiny_recipe(INVERSION, OWN_TERMS, 100, drops=((40, 0.1), (60, 0.1)))
    loop = Loop(trainable(recipe), recipe, Same(), tmp_path, LoopOptions(device="cpu"))
    factors = {}
    for pictures in (0, 39, 40, 59, 60, 99):
        loop.pictures = pictures
        factors[pictures] = loop.slowing(position_at(recipe.stages, pictures))
    assert factors == pytest.approx({0: 1, 39: 1, 40: 0.1, 59: 0.1, 60: 0.01, 99: 0.01})
