"""Many pictures on one, with a line or two of text below each: what a person looks at to judge a set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

_PAPER, _INK, _FAINT = (24, 24, 26), (236, 236, 236), (160, 160, 166)
BLANK = np.full((1, 1, 3), _PAPER, np.uint8)
"""The picture of a cell that stays empty."""
TONES = {"plain": None, "dropped": (214, 66, 56), "marked": (242, 176, 50)}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One picture of a sheet.

    Attributes:
        picture: (h, w, 3) RGB, uint8 or float in [0, 1].
        lines: text below it, the first one brighter.
        tone: "plain", "marked" (an amber frame) or "dropped" (a red one).
    """

    picture: np.ndarray = field(repr=False)
    lines: tuple[str, ...] = ()
    tone: str = "plain"


def contact_sheet(
    cells: Iterable[Cell], count: int, *, title: str = "", side: int = 128, columns: int | None = None, lines: int = 2
) -> np.ndarray:
    """Draw a sheet, (H, W, 3) uint8 RGB; one cell is held at a time.

    Args:
        cells: the pictures, in reading order; at most ``count`` are taken.
        count: room is made for so many.
        title: a line above.
        side: a picture's longer side on the sheet, pixels.
        columns: None for about as wide as high.
        lines: room for so many lines of text below a picture.
    """
    gap, step = 8, 17
    columns = min(count, columns or max(4, round((count * 1.4) ** 0.5))) or 1
    rows = max(1, -(-count // columns))
    head = 36 if title else gap
    cell_height = side + 6 + step * lines
    width = max(columns * (side + gap) + gap, 420)
    sheet = np.empty((head + rows * (cell_height + gap) + gap, width, 3), np.uint8)
    sheet[:] = _PAPER
    if title:
        write_text(sheet, title, (gap, 24), 16, width - 2 * gap, _INK)
    for index, cell in zip(range(count), cells, strict=False):
        x = gap + index % columns * (side + gap)
        y = head + index // columns * (cell_height + gap)
        thumbnail = _thumbnail(cell.picture, side)
        height, breadth = thumbnail.shape[:2]
        left, top = x + (side - breadth) // 2, y + (side - height) // 2
        sheet[top : top + height, left : left + breadth] = thumbnail
        colour = TONES[cell.tone]
        if colour is not None:
            cv2.rectangle(sheet, (x - 2, y - 2), (x + side + 1, y + side + 1), colour, 3)
        for number, line in enumerate(cell.lines[:lines]):
            place = (x, y + side + 4 + step * (number + 1) - 5)
            write_text(sheet, line, place, 12, side, _FAINT if number else colour or _INK)
    return sheet


def write_text(
    picture: np.ndarray, text: str, place: tuple[int, int], height: int, room: int, colour: tuple[int, int, int]
) -> None:
    """Write ``text`` into RGB uint8: baseline at ``place`` (x, y), ``height`` pixels high, cut at ``room`` pixels."""
    while len(text) > 1 and text_width(text, height) > room:
        text = text[:-2].rstrip() + "…"
    if hasattr(cv2, "FontFace"):
        cv2.putText(picture, text, place, colour, cv2.FontFace("sans"), height, 400)
    else:
        text = text.encode("ascii", "replace").decode()
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, height / 30, colour, 1, cv2.LINE_AA)


def text_width(text: str, height: int) -> int:
    """How wide :func:`write_text` writes ``text`` with letters of ``height`` pixels; in pixels."""
    if hasattr(cv2, "FontFace"):
        box = cv2.getTextSize((10000, 100), text, (0, 0), cv2.FontFace("sans"), height, 400)
        return int(box[2])
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, height / 30, 1)[0][0])


def _thumbnail(picture: np.ndarray, side: int) -> np.ndarray:
    if picture.dtype != np.uint8:
        picture = np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)
    scale = side / max(picture.shape[:2])
    size = tuple(max(1, round(length * scale)) for length in picture.shape[1::-1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
