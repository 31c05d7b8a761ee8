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
    # Linear sampling reads 2x2 pixels: a stronger shrink first samples a finer grid and then averages squares of it,
    # exactly.
    factor = min(math.ceil(shrink - 0.25), 16) if shrink > 1.25 else 1
    fine = np.asarray(matrix, np.float64) * factor
    # From corner-based to centre-based coordinates on both sides: x' = A (x + 0.5) + b - 0.5.
    fine[:, 2] += fine[:, :2] @ (0.5, 0.5) - 0.5
    fine_size = (size[0] * factor, size[1] * factor)
    flags = cv2.INTER_CUBIC if cubic and factor == 1 else cv2.INTER_LINEAR
    result = cv2.warpAffine(picture, fine, fine_size, flags=flags, borderMode=border)
    if factor > 1:
        result = cv2.resize(result, size, interpolation=cv2.INTER_AREA)
    return result


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) of an affine (2, 3) map, float64."""
    linear = np.linalg.inv(np.asarray(matrix[:, :2], np.float64))
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (..., 2) by an affine (2, 3) matrix; float64."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
