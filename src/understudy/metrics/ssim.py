"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004), without unit."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.errors import InternalError
from understudy.metrics.picture import check_mask, check_pictures

WINDOW = 11  # pixels, section III.B of the paper
SIGMA = 1.5
K1, K2 = 0.01, 0.03


def ssim_map(picture: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Equation 13 at every pixel, float64 (H, W, 3), each channel for itself; at most 1, and 1 where equal.

    Local means and variances are weighted by an 11 x 11 Gaussian of sigma 1.5 that sums to one, variances are not
    corrected for the sample's size, constants are (0.01)² and (0.03)² for a range of 1. At the border the picture is
    mirrored; the measure itself leaves those 5 pixels out.

    Args:
        picture, truth: float (H, W, 3), view space, range [0, 1].
    """
    picture, truth = check_pictures(picture, truth)
    positions = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-0.5 * (positions / SIGMA) ** 2)
    kernel /= kernel.sum()

    def local_mean(values: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)

    mean_x, mean_y = local_mean(picture), local_mean(truth)
    variance_x = local_mean(picture * picture) - mean_x**2
    variance_y = local_mean(truth * truth) - mean_y**2
    covariance = local_mean(picture * truth) - mean_x * mean_y
    c1, c2 = K1**2, K2**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return numerator / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))


def ssim(picture: np.ndarray, truth: np.ndarray, *, mask: np.ndarray | None = None) -> float:
    """The mean of :func:`ssim_map` over the channels and over the pixels whose window lies inside the picture.

    Args:
        picture, truth: float (H, W, 3), RGB in view space, range [0, 1]; H and W at least 11.
        mask: float (H, W) weights in [0, 1] for the mean. Windows centred inside the mask see the pixels around it too.

    Raises:
        InternalError: shapes differ, the picture is smaller than the window, or no masked pixel has a whole window.
    """
    if min(picture.shape[:2]) < WINDOW:
        raise InternalError(f"SSIM needs pictures of at least {WINDOW} x {WINDOW} pixels, not {picture.shape[:2]}")
    inside = np.s_[WINDOW // 2 : -(WINDOW // 2)]
    values = ssim_map(picture, truth).mean(axis=2)[inside, inside]
    weights = check_mask(mask, picture)[inside, inside]
    if not weights.any():
        raise InternalError("no masked pixel lies far enough inside the picture for SSIM's window")
    return float((values * weights).sum() / weights.sum())
