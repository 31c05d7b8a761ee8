"""Face sets to training batches.

A batch depends on the seed and the step's number alone, so training goes on after a stop with the pictures that would have
come, whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from understudy.dataset.augment import AugmentSettings, draw_light, draw_moves, move, relight
from understudy.dataset.held_back import held_back
from understudy.errors import DatasetError

if TYPE_CHECKING:
    import torch

    from understudy.dataset.face_set import FaceSet

SMALLEST_SET = 8
"""Fewer pictures than this cannot teach a face."""


@dataclass(frozen=True, kw_only=True)
class Portion:
    """One identity's part of a batch."""

    identity: str
    inputs: torch.Tensor
    """(B, 3, s, s) RGB in [0, 1], view colour space: what the network is shown."""
    targets: torch.Tensor
    """(B, 3, s, s): what it should answer."""
    weights: torch.Tensor
    """(B, 1, s, s): 0 outside the face, 1 inside, more at eyes and mouth."""
    signals: torch.Tensor | None = None
    """(B, c): what drives the face in ``inputs``; action units as fifths of OpenFace's 0 to 5, or one-hot expressions."""
    target_signals: torch.Tensor | None = None
    """(B, c): what drives the face in ``targets``."""
    points: torch.Tensor | None = None
    """(B, P, 2): x and y in the picture's unit square of points of the face in ``inputs``."""
    target_points: torch.Tensor | None = None
    """(B, P, 2): the same points in ``targets``."""
    alike: torch.Tensor | None = None
    """(B,): 1 where ``targets`` differ from ``inputs`` by the face alone, 0 where light and surroundings do too."""
    regions: torch.Tensor | None = None
    """(B, s, s) uint8: the region (``understudy.faces.regions.Region``) of every pixel of ``targets``."""

    def moved(self, place: Callable[[torch.Tensor], torch.Tensor]) -> Portion:
        """The same with every tensor put through ``place``."""
        tensors = {name: value for name, value in vars(self).items() if name != "identity" and value is not None}
        return replace(self, **{name: place(value) for name, value in tensors.items()})


class Pictures(Protocol):
    """Training pictures of one identity."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(h, h, 3) uint8 RGB and (h, h) uint8 weights: 64 stands for 1."""
        ...


def detail_weights(mask: np.ndarray, landmarks: np.ndarray, *, gain: float = 2.0) -> np.ndarray:
    """Weights of the pixels of one crop, uint8 with 64 for 1.

    Args:
        mask: (h, h) float in [0, 1], the face.
        landmarks: (478, 2) crop pixels, MediaPipe's topology.
        gain: what is added to the weight at the middle of eyes and mouth. A few pixels there decide whether a face looks alive.
    """
    import cv2

    from understudy.faces.topology import LEFT_EYE, LIPS_OUTER, RIGHT_EYE

    detail = np.zeros(mask.shape, np.float32)
    for outline in (LEFT_EYE, RIGHT_EYE, LIPS_OUTER):
        cv2.fillPoly(detail, [np.round(landmarks[outline, :2] * 8).astype(np.int32)], 1.0, shift=3)
    radius = max(1, mask.shape[0] // 40)
    detail = cv2.dilate(detail, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
    detail = cv2.GaussianBlur(detail, (0, 0), radius)
    return np.clip(mask * (1 + gain * detail) * 64, 0, 255).astype(np.uint8)


class FaceSetPictures:
    """One identity's face sets, held in memory while they fit the budget, else read as they are needed."""

    def __init__(self, face_set: FaceSet, size: int, *, budget: int = 2_000_000_000, hold_back: int = 0) -> None:
        self.face_set = face_set
        self.entries = [entry for entry in face_set.entries() if not held_back(entry.number, hold_back)]
        self.size = size
        self.keep = len(self.entries) * size * size * 4 <= budget
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        if len(self.entries) < SMALLEST_SET:
            raise DatasetError(
                f"{face_set.folder} has {len(self.entries)} usable pictures and training needs at least {SMALLEST_SET}; "
                f"gather more footage of this identity."
            )

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index in self._kept:
            return self._kept[index]
        entry = self.entries[index]
        picture, mask = self.face_set.load(entry, self.size)
        scale = self.size / self.face_set.size
        pair = (
            np.clip(np.round(picture * 255), 0, 255).astype(np.uint8),
            detail_weights(mask, np.asarray(entry.landmarks)[:, :2] * scale),
        )
        if self.keep:
            self._kept[index] = pair
        return pair


def to_tensors(read: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Read pictures to (B, 3, h, h) in [0, 1] and (B, 1, h, h) weights."""
    import torch

    pictures = torch.from_numpy(np.stack([picture for picture, _ in read])).permute(0, 3, 1, 2).float().div_(255)
    weights = torch.from_numpy(np.stack([weight for _, weight in read]))[:, None].float().div_(64)
    return pictures, weights


def generator_for(seed: int, step: int, rank: int) -> tuple[np.random.Generator, torch.Generator]:
    """The random numbers of one step on one process."""
    import torch

    numbers = np.random.default_rng([seed, step, rank])
    return numbers, torch.Generator().manual_seed(int(numbers.integers(1 << 62)))


class IdentityBatches:
    """Every step sees every identity, so that the shared parts never forget one."""

    def __init__(self, sets: Mapping[str, Pictures], *, augment: AugmentSettings, seed: int, rank: int = 0) -> None:
        self.sets, self.augment, self.seed, self.rank = dict(sets), augment, seed, rank

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        """``each`` pictures of every identity at ``size`` pixels."""
        import torch

        numbers, generator = generator_for(self.seed, step, self.rank)
        portions = []
        for identity, pictures in self.sets.items():
            chosen = numbers.integers(len(pictures), size=each)
            read, weights = to_tensors([pictures.read(int(index)) for index in chosen])
            moves = draw_moves(each, self.augment, generator)
            moved = move(torch.cat([read, weights], 1), moves, size)
            targets = relight(moved[:, :3], draw_light(each, self.augment, generator))
            noise = torch.randn(targets.shape, generator=generator) * self.augment.noise
            portions.append(
                Portion(
                    identity=identity,
                    inputs=(targets + noise).clamp(0, 1),
                    targets=targets,
                    weights=moved[:, 3:],
                )
            )
        return portions

    def sample(self, *, each: int, size: int) -> list[Portion]:
        """Evenly spaced pictures without augmentation, for previews."""
        portions = []
        for identity, pictures in self.sets.items():
            chosen = np.linspace(0, len(pictures) - 1, each).round().astype(int)
            read, weights = to_tensors([pictures.read(int(index)) for index in chosen])
            from torch.nn import functional

            read = functional.interpolate(read, size=(size, size), mode="area")
            weights = functional.interpolate(weights, size=(size, size), mode="area")
            portions.append(Portion(identity=identity, inputs=read, targets=read, weights=weights))
        return portions
