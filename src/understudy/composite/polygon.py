"""Polygons to masks, and polygons made smaller side by side.

Convention: points are (x, y) in pixels, (0, 0) the outer corner of the top-left pixel, pixel centres at +0.5.
"""

from __future__ import annotations

import numpy as np

_SUB_ROWS = 8


def rasterise(polygon: np.ndarray, *, shape: tuple[int, int], edges: str = "hard") -> np.ndarray:
    """Mask of a polygon's interior.

    ``cv2.fillPoly`` is not used: it fills every pixel that the outline touches, which makes the polygon grow by half a
    pixel, and half a pixel is a quarter of the picture in the coarsest level of a pyramid.

    Args:
        polygon: (M, 2) corners in pixels of the mask; either direction; it may leave the picture.
        shape: (height, width) of the mask.
        edges: ``"hard"``: 1 where the pixel's centre lies inside, else 0. ``"area"``: the covered share of each pixel
            (exact along rows, eight samples down), so that a polygon that moves by a part of a pixel does not flicker.

    Returns:
        (height, width) float32 in [0, 1].
    """
    height, width = shape
    points = np.asarray(polygon, np.float64).reshape(-1, 2)
    if len(points) < 3 or not np.isfinite(points).all():
        return np.zeros(shape, np.float32)
    num_sub_rows = 1 if edges == "hard" else _SUB_ROWS
    start, end = points, np.roll(points, -1, axis=0)
    # Sub-rows whose centre the edge crosses; an edge owns its upper end only, so that corners count once.
    sub_rows = np.ceil(np.stack([start[:, 1], end[:, 1]]) * num_sub_rows - 0.5).clip(0, height * num_sub_rows)
    top, bottom = sub_rows.min(axis=0).astype(np.int64), sub_rows.max(axis=0).astype(np.int64)
    counts = bottom - top
    edge = np.repeat(np.arange(len(points)), counts)
    if not len(edge):
        return np.zeros(shape, np.float32)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + top[edge]
    slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
    crossings = start[edge, 0] + ((rows + 0.5) / num_sub_rows - start[edge, 1]) * slope
    winding = np.where(end[edge, 1] > start[edge, 1], 1.0, -1.0)
    # A crossing at x covers everything to its right: a step in a running sum along the row, kept to the polygon's own
    # box.
    x = crossings.clip(0, width)
    first_row, last_row = rows.min() // num_sub_rows, rows.max() // num_sub_rows + 1
    first_column, last_column = int(x.min()), int(x.max()) + 1
    steps = np.zeros((last_row - first_row, last_column - first_column + 2))
    row = rows // num_sub_rows - first_row
    if edges == "hard":
        np.add.at(steps, (row, np.ceil(x - 0.5).astype(np.int64) - first_column), winding)
    else:
        column = np.floor(x).astype(np.int64)
        part = x - column
        np.add.at(steps, (row, column - first_column), winding * (1 - part) / num_sub_rows)
        np.add.at(steps, (row, column - first_column + 1), winding * part / num_sub_rows)
    mask = np.zeros(shape, np.float32)
    last_column = min(last_column, width)
    covered = np.abs(np.cumsum(steps, axis=1)[:, : last_column - first_column])
    mask[first_row:last_row, first_column:last_column] = np.minimum(covered, 1.0)
    return mask


def erode_sides(
    polygon: np.ndarray, *, left: float = 0.0, right: float = 0.0, top: float = 0.0, bottom: float = 0.0
) -> np.ndarray:
    """Pull each side of a polygon inwards (negative: outwards); corners between two sides move by a mixture.

    Args:
        polygon: (M, 2) corners in an upright face crop, any unit.
        left, right, top, bottom: how far the polygon's outermost point on that side of the picture moves, same unit.

    Returns:
        (M, 2) corners. A side never moves past the polygon's middle.
    """
    points = np.asarray(polygon, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high) / 2
    half = np.maximum((high - low) / 2, 1e-9)
    keep_low = np.maximum(1 - np.array([left, top]) / half, 0.0)
    keep_high = np.maximum(1 - np.array([right, bottom]) / half, 0.0)
    offset = points - middle
    return middle + offset * np.where(offset < 0, keep_low, keep_high)
