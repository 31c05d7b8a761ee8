"""What every measure that compares two pictures asks of them."""

from __future__ import annotations

import numpy as np

from understudy.errors import InternalError


def check_pictures(picture: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 (H, W, 3); measures want the digits that float32 sums lose.

    Raises:
        InternalError: not (H, W, 3), different shapes, or not floating point (an integer picture's range is unknown).
    """
    for name, value in (("picture", picture), ("truth", truth)):
        if value.ndim != 3 or value.shape[2] != 3 or not np.issubdtype(value.dtype, np.floating):
            raise InternalError(f"{name} must be float (H, W, 3) in [0, 1], not {value.dtype} {value.shape}")
    if picture.shape != truth.shape:
        raise InternalError(f"pictures of {picture.shape} and {truth.shape} cannot be compared")
    return picture.astype(np.float64), truth.astype(np.float64)


def check_mask(mask: np.ndarray | None, picture: np.ndarray) -> np.ndarray:
    """Weights as float64 (H, W), all ones where ``mask`` is None.

    Raises:
        InternalError: the mask has another size than the picture, or is zero everywhere.
    """
    if mask is None:
        return np.ones(picture.shape[:2])
    if mask.shape != picture.shape[:2]:
        raise InternalError(f"a mask of {mask.shape} does not fit a picture of {picture.shape[:2]}")
    if not mask.any():
        raise InternalError("the mask is zero everywhere, so there is nothing to measure")
    return mask.astype(np.float64)
