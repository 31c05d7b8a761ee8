"""The sheet of an animated still: the still, what the network said, the result, and what changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.composite.head import HeadWindow
from understudy.faces.align import CropTransform
from understudy.jobs.sheet import Sheet, write_sheet
from understudy.jobs.shot_frames import face_crop
from understudy.jobs.still_clip import StillClip
from understudy.media.clip import open_clip
from understudy.media.pattern import Pattern
from understudy.perform.animate import animate_crops, rows_of

if TYPE_CHECKING:
    from understudy.family import Animator, Drive

_ROWS, _SIDE, _AMPLIFIED = 7, 256, 4.0


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
    in which seams show.

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
        for row, answer in zip(rows, answers, strict=True):
            number = clip.numbers[row]
            after = face_crop(result.frame(number if pictures else result.numbers[row]), transform, _SIDE)
            change = np.clip(0.5 + _AMPLIFIED * (after - before), 0, 1)
            drawn.append((f"frame {number}", [before, answer.crop, after, change]))
    columns = ("still", "network", "result", "change x 4")
    return write_sheet(path, Sheet(title=output.name, columns=columns, rows=drawn), side=_SIDE)
