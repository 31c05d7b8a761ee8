"""Moving a picture of any size by a small motion field, in bands of rows.

Motion is a backward displacement: ``result(p) = picture(p + motion(p))``, x then y, in units of the picture's sides (1 is
the whole width, or the whole height). The field is carried to the picture's size by bilinear interpolation between the
centres of its cells (``align_corners=False``), and what lies beyond the picture's border is the border's own pixel.

Coordinates are float32 and OpenCV 5 samples exactly there. OpenCV 4 rounds them to a thirty-second of a pixel, which shows
as small steps in slow motion.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from understudy.errors import InternalError, OptionError

_BAND_PIXELS = 1 << 15
"""Pixels of a band: what it needs stays in the processor's cache."""
_LARGEST_SIDE = (1 << 15) - 2


class MotionField:
    """A small motion field, read as the coordinates to sample at, a band of rows at a time.

    Between two rows of the field, coordinates change linearly from row to row: the field is widened to the picture's
    width once, and every band is one multiplication and two additions.
    """

    def __init__(self, motion: np.ndarray, height: int, width: int) -> None:
        """``motion`` (h, w, 2) float32 in picture sides; ``height`` and ``width`` of the picture in pixels."""
        motion = np.asarray(motion, np.float32)
        if motion.ndim != 3 or motion.shape[2] != 2:
            raise InternalError(f"a motion field is (height, width, 2), not {motion.shape}")
        check_side(height, width)
        pixels = motion * np.array((width, height), np.float32)
        wide = cv2.resize(pixels, (width, len(motion)), interpolation=cv2.INTER_LINEAR)
        self._step = np.zeros((len(motion), 2, width), np.float32)
        self._start = np.ascontiguousarray(wide.transpose(0, 2, 1))
        np.subtract(self._start[1:], self._start[:-1], out=self._step[:-1])
        self._start[:, 0] += np.arange(width, dtype=np.float32)
        self._index, self._weight = row_weights(len(motion), height, 0, height)
        self._width = width

    def buffer(self, rows: int) -> np.ndarray:
        """What :meth:`coordinates` writes into, for bands of at most ``rows``."""
        return np.empty((2, rows, 2, self._width), np.float32)

    def coordinates(self, first: int, last: int, buffer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns and rows (last - first, width) to sample rows ``first`` to ``last`` at, pixel centres at whole numbers."""
        found = between_rows(self._start, self._step, self._index[first:last], self._weight[first:last], buffer)
        found[:, 1] += np.arange(first, last, dtype=np.float32)[:, None]
        return found[:, 0], found[:, 1]


def row_weights(source: int, target: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear enlargement of ``source`` rows to ``target``: row t is ``rows[index] + weight (rows[index + 1] - rows[index])``.

    Returns:
        For rows ``first`` to ``last`` of the target, int64 indices and float32 weights. Beyond the outermost centres the
        weight is 0: the border is repeated.
    """
    position = np.clip((np.arange(first, last) + 0.5) * (source / target) - 0.5, 0, source - 1)
    index = np.floor(position).astype(np.int64)
    return index, (position - index).astype(np.float32)


def between_rows(
    start: np.ndarray, step: np.ndarray, index: np.ndarray, weight: np.ndarray, buffer: np.ndarray
) -> np.ndarray:
    """``start[index] + weight step[index]`` in ``buffer`` (2, as many rows or more, ...), whose first half holds the result."""
    count = len(index)
    found, begun = buffer[0, :count], buffer[1, :count]
    weight = weight.reshape(-1, *[1] * (start.ndim - 1))
    if index[0] == index[-1]:  # all between the same two rows, as in large pictures: nothing to gather
        np.multiply(step[index[0]], weight, out=found)
        found += start[index[0]]
        return found
    np.take(step, index, axis=0, out=found, mode="clip")
    found *= weight
    np.take(start, index, axis=0, out=begun, mode="clip")
    found += begun
    return found


def sample(picture: np.ndarray, columns: np.ndarray, rows: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Bilinear samples of (H, W) or (H, W, 3 or 4) float32 at coordinates of :meth:`MotionField.coordinates`, into ``out``."""
    return cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REPLICATE)


def warp_by_motion(
    picture: np.ndarray, motion: np.ndarray, *, out: np.ndarray | None = None, band_rows: int | None = None
) -> np.ndarray:
    """Move a picture: ``result(p) = picture(p + motion(p))``. Where nothing moves, every bit stays.

    Args:
        picture: (H, W) or (H, W, C) float32 of any range, sides of at most 32766 pixels.
        motion: (h, w, 2) float32 in the picture's sides, of any size.
        out: where to write; not the picture itself.
        band_rows: rows done at once; None chooses. The result does not depend on it.

    Raises:
        OptionError: a side is too long.
        InternalError: shapes or types do not fit.
    """
    picture = np.asarray(picture, np.float32)
    out = check_output(out, picture.shape, picture)
    height, width = picture.shape[:2]
    field = MotionField(motion, height, width)
    planes = (
        [picture] if picture.ndim == 2 else [np.ascontiguousarray(picture[..., c]) for c in range(picture.shape[2])]
    )
    whole = picture.ndim == 3 and picture.shape[2] in (3, 4)
    targets = [out] if picture.ndim == 2 else [out[..., c] for c in range(picture.shape[2])]
    if whole:
        planes, targets = [picture], [out]

    def work(bands: list[tuple[int, int]]) -> None:
        rows = bands[0][1] - bands[0][0]
        coordinates = field.buffer(rows)
        moved = np.empty((rows, *planes[0].shape[1:]), np.float32)
        for first, last in bands:
            columns, lines = field.coordinates(first, last, coordinates)
            for plane, target in zip(planes, targets, strict=True):
                target[first:last] = sample(plane, columns, lines, moved[: last - first])

    in_bands(work, height, width, band_rows)
    return out


def in_bands(
    work: Callable[[list[tuple[int, int]]], None], height: int, width: int, band_rows: int | None = None
) -> None:
    """Divide rows into bands among as many threads as OpenCV is allowed.

    ``work`` gets a thread's whole share, (first, last) row of every band, the first being the largest, so that it can keep
    its buffers from band to band.
    """
    if band_rows is not None and band_rows < 1:
        raise OptionError(f"band_rows must be 1 or more; it is {band_rows}.")
    rows = min(height, band_rows or max(4, _BAND_PIXELS // width))
    bands = [(first, min(first + rows, height)) for first in range(0, height, rows)]
    threads = max(1, min(cv2.getNumThreads(), len(bands)))
    if threads == 1:
        work(bands)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, [bands[share::threads] for share in range(threads)]):
            pass  # a worker's error is raised here


def check_side(height: int, width: int) -> None:
    """Raises OptionError where OpenCV's sampling cannot reach."""
    if max(height, width) > _LARGEST_SIDE:
        raise OptionError(
            f"a picture of {width} x {height} cannot be moved: sides may have at most {_LARGEST_SIDE} pixels; cut it or shrink it."
        )


def check_output(out: np.ndarray | None, shape: tuple[int, ...], source: np.ndarray) -> np.ndarray:
    """``out``, or a new array where it is None.

    Raises:
        InternalError: another shape or type than the result's, or it shares memory with what it is made from.
    """
    if out is None:
        return np.empty(shape, np.float32)
    if out.shape != shape or out.dtype != np.float32:
        raise InternalError(f"out must be float32 {shape}, not {out.dtype} {out.shape}")
    if np.may_share_memory(out, source):
        raise InternalError("out must not share memory with the picture that is moved")
    return out
