"""Phases of two kinds with different intervals: a training with critics that stops and goes on gives the same numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from understudy import families
from understudy.dataset.batches import Portion
from understudy.training.loop import Loop, LoopOptions

SIZE = 64


class Pairs:
    """Labelled pictures that depend on the step alone."""

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        numbers = torch.Generator().manual_seed(step)
        pictures = torch.rand(each, 3, size, size, generator=numbers)
        signals = torch.rand(2, each, 17, generator=numbers)
        return [
            Portion(
                identity="people",
                inputs=pictures,
                targets=pictures.roll(1, 3),
                weights=torch.ones(each, 1, size, size),
                signals=signals[0],
                target_signals=signals[1],
            )
        ]

    def sample(self, *, each: int, size: int) -> list[Portion]:
        return self.batch(0, each=each, size=size)


def make_loop(run: Path, *, pictures: int) -> Loop:
    recipe = families.get("warping").recipe("preview")
    recipe = replace(
        recipe,
        network={**recipe.network, "width": 4, "critic_width": 2, "size": SIZE},
        losses={**recipe.losses, "generator_every": 2, "critic_every": 1},
        stages=(replace(recipe.stages[0], resolution=SIZE, pictures=pictures, batch=2),),
        precision="float32",
        warm_up=0,
        cool_down=0.0,
    )
    trainable = families.get("warping").trainable(recipe, (), {})
    return Loop(trainable, recipe, Pairs(), run, LoopOptions(device="cpu", preview_every=1e9))


def test_training_with_critics_goes_on_with_the_same_numbers(tmp_path) -> None:
    whole = make_loop(tmp_path / "whole", pictures=12)
    report = whole.train()
    assert report.finished and "critic/gap" in report.figures
    make_loop(tmp_path / "parts", pictures=6).train()
    parts = make_loop(tmp_path / "parts", pictures=12)
    parts.train()
    other = parts.trainable.network.state_dict()
    for name, tensor in whole.trainable.network.state_dict().items():
        assert torch.equal(tensor, other[name]), name
    for name, tensor in whole.average.tensors.items():
        assert torch.equal(tensor, parts.average.tensors[name]), name


def test_the_generator_learns_in_every_second_step_only(tmp_path) -> None:
    loop = make_loop(tmp_path / "run", pictures=2)
    before = {name: value.clone() for name, value in loop.trainable.network.named_parameters()}
    loop.enter_stage(0)
    loop.steps = 1
    from understudy.training.growing import position_at

    batch = Pairs().batch(1, each=2, size=SIZE)
    figures = loop.step(batch, position_at(loop.recipe.stages, 0))
    changed = {
        name for name, value in loop.trainable.network.named_parameters() if not torch.equal(value, before[name])
    }
    assert "loss/critic" in figures and "loss/generator" not in figures
    assert changed and all(name.startswith("critic") for name in changed)
