"""A still as a clip of many frames: what an animated still is written like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np

from understudy.composite.head import HeadPatch
from understudy.media.clip import Clip
from understudy.media.frame import Frame, quantise, to_unit

_BAND_PIXELS = 1 << 16


class StillClip(Clip):
    """The same picture, ``numbers`` over."""

    kind = "sequence"

    def __init__(self, still: Clip, *, numbers: Sequence[int], rate: Fraction) -> None:
        """``still`` is an open clip of one picture."""
        self.picture = still.frame(still.numbers[0])
        self.source, self.size, self.dtype = still.source, still.size, still.dtype
        self.channels, self.colour = self.picture.channels, self.picture.colour
        self.numbers, self.rate = numbers, rate

    def __iter__(self) -> Iterator[Frame]:
        for number in self.numbers:
            yield self.frame(number)

    def frame(self, number: int) -> Frame:
        return replace(self.picture, number=number, time=Fraction(number - self.numbers[0]) / self.rate)


def moving_channels(frame: Frame, box: tuple[int, int, int, int]) -> np.ndarray:
    """What moves in a window of a picture: its RGB in view space and, where it is not the same everywhere, its alpha.

    Colours that straight alpha hides altogether are replaced by those beside them, lest they move into sight.

    Returns:
        (h, w, 3 or 4) float32.
    """
    x0, y0, x1, y1 = box
    part = replace(frame, pixels=frame.pixels[y0:y1, x0:x1], original=None)
    view, place = part.view(), alpha_channel(frame)
    if place is None:
        return view
    alpha = np.nan_to_num(to_unit(part.pixels[..., place]), posinf=1.0, neginf=0.0)
    if alpha.min() == alpha.max():
        return view
    if frame.pixels.dtype.kind == "u" and not alpha.all():
        spread = max(2.0, max(alpha.shape) / 100)
        weight = cv2.GaussianBlur(alpha, (0, 0), spread)[..., None]
        beside = cv2.GaussianBlur(view * alpha[..., None], (0, 0), spread) / np.maximum(weight, 1e-4)
        view = np.where((alpha[..., None] == 0) & (weight > 1e-4), beside, view)
    return np.concatenate([view, alpha[..., None]], axis=2)


def with_head(frame: Frame, patch: HeadPatch) -> Frame:
    """The frame with a moved head; every pixel that the patch leaves stays bit for bit."""
    if not patch.where.any():
        return frame
    x0, y0, x1, y1 = patch.box
    alpha = alpha_channel(frame) if patch.view.shape[2] > 3 else None
    pixels = frame.pixels.copy()
    # In bands: a window of a 4K still would not fit into the processor's cache several times over.
    rows = max(1, _BAND_PIXELS // (x1 - x0))
    for first in range(0, y1 - y0, rows):
        band = slice(first, min(first + rows, y1 - y0))
        where, view = patch.where[band], patch.view[band]
        if not where.any():
            continue
        target = pixels[y0 + band.start : y0 + band.stop, x0:x1]
        moved = replace(frame, pixels=target, original=None).with_view(view[..., :3], where).pixels
        if alpha is not None:
            moved[..., alpha][where] = quantise(view[..., 3][where], frame.pixels.dtype)
        target[:] = moved
    return replace(frame, pixels=pixels)


def alpha_channel(frame: Frame) -> int | None:
    """The place of alpha among a frame's channels; None where there is none."""
    lower = [name.lower() for name in frame.channels]
    place = lower.index("a") if "a" in lower else None
    return None if place in frame.colour_channels else place
