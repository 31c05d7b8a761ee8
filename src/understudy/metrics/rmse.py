"""Root mean square error of pictures, on the range 0 to 1."""

from __future__ import annotations

import numpy as np

from understudy.metrics.picture import check_mask, check_pictures


def rmse(picture: np.ndarray, truth: np.ndarray, *, mask: np.ndarray | None = None) -> float:
    """``sqrt(MSE)`` over all channels, in units of the range; 0 for equal pictures, lower is nearer.

    Args:
        picture, truth: float (H, W, 3), RGB in view space, range [0, 1].
        mask: float (H, W) weights in [0, 1]; the mean square error is then the weighted mean. None: every pixel counts
            once.

    Raises:
        InternalError: shapes differ, or the mask is empty.
    """
    picture, truth = check_pictures(picture, truth)
    weights = check_mask(mask, picture)
    error = np.square(picture - truth).mean(axis=2)
    return float(np.sqrt((error * weights).sum() / weights.sum()))
