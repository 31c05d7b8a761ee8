"""Seam gradient: how much steeper brightness changes across the matte's border than just inside and outside. Our own definition.

The gradient is taken along the border's normal, where a seam shows, and averaged over a band of a few pixels around the line at
which the matte passes one half; the bands of the same width inside and outside that band say what is usual there. A jaw line or
a shadow is an edge too, so the same figure of the plate belongs beside it: what a composite adds is the seam.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from understudy.errors import InternalError

_LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709


@dataclass(frozen=True, kw_only=True)
class SeamGradient:
    """Mean brightness change a pixel along the border's normal, range of pictures 1."""

    border: float
    beside: float

    @property
    def ratio(self) -> float:
        """Border over beside: about 1 where nothing marks the border; not-a-number where both are flat."""
        if self.beside == 0:
            return float("inf") if self.border > 0 else float("nan")
        return self.border / self.beside


def seam_gradient(picture: np.ndarray, matte: np.ndarray, *, width: int = 2) -> SeamGradient | None:
    """The gradients of a picture around a matte's border; None where the matte has none inside the picture.

    Args:
        picture: float (H, W, 3), RGB in view space, range [0, 1].
        matte: (H, W) in [0, 1].
        width: pixels that the band reaches to either side of the border; the bands beside it are twice as wide.

    Raises:
        InternalError: sizes differ, or ``width`` is below 1.
    """
    if picture.ndim != 3 or picture.shape[:2] != matte.shape or width < 1:
        raise InternalError(f"a picture of {picture.shape}, a matte of {matte.shape} and a width of {width} do not fit")
    inside = matte >= 0.5
    if inside.all() or not inside.any():
        return None
    inner = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outer = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = np.where(inside, inner - 0.5, 0.5 - outer)  # of pixel centres, from the border inwards
    down, across = np.gradient(cv2.GaussianBlur(depth.astype(np.float32), (0, 0), 1.0))
    length = np.maximum(np.hypot(down, across), 1e-6)
    rise, run = np.gradient(picture @ _LUMA)
    slope = np.abs(rise * down + run * across) / length
    distance = np.abs(depth)
    at_border, at_sides = distance <= width, (distance > width) & (distance <= 3 * width)
    if not at_sides.any():
        return None
    return SeamGradient(border=float(slope[at_border].mean()), beside=float(slope[at_sides].mean()))
