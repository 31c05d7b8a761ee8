"""Regions that a network made, laid into a picture (paper 001, "blended together"; the two ways of its published code).

With T the picture's crop, E the made crop, α a soft mask and w how far the picture's own detail is to go, a base B is mixed and the
difference from it is laid in:

    B = w T + (1 - w) R                 R: the picture as the network makes it unedited
    result = picture + α (enlarged(E - B) - w (picture - enlarged(T)))

Where w is 1 that is the picture with E composited over it by α, and nothing finer than the crop is left of the picture. Where w is
0 the picture keeps what the network cannot make, grain and pores, and gets only what the edit changes. ``laplacian`` blends E over
B band by band (Algorithm 1's pyramid, no level kept) along the mask's edge, so that light runs over the seam.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from understudy.composite.blend import blend_difference
from understudy.composite.face import FacePatch
from understudy.errors import OptionError
from understudy.faces.align import CropTransform
from understudy.faces.parse import depth
from understudy.faces.warp import invert, warp

Blend = Literal["gaussian", "laplacian"]
_BAND = 0.03
"""Width of the seam that bands blend, share of the crop's side."""
_BORDER = 0.04
"""Width of the fade inside the crop's border, share of its side."""


def lay_regions(
    view: np.ndarray,
    edited: np.ndarray,
    transform: CropTransform,
    alpha: np.ndarray,
    *,
    unedited: np.ndarray | None = None,
    replaced: np.ndarray | None = None,
    blend: Blend = "gaussian",
    raw: bool = False,
) -> FacePatch:
    """Lay a made crop into a picture.

    Args:
        view: (H, W, 3) float32, the picture, view space.
        edited: (s, s, 3) float32 in [0, 1], E.
        transform: plate pixels to the crop's unit square.
        alpha: (s, s) float32 in [0, 1]. Towards the crop's border it fades in any case.
        unedited: (s, s, 3) float32, R; None: nothing of the picture is kept inside α.
        replaced: (s, s) float32 in [0, 1], w; None is 1 without ``unedited`` and 0 with it.
        blend: how the seam is hidden.
        raw: keep the made crop as it lies in the box, too.

    Returns:
        The box and its pixels; where its matte is 0 they are the picture's bit for bit.

    Raises:
        OptionError: sizes that do not fit, or no such way of blending.
    """
    side = edited.shape[0]
    if edited.shape != (side, side, 3) or alpha.shape != (side, side):
        raise OptionError(f"a made crop {edited.shape} and its mask {alpha.shape} must be of one size.")
    if blend not in ("gaussian", "laplacian"):
        raise OptionError(f"blend must be gaussian or laplacian; it is {blend!r}.")
    alpha = np.clip(alpha, 0, 1) * _inside(side)
    box = _box(alpha, transform, side, view.shape)
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        empty = np.zeros((0, 0, 3), np.float32)
        return FacePatch(box=(0, 0, 0, 0), view=empty, matte=np.zeros((0, 0), np.float32), raw=empty if raw else None)
    target = transform.to_crop(np.clip(view, 0, 1).astype(np.float32), side)
    if replaced is None:
        replaced = np.full((side, side), 0.0 if unedited is not None else 1.0, np.float32)
    base = target if unedited is None else unedited + replaced[..., None] * (target - unedited)
    if blend == "gaussian":
        change = (edited - base) * alpha[..., None]
    else:
        change = blend_difference(
            np.asarray(edited, np.float32),
            np.asarray(base, np.float32),
            polygon=None,
            mask=alpha,
            levels=None,
            sigma=1.0,
            levels_from_target=0,
            edges="area",
        )
        # Bands reach beyond the mask; far from it nothing may change, and well inside it the made face is as it was made.
        change *= cv2.GaussianBlur((alpha > 0).astype(np.float32), (0, 0), side / 64)[..., None]
        inside = _well_inside(alpha, _BAND * side)[..., None]
        change += inside * ((edited - base) * alpha[..., None] - change)
    to_box = invert(transform.for_size(side))
    to_box[:, 2] -= (x0, y0)
    size = (x1 - x0, y1 - y0)
    plate = np.asarray(view[y0:y1, x0:x1], np.float32)
    spread = warp(np.ascontiguousarray(change, np.float32), to_box, size, cubic=True, border=cv2.BORDER_CONSTANT)
    reach = _reach(alpha, blend, side)
    matte = np.clip(warp(reach, to_box, size, border=cv2.BORDER_CONSTANT), 0, 1)
    fine = np.clip(plate, 0, 1) - warp(target, to_box, size, cubic=True)
    gone = warp((alpha * replaced).astype(np.float32), to_box, size, border=cv2.BORDER_CONSTANT)
    spread -= fine * np.clip(gone, 0, 1)[..., None]
    return FacePatch(
        box=box,
        view=np.where(matte[..., None] > 0, plate + spread, plate),
        matte=matte,
        raw=warp(edited.astype(np.float32), to_box, size, cubic=True, border=cv2.BORDER_CONSTANT) if raw else None,
    )


def _inside(side: int) -> np.ndarray:
    """(side, side) 1, falling smoothly to 0 at the border."""
    place = np.minimum(np.arange(side) + 0.5, side - 0.5 - np.arange(side)) / (_BORDER * side)
    ramp = np.clip(place, 0, 1).astype(np.float32)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return np.minimum(ramp[:, None], ramp[None])


def _well_inside(alpha: np.ndarray, width: float) -> np.ndarray:
    """(s, s) 1 further than ``width`` pixels inside the mask, 0 at its edge."""
    share = np.clip(depth(alpha >= 0.5) / max(width, 1.0), 0, 1)
    return share * share * (3 - 2 * share)


def _reach(alpha: np.ndarray, blend: Blend, side: int) -> np.ndarray:
    """How far the change goes: α itself, or with bands a little further."""
    if blend == "gaussian":
        return alpha.astype(np.float32)
    return cv2.GaussianBlur((alpha > 0).astype(np.float32), (0, 0), side / 64) * _inside(side)


def _box(alpha: np.ndarray, transform: CropTransform, side: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    # Bands reach further than the mask by some pixels of the crop.
    margin = side / 16
    left, right = columns[0] - margin, columns[-1] + 1 + margin
    top, bottom = rows[0] - margin, rows[-1] + 1 + margin
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    points = transform.points_to_plate(corners, side)
    start = np.maximum(np.floor(points.min(axis=0)).astype(int) - 1, 0)
    end = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, (shape[1], shape[0]))
    return int(start[0]), int(start[1]), int(end[0]), int(end[1])
