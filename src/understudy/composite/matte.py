"""The matte: where, and how much, the generated face covers the plate."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from understudy.composite.polygon import erode_sides, rasterise
from understudy.errors import InternalError, OptionError
from understudy.faces.parse import depth, hull_polygon
from understudy.faces.warp import transform_points

_MATTE_SIDE = 256
_BORDER = 0.03


class OcclusionHook(Protocol):
    """Says what stands in front of a face."""

    def __call__(self, crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Visible share of the face.

        Args:
            crop: (r, r, 3) float32 RGB, view space: the plate's face, upright.
            landmarks: (478, 2) pixels of the crop.

        Returns:
            (r, r) float32: 1 where the face itself is seen, 0 where a hand, hair or a prop covers it.
        """
        ...


def face_polygon(
    landmarks: np.ndarray, matrix: np.ndarray, *, erode: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
) -> np.ndarray:
    """Outer polygon of a face, in its crop.

    Args:
        landmarks: (478, 2 or 3) plate pixels.
        matrix: (2, 3), plate pixels to crop pixels.
        erode: left, top, right, bottom: how far each side is pulled in, in crop pixels; negative pushes it out.

    Returns:
        (M, 2) crop pixels.
    """
    left, top, right, bottom = erode
    polygon = transform_points(matrix, hull_polygon(landmarks)[:, :2])
    return erode_sides(polygon, left=left, right=right, top=top, bottom=bottom)


def seen_mask(
    crop: np.ndarray,
    landmarks: np.ndarray,
    *,
    crop_matte: np.ndarray | None,
    occlusion: OcclusionHook | None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The family's own matte and the occlusion hook's answer, checked and at the crop's size; None where there is none.

    Raises:
        OptionError: the hook returns something else than the promised mask.
    """
    side = crop.shape[0]
    if crop_matte is not None:
        if crop_matte.ndim != 2:
            raise InternalError(f"a crop's matte must be (size, size); it is {crop_matte.shape}.")
        crop_matte = cv2.resize(crop_matte.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
        crop_matte = np.clip(crop_matte, 0, 1)
    visible = None
    if occlusion is not None:
        visible = np.asarray(occlusion(crop, landmarks), np.float32)
        if visible.shape != crop.shape[:2] or not np.isfinite(visible).all():
            raise OptionError(
                f"the occlusion hook must return finite values of shape {crop.shape[:2]}; it returned {visible.shape}."
            )
        visible = np.clip(visible, 0, 1)
    return crop_matte, visible


def outer_matte(
    polygon: np.ndarray,
    *,
    side: int,
    reach: float,
    crop_matte: np.ndarray | None = None,
    visible: np.ndarray | None = None,
) -> np.ndarray:
    """The matte of the whole composite: 1 on the face, falling to 0 over ``reach`` beyond it, always 0 at the crop's
    border.

    Multi-band blending lets the coarse levels flow a little way over the face's outline, which is what hides the seam;
    this is the limit of that flow.

    Args:
        polygon: (M, 2) crop pixels.
        side: the crop's side in pixels.
        reach: width of the fall, share of the crop's side.
        crop_matte, visible: (side, side) in [0, 1] or None, see :func:`seen_mask`. What covers the face is not
            touched at all.

    Returns:
        (256, 256) float32 in [0, 1] over the crop's square: smooth, so it is kept small.
    """
    size = (_MATTE_SIDE, _MATTE_SIDE)
    scale = _MATTE_SIDE / side
    face = rasterise(polygon * scale, shape=size, edges="area")
    if crop_matte is not None:
        face *= cv2.resize(crop_matte, size, interpolation=cv2.INTER_AREA)
    if face.max() < 0.5:
        return np.zeros(size, np.float32)
    matte = _smooth_step(1.0 - depth(face < 0.5) / max(reach * _MATTE_SIDE, 1.0))
    to_border = np.minimum(np.arange(_MATTE_SIDE), np.arange(_MATTE_SIDE)[::-1]) / (_BORDER * _MATTE_SIDE)
    ramp = _smooth_step(to_border.astype(np.float32))
    matte *= ramp[:, None] * ramp[None, :]
    if visible is not None:
        matte *= cv2.resize(visible, size, interpolation=cv2.INTER_AREA)
    return matte


def _smooth_step(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
