"""The nearest training picture (paper 000, Fig. 14): L2 distance in pixel space, limited to the face area."""

from __future__ import annotations

import numpy as np

from understudy.errors import InternalError

_CHUNK = 64  # pictures compared at once, so that memory does not grow with the training set


def distances(picture: np.ndarray, pictures: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Root mean square difference of ``picture`` and each of ``pictures`` under ``mask``, (N,) float64, unit: the
    range 1.

    The paper's L2 distance divided by the square root of the area, which orders neighbours alike and can be read.

    Args:
        picture: float (H, W, 3), RGB in view space, range [0, 1].
        pictures: uint8 (N, H, W, 3), aligned as ``picture`` is.
        mask: float (H, W) weights in [0, 1].

    Raises:
        InternalError: shapes differ, or the mask is empty.
    """
    if pictures.dtype != np.uint8 or pictures.shape[1:] != picture.shape or mask.shape != picture.shape[:2]:
        raise InternalError(f"{pictures.dtype} {pictures.shape}, {picture.shape} and {mask.shape} cannot be compared")
    inside = mask > 0
    if not inside.any():
        raise InternalError("the mask is zero everywhere, so there is nothing to compare")
    weights = mask[inside].astype(np.float32)
    wanted = picture[inside].astype(np.float32)
    found = np.empty(len(pictures))
    for start in range(0, len(pictures), _CHUNK):
        some = pictures[start : start + _CHUNK][:, inside].astype(np.float32) / np.float32(255)
        squared = np.square(some - wanted).mean(axis=2) @ weights
        found[start : start + _CHUNK] = np.sqrt(squared / weights.sum())
    return found
