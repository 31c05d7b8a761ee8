"""The pictures of a comparison: panels side by side, difference maps under them, or a wipe. One frame at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.dataset.contact_sheet import write_text
from understudy.errors import OptionError
from understudy.jobs.options_compare import CompareOptions

WIDEST = 7680  # pixels; beyond it players and encoders give up
_PAPER, _INK, _GAP = 18 / 255, (235, 235, 235), 4
_TRAVEL = 4.0  # seconds of a wipe, there and back
_ASPECTS = 0.02  # by how much shapes may differ that are laid over each other


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How one clip differs from the first, in shares of the range black to white, over all frames and channels."""

    mean: float
    largest: float
    beyond: float
    """Share of the pixels whose amplified difference is larger than white."""


class Layout:
    """Where everything stands in a comparison's frame.

    Attributes:
        size: (width, height) of the whole, even numbers.
        height: of each panel, pixels.
        differences: of every clip but the first, so far.
    """

    def __init__(self, options: CompareOptions, sizes: Sequence[tuple[int, int]]) -> None:
        """``sizes`` are the clips' (width, height).

        Raises:
            OptionError: shapes that cannot be laid over each other.
        """
        self._options, self._names = options, options.titles
        overlaid = options.difference or options.wipe != "none"
        aspects = [width / height for width, height in sizes]
        if overlaid:
            for name, size, aspect in zip(self._names, sizes, aspects, strict=True):
                if abs(aspect / aspects[0] - 1) > _ASPECTS:
                    raise OptionError(
                        f"{name} is {size[0]} x {size[1]}, {self._names[0]} {sizes[0][0]} x {sizes[0][1]}: pictures of different "
                        "shapes cannot be laid over each other; leave --difference and --wipe away."
                    )
            aspects = [aspects[0]] * len(sizes)
        shown = aspects[:1] * (2 if options.difference else 1) if options.wipe != "none" else aspects
        tallest = max(height for _, height in sizes)
        room = WIDEST - _GAP * (len(shown) - 1)
        self.height = options.height or min(tallest, int(room / sum(shown)))
        self._panels = [max(2, round(aspect * self.height)) for aspect in aspects]
        self._letters = int(np.clip(self.height / 30, 11, 40))
        self._line = round(self._letters * 1.6)
        if options.wipe != "none":
            rows = 1
            widths = [self._panels[0]] * (2 if options.difference else 1)
        else:
            rows = 2 if options.difference else 1
            widths = self._panels
        # Maps stand under the clips, in a row of their own, or beside a wipe.
        self._bands = [self._line * (2 if options.difference and options.wipe != "none" else int(options.labels))]
        if rows == 2:
            self._bands.append(2 * self._line)
        width = sum(widths) + _GAP * (len(widths) - 1)
        height = sum(self._bands) + rows * self.height + _GAP * (rows - 1)
        self._lefts = [sum(widths[:place]) + _GAP * place for place in range(len(widths))]
        self.size = (width + width % 2, height + height % 2)
        self._sums = [np.zeros(3) for _ in sizes]  # mean, largest, beyond
        self._frames = 0

    def draw(self, views: Sequence[np.ndarray], seconds: float) -> np.ndarray:
        """One frame of the comparison, (H, W, 3) float32 in view space.

        Args:
            views: of every clip (h, w, 3) float32, view space; what leaves [0, 1] is kept.
            seconds: from the first frame; where a travelling wipe is.
        """
        panels = [fit(view, (width, self.height)) for view, width in zip(views, self._panels, strict=True)]
        maps = (
            [self._map(place, panels[0], panel) for place, panel in enumerate(panels)]
            if self._options.difference
            else []
        )
        self._frames += 1
        canvas = np.full((self.size[1], self.size[0], 3), _PAPER, np.float32)
        if self._options.wipe != "none":
            self._put(canvas, 0, 0, self._wipe(panels, seconds))
            self._write(canvas, 0, 0, self._wipe_words())
            if maps:
                self._put(canvas, 1, 0, maps[1][0])
                self._write(canvas, 1, 0, maps[1][1])
            return canvas
        for place, panel in enumerate(panels):
            self._put(canvas, place, 0, panel)
            if self._options.labels:
                self._write(canvas, place, 0, [self._names[place]])
            if maps:
                self._put(canvas, place, 1, maps[place][0])
                self._write(canvas, place, 1, maps[place][1])
        return canvas

    @property
    def differences(self) -> dict[str, Difference]:
        """Name -> difference from the first clip, over the frames drawn so far."""
        if not self._options.difference or not self._frames:
            return {}
        return {
            name: Difference(mean=sums[0] / self._frames, largest=sums[1], beyond=sums[2] / self._frames)
            for name, sums in zip(self._names[1:], self._sums[1:], strict=True)
        }

    def _map(self, place: int, reference: np.ndarray, panel: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """A difference map and what stands above it."""
        factor = self._options.amplify
        if place == 0:
            words = ["the reference", f"maps below: x{factor:g}, white = {100 / factor:.3g} %"]
            return np.full_like(panel, _PAPER), words
        amount = np.abs(panel - reference)
        figures = float(amount.mean()), float(amount.max()), float((amount.max(axis=2) * factor > 1).mean())
        sums = self._sums[place]
        sums[0], sums[1], sums[2] = sums[0] + figures[0], max(sums[1], figures[1]), sums[2] + figures[2]
        first = f"difference x{factor:g}, white = {100 / factor:.3g} %"
        second = f"mean {100 * figures[0]:.2f} %, largest {100 * figures[1]:.1f} %"
        if figures[2] > 0:
            second += f", {100 * figures[2]:.2g} % beyond white"
        return np.minimum(amount * np.float32(factor), 1), [first, second]

    def _wipe(self, panels: Sequence[np.ndarray], seconds: float) -> np.ndarray:
        share = self._options.wipe_at
        if share is None:
            share = 1 - abs(seconds % _TRAVEL / (_TRAVEL / 2) - 1)
        picture = panels[0].copy()
        upright = self._options.wipe == "vertical"
        length = picture.shape[1 if upright else 0]
        at = round(share * length)
        rest = np.s_[:, at:] if upright else np.s_[at:]
        picture[rest] = panels[1][rest]
        if 0 < at < length:
            line = np.s_[:, at - 1 : at + 1] if upright else np.s_[at - 1 : at + 1]
            picture[line] = 1.0
        return picture

    def _wipe_words(self) -> list[str]:
        one, other = self._names
        between = "left | right" if self._options.wipe == "vertical" else "top | bottom"
        words = [f"{one} | {other}   ({between})"] if self._options.labels else [""]
        return words if self._bands[0] else []

    def _put(self, canvas: np.ndarray, column: int, row: int, picture: np.ndarray) -> None:
        top = sum(self._bands[: row + 1]) + row * (self.height + _GAP)
        left = self._lefts[column]
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture

    def _write(self, canvas: np.ndarray, column: int, row: int, lines: Sequence[str]) -> None:
        band = self._bands[row]
        if not band:
            return
        top = sum(self._bands[:row]) + row * (self.height + _GAP)
        left = self._lefts[column]
        right = self._lefts[column + 1] - _GAP if column + 1 < len(self._lefts) else canvas.shape[1]
        strip = np.full((band, right - left, 3), round(_PAPER * 255), np.uint8)
        for number, text in enumerate(lines):
            place = (2, self._line * (number + 1) - round(self._letters * 0.4))
            if text:
                write_text(strip, text, place, self._letters, strip.shape[1] - 4, _INK)
        canvas[top : top + band, left:right] = strip.astype(np.float32) / 255


def fit(view: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w, 3) float32 at ``size`` (width, height): areas are averaged where it shrinks."""
    if view.shape[1::-1] == size:
        return view
    shrinks = size[0] * size[1] < view.shape[0] * view.shape[1]
    return cv2.resize(view, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
