"""Region maps of a swap: drawn finer than a small network sees them, so that outlines are whole, and made small for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.faces.regions import Region

if TYPE_CHECKING:
    from understudy.family import RegionEditor

FINE_SIDE = 512
"""Pixels a side that faces are swapped at, where the network makes no larger ones. Twelve times as many as a face of 128² has, and
still less than a second of a processor for a frame."""
_GAP = 0.01
"""Largest gap that is closed, share of the map's pixels."""


def crop_side(editor: RegionEditor) -> int:
    """Side of the crops of a swap, pixels."""
    return max(editor.size, FINE_SIDE)


def map_side(editor: RegionEditor) -> int:
    """Side of the region maps of a swap, pixels."""
    return max(editor.map_size, FINE_SIDE)


def smaller_map(regions: np.ndarray, size: int) -> np.ndarray:
    """A region map (h, h) at (size, size), every pixel the region that most of it shows."""
    if len(regions) <= size:
        return regions
    there = [int(region) for region in np.unique(regions)]
    shares = [
        cv2.resize((regions == region).astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        for region in there
    ]
    return np.array(there, np.uint8)[np.argmax(shares, axis=0)]


def without_gaps(regions: np.ndarray) -> np.ndarray:
    """A region map (h, h) whose small gaps, background amid a head, are what lies about them.

    A parser that takes a shadow of the neck for background would leave a spot of the plate's skin in the new one's.
    """
    outside = (regions == Region.BACKGROUND).astype(np.uint8)
    count, parts, figures, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    parts = parts.astype(np.int64)
    border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    small = figures[:, cv2.CC_STAT_AREA] <= _GAP * regions.size
    small[border] = False
    small[0] = False  # what is no background
    gaps = small[parts]
    if not gaps.any():
        return regions
    _, nearest = cv2.distanceTransformWithLabels(
        gaps.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label_of = np.zeros(int(nearest.max()) + 1, np.uint8)
    label_of[nearest[~gaps]] = regions[~gaps]
    return np.where(gaps, label_of[nearest], regions)
