"""Pictures of many people giving the same moments: the exact answers that rendered performers make possible.

A folder holds one ``<person>.npz`` each (written with ``allow_pickle=False``): ``pictures`` (moments, h, h, 3) uint8 aligned
crops, RGB in the view colour space, ``weights`` (moments, h, h) uint8 with 64 for 1 (0 outside the face), ``moments`` (moments,)
int64. Rows of the same moment number show the same expression, head pose, gaze and light, whoever gives them; a number that
only one person has is only used to reconstruct itself.
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
        self.moments: list[np.ndarray] = []
        for path in sorted(folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as data:
                    self.pictures.append(data["pictures"])
                    self.weights.append(data["weights"])
                    self.moments.append(data["moments"])
            except (OSError, KeyError, ValueError) as error:
                raise DatasetError(
                    f"{path} is no file of paired performances ({error}); write it with pictures, weights and moments."
                ) from error
            self.people.append(path.stem)
        if len(self.people) < 2:
            raise DatasetError(f"{folder} holds {len(self.people)} people (*.npz); paired training needs at least 2.")
        self.giving: dict[int, list[tuple[int, int]]] = {}
        for person, moments in enumerate(self.moments):
            for row, moment in enumerate(moments):
                # A frame in which no face was found has no weight anywhere.
                if self.weights[person][row].any():
                    self.giving.setdefault(int(moment), []).append((person, row))
        self.rows = [pair for pairs in self.giving.values() for pair in pairs]
        self.shared = [moment for moment, pairs in self.giving.items() if len(pairs) > 1]
        if not self.shared:
            raise DatasetError(f"{folder}: no two people give the same moment, so nothing is paired.")

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        """``each`` portions of one picture, every one of another draw of person and moment."""
        import torch

        numbers, generator = generator_for(self.seed, step, self.rank)
        people, shown, answers = [], [], []
        for at in numbers.integers(len(self.rows), size=each):
            person, row = self.rows[at]
            other, other_row = person, row
            if numbers.random() < self.across:
                alike = self.giving[int(self.moments[person][row])]
                other, other_row = alike[numbers.integers(len(alike))]
            people.append(person)
            shown.append((self.pictures[other][other_row], self.weights[other][other_row]))
            answers.append((self.pictures[person][row], self.weights[person][row]))
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
            alike = self.giving[self.shared[(at * 5 + 1) % len(self.shared)]]
            (shown, shown_row), (person, row) = alike[(at * 11 + 5) % len(alike)], alike[(at * 7 + 3) % len(alike)]
            read, weights = to_tensors(
                [
                    (self.pictures[shown][shown_row], self.weights[shown][shown_row]),
                    (self.pictures[person][row], self.weights[person][row]),
                ]
            )
            small = functional.interpolate(read, size=(size, size), mode="area")
            weights = functional.interpolate(weights[1:], size=(size, size), mode="area")
            portions.append(Portion(identity=self.people[person], inputs=small[:1], targets=small[1:], weights=weights))
        return portions


def write_person(
    folder: Path, name: str, pictures: Sequence[np.ndarray], weights: Sequence[np.ndarray], moments: Sequence[int]
) -> None:
    """Write one person's aligned crops and weights (see the module's head for their shapes)."""
    from understudy.provenance.atomic import replacing

    with replacing(folder / f"{name}.npz") as temporary:
        np.savez_compressed(
            temporary, pictures=np.stack(pictures), weights=np.stack(weights), moments=np.asarray(moments, np.int64)
        )
