"""The sheet of an animated still: the still, what it was asked, what the network said, the result, and what changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.composite.head import HeadWindow
from understudy.faces.align import CropTransform
from understudy.faces.boundary import boundary_maps, load_topology
from understudy.jobs.sheet import Sheet, write_sheet
from understudy.jobs.shot_frames import face_crop
from understudy.jobs.still_clip import StillClip
from understudy.media.clip import open_clip
from understudy.media.pattern import Pattern
from understudy.perform.animate import animate_crops, rows_of

if TYPE_CHECKING:
    from understudy.family import Animator, Drive

_ROWS, _SIDE, _AMPLIFIED = 7, 256, 4.0
_TOPOLOGY, _OWN, _TARGET = "face17", (0.1, 0.35, 1.0), (1.0, 0.85, 0.0)


def write_animation_sheet(
    path: Path,
    *,
    output: Path,
    clip: StillClip,
    transform: CropTransform,
    window: HeadWindow,
    drive: Drive,
    animator: Animator,
) -> Path:
    """Draw the sheet from the finished output.

    Every row is a frame: the still, the network's small answer, the result, and four times their difference around gray,
    in which seams show. A still that is driven by landmarks is also shown under the lines of its own face (blue) and of the
    face that is asked for (yellow).

    Args:
        path: a .png or .jpg.
        output: the finished clip.
        clip, transform, window, drive, animator: what it was made from.
    """
    rows = sorted({round(place) for place in np.linspace(0, len(clip) - 1, min(_ROWS, len(clip)))})
    answers = list(animate_crops(window.crop, rows_of(drive, rows), animator=animator))
    before = face_crop(clip.picture, transform, _SIDE)
    drawn = []
    with open_clip(output, missing="skip") as result:
        pictures = Pattern.of(output) is not None
        asked = _asked(before, drive, rows)
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            number = clip.numbers[row]
            after = face_crop(result.frame(number if pictures else result.numbers[row]), transform, _SIDE)
            change = np.clip(0.5 + _AMPLIFIED * (after - before), 0, 1)
            drawn.append((f"frame {number}", [before, *asked[place : place + 1], answer.crop, after, change]))
    columns = ("still", *(["target"] if asked else []), "network", "result", "change x 4")
    return write_sheet(path, Sheet(title=output.name, columns=columns, rows=drawn), side=_SIDE)


def _asked(still: np.ndarray, drive: Drive, rows: list[int]) -> list[np.ndarray]:
    """The still's crop (s, s, 3) under the lines of its own and of each asked-for mesh; none where the drive has no meshes."""
    if drive.landmarks is None or drive.still_landmarks is None:
        return []
    own = drive.still_landmarks
    share = drive.strength[rows, None, None]
    meshes = np.concatenate([own[None], own + share * (drive.landmarks[rows] - own)])
    side = still.shape[0]
    lines = boundary_maps(meshes * side, load_topology(_TOPOLOGY), side).max(axis=1)[..., None]
    below = still + lines[0] * (np.array(_OWN) - still)
    return [np.clip(below + line * (np.array(_TARGET) - below), 0, 1).astype(np.float32) for line in lines[1:]]
