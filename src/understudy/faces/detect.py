"""Faces in a picture: MediaPipe's short-range BlazeFace, with tiles for small faces."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from understudy.errors import FaceError, OptionError
from understudy.faces.face import Detection
from understudy.faces.interpreter import Interpreter
from understudy.faces.models import FaceModels
from understudy.faces.warp import warp

_OVERLAP_MERGED = 0.3
# A tile sees fewer pixels of context and there are many tiles, so a face found only in one must be surer of itself.
_TILE_MARGIN = 0.15
# Under this side a tile would be enlarged: the detector sees 128 pixels and finds faces from about a tenth of its view.
_SMALLEST_TILE = 192
_TILE_DIVISORS: dict[str, tuple[int, ...]] = {"none": (), "auto": (1, 2), "fine": (1, 2, 4)}


class FaceDetector:
    """Finds faces.

    Args:
        models: from :func:`understudy.faces.models.find_models`.
        threshold: a detection's least score, 0 to 1.
        tiles: "none" looks at the whole picture only (faces under about a tenth of the picture's longer side are
            missed), "auto" also at overlapping squares of the short side and of half of it, "fine" at quarters as well.
        num_threads: processor threads.
    """

    def __init__(
        self, models: FaceModels, *, threshold: float = 0.5, tiles: str = "auto", num_threads: int = 1
    ) -> None:
        if tiles not in _TILE_DIVISORS:
            raise OptionError(f"tiles={tiles!r} is not known; use one of {', '.join(_TILE_DIVISORS)}.")
        if not 0.0 < threshold < 1.0:
            raise OptionError(f"threshold={threshold} is not between 0 and 1.")
        self.threshold = threshold
        self.tiles = tiles
        self._interpreter = Interpreter(models.detector, num_threads=num_threads)
        self._side = self._interpreter.input_shape[0]
        self._anchors = anchors(self._side)

    def detect(self, pictures: Sequence[np.ndarray], *, tiles: str | None = None) -> list[list[Detection]]:
        """Faces of every picture, surest first.

        Args:
            pictures: each (H, W, 3) uint8 RGB, display-encoded; sizes may differ.
            tiles: in place of the detector's own choice.

        Raises:
            FaceError: not an 8-bit RGB picture, or one smaller than 16 pixels.
        """
        return [self._detect_one(picture, tiles or self.tiles) for picture in pictures]

    def _detect_one(self, picture: np.ndarray, tiles: str) -> list[Detection]:
        check_picture(picture)
        height, width = picture.shape[:2]
        rows = [self._detect_window(picture, (0, 0, width, height), self.threshold)]
        sure = min(self.threshold + _TILE_MARGIN, 0.95)
        rows += [
            _inside(self._detect_window(picture, window, sure), window, width, height)
            for window in tile_windows(width, height, divisors=_TILE_DIVISORS[tiles])
        ]
        merged = weighted_suppression(np.concatenate(rows))
        return [
            Detection(box=row[:4].copy(), keypoints=row[4:16].reshape(6, 2).copy(), score=float(row[16]))
            for row in merged
        ]

    def _detect_window(self, picture: np.ndarray, window: tuple[int, int, int, int], threshold: float) -> np.ndarray:
        """(N, 17) float32 in picture pixels: box, six points, score."""
        x0, y0, x1, y1 = window
        longer = max(x1 - x0, y1 - y0)
        scale = self._side / longer
        # Letterbox: the window is centred in a square, the rest is black.
        left, top = (longer - (x1 - x0)) / 2 - x0, (longer - (y1 - y0)) / 2 - y0
        matrix = np.array([[scale, 0, left * scale], [0, scale, top * scale]])
        view = picture[y0:y1, x0:x1]
        shifted = matrix.copy()
        shifted[:, 2] += scale * np.array([x0, y0])
        letterbox = warp(view, shifted, (self._side, self._side), border=cv2.BORDER_CONSTANT)
        outputs = self._interpreter.run((letterbox.astype(np.float32) / 127.5 - 1.0)[None])
        regressors, scores = sorted(outputs, key=lambda output: -output.shape[1])
        rows = decode(regressors.reshape(-1, 16), scores.reshape(-1), self._anchors, self._side, threshold)
        rows[:, :16] = (rows[:, :16].reshape(-1, 8, 2) / scale - (left, top)).reshape(-1, 16)
        return rows


def check_picture(picture: np.ndarray) -> None:
    """Refuse what is not an 8-bit RGB picture with at least 16 pixels on its shorter side.

    Raises:
        FaceError: too small, or another type or shape.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise FaceError(
            f"Faces are looked for in 8-bit RGB pictures of shape (height, width, 3), this one is {picture.dtype} of shape "
            f"{picture.shape}; convert it first."
        )
    height, width = picture.shape[:2]
    if min(height, width) < 16:
        raise FaceError(f"A picture of {width}x{height} pixels is too small to hold a face; 16x16 is the least.")


def anchors(side: int) -> np.ndarray:
    """Centres (896, 2) of the detector's anchors in units of its view: two on every cell of 8 pixels, six on every one of 16."""
    centres = []
    for cell, repeats in ((8, 2), (16, 6)):
        count = side // cell
        line = (np.arange(count) + 0.5) / count
        y, x = np.meshgrid(line, line, indexing="ij")
        centres.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), repeats, axis=0))
    return np.concatenate(centres).astype(np.float32)


def decode(regressors: np.ndarray, logits: np.ndarray, centres: np.ndarray, side: int, threshold: float) -> np.ndarray:
    """The detector's outputs as rows (N, 17) of box corners, six points and score, in pixels of its view.

    Args:
        regressors: (896, 16): box centre, box size, six points; offsets from the anchor in pixels.
        logits: (896,).
        centres: (896, 2) from :func:`anchors`.
        side: the view's side in pixels.
        threshold: least score.
    """
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -80.0, 80.0)))
    kept = scores >= threshold
    values, origin = regressors[kept], centres[kept] * side
    middle, half = values[:, :2] + origin, values[:, 2:4] / 2
    points = values[:, 4:].reshape(-1, 6, 2) + origin[:, None]
    rows = np.concatenate([middle - half, middle + half, points.reshape(-1, 12), scores[kept, None]], axis=1)
    return rows[(half > 0).all(axis=1)].astype(np.float32)


def weighted_suppression(rows: np.ndarray, overlap: float = _OVERLAP_MERGED) -> np.ndarray:
    """Merge rows (N, 17) whose boxes overlap: surest first, each absorbs the others by their scores' weight."""
    rows = rows[np.argsort(-rows[:, 16], kind="stable")]
    merged = []
    while len(rows):
        similar = box_overlap(rows[0, :4], rows[:, :4]) > overlap
        similar[0] = True
        group = rows[similar].astype(np.float64)
        row = (group[:, :16] * group[:, 16:]).sum(axis=0) / group[:, 16].sum()
        merged.append(np.append(row, group[0, 16]))
        rows = rows[~similar]
    return np.array(merged, np.float32).reshape(-1, 17)


def box_overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (4,) with many (N, 4); (N,) in 0..1."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return shared / np.maximum(areas - shared, 1e-9)


def tile_windows(width: int, height: int, divisors: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Overlapping squares (x0, y0, x1, y1) of a picture, as large as its short side over each divisor.

    The divisor 1 counts only where the picture is clearly oblong.
    """
    short = min(width, height)
    windows: list[tuple[int, int, int, int]] = []
    for divisor in divisors:
        side = short // divisor
        if side < _SMALLEST_TILE or (divisor == 1 and max(width, height) < 1.2 * short):
            continue
        for y in _starts(height, side):
            windows += [(x, y, x + side, y + side) for x in _starts(width, side)]
    return windows


def _starts(length: int, side: int) -> list[int]:
    # Half a tile of overlap: a face smaller than half a tile is whole in at least one.
    count = max(1, math.ceil((length - side) / (side / 2)) + 1)
    return [round(position) for position in np.linspace(0, length - side, count)]


def _inside(rows: np.ndarray, window: tuple[int, int, int, int], width: int, height: int) -> np.ndarray:
    """Drop boxes that a tile's edge cuts, unless that edge is the picture's own."""
    x0, y0, x1, y1 = window
    margin = 0.01 * (x1 - x0)
    whole = (rows[:, 0] > x0 + margin) | (x0 == 0)
    whole &= (rows[:, 1] > y0 + margin) | (y0 == 0)
    whole &= (rows[:, 2] < x1 - margin) | (x1 == width)
    whole &= (rows[:, 3] < y1 - margin) | (y1 == height)
    return rows[whole]
