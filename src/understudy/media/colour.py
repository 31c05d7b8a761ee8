"""Colour spaces of plates, and the way between a plate's own values and the view space that networks see.

Convention: *view* is display-encoded RGB, float32, 0 black and 1 white, and may leave that range. A plate is either
already display-encoded (movies, PNG, JPEG, integer TIFF, DPX as it is) or scene-linear (EXR, float TIFF).
Nothing is converted behind the caller's back: every conversion is a call of :func:`to_view` or :func:`from_view`.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np


class ColourSpace(StrEnum):
    """What a plate's numbers mean."""

    DISPLAY = "display"
    """Encoded for a display already: taken as it is."""
    LINEAR = "linear"
    """Proportional to light: the sRGB curve leads to the view."""


# The two pieces of the sRGB curve (IEC 61966-2-1) meet here. The standard's own 0.0031308 and 0.04045 are rounded and leave
# a gap of 3e-8 in which a value would not come back; the exact crossing is used instead.
_SLOPE = 12.92
_KNEE_LINEAR = 0.0031306684425006
_KNEE_ENCODED = _SLOPE * _KNEE_LINEAR


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Encode linear light with the sRGB curve, mirrored below 0 and carried on above 1 (float in, float32 out, any shape)."""
    linear = np.asarray(linear, dtype=np.float32)
    magnitude = np.abs(linear)
    curved = np.float32(1.055) * np.power(magnitude, np.float32(1 / 2.4)) - np.float32(0.055)
    return np.where(magnitude <= np.float32(_KNEE_LINEAR), np.float32(_SLOPE) * linear, np.copysign(curved, linear))


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """Undo :func:`encode_srgb`: the inverse to float32 precision for every finite value (float in, float32 out, any shape)."""
    encoded = np.asarray(encoded, dtype=np.float32)
    magnitude = np.abs(encoded)
    curved = np.power((magnitude + np.float32(0.055)) / np.float32(1.055), np.float32(2.4))
    return np.where(magnitude <= np.float32(_KNEE_ENCODED), encoded / np.float32(_SLOPE), np.copysign(curved, encoded))


def to_view(rgb: np.ndarray, colour: ColourSpace) -> np.ndarray:
    """Bring float RGB (any shape) from ``colour`` to view space, float32."""
    return encode_srgb(rgb) if colour is ColourSpace.LINEAR else np.asarray(rgb, dtype=np.float32)


def from_view(view: np.ndarray, colour: ColourSpace) -> np.ndarray:
    """Bring float RGB (any shape) from view space to ``colour``, float32."""
    return decode_srgb(view) if colour is ColourSpace.LINEAR else np.asarray(view, dtype=np.float32)
