"""Contrast correction: how contrasty two faces are, and one face brought to the other's contrast.

The comb paper corrects the contrast of the generated face before blending but does not say how it is measured. Two ways
are here: the Global Contrast Factor of Matkovic et al. (2005), and the standard deviation of luma.
"""

from __future__ import annotations

from typing import get_args

import numpy as np

from understudy.composite.options import Contrast
from understudy.errors import OptionError

CONTRAST_MEASURES = get_args(Contrast)

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_SUPERPIXELS = (1, 2, 4, 8, 16, 25, 50, 100, 200)
_GAMMA = 2.2


def luma(picture: np.ndarray) -> np.ndarray:
    """Luma (H, W) float32 of an RGB picture (H, W, 3) in view space, Rec. 709 weights."""
    return np.asarray(picture, np.float32) @ _LUMA


def global_contrast_factor(picture: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Global Contrast Factor (Matkovic et al. 2005) of a picture or of the part under a mask.

    l = k^2.2 with k in [0, 1]; at nine superpixel sizes L = 100 sqrt(mean l); C_i is the mean over superpixels of their
    mean absolute difference in L to the neighbours above, below, left and right;
    GCF = sum_i w_i C_i with w_i = (-0.406385 i/9 + 0.334573) i/9 + 0.0877526.

    Args:
        picture: (H, W) luma or (H, W, 3) RGB, view space; values are clipped to [0, 1].
        mask: (H, W) in [0, 1]; superpixels covered by less than half are left out. Default: everything.

    Returns:
        The factor, 0 for a flat picture or an empty mask. A superpixel size at which no two neighbours are left adds 0.
    """
    values = luma(picture) if picture.ndim == 3 else picture
    linear = np.clip(values, 0.0, 1.0).astype(np.float64) ** _GAMMA
    weight = np.ones(linear.shape) if mask is None else np.asarray(mask, np.float64)
    sums: dict[int, list[np.ndarray]] = {1: [linear * weight, weight, np.ones(linear.shape)]}
    total = 0.0
    for i, size in enumerate(_SUPERPIXELS, start=1):
        if size not in sums:
            # Sizes are built from the nearest smaller one that divides them: 2, 4, 8, 16 in turn, 50 from 25...
            base = max(known for known in sums if size % known == 0)
            sums[size] = [_block_sums(array, size // base) for array in sums[base]]
        light, covered, area = sums[size]
        inside = covered >= 0.5 * area
        level = 100.0 * np.sqrt(light / np.maximum(covered, 1e-12))
        i9 = i / 9
        total += ((-0.406385 * i9 + 0.334573) * i9 + 0.0877526) * _local_contrast(level, inside)
    return float(total)


def masked_deviation(picture: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Standard deviation of luma under a mask (weights); picture as in :func:`global_contrast_factor`."""
    values = (luma(picture) if picture.ndim == 3 else picture).astype(np.float64)
    weight = np.ones(values.shape) if mask is None else np.asarray(mask, np.float64)
    area = weight.sum()
    if area <= 0:
        return 0.0
    mean = (values * weight).sum() / area
    return float(np.sqrt((weight * (values - mean) ** 2).sum() / area))


def contrast_gain(
    source: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray,
    *,
    measure: str = "gcf",
    limits: tuple[float, float] = (0.7, 1.4),
) -> float:
    """By how much the source's contrast has to be multiplied to be the target's, under the mask.

    Args:
        source, target: (H, W, 3) RGB, view space, same size.
        mask: (H, W) in [0, 1].
        measure: ``"gcf"``, ``"deviation"``, or ``"none"`` for 1.
        limits: the gain is kept between these, so that a failed face is not blown up.

    Raises:
        OptionError: unknown measure.
    """
    if measure == "none":
        return 1.0
    if measure not in CONTRAST_MEASURES:
        raise OptionError(f"contrast must be one of {', '.join(CONTRAST_MEASURES)}; it is {measure!r}.")
    measured = global_contrast_factor if measure == "gcf" else masked_deviation
    own, wanted = measured(source, mask), measured(target, mask)
    if own <= 1e-6 or wanted <= 1e-6:
        return 1.0
    return float(np.clip(wanted / own, *limits))


def _block_sums(values: np.ndarray, size: int) -> np.ndarray:
    """Sums over size x size blocks; the last row and column of blocks may be smaller."""
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], size), axis=0)
    return np.add.reduceat(rows, np.arange(0, values.shape[1], size), axis=1)


def _local_contrast(level: np.ndarray, inside: np.ndarray) -> float:
    """Mean over the superpixels inside of the mean absolute difference to their neighbours inside."""
    total = np.zeros(level.shape)
    count = np.zeros(level.shape)
    for axis in (0, 1):
        before = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        after = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        both = inside[before] & inside[after]
        difference = np.abs(level[before] - level[after]) * both
        for side in (before, after):
            total[side] += difference
            count[side] += both
    paired = count > 0
    return float((total[paired] / count[paired]).mean()) if paired.any() else 0.0
