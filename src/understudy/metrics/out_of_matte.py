"""What changed where nothing may change: pixels outside the matte."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import InternalError


@dataclass(frozen=True, kw_only=True)
class OutOfMatte:
    """Changes outside the matte."""

    pixels: int
    """How many pixels outside the matte differ in any channel; 0 is what image sequences promise."""
    share: float
    """The same as a share of all pixels outside the matte, 0 to 1."""
    largest: float
    """The largest difference among them, in the pictures' own units (code values for integers)."""


def out_of_matte(picture: np.ndarray, plate: np.ndarray, matte: np.ndarray) -> OutOfMatte:
    """Compare ``picture`` with ``plate`` where ``matte`` is exactly 0; values are compared as they stand, NaN equals
    NaN.

    Args:
        picture, plate: (H, W, C), same dtype (any of a plate's: uint8, uint16, float16, float32).
        matte: (H, W), 0 outside.

    Raises:
        InternalError: shapes or dtypes differ.
    """
    if picture.shape != plate.shape or picture.dtype != plate.dtype or matte.shape != plate.shape[:2]:
        shapes = f"{picture.dtype} {picture.shape}, {plate.dtype} {plate.shape}"
        raise InternalError(f"{shapes} and a matte of {matte.shape} cannot be compared")
    outside = matte == 0
    before, after = plate[outside], picture[outside]
    same = before == after
    if np.issubdtype(before.dtype, np.floating):
        same |= np.isnan(before) & np.isnan(after)
    changed = ~same.all(axis=1)
    count = int(changed.sum())
    if not count:
        return OutOfMatte(pixels=0, share=0.0, largest=0.0)
    difference = np.abs(after[changed].astype(np.float64) - before[changed].astype(np.float64))
    largest = float(np.nan_to_num(difference, nan=np.inf).max())
    return OutOfMatte(pixels=count, share=count / int(outside.sum()), largest=largest)
