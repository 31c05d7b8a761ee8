"""Where the face is in a picture: its outline from the mesh, as polygon and as mask."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.faces import topology

# Masks are drawn on a finer grid and averaged down, which gives edges their true coverage to an eighth of a pixel or better.
_FINE_SIDE = 4096


def hull_polygon(landmarks: np.ndarray, *, forehead: float = 1.0) -> np.ndarray:
    """The face's outer outline, convex, clockwise in the picture.

    Args:
        landmarks: (478, 2 or 3) pixels of plate or crop.
        forehead: how much of the forehead above the brows belongs to it: 0 ends at the brows, 1 at the mesh's edge just
            below the hairline, more than 1 goes on upwards.

    Returns:
        (M, 2) float32 pixels.
    """
    points = np.asarray(landmarks, np.float64)[: topology.NUM_MESH_POINTS, :2]
    # The mesh's own vertical: from the chin to the forehead.
    up = points[10] - points[152]
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    height = points @ up
    brow = float(height[np.concatenate([topology.RIGHT_BROW, topology.LEFT_BROW])].max())
    above = np.clip(height - brow, 0.0, None)
    moved = points + (forehead - 1.0) * above[:, None] * up
    hull = cv2.convexHull(moved.astype(np.float32))[:, 0]
    return hull if _signed_area(hull) > 0 else hull[::-1].copy()


def face_mask(
    landmarks: np.ndarray, size: int | tuple[int, int], *, feather: float = 0.0, forehead: float = 1.0
) -> np.ndarray:
    """The outline's inside as a mask with smooth edges.

    Args:
        landmarks: (478, 2 or 3) pixels of the picture that the mask is for.
        size: the mask's side, or (width, height).
        feather: standard deviation in pixels by which the edge is softened; it then reaches outwards as far as inwards.
        forehead: as for :func:`hull_polygon`.

    Returns:
        (height, width) float32 in 0..1: the share of each pixel that lies inside.
    """
    return polygon_mask(hull_polygon(landmarks, forehead=forehead), size, feather=feather)


def polygon_mask(polygon: np.ndarray, size: int | tuple[int, int], *, feather: float = 0.0) -> np.ndarray:
    """A polygon's inside (M, 2) as (height, width) float32 coverage in 0..1; ``size`` and ``feather`` as for :func:`face_mask`."""
    width, height = (size, size) if isinstance(size, int) else size
    finer = 8 if 8 * max(width, height) <= _FINE_SIDE else 4
    fine = np.zeros((height * finer, width * finer), np.uint8)
    # Sixteenths of a fine pixel; OpenCV draws between pixel centres, which lie half a fine pixel inwards.
    corners = np.round((np.asarray(polygon, np.float64) * finer - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(fine, [corners.reshape(-1, 1, 2)], 255, shift=4)
    mask = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    if feather > 0:
        mask = cv2.GaussianBlur(mask, (0, 0), feather)
    return mask


def depth(mask: np.ndarray) -> np.ndarray:
    """How deep every pixel lies inside a mask: its distance to the nearest pixel outside, 0 outside.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) float32, pixels, the same wherever in memory the mask lies.
    """
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squared distances are whole numbers; the last bit of OpenCV's roots hangs on the picture's address.
    return np.sqrt(np.round(distance * distance))


GUIDE = ("face", "brows", "eyes", "nose", "lips", "mouth")
"""What the channels of :func:`region_guide` show."""
_FACE, _BROWS, _EYES, _NOSE, _LIPS, _MOUTH = range(6)


def region_guide(landmarks: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """The mesh as six masks, with smooth edges: the face's outline, brows, eyes, nose, lips and the mouth's opening.

    They know nothing of what covers the face; a parser takes them as a hint. They reach half a pixel beyond their outlines.

    Args:
        landmarks: (478, 2 or 3) pixels of the picture that the masks are for.
        size: the masks' side, or (width, height).

    Returns:
        (6, height, width) uint8, 255 inside, in the order of ``GUIDE``.
    """
    width, height = (size, size) if isinstance(size, int) else size
    points = np.asarray(landmarks, np.float64)[:, :2]
    guide = np.zeros((len(GUIDE), height, width), np.uint8)
    for channel, outlines in (
        (_FACE, (topology.FACE_OVAL,)),
        (_BROWS, (topology.RIGHT_BROW, topology.LEFT_BROW)),
        (_EYES, (topology.RIGHT_EYE, topology.LEFT_EYE)),
        (_NOSE, (topology.NOSE_OUTLINE,)),
        (_LIPS, (topology.LIPS_OUTER,)),
        (_MOUTH, (topology.LIPS_INNER,)),
    ):
        for outline in outlines:
            # Sixteenths of a pixel; OpenCV draws between pixel centres.
            corners = np.round((points[outline] - 0.5).clip(-8 * width, 8 * width) * 16).astype(np.int32)
            cv2.fillPoly(guide[channel], [corners.reshape(-1, 1, 2)], 255, cv2.LINE_AA, shift=4)
    guide[_LIPS] -= np.minimum(guide[_LIPS], guide[_MOUTH])
    return guide


def _signed_area(polygon: np.ndarray) -> float:
    x, y = polygon[:, 0].astype(np.float64), polygon[:, 1].astype(np.float64)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)
