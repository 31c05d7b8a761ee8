"""Residual warping: the result of a small network carried to a still of any size (Yi et al., Animating Through Warping, 3.4).

A still I is reduced by area averaging to the size s of the network, which returns a picture O of that size and one motion
field F. What was lost on the way down, the residuals R, is moved by the same field at every size and added again (up:
bilinear):

    vanilla       R = I - up(I_s)              result = up(O) + move(R, F)
    multiscale    R_k = I_k - up(I_{k+1})      O_k = up(O_{k+1}) + move(R_k, F),   I_0 = I, sides halved at every step down to s

Computed is not O_k but its difference from the still, D_k = O_k - I_k, which is the same sum in another order:

    D_k = up(D_{k+1}) + (move(R_k, F) - R_k),    result = I + D_0

so that where nothing moves and the network changes nothing, every bit of the still comes back, whatever its range.
Sides that are no multiples work: a side of n pixels is halved to floor(n / 2), never below s; width and height each by
themselves, so the still need not be square.

The network is shown [0, 1]. What a still has above or below that is one more residual, at the network's own size.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal, get_args

import cv2
import numpy as np

from understudy.composite.motion import (
    MotionField,
    between_rows,
    check_output,
    check_side,
    in_bands,
    row_weights,
    sample,
    warp_by_motion,
)
from understudy.errors import InternalError, OptionError

Method = Literal["multiscale", "vanilla", "bilinear", "bicubic", "nearest"]
_UPSAMPLERS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "nearest": cv2.INTER_NEAREST_EXACT}


def residual_warp(
    still: np.ndarray,
    low: np.ndarray,
    motion: np.ndarray,
    *,
    low_still: np.ndarray | None = None,
    method: Method = "multiscale",
    out: np.ndarray | None = None,
    band_rows: int | None = None,
) -> np.ndarray:
    """One frame from a still; for several frames of one still keep a :class:`ResidualPyramid`, whose arguments these are."""
    pyramid = ResidualPyramid(still, low.shape[0], method, low_still=low_still, band_rows=band_rows)
    return pyramid.apply(low, motion, out=out)


class ResidualPyramid:
    """A still, taken apart once; every frame is put together from it.

    Memory: the still as it is given (not copied), its residuals (a third more than the still; vanilla: as much), the
    differences below the finest size (a third), the result, and bands of some rows for each thread.
    """

    low_still: np.ndarray
    """(s, s, 3) float32 in [0, 1]: the still at the network's size, area-averaged; what the network should be shown."""

    def __init__(
        self,
        still: np.ndarray,
        size: int,
        method: Method = "multiscale",
        *,
        low_still: np.ndarray | None = None,
        band_rows: int | None = None,
    ) -> None:
        """Take a still apart.

        Args:
            still: (H, W, C) float32, C >= 3, finite, view colour space; the first three channels are RGB, any others
                (alpha, depth) are moved along. Sides from ``size`` to 32766 pixels. It must not change afterwards.
            size: side s of the network's pictures, pixels.
            method: ``multiscale`` or ``vanilla``; ``bilinear``, ``bicubic`` and ``nearest`` only enlarge the network's
                picture (the paper's Table 3 compares with them).
            low_still: (s, s, 3) float32 that the network was shown, where that was not :attr:`low_still`.
            band_rows: rows done at once; None chooses. The result does not depend on it.

        Raises:
            OptionError: an unknown method, or a still smaller than ``size`` or too large.
            InternalError: shapes that do not fit.
        """
        still = np.asarray(still, np.float32)
        if method not in get_args(Method):
            raise OptionError(f"method {method}: there are {', '.join(get_args(Method))}.")
        if still.ndim != 3 or still.shape[2] < 3:
            raise InternalError(f"a still is (height, width, 3 channels or more), not {still.shape}")
        height, width, channels = still.shape
        if min(height, width) < size:
            raise OptionError(
                f"the still has {width} x {height} pixels; residual warping needs at least {size} x {size}."
            )
        check_side(height, width)
        self.method: Method = method
        self.size = size
        self._shape = still.shape
        self._band_rows = band_rows
        self._lock = threading.Lock()
        # OpenCV enlarges up to four channels; what lies beyond them is moved channel by channel.
        self._still = still if channels <= 4 else np.ascontiguousarray(still[..., :4])
        self._others = [np.ascontiguousarray(still[..., c]) for c in range(4, channels)]
        self._residuals: list[np.ndarray] = []
        smallest = self._take_apart(level_sizes(height, width, size, method))
        if low_still is None:
            low_still = np.clip(smallest[..., :3], 0.0, 1.0)
        elif low_still.shape != (size, size, 3):
            raise InternalError(f"low_still must be {(size, size, 3)}, not {low_still.shape}")
        self.low_still = np.ascontiguousarray(low_still, np.float32)
        unseen = smallest[..., :3] - self.low_still
        self._unseen = np.ascontiguousarray(unseen) if unseen.any() else None
        self._differences = [np.empty_like(residual) for residual in self._residuals[1:]]

    def _take_apart(self, sizes: Sequence[tuple[int, int]]) -> np.ndarray:
        """Fill the residuals, finest first; returns the still at the last of the sizes."""
        picture = self._still
        for height, width in sizes[1:]:
            reduced = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            if self.method in ("multiscale", "vanilla"):
                residual = cv2.resize(reduced, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
                np.subtract(picture, residual, out=residual)
                # Alpha has no part in the network's picture: at full size it is moved as it is, which keeps its range.
                residual[..., 3:] = self._still[..., 3:] if picture is self._still else 0.0
                self._residuals.append(residual)
            picture = reduced
        return picture

    @property
    def residual_bytes(self) -> int:
        """What every frame reads besides the still."""
        return sum(residual.nbytes for residual in self._residuals)

    def apply(self, low: np.ndarray, motion: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        """One frame.

        Args:
            low: (s, s, 3) float32, the network's result for :attr:`low_still`, any range.
            motion: (h, w, 2) float32, backward displacement in the crop's sides: the network's field, usually of size s.
            out: (H, W, C) float32 to write into, a view of a larger picture if its pixels lie side by side; not the
                still.

        Returns:
            (H, W, C) float32, ``out`` where it was given.

        Raises:
            InternalError: shapes or types that do not fit.
        """
        low = np.asarray(low, np.float32)
        if low.shape != (self.size, self.size, 3):
            raise InternalError(f"low must be {(self.size, self.size, 3)}, not {low.shape}")
        out = check_output(out, self._shape, self._still)
        with self._lock:  # the differences' buffers serve every frame
            if self.method in ("multiscale", "vanilla"):
                self._put_together(low, motion, out[..., :4])
            else:
                self._enlarge(low, motion, out)
        for channel, other in enumerate(self._others, start=4):
            out[..., channel] = warp_by_motion(other, motion, band_rows=self._band_rows)
        return out

    def _put_together(self, low: np.ndarray, motion: np.ndarray, out: np.ndarray) -> None:
        difference = low - self.low_still
        if self._unseen is not None:
            difference += warp_by_motion(self._unseen, motion) - self._unseen
        if out.shape[2] > 3:
            difference = np.pad(difference, ((0, 0), (0, 0), (0, 1)))
        if not self._residuals:  # the still has the network's size
            np.add(self._still, difference, out=out)
            if out.shape[2] > 3:
                out[..., 3] = warp_by_motion(np.ascontiguousarray(self._still[..., 3]), motion)
            return
        for residual, result in zip(self._residuals[:0:-1], self._differences[::-1], strict=True):
            self._add_moved(residual, difference, motion, None, result)
            difference = result
        self._add_moved(self._residuals[0], difference, motion, self._still, out)

    def _add_moved(
        self,
        residual: np.ndarray,
        difference: np.ndarray,
        motion: np.ndarray,
        still: np.ndarray | None,
        out: np.ndarray,
    ) -> None:
        """``out = still + (up(difference) + (move(residual) - residual))``, in bands; still None: without it."""
        height, width, channels = residual.shape
        field = MotionField(motion, height, width)

        def work(bands: list[tuple[int, int]]) -> None:
            rows = bands[0][1] - bands[0][0]
            coordinates = field.buffer(rows)
            moved = np.empty((rows, width, channels), np.float32)
            enlarged = np.empty((2, rows, width, channels), np.float32)
            for first, last in bands:
                change = sample(residual, *field.coordinates(first, last, coordinates), moved[: last - first])
                change -= residual[first:last]
                change += _enlarged_rows(difference, first, last, height, width, enlarged)
                if still is None:
                    out[first:last] = change
                else:
                    np.add(still[first:last], change, out=out[first:last])

        in_bands(work, height, width, self._band_rows)

    def _enlarge(self, low: np.ndarray, motion: np.ndarray, out: np.ndarray) -> None:
        height, width = self._shape[:2]
        out[..., :3] = cv2.resize(low, (width, height), interpolation=_UPSAMPLERS[self.method])
        if out.shape[2] > 3:
            out[..., 3] = warp_by_motion(np.ascontiguousarray(self._still[..., 3]), motion, band_rows=self._band_rows)


def level_sizes(height: int, width: int, size: int, method: str = "multiscale") -> list[tuple[int, int]]:
    """(height, width) of every picture of the pyramid, the still first and (size, size) last; vanilla has no others."""
    sizes = [(height, width)]
    while sizes[-1] != (size, size):
        step = 2 if method == "multiscale" else max(height, width)
        sizes.append((max(size, sizes[-1][0] // step), max(size, sizes[-1][1] // step)))
    return sizes


def _enlarged_rows(
    picture: np.ndarray, first: int, last: int, height: int, width: int, buffer: np.ndarray
) -> np.ndarray:
    """Rows ``first`` to ``last`` of ``picture`` enlarged bilinearly: only what these rows need is read.

    Never is a single row widened: OpenCV computes that in another way, and the result must not depend on the bands.
    """
    if height == 2 * len(picture):  # weights repeat from row to row, so OpenCV can do a part as it would do the whole
        bottom = min(last // 2 + 2, len(picture))
        top = max(0, first // 2 - 1)
        wide = cv2.resize(picture[top:bottom], (width, 2 * (bottom - top)), interpolation=cv2.INTER_LINEAR)
        return wide[first - 2 * top : last - 2 * top]
    index, weight = row_weights(len(picture), height, first, last)
    bottom = min(int(index[-1]) + 2, len(picture))
    top = max(0, min(int(index[0]), bottom - 2))
    wide = cv2.resize(picture[top:bottom], (width, bottom - top), interpolation=cv2.INTER_LINEAR)
    step = np.zeros_like(wide)
    np.subtract(wide[1:], wide[:-1], out=step[:-1])
    return between_rows(wide, step, index - top, weight, buffer)
