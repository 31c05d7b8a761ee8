"""Coverage: how much of the plate's face the matte replaces, 0 to 1. Our own definition.

A swap that leaves the old jaw or forehead standing covers too little; the frames without a face that was swapped count as
none in a shot's mean.
"""

from __future__ import annotations

import numpy as np

from understudy.errors import InternalError


def coverage(matte: np.ndarray, face: np.ndarray) -> float:
    """``sum min(matte, face) / sum face``: 1 where the whole face is replaced, 0 where none of it is.

    Args:
        matte: (H, W) in [0, 1], how much is replaced.
        face: (H, W) in [0, 1], the plate's face.

    Raises:
        InternalError: sizes differ, or there is no face.
    """
    if matte.shape != face.shape:
        raise InternalError(f"a matte of {matte.shape} does not fit a face of {face.shape}")
    area = float(np.sum(face, dtype=np.float64))
    if area <= 0:
        raise InternalError("there is no face to cover")
    return float(np.minimum(matte, face).sum(dtype=np.float64)) / area
