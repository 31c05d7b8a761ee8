"""What drives the stills that are measured where a model is told landmarks: the answer's own face, or another person's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import DatasetError

if TYPE_CHECKING:
    from understudy.dataset.labelled import Labelled
    from understudy.family import Animator, Drive
    from understudy.jobs.animation_pairs import Pair, Reader

_TIMED = 16  # frames

Labels = tuple["Labelled", "Labelled"]
"""A still's and its answer's."""


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Another person, who does what a still is to do.

    Attributes:
        rest, now: (478, 3) landmarks, pixels: the person at the set-up's calmest, and doing it.
        apart: sum of squared differences of the labels from what the still is to do; 0 makes the still's answer exact.
    """

    rest: np.ndarray
    now: np.ndarray
    apart: float


def landmark_drive(pair: Pair, strength: np.ndarray, driver: Driver | None = None, *, retarget: bool = True) -> Drive:
    """A still driven by the answer's measured landmarks, or by another person's.

    Args:
        strength: (B,) one a frame.
        driver: None for the answer itself.
        retarget: keep the shape of the still's face; False takes the driver's own features over.

    Raises:
        FaceError: landmarks that cannot be aligned.
    """
    from understudy.faces.retarget import resting_head
    from understudy.faces.retarget import retarget as moved
    from understudy.family import Drive

    own, wanted = pair.still_seen.landmarks, pair.answer_seen.landmarks
    if driver is not None:
        rest = resting_head(driver.rest[None], [0])
        wanted = moved(driver.now[None], rest, own, shape=retarget)[0]
    side = np.float32(len(pair.still))
    rows = np.repeat((wanted / side).astype(np.float32)[None], len(strength), 0)
    return Drive(strength=strength, landmarks=rows, still_landmarks=(own / side).astype(np.float32))


def other_performers(pairs: Sequence[Labels]) -> list[Labels]:
    """For every pair the one of another person whose answer's labels are nearest to its own.

    Raises:
        DatasetError: nobody else, or pictures without units.
    """
    chosen = []
    for still, answer in pairs:
        others = [pair for pair in pairs if pair[1].person != answer.person]
        if not others or answer.units is None or any(pair[1].units is None for pair in others):
            raise DatasetError(
                f"{still.picture.name}: nobody else's expression can drive it; that takes two people or more, and labels in units."
            )
        chosen.append(min(others, key=lambda pair: labels_apart(pair[1], answer)))
    return chosen


def labels_apart(one: Labelled, other: Labelled) -> float:
    """Sum of squared differences of two pictures' labels, units in 0 to 5."""
    assert one.units is not None and other.units is not None
    return float(np.square(np.asarray(one.units, np.float64) - other.units).sum())


class DriverReader:
    """Measures the people who drive, every picture once."""

    def __init__(self, pairs: Sequence[Labels], size: int, reader: Reader) -> None:
        self._of = {answer.picture: other for (_, answer), other in zip(pairs, other_performers(pairs), strict=True)}
        self._size, self._reader = size, reader
        self._kept: dict[Any, Any] = {}

    def read(self, pair: Pair) -> Driver | None:
        """Who drives this pair's still; None where a face is not found.

        Raises:
            DatasetError: a picture cannot be read.
        """
        still, answer = self._of[pair.answer_label.picture]
        rest, now = self._seen(still), self._seen(answer)
        if rest is None or now is None:
            return None
        return Driver(rest=rest.landmarks, now=now.landmarks, apart=labels_apart(answer, pair.answer_label))

    def _seen(self, label: Labelled) -> Any:
        from understudy.dataset.labelled_batches import read_square

        if label.picture not in self._kept:
            picture = read_square(label.picture, self._size).astype(np.float32) / np.float32(255)
            self._kept[label.picture] = self._reader.read(picture)
        return self._kept[label.picture]


def reconstructed(pair: Pair, animator: Any) -> tuple[np.ndarray, Pair] | None:
    """What a network makes of a still from its own latents, at the network's size, and the pair that it is compared with.

    None for families without latents. A network that moves pixels brings the still to the mean face and back.
    """
    from understudy.composite.residual_warp import ResidualPyramid

    if not (hasattr(animator, "encode") and hasattr(animator, "decode")):
        return None
    low = ResidualPyramid(pair.still, animator.size).low_still
    landmarks = (pair.still_seen.landmarks / np.float32(len(pair.still))).astype(np.float32)
    made = animator.decode(*animator.encode(low, landmarks))
    seen = replace(pair.still_seen, landmarks=landmarks * animator.size)
    from understudy.faces.parse import face_mask

    mask = face_mask(seen.landmarks, animator.size)
    return made, replace(pair, still=low, answer=low, still_seen=seen, answer_seen=seen, mask=mask)


def network_rate(pair: Pair, animator: Animator, drive: Drive) -> float:
    """Frames a second that the network alone answers here, of 16 rows like the drive's last."""
    from understudy.composite.residual_warp import ResidualPyramid
    from understudy.perform.animate import rows_of

    low = ResidualPyramid(pair.still, animator.size).low_still
    many = rows_of(drive, [len(drive.strength) - 1] * _TIMED)
    animator.animate(low, many)
    began = perf_counter()
    animator.animate(low, many)
    return _TIMED / max(perf_counter() - began, 1e-9)
