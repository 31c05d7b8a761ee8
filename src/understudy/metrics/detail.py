"""Fine detail: how much of it a face shows, as a share of the reference's. Our own definition.

What a Gaussian of one pixel takes away is the detail: pores, lashes, strands, and noise too. Its root mean square inside the
face, divided by the reference's, is 1 for a face as crisp as the reference, near 0 for a blurred one, and above 1 for one that
is noisier or oversharpened. It says how much there is, not whether it is right; LPIPS and SSIM say that.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.errors import InternalError
from understudy.metrics.picture import check_mask, check_pictures

_LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
SIGMA = 1.0
"""Pixels of the crop that is measured."""


def detail(picture: np.ndarray, reference: np.ndarray, *, mask: np.ndarray | None = None) -> float:
    """``rms(picture - blurred) / rms(reference - blurred)`` of brightness; not-a-number for a reference without any detail.

    Args:
        picture, reference: float (H, W, 3), RGB in view space, range [0, 1].
        mask: float (H, W) weights in [0, 1]; None: every pixel counts once.

    Raises:
        InternalError: shapes differ, or the mask is empty.
    """
    picture, reference = check_pictures(picture, reference)
    weights = check_mask(mask, picture)
    own, wanted = (_fine(one, weights) for one in (picture, reference))
    return own / wanted if wanted > 1e-9 else float("nan")


def _fine(picture: np.ndarray, weights: np.ndarray) -> float:
    luma = picture @ _LUMA
    if not np.isfinite(luma).all():
        raise InternalError("a picture with values that are no numbers has no detail")
    fine = luma - cv2.GaussianBlur(luma, (0, 0), SIGMA)
    return float(np.sqrt((np.square(fine) * weights).sum() / weights.sum()))
