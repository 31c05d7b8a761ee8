"""Colour offset and drift: how far a face's colour lies from a reference's, and how far it wanders against it. Our own definition.

A face's colour is the mean of its pixels in CIELAB (D65, from sRGB-encoded view space). Its difference from the reference's in
the same frame is taken; the mean of that over a shot is the *offset*, and the root mean square distance from that mean is the
*drift*. Light that changes on both changes neither. Unit: ΔE (CIE 1976); 1 can just be seen side by side, 2.3 is easily seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import InternalError
from understudy.metrics.picture import check_mask

_XYZ_OF_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)  # IEC 61966-2-1
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, 2 degrees


@dataclass(frozen=True, kw_only=True)
class ColourDrift:
    """Offset and drift in ΔE, and every frame's distance from the mean difference, (N,)."""

    offset: float
    drift: float
    per_frame: np.ndarray


def face_colour(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean colour (3,) in CIELAB: L in 0..100, a and b.

    Args:
        picture: float (H, W, 3), RGB in view space, range [0, 1] (what lies beyond is cut off).
        mask: float (H, W) weights in [0, 1].

    Raises:
        InternalError: sizes differ, or the mask is empty.
    """
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise InternalError(f"a picture of shape {picture.shape} has no colour")
    weights = check_mask(mask, picture)
    inside = weights > 0
    return np.average(_lab(np.clip(picture[inside], 0, 1).astype(np.float64)), axis=0, weights=weights[inside])


def colour_drift(colours: np.ndarray, references: np.ndarray) -> ColourDrift:
    """Offset and drift of a shot.

    Args:
        colours, references: (N, 3) from :func:`face_colour`, frame by frame.

    Raises:
        InternalError: shapes differ, or there is no frame.
    """
    if np.shape(colours) != np.shape(references) or np.ndim(colours) != 2 or not len(colours):
        raise InternalError(f"colours of shape {np.shape(colours)} and {np.shape(references)} cannot be compared")
    differences = np.asarray(colours, np.float64) - np.asarray(references, np.float64)
    mean = differences.mean(axis=0)
    wandering = np.linalg.norm(differences - mean, axis=1)
    return ColourDrift(
        offset=float(np.linalg.norm(mean)), drift=float(np.sqrt(np.square(wandering).mean())), per_frame=wandering
    )


def _lab(colours: np.ndarray) -> np.ndarray:
    """sRGB-encoded (N, 3) in [0, 1] -> CIELAB (N, 3); OpenCV's own conversion is a tenth of a unit off in L."""
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    xyz = light @ _XYZ_OF_RGB.T / _WHITE
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
