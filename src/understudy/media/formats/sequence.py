"""Picture sequences and stills, read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

from understudy.errors import MediaError
from understudy.media.clip import Clip
from understudy.media.colour import ColourSpace
from understudy.media.formats.picture import PictureInfo, Window, read_info, read_picture, upright_size
from understudy.media.frame import Frame
from understudy.media.pattern import Source, number_of, ranges

SMALLEST = 8
"""Pixels a side; less holds no face and is a mistake."""


class PictureClip(Clip):
    """Pictures on disk. Every header is read on opening, so that a bad frame is known before hours of work."""

    def __init__(
        self,
        found: Source,
        *,
        first: int | None = None,
        last: int | None = None,
        colour: ColourSpace | None = None,
        rate: Fraction | None = None,
        missing: Literal["error", "skip"] = "error",
    ):
        self.source = found.path
        self.pattern = found.pattern
        self.kind = "still" if found.pattern is None else "sequence"
        everything = found.pattern.find() if found.pattern else {number_of(found.path): found.path}
        low, high = min(everything) if first is None else first, max(everything) if last is None else last
        self.files = {number: path for number, path in everything.items() if low <= number <= high}
        if not self.files:
            raise MediaError(f"{found.path} has the frames {ranges(everything)}; none lies within {low}-{high}.")
        self.numbers = list(self.files)
        self.missing = tuple(number for number in range(low, high + 1) if number not in self.files)
        if self.missing and missing == "error" and self.kind == "sequence":
            raise MediaError(
                f"{found.path} lacks the frames {ranges(self.missing)} of {low}-{high}. Render them, choose another range, or "
                'pass missing="skip" to leave them out.'
            )
        opening = read_info(self.files[self.numbers[0]])
        self.canvas = self._survey(opening)
        self.size = upright_size(opening, self.canvas)
        if min(self.size) < SMALLEST:
            raise MediaError(
                f"{self.files[self.numbers[0]]} is {self.size[0]} x {self.size[1]} pixels: too small for footage, "
                f"at least {SMALLEST} x {SMALLEST} are needed. Is it the right file?"
            )
        self.rate = rate or opening.rate or Fraction(24)
        self.dtype, self.channels = opening.dtype, opening.channels
        self.colour = colour or (ColourSpace.LINEAR if opening.linear else ColourSpace.DISPLAY)
        self._chosen_colour = colour

    def __iter__(self) -> Iterator[Frame]:
        for number in self.numbers:
            yield self.frame(number)

    def frame(self, number: int) -> Frame:
        if number not in self.files:
            raise MediaError(f"{self.source} has the frames {ranges(self.numbers)}; frame {number} is not among them.")
        frame = read_picture(
            self.files[number],
            number=number,
            time=Fraction(number - self.numbers[0]) / self.rate,
            colour=self._chosen_colour,
            canvas=self.canvas,
        )
        if frame.size != self.size:
            raise MediaError(
                f"{self.files[number]} changed while it was read: it is now {frame.size[0]} x {frame.size[1]}."
            )
        return frame

    def frame_file(self, number: int) -> Path:
        return self.files[number]

    def _survey(self, opening: PictureInfo) -> Window:
        """Read every header; return the canvas that all frames share."""
        canvas = opening.canvas
        shown = upright_size(opening, opening.display)
        for number in self.numbers[1:]:
            info = read_info(self.files[number])
            size = upright_size(info, info.display)
            if size != shown or info.display.x != opening.display.x or info.display.y != opening.display.y:
                raise MediaError(
                    f"{self.source} mixes sizes: frame {number} is {size[0]} x {size[1]}, frame {self.numbers[0]} "
                    f"{shown[0]} x {shown[1]}. A sequence has one size; choose a range of one size."
                )
            if info.orientation != opening.orientation:
                raise MediaError(
                    f"{self.source}: frame {number} is turned otherwise (Exif orientation) than frame {self.numbers[0]}. "
                    "Bring them to one orientation, or choose a range of one."
                )
            canvas = canvas.joined(info.canvas)
        return canvas
