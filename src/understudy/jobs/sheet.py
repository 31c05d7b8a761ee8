"""Picture sheets: labelled rows of faces, and a scatter of points; what inspections and reports leave to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from understudy.dataset.contact_sheet import write_text
from understudy.errors import MediaError, OptionError
from understudy.provenance.atomic import write_bytes

_PAPER, _INK = 250, (40, 40, 40)
_GAP, _LINE, _MARGIN, _LETTERS = 4, 22, 10, 13  # pixels
_COLOURS = ((33, 102, 172), (178, 24, 43), (27, 120, 55), (118, 42, 131), (191, 129, 45), (80, 80, 80))  # RGB


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table of pictures.

    ``rows`` are (label, pictures), every picture (s, s, 3), float RGB in [0, 1], all of one size; ``columns`` stand
    above.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[np.ndarray]]]


def draw_sheet(sheet: Sheet, *, side: int = 128) -> np.ndarray:
    """The sheet as (H, W, 3) uint8 RGB, every picture shown ``side`` pixels wide."""
    label = max([_room_for(text) for text, _ in sheet.rows] + [0]) + 2 * _MARGIN
    count = max([len(pictures) for _, pictures in sheet.rows] + [len(sheet.columns)])
    headed = sheet.title or any(sheet.columns)
    top = (2 * _LINE if headed else 0) + _MARGIN
    width = max(label + count * (side + _GAP) + _MARGIN, _room_for(sheet.title) + 2 * _MARGIN)
    canvas = np.full((top + len(sheet.rows) * (side + _GAP) + _MARGIN, width, 3), _PAPER, np.uint8)
    _write(canvas, sheet.title, (_MARGIN, _LINE))
    for column, text in enumerate(sheet.columns):
        write_text(canvas, text, (label + column * (side + _GAP), 2 * _LINE), _LETTERS, side, _INK)
    for row, (text, pictures) in enumerate(sheet.rows):
        y = top + row * (side + _GAP)
        _write(canvas, text, (_MARGIN, y + side // 2 + 4))
        for column, picture in enumerate(pictures):
            x = label + column * (side + _GAP)
            canvas[y : y + side, x : x + side] = to_bytes(picture, side)
    return canvas


def write_sheet(path: Path | str, sheet: Sheet, *, side: int = 128) -> Path:
    """Draw the sheet into a .png or .jpg and return its path.

    Raises:
        OptionError: another suffix.
        StorageError: full disk or no permission.
    """
    return write_picture(path, draw_sheet(sheet, side=side))


def write_picture(path: Path | str, picture: np.ndarray) -> Path:
    """Write (H, W, 3) uint8 RGB as .png or .jpg, by the path's suffix."""
    path = Path(path)
    settings = {".png": [], ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 90], ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 90]}
    if path.suffix.lower() not in settings:
        raise OptionError(f"{path} cannot be written: a sheet is a .png or .jpg file.")
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(picture[..., ::-1]), settings[path.suffix.lower()])
    if not done:
        raise MediaError(
            f"{path} could not be encoded; {picture.shape[1]} x {picture.shape[0]} pixels may be too large."
        )
    write_bytes(path, data.tobytes())
    return path


def scatter(path: Path | str, points: Mapping[str, np.ndarray], *, side: int = 720) -> Path:
    """Draw points (N, 2), a colour for each name, on one square picture with equal scales."""
    everything = np.concatenate(list(points.values())).astype(np.float64)
    centre = (everything.max(axis=0) + everything.min(axis=0)) / 2
    reach = max(float(np.abs(everything - centre).max()), 1e-9)
    canvas = np.full((side, side, 3), _PAPER, np.uint8)
    inner = side / 2 - 3 * _LINE
    for place, (name, group) in enumerate(points.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        for x, y in (group - centre) / reach * inner + side / 2:
            cv2.circle(canvas, (round(x), round(side - y)), 4, colour, -1, cv2.LINE_AA)
        _write(canvas, f"{name} ({len(group)})", (_MARGIN, _LINE * (place + 1)), colour)
    return write_picture(path, canvas)


def to_bytes(picture: np.ndarray, side: int) -> np.ndarray:
    """A float picture in [0, 1] as uint8 at ``side`` pixels, averaged when it shrinks."""
    if picture.shape[0] != side:
        shrinks = picture.shape[0] > side
        kind = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        picture = cv2.resize(picture.astype(np.float32), (side, side), interpolation=kind)
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int] = _INK) -> None:
    write_text(canvas, text, place, _LETTERS, canvas.shape[1] - place[0] - _MARGIN, colour)


def _room_for(text: str) -> int:
    return 8 * len(text)  # pixels; enough for letters of this height
