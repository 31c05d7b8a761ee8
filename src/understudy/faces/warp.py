"""Sampling a picture through an affine map, area-correct where it shrinks.

Convention: points are continuous, (0, 0) is the outer corner of the top-left pixel, pixel (column, row) has its centre
at (column + 0.5, row + 0.5). OpenCV counts pixel centres as whole numbers; the difference is made up here and nowhere
else.
"""

from __future__ import annotations

import math

import cv2
import numpy as np


def warp(
    picture: np.ndarray,
    matrix: np.ndarray,
    size: tuple[int, int],
    *,
    cubic: bool = False,
    border: int = cv2.BORDER_REPLICATE,
) -> np.ndarray:
    """Sample ``picture`` through ``matrix``.

    Args:
        picture: (H, W) or (H, W, C), uint8, uint16 or float32, any colour space.
        matrix: (2, 3), maps the picture's points to the result's points, in pixels.
        size: (width, height) of the result.
        cubic: cubic rather than linear where the result is not smaller than its source; may overshoot the range of
            floats.
        border: OpenCV's border mode, for what lies outside the picture.

    Returns:
        (height, width[, C]) of the picture's type.
    """
    shrink = 1.0 / math.sqrt(max(abs(np.linalg.det(matrix[:, :2])), 1e-12))
    if shrink >= 2.0:
        factor = math.floor(shrink + 1e-6)
        picture, matrix = _reduce(picture, matrix, size, factor, border)
        shrink /= factor
    # Linear sampling reads 2x2 pixels: to shrink by more, a finer grid is sampled and squares of it are averaged.
    factor = 2 if shrink > 1.25 else 1
    fine = np.asarray(matrix, np.float64) * factor
    # From corner-based to centre-based coordinates on both sides: x' = A (x + 0.5) + b - 0.5.
    fine[:, 2] += fine[:, :2] @ (0.5, 0.5) - 0.5
    fine_size = (size[0] * factor, size[1] * factor)
    flags = cv2.INTER_CUBIC if cubic and factor == 1 else cv2.INTER_LINEAR
    result = cv2.warpAffine(picture, fine, fine_size, flags=flags, borderMode=border)
    if factor > 1:
        result = cv2.resize(result, size, interpolation=cv2.INTER_AREA)
    return result


def _reduce(
    picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int], factor: int, border: int
) -> tuple[np.ndarray, np.ndarray]:
    """The part of a picture that a map reads, averaged over blocks of ``factor`` pixels, and the map from there.

    Blocks are counted from the picture's corner whatever the part, so that neighbouring maps read the same averages.
    """
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float64)
    reach = transform_points(invert(matrix), corners)
    # Two blocks more on every side, for what sampling reads beyond.
    low = np.floor(reach.min(axis=0) / factor).astype(int) - 2
    high = np.ceil(reach.max(axis=0) / factor).astype(int) + 2
    blocks = np.array([-(-width // factor), -(-height // factor)])
    low = np.clip(low, 0, blocks - 1)
    high = np.clip(high, low + 1, blocks)
    (x0, y0), (x1, y1) = low * factor, high * factor
    part = picture[y0 : min(y1, height), x0 : min(x1, width)]
    if y1 > height or x1 > width:
        part = cv2.copyMakeBorder(part, 0, max(0, y1 - height), 0, max(0, x1 - width), border, value=0)
    columns, rows = (int(count) for count in high - low)
    reduced = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    linear = np.asarray(matrix[:, :2], np.float64)
    offset = matrix[:, 2] + linear @ (x0, y0)
    return reduced, np.concatenate([linear * factor, offset[:, None]], axis=1)


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) of an affine (2, 3) map, float64."""
    linear = np.linalg.inv(np.asarray(matrix[:, :2], np.float64))
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (..., 2) by an affine (2, 3) matrix; float64."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
