"""Animating: the crop of a still and what it is asked to do in, one answer a frame out, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import CheckpointError, InternalError, OptionError
from understudy.family import Drive

if TYPE_CHECKING:
    from understudy.family import Animator, Family

BATCH = 8
"""Frames asked of a family at a time. A family's answer to a row does not depend on the others in its batch."""


@dataclass(frozen=True, kw_only=True)
class AnimatedCrop:
    """A family's answer for one frame.

    Attributes:
        crop: (size, size, 3) float32 RGB in [0, 1], view colour space.
        motion: (size, size, 2) float32, x then y, or None: the crop at p shows what the still showed at p + motion(p);
            the crop's side is 1.
        matte: (size, size) float32 in [0, 1], where the family says it changed anything, or None.
    """

    crop: np.ndarray
    motion: np.ndarray | None = None
    matte: np.ndarray | None = None


def find_animators(checkpoint: Path | str | None, method: str | None = None) -> list[tuple[Family, Path]]:
    """The families and checkpoints that may be meant, the likeliest first: the given one alone, or the default weights of
    ``method``, or those of every animating family that has any.

    Raises:
        CheckpointError: unreadable, foreign, of a family that does not animate, or no default weights.
        OptionError: no such method, it does not animate, or the checkpoint is of another.
    """
    from understudy import families
    from understudy.checkpoint import read_card
    from understudy.family import Task

    known = {name: families.get(name) for name in families.names()}
    able = [name for name, family in known.items() if Task.ANIMATE in family.tasks]
    if method is not None and method not in able:
        raise OptionError(f"--method {method} does not animate; these do: {', '.join(able) or 'none'}.")
    if checkpoint is not None:
        name = read_card(checkpoint).family
        if name not in able:
            raise CheckpointError(
                f"{checkpoint} is a {name} model, which does not animate; these do: {', '.join(able) or 'none'}."
            )
        if method not in (None, name):
            raise OptionError(f"--method {method} and {checkpoint} do not go together: it is a {name} model.")
        return [(known[name], Path(checkpoint))]
    found = []
    for name in able if method is None else [method]:
        weights = known[name].default_weights
        if weights is not None and weights.is_file():
            found.append((known[name], weights))
    if not found:
        raise CheckpointError(
            f"{method or 'No animating family'} comes {'without' if method else 'with'} weights here; "
            "train it, then name the result with --run."
        )
    return found


def find_animator(checkpoint: Path | str | None, method: str | None = None) -> tuple[Family, Path]:
    """The likeliest family and checkpoint, see :func:`find_animators`, which raises the same errors."""
    return find_animators(checkpoint, method)[0]


def open_animator(checkpoint: Path | str | None = None, method: str | None = None, *, device: str = "auto") -> Animator:
    """A checkpoint, whichever family's, ready to animate; without one, the default weights, see :func:`find_animator`.

    Raises:
        CheckpointError, OptionError: as :func:`find_animator`, or the device is not there.
    """
    family, path = find_animator(checkpoint, method)
    return family.animator(path, device=device)


def animate_crops(still: np.ndarray, drive: Drive, *, animator: Animator, batch: int = BATCH) -> Iterator[AnimatedCrop]:
    """The answer to every row of ``drive``, in order, holding one batch in memory.

    Args:
        still: (size, size, 3) float32 RGB in [0, 1], view space; size is the animator's.
        drive: what the still is asked to do.
        animator: from :func:`open_animator`.
        batch: how many rows go to the animator at a time; the pixels do not depend on it.

    Raises:
        InternalError: the still or an answer has the wrong shape, or an answer is not finite.
    """
    if still.shape != (animator.size, animator.size, 3):
        raise InternalError(f"the still's crop is {still.shape}; the animator takes {animator.size} pixels a side.")
    for first in range(0, len(drive.strength), batch):
        yield from _answers(still, rows_of(drive, slice(first, first + batch)), animator)


def rows_of(drive: Drive, rows: slice | list[int]) -> Drive:
    """The same drive, of these rows only."""
    return replace(
        drive,
        strength=drive.strength[rows],
        units=None if drive.units is None else drive.units[rows],
        landmarks=None if drive.landmarks is None else drive.landmarks[rows],
    )


def rest_of(drive: Drive) -> Drive:
    """Two rows that ask the still for nothing: no strength, and full strength towards the still's own state.

    What a network changes nevertheless is its own doing and no performance. A drive by a named expression has no such
    state: both rows are without strength.
    """
    stated = drive.expression is None
    units, landmarks = drive.still_units, drive.still_landmarks
    return replace(
        drive,
        strength=np.array([0.0, 1.0 if stated else 0.0], np.float32),
        units=None if drive.units is None or units is None else np.stack([units, units]).astype(np.float32),
        landmarks=None
        if drive.landmarks is None or landmarks is None
        else np.stack([landmarks, landmarks]).astype(np.float32),
    )


def _answers(still: np.ndarray, drive: Drive, animator: Animator) -> Iterator[AnimatedCrop]:
    count, side = len(drive.strength), animator.size
    result = animator.animate(still.astype(np.float32, copy=False), drive)
    crops = _checked("crops", result.crops, (count, side, side, 3))
    motion = None if result.motion is None else _checked("motion", result.motion, (count, side, side, 2))
    mattes = None if result.mattes is None else _checked("mattes", result.mattes, (count, side, side))
    for row in range(count):
        yield AnimatedCrop(
            crop=np.clip(crops[row], 0, 1),
            motion=None if motion is None else motion[row],
            matte=None if mattes is None else np.clip(mattes[row], 0, 1),
        )


def _checked(what: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(values, np.float32)
    if values.shape != shape:
        raise InternalError(f"the family returned {what} of shape {values.shape}; {shape} was due.")
    if not np.isfinite(values).all():
        raise InternalError(f"the family returned {what} that are NaN or infinite.")
    return values
