"""Pictures of many people giving the same moments: the exact answers that rendered performers make possible.

A folder holds one ``<person>.npz`` each (written with ``allow_pickle=False``): ``pictures`` (moments, h, h, 3) uint8 aligned
crops, RGB in the view colour space, and ``weights`` (moments, h, h) uint8 with 64 for 1 (0 outside the face). Row m of every file
is the same moment: the same expression, head pose, gaze and light. Files with another number of rows hold moments of
their own, which are only used to reconstruct themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from understudy.dataset.augment import AugmentSettings, draw_light, draw_moves, move, relight
from understudy.dataset.batches import Portion, generator_for, to_tensors
from understudy.errors import DatasetError


class PairedPerformances:
    """The whole folder in memory, as training batches (see ``understudy.training.loop.Batches``)."""

    def __init__(
        self, folder: Path, *, augment: AugmentSettings, across: float = 0.6, seed: int = 0, rank: int = 0
    ) -> None:
        """
        Args:
            across: share of the samples whose input shows another person than the answer.
        """
        self.augment, self.across, self.seed, self.rank = augment, across, seed, rank
        self.people: list[str] = []
        self.pictures: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        for path in sorted(folder.glob("*.npz")):
            with np.load(path, allow_pickle=False) as data:
                self.people.append(path.stem)
                self.pictures.append(data["pictures"])
                self.weights.append(data["weights"])
        if len(self.people) < 2:
            raise DatasetError(
                f"{folder} holds {len(self.people)} people (*.npz) and paired training needs at least 2."
            )
        counts = [len(p) for p in self.pictures]
        shared = max(set(counts), key=counts.count)
        self.paired = [at for at, count in enumerate(counts) if count == shared]

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        """``each`` portions of one picture, every one of another draw of person and moment."""
        import torch

        numbers, generator = generator_for(self.seed, step, self.rank)
        people = numbers.integers(len(self.people), size=each)
        shown, answers = [], []
        for person in people:
            moment = int(numbers.integers(len(self.pictures[person])))
            other = person
            if person in self.paired and numbers.random() < self.across:
                other = self.paired[numbers.integers(len(self.paired))]
            shown.append((self.pictures[other][moment], self.weights[other][moment]))
            answers.append((self.pictures[person][moment], self.weights[person][moment]))
        pictures, weights = to_tensors(shown + answers)
        # One move and one light for both: what changes is only who is seen.
        moves = draw_moves(each, self.augment, generator).repeat(2, 1, 1)
        moved = move(torch.cat([pictures, weights], 1), moves, size)
        light = draw_light(each, self.augment, generator)
        inputs, targets = (relight(half, light) for half in moved[:, :3].split(each))
        inputs = (inputs + torch.randn(inputs.shape, generator=generator) * self.augment.noise).clamp(0, 1)
        one = lambda x, at: x[at : at + 1]  # noqa: E731
        return [
            Portion(
                identity=self.people[person],
                inputs=one(inputs, at),
                targets=one(targets, at),
                weights=one(moved, each + at)[:, 3:],
            )
            for at, person in enumerate(people)
        ]

    def sample(self, *, each: int, size: int) -> list[Portion]:
        """The same sixteen draws every time, across identities, unmoved and unlit."""
        from torch.nn import functional

        portions = []
        for at in range(16):
            person = self.paired[(at * 7 + 3) % len(self.paired)]
            shown = self.paired[(at * 11 + 5) % len(self.paired)]
            moment = (at * 5 + 1) % len(self.pictures[person])
            read, weights = to_tensors([(self.pictures[p][moment], self.weights[p][moment]) for p in (shown, person)])
            small = functional.interpolate(read, size=(size, size), mode="area")
            weights = functional.interpolate(weights[1:], size=(size, size), mode="area")
            portions.append(Portion(identity=self.people[person], inputs=small[:1], targets=small[1:], weights=weights))
        return portions


def write_person(folder: Path, name: str, pictures: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> None:
    """Write one person's aligned crops and weights (see the module's head for their shapes)."""
    from understudy.provenance.atomic import replacing

    with replacing(folder / f"{name}.npz") as temporary:
        np.savez_compressed(temporary, pictures=np.stack(pictures), weights=np.stack(weights))
