"""Action-unit curves as a picture: faces above, a line for every unit below, so that one can see whether they agree."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.dataset.contact_sheet import write_text
from understudy.faces.action_units import HIGHEST, ActionUnit
from understudy.faces.curves import Curves
from understudy.jobs.clip_faces import ClipFaces
from understudy.jobs.sheet import to_bytes
from understudy.media.clip import Clip

_FACES, _SIDE = 14, 96  # pictures above the curves, and their side in pixels
_WIDTH = _FACES * _SIDE
_LABEL, _ROW, _LINE, _MARGIN = 190, 44, 22, 10  # pixels
_PAPER, _INK, _FAINT, _GAP, _CURVE = (250, 250, 250), (40, 40, 40), (205, 205, 205), (232, 228, 220), (33, 102, 172)


def face_strip(clip: Clip, faces: ClipFaces, tracks: Sequence[int], curves: Curves) -> np.ndarray:
    """(96, 1344, 3) uint8 RGB: one person's face at evenly spread frames; blank where it was not seen."""
    strip = np.full((_SIDE, _WIDTH, 3), _PAPER, np.uint8)
    for place, number in enumerate(_spread(curves)):
        found = faces.face(int(number), tracks)
        if found is not None:
            crop = found.transform.to_crop(clip.frame(int(number)).view(), 2 * _SIDE)
            strip[:, place * _SIDE : (place + 1) * _SIDE] = to_bytes(crop, _SIDE)
    return strip


def draw_curves(curves: Curves, *, title: str, strip: np.ndarray | None = None) -> np.ndarray:
    """The curves as (H, W, 3) uint8 RGB; every unit's axis runs from 0 to 5, frames without a measurement are shaded.

    Args:
        curves: at least one frame.
        title: stands above.
        strip: pictures from :func:`face_strip`, or None.
    """
    top = 2 * _LINE + (0 if strip is None else _SIDE + _MARGIN)
    canvas = np.empty((top + len(ActionUnit) * _ROW + _LINE + _MARGIN, _LABEL + _WIDTH + _MARGIN, 3), np.uint8)
    canvas[:] = _PAPER
    write_text(canvas, title, (_MARGIN, _LINE), 14, _LABEL + _WIDTH - _MARGIN, _INK)
    if strip is not None:
        canvas[2 * _LINE : 2 * _LINE + _SIDE, _LABEL : _LABEL + _WIDTH] = strip
    _shade_gaps(canvas, curves, top)
    for place, number in enumerate(_spread(curves)):
        x = _LABEL + place * _SIDE
        write_text(canvas, str(number), (x + 2, top - 4 if strip is None else 2 * _LINE - 4), 11, _SIDE, _INK)
        middle = x + _SIDE // 2
        cv2.line(canvas, (middle, top), (middle, top + len(ActionUnit) * _ROW), _FAINT, 1)
    across = _LABEL + _places(curves) * _WIDTH
    for unit in ActionUnit:
        floor = top + (unit + 1) * _ROW - 4
        cv2.line(canvas, (_LABEL, floor), (_LABEL + _WIDTH, floor), _FAINT, 1)
        values = curves.units[:, unit]
        write_text(canvas, f"{unit.name} {unit.title}", (_MARGIN, floor - 18), 12, _LABEL - _MARGIN, _INK)
        write_text(canvas, f"up to {values.max():.1f}", (_MARGIN, floor - 3), 11, _LABEL - _MARGIN, (130, 130, 130))
        points = np.stack([across, floor - values / HIGHEST * (_ROW - 10)], axis=1)
        # OpenCV draws between whole pixels; sixteenths keep slow curves from looking like stairs.
        line = np.round(points * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [line], False, _CURVE, 1, cv2.LINE_AA, 4)
    span = f"frames {curves.numbers[0]} to {curves.numbers[-1]} at {float(curves.rate):.5g} a second; every line runs from 0 to 5"
    write_text(canvas, span, (_LABEL, canvas.shape[0] - _MARGIN), 12, _WIDTH, _INK)
    return canvas


def _places(curves: Curves) -> np.ndarray:
    """(N,) where every frame's middle lies, 0 to 1."""
    return (np.arange(len(curves)) + 0.5) / len(curves)


def _spread(curves: Curves) -> np.ndarray:
    """The frames whose middle lies nearest to the middles of the pictures."""
    wanted = (np.arange(_FACES) + 0.5) / _FACES
    return curves.numbers[np.minimum((wanted * len(curves)).astype(int), len(curves) - 1)]


def _shade_gaps(canvas: np.ndarray, curves: Curves, top: int) -> None:
    width = _WIDTH / len(curves)
    for place in np.flatnonzero(curves.missing):
        left = _LABEL + int(place * width)
        canvas[top : top + len(ActionUnit) * _ROW, left : max(left + 1, _LABEL + int((place + 1) * width))] = _GAP
