"""Peak signal-to-noise ratio, in decibels."""

from __future__ import annotations

import numpy as np

from understudy.metrics.picture import check_mask, check_pictures


def psnr(picture: np.ndarray, truth: np.ndarray, *, mask: np.ndarray | None = None) -> float:
    """``10 log10(1 / MSE)`` over all channels, in dB; higher is nearer; infinity for equal pictures.

    Args:
        picture, truth: float (H, W, 3), RGB in view space, range [0, 1] (the peak is 1).
        mask: float (H, W) weights in [0, 1]; the mean square error is then the weighted mean. None: every pixel counts
            once.

    Raises:
        InternalError: shapes differ, or the mask is empty.
    """
    picture, truth = check_pictures(picture, truth)
    weights = check_mask(mask, picture)
    error = np.square(picture - truth).mean(axis=2)
    mean_square_error = float((error * weights).sum() / weights.sum())
    return float("inf") if mean_square_error == 0 else -10.0 * float(np.log10(mean_square_error))
