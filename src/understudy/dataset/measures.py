"""What a face crop shows by itself: how sharp it is, and a fingerprint by which near-equal crops are found."""

from __future__ import annotations

import cv2
import numpy as np

MEASURED_SIDE = 128  # pixels; figures of crops of different sizes can be compared
HASH_BITS = 256
_EXPRESSION = (0.24, 0.28, 0.76, 0.82)  # x0, y0, x1, y1 in shares of the crop: brows to chin of the canonical crop


def sharpness(picture: np.ndarray, mask: np.ndarray | None = None) -> float:
    """How sharp a crop is: how much of its contrast lies in the finest details that 128² pixels hold.

    The standard deviation of the Laplacian at 128² over the standard deviation of the luminance, both inside the face.
    Dividing makes it independent of light and exposure.

    Args:
        picture: (s, s, 3) RGB in view space, uint8, uint16 or float in [0, 1].
        mask: (s, s), the face, same kinds of values; None for the middle of the crop.
    """
    luminance = cv2.resize(_luminance(picture), (MEASURED_SIDE, MEASURED_SIDE), interpolation=cv2.INTER_AREA)
    inside = _inside(mask)
    if inside.sum() < 64:
        return 0.0
    contrast = float(luminance[inside].std())
    if contrast < 1e-4:
        return 0.0
    return float(cv2.Laplacian(luminance, cv2.CV_32F, ksize=1)[inside].std()) / contrast


def picture_hash(picture: np.ndarray) -> bytes:
    """A perceptual fingerprint of 256 bits (32 bytes): signs of the lowest 16 x 16 cosine terms of the face's luminance.

    Only the middle of the crop, brows to chin, has a say: hair and background hardly change from frame to frame, and it is
    the expression that makes two pictures of one person differ.

    Args:
        picture: (s, s, 3) RGB, uint8, uint16 or float.
    """
    luminance = _luminance(picture)
    x0, y0, x1, y1 = (round(share * len(luminance)) for share in _EXPRESSION)
    middle = cv2.resize(luminance[y0:y1, x0:x1], (64, 64), interpolation=cv2.INTER_AREA)
    return np.packbits(cv2.dct(middle)[:16, :16] > 0).tobytes()


def hash_distances(hashes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Differing bits (N,) between many fingerprints (N, 32) uint8 and one (32,)."""
    return np.bitwise_count(hashes ^ other).sum(axis=1)


def _luminance(picture: np.ndarray) -> np.ndarray:
    scale = np.iinfo(picture.dtype).max if np.issubdtype(picture.dtype, np.integer) else 1.0
    return cv2.cvtColor(np.ascontiguousarray(picture).astype(np.float32) / np.float32(scale), cv2.COLOR_RGB2GRAY)


def _inside(mask: np.ndarray | None) -> np.ndarray:
    if mask is None:
        y, x = np.mgrid[:MEASURED_SIDE, :MEASURED_SIDE] / MEASURED_SIDE - 0.5
        return x**2 + y**2 < 0.3**2
    small = cv2.resize(np.asarray(mask, np.float32), (MEASURED_SIDE, MEASURED_SIDE), interpolation=cv2.INTER_AREA)
    # One pixel in from the mask's edge: the Laplacian there would see the background.
    return cv2.erode(small, np.ones((3, 3), np.uint8)) > 0.5 * max(float(small.max()), 1e-6)
