"""What a still is asked to do by landmarks: a target mesh, or a performer's frame by frame, as meshes in the still's crop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import FaceError
from understudy.faces.align import CropTransform, fit_mesh
from understudy.faces.face import Pose
from understudy.faces.handles import move_handles, parse_moves
from understudy.faces.retarget import onto, resting_head, retarget
from understudy.faces.rotate import FURTHEST, parse_rotation, rotate_landmarks
from understudy.faces.steady import local_parabolas
from understudy.family import Drive
from understudy.jobs.options_animate import AnimateOptions
from understudy.jobs.performance import (
    FilledFrame,
    Performance,
    UnitReader,
    frame_by_frame,
    meshes_of_clip,
    neutral_place,
    there_and_back,
)

if TYPE_CHECKING:
    from understudy.jobs.clip_faces import ClipFaces

_STEADIED = 0.12  # seconds to either side; as action units are
_COLUMNS = 200  # steadied at once: a long clip's neighbours would not fit into memory for all points together
_OUTSIDE = 0.02  # crop sides that a face may reach beyond its crop unnoticed


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """The still's own face: (478, 3) pixels, and the crop in which a model sees it."""

    landmarks: np.ndarray
    transform: CropTransform

    def in_crop(self, meshes: np.ndarray) -> np.ndarray:
        """Meshes (..., 478, 3) in pixels of the still, in the crop's unit square, float32."""
        return self.transform.points_to_crop(np.asarray(meshes, np.float32), 1)


def by_target(options: AnimateOptions, sitter: Sitter, other: np.ndarray | None = None) -> Performance:
    """The still goes to one target, holds it and comes back: another face, its own face turned, or with points moved.

    Args:
        options: with ``boundary``, ``rotate`` or ``move``.
        sitter: the still's face.
        other: (478, 3) pixels of the picture that ``boundary`` names.

    Raises:
        FaceError: a turn that ends where half of the face cannot be seen, or a move that is too large.
        OptionError: a turn or a move that cannot be read.
    """
    numbers, rate, share = there_and_back(options)
    own = sitter.in_crop(sitter.landmarks)
    if options.rotate is not None:
        turn = _of(parse_rotation(options.rotate), options.strength)
        _check_turn(sitter.landmarks, turn, options.rotate)
        target = lambda part: rotate_landmarks(sitter.landmarks, _of(turn, part))  # noqa: E731
        return _performance(numbers, rate, share, own, lambda part: sitter.in_crop(target(part)))
    if options.boundary is not None:
        assert other is not None
        mesh = onto(other, sitter.landmarks, shape=options.retarget, head=options.head)
    else:
        mesh = move_handles(sitter.landmarks, parse_moves(options.move), reach=options.reach)
    whole = own + np.float32(options.strength) * (sitter.in_crop(mesh) - own)
    return _performance(numbers, rate, share, own, lambda part: own + part * (whole - own))


def by_performer(
    options: AnimateOptions, faces: ClipFaces, tracks: tuple[int, ...], reader: UnitReader, sitter: Sitter
) -> Performance:
    """The still does what one person of a clip does: expression and, as ``options.head`` says, the head's movement.

    Frames without a usable face lie between their neighbours, or hold the last one.

    Raises:
        FaceError: no frame shows the person's face well enough.
        OptionError: the frame that is to be neutral is not there, or shows no face.
    """
    found = meshes_of_clip(faces, tracks)
    meshes = np.stack(found.meshes)
    if options.neutral in ("auto", "none"):
        quiet = reader.quiet_of(meshes)
    else:
        quiet = np.array([found.places.index(neutral_place(options.neutral, found.numbers, found.reasons))])
    targets = retarget(
        meshes,
        resting_head(meshes, quiet),
        sitter.landmarks,
        shape=options.retarget,
        head=options.head,
        absolute=options.neutral == "none",
        strength=options.strength,
    )
    # A row for every number from the first to the last, also for those that the clip lacks.
    first = found.numbers[0]
    known = np.array([found.numbers[place] - first for place in found.places])
    count = found.numbers[-1] - first + 1
    say = np.isin(np.arange(count), known)
    rows = _between(sitter.in_crop(targets).reshape(len(known), -1), known, count)
    if options.steady:
        # What was not measured has no say, and is laid between its neighbours again once these are steady.
        rows = _between(_steadied(rows, _STEADIED * float(faces.rate), say.astype(np.float64))[say], known, count)
    filled = tuple(
        FilledFrame(
            number=first + int(place), reason=found.reasons.get(first + int(place), "the clip lacks this frame")
        )
        for place in np.flatnonzero(~say)
    )
    numbers, rate, rows, strength = frame_by_frame(options, rows, faces.rate, first)
    drive = Drive(
        strength=strength, landmarks=rows.reshape(len(rows), -1, 3), still_landmarks=sitter.in_crop(sitter.landmarks)
    )
    return Performance(numbers=numbers, rate=rate, drive=drive, filled=filled)


def landmark_notes(performance: Performance) -> tuple[str, ...]:
    """What a person should know about where the face goes, in sentences."""
    landmarks = performance.drive.landmarks
    if landmarks is None:
        return ()
    face = landmarks[:, :, :2]
    beyond = np.abs(face - 0.5).max(axis=(1, 2)) > 0.5 + _OUTSIDE
    if not beyond.any():
        return ()
    return (
        f"In {int(beyond.sum())} of {len(face)} frames the face leaves the head's window, and is cut there: use --head turn, "
        "or less --strength.",
    )


def _performance(
    numbers: range, rate: Fraction, share: np.ndarray, own: np.ndarray, at: Callable[[np.float32], np.ndarray]
) -> Performance:
    """A drive to a target whose mesh at a share of the way is ``at(share)``, in the crop's unit square.

    A family applies ``strength`` of the change to a row's landmarks; so that it arrives at ``at(strength)``, which need not
    lie on a straight line, the row says what the whole change would be.
    """
    rows = np.stack([own + (at(part) - own) / part if part > 0 else own for part in share]).astype(np.float32)
    return Performance(
        numbers=numbers, rate=rate, drive=Drive(strength=share, landmarks=rows, still_landmarks=own.astype(np.float32))
    )


def _of(turn: Pose, share: float) -> Pose:
    return replace(turn, yaw=turn.yaw * share, pitch=turn.pitch * share, roll=turn.roll * share)


def _check_turn(landmarks: np.ndarray, turn: Pose, text: str) -> None:
    before, after = fit_mesh(landmarks).pose, fit_mesh(rotate_landmarks(landmarks, turn)).pose
    for name in ("yaw", "pitch"):
        there, ends = getattr(before, name), getattr(after, name)
        if abs(ends) > FURTHEST and abs(ends) > abs(there):
            raise FaceError(
                f"--rotate {text}: the head already has a {name} of {there:.0f}° and would end at {ends:.0f}°, beyond "
                f"{FURTHEST:.0f}°: half of the face is not there to be seen. Turn it less far."
            )


def _between(rows: np.ndarray, known: np.ndarray, count: int) -> np.ndarray:
    """(count, C) float64: rows (N, C) at the places ``known``, those between on straight lines, the first and last held."""
    return np.stack([np.interp(np.arange(count), known, column) for column in rows.T.astype(np.float64)], axis=1)


def _steadied(rows: np.ndarray, reach: float, say: np.ndarray) -> np.ndarray:
    parts = [
        local_parabolas(rows[:, first : first + _COLUMNS], reach, say) for first in range(0, rows.shape[1], _COLUMNS)
    ]
    return np.concatenate(parts, axis=1)
