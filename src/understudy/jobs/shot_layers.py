"""What a swapped shot leaves beside itself: layers for a compositor, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.composite.face import FacePatch
from understudy.jobs.clip_faces import TrackedFace
from understudy.jobs.sheet import Sheet, write_sheet
from understudy.jobs.shot_frames import Plan, crop_face, crop_transform, face_crop
from understudy.media.clip import Clip
from understudy.media.colour import ColourSpace, from_view
from understudy.media.frame import Frame, quantise
from understudy.perform.swap import swap_crops

_SHEET_ROWS = 8
_SIDE = 224
_AMPLIFIED = 4.0
_APART = 5  # frames


def matte_layer(frame: Frame, patches: Sequence[FacePatch], *, like: Path) -> Frame:
    """The frame's matte as a gray picture: 1 where the plate is fully replaced, half float for EXR, else 16 bit."""
    matte = _covered(frame, patches)[..., None]
    return _picture(frame, quantise(matte, _kind(like)), ("Y",), like)


def raw_layer(frame: Frame, patches: Sequence[FacePatch], *, like: Path) -> Frame:
    """The graded faces before blending, on black: scene-linear half float for EXR, else display-encoded 16 bit."""
    height, width = frame.pixels.shape[:2]
    view = np.zeros((height, width, 3), np.float32)
    for patch in patches:
        x0, y0, x1, y1 = patch.box
        if patch.raw is not None:
            view[y0:y1, x0:x1] = np.where(patch.raw.any(axis=-1, keepdims=True), patch.raw, view[y0:y1, x0:x1])
    return _picture(frame, quantise(from_view(view, _colour(like)), _kind(like)), ("R", "G", "B"), like)


def sheet_numbers(plan: Plan, numbers: Sequence[int]) -> list[int]:
    """Frames worth looking at: six evenly spread over those with a face, and the two whose heads turn furthest."""
    swapped = [number for number in numbers if number in plan]
    if not swapped:
        return []
    chosen = {swapped[round(place)] for place in np.linspace(0, len(swapped) - 1, _SHEET_ROWS - 2)}
    candidates = swapped[:: max(1, len(swapped) // 200)]  # enough to find a far turn, without reading every mesh
    for number in sorted(candidates, key=lambda number: -max(map(_turn, plan[number]))):
        if len(chosen) < _SHEET_ROWS and all(abs(number - other) > _APART for other in chosen):
            chosen.add(number)
    return sorted(chosen)


def write_shot_sheet(
    path: Path,
    *,
    plate: Clip,
    result: Clip,
    result_number,
    plan: Plan,
    numbers: Sequence[int],
    performer,
    identity: str,
) -> Path:
    """Draw the sheet of a finished shot.

    Every row is one frame's face: the plate, the generated face, the result, and four times their difference around
    gray, in which halos and seams show.

    Args:
        path: a .png or .jpg.
        plate, result: open clips.
        result_number: from a number of the plate to that of the result.
        plan: the faces.
        numbers: the rows.
        performer, identity: as for :func:`understudy.perform.swap.swap_crops`.
    """
    rows = []
    for number in numbers:
        found = max(plan[number], key=lambda face: face.transform.side)
        before, after = plate.frame(number), result.frame(result_number(number))
        own = crop_transform(found, performer)
        crop = face_crop(before, own, performer.size)
        who = crop_face(number, found)
        ((_, swapped),) = swap_crops(
            [(None, crop)], performer=performer, identity=identity, face_of=lambda _, who=who: who
        )
        shown = [face_crop(frame, own, _SIDE) for frame in (before, after)]
        change = np.clip(0.5 + _AMPLIFIED * (shown[1] - shown[0]), 0, 1)
        rows.append((f"frame {number}", [shown[0], swapped.crop, shown[1], change]))
    title = f"{result.source.name}: {identity}"
    columns = ("plate", "generated", "result", "change x 4")
    return write_sheet(path, Sheet(title=title, columns=columns, rows=rows), side=_SIDE)


def _turn(found: TrackedFace) -> float:
    return abs(found.face.pose.yaw) + abs(found.face.pose.pitch)


def _covered(frame: Frame, patches: Sequence[FacePatch]) -> np.ndarray:
    """(H, W) float32: all patches' mattes together."""
    matte = np.zeros(frame.pixels.shape[:2], np.float32)
    for patch in patches:
        x0, y0, x1, y1 = patch.box
        part = matte[y0:y1, x0:x1]
        np.maximum(part, patch.matte, out=part)
    return matte


def _kind(like: Path) -> np.dtype:
    return np.dtype(np.float16 if like.suffix.lower() == ".exr" else np.uint16)


def _colour(like: Path) -> ColourSpace:
    # What the format's numbers mean anyway, so that writing converts nothing: a matte is no colour.
    return ColourSpace.LINEAR if _kind(like) == np.float16 else ColourSpace.DISPLAY


def _picture(frame: Frame, pixels: np.ndarray, channels: tuple[str, ...], like: Path) -> Frame:
    return replace(frame, pixels=pixels, channels=channels, colour=_colour(like), path=None, header={}, original=None)
