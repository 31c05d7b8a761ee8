"""A picture carried from one place of a face's mesh to another, by a thin-plate spline through the points (Bookstein 1989)."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.errors import FaceError
from understudy.faces import topology

_GRID = 48
"""Places a side at which the spline is worked out; between them it is smooth."""
_STIFF = 1e-4
"""How far the spline may miss a point, so that points which fall together on a turned head do not tear it."""
_EVERY = 4
"""Of the mesh's other points every so-many-th is enough."""


def warp_points() -> np.ndarray:
    """Indices of the mesh points that carry a picture: outlines of face, eyes, brows and lips, and some between."""
    outlines = (
        *(topology.FACE_OVAL, topology.LIPS_OUTER, topology.LIPS_INNER),
        *(topology.LEFT_EYE, topology.RIGHT_EYE, topology.LEFT_BROW, topology.RIGHT_BROW),
    )
    return np.unique(np.concatenate([*outlines, np.arange(0, topology.NUM_MESH_POINTS, _EVERY)]))


def mesh_map(source: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """Where every pixel of the carried picture comes from.

    Args:
        source: (478, 2 or 3) the mesh in the picture, in its unit square.
        target: (478, 2 or 3) the mesh where it is to be.
        size: the carried picture's side, pixels.

    Returns:
        (size, size, 2) float32, x and y in the picture's unit square; beyond the mesh it goes on evenly.

    Raises:
        FaceError: meshes that are not finite.
    """
    return mesh_maps(np.asarray(source)[None], target, size)[0]


def mesh_maps(sources: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """:func:`mesh_map` from several pictures to one place, for little more than the time of one.

    Args:
        sources: (N, 478, 2 or 3) the mesh in each picture, in its unit square.
        target, size: as there.

    Returns:
        (N, size, size, 2) float32.

    Raises:
        FaceError: meshes that are not finite.
    """
    chosen = warp_points()
    starts, end = (np.asarray(mesh, np.float64)[..., chosen, :2] for mesh in (sources, target))
    if not (np.isfinite(starts).all() and np.isfinite(end).all()):
        raise FaceError("A face's mesh is not finite, so its picture cannot be carried.")
    count, several = len(chosen), len(starts)
    # [K + stiffness, P; P', 0] [w; a] = [displacement; 0], K = r² log r², P = (1, x, y).
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bend(end, end) + _STIFF * np.eye(count)
    system[:count, count], system[:count, count + 1 :] = 1, end
    system[count:, :count] = system[:count, count:].T
    answer = np.zeros((count + 3, 2 * several))
    answer[:count] = np.moveaxis(starts - end, 0, 1).reshape(count, 2 * several)
    weights = np.linalg.lstsq(system, answer, rcond=None)[0]
    place = (np.arange(_GRID) + 0.5) / _GRID
    grid = np.stack(np.meshgrid(place, place), -1).reshape(-1, 2)
    moved = _bend(grid, end) @ weights[:count] + weights[count] + grid @ weights[count + 1 :]
    fields = moved.reshape(_GRID, _GRID, several, 2).astype(np.float32)
    own = ((np.arange(size) + 0.5) / size).astype(np.float32)
    at_rest = np.stack(np.meshgrid(own, own), -1)
    resize = lambda field: cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)  # noqa: E731
    return np.stack([resize(np.ascontiguousarray(fields[:, :, one])) + at_rest for one in range(several)])


def carry(picture: np.ndarray, places: np.ndarray, *, nearest: bool = False, sharp: bool = False) -> np.ndarray:
    """A square picture (s, s) or (s, s, C) sampled at :func:`mesh_map`'s places; its edge is repeated outside.

    ``sharp`` samples by a cubic kernel, which keeps fine detail but can overshoot; ``nearest`` keeps labels.
    """
    pixels = places * picture.shape[0] - 0.5  # OpenCV counts pixel centres as whole numbers
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    return cv2.remap(picture, pixels[..., 0], pixels[..., 1], how, borderMode=cv2.BORDER_REPLICATE)


def _bend(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """r² log r² between points (N, 2) and (M, 2): (N, M)."""
    squared = np.square(np.subtract.outer(first[:, 0], second[:, 0]))
    squared += np.square(np.subtract.outer(first[:, 1], second[:, 1]))
    # Single precision is four times as fast and moves no point by a fiftieth of a pixel of 4096.
    small = squared.astype(np.float32)
    return small * np.log(np.maximum(small, np.float32(1e-12)))
