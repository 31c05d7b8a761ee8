"""One generated face into one frame.

The paper blends at the generated face's resolution. A plate's face is rarely that large or that small, and resampling
the plate to the crop and back would soften it. So Algorithm 1 runs in the crop, and one more level is put on top of its
pyramid: the plate's own detail above the crop's resolution, T - expand(reduce(T)), where reduce and expand are the
resampling to the crop and back. A generated face has none of it, so inside the face that level goes out, with its mask
smoothed by the same sigma in pixels of the plate; outside, the plate stays as it is, pixel for pixel.

Because the pyramid is fixed to the face rather than to the frame, a face that moves or grows takes its bands along: no
jumps when its size passes a power of two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.composite.blend import blend_difference, smooth_mask
from understudy.composite.grade import Grade, apply_grade, fit_grade
from understudy.composite.matte import OcclusionHook, face_polygon, outer_matte, seen_mask
from understudy.composite.options import CompositeOptions
from understudy.composite.polygon import rasterise
from understudy.composite.skin_detail import carry_skin_detail, skin_weights
from understudy.faces.warp import invert, transform_points, warp

if TYPE_CHECKING:
    from understudy.faces.align import CropTransform


@dataclass(frozen=True, kw_only=True)
class FacePatch:
    """A composited face and its box in the plate.

    Attributes:
        box: x0, y0, x1, y1, whole plate pixels, x1 and y1 excluded.
        view: (h, w, 3) float32, the frame's pixels in the box with the face in, view space.
        matte: (h, w) float32 in [0, 1]; where it is 0, ``view`` is the plate bit for bit.
        raw: (h, w, 3) float32, the generated face after its grade and before blending, 0 outside the crop; None
            unless asked for.
    """

    box: tuple[int, int, int, int]
    view: np.ndarray
    matte: np.ndarray
    raw: np.ndarray | None = field(default=None, repr=False)


def composite_face(
    plate_view: np.ndarray,
    crop_rgb: np.ndarray,
    crop_matte: np.ndarray | None,
    transform: CropTransform,
    landmarks: np.ndarray,
    options: CompositeOptions | None = None,
    *,
    generated_landmarks: np.ndarray | None = None,
    occlusion: OcclusionHook | None = None,
    grade: Grade | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay a generated face into a frame.

    Args:
        plate_view: (H, W, 3) float32 RGB, view space; values outside [0, 1] survive: the face is worked on
            within [0, 1] and the plate's excess stays on top of it.
        crop_rgb: (s, s, 3) float32 in [0, 1], the generated face.
        crop_matte: (s, s) float32 in [0, 1] or None, the family's own matte.
        transform: plate pixels to the crop's unit square.
        landmarks: (478, 2 or 3) plate pixels of the plate's face.
        options: see :class:`CompositeOptions`.
        generated_landmarks: (478, 2 or 3) pixels of the crop: the generated face's own mesh. Where the generated face
            is narrower than the plate's, what lies beside it in the crop is not face; with its mesh given, the plate
            stays there.
        occlusion: says what stands in front of the face; None: nothing does.
        grade: colours and contrast from elsewhere, e.g. steadied over time; None: fitted to this frame.

    Returns:
        The frame (H, W, 3) float32, and its matte (H, W) float32; where the matte is 0 the frame is the plate bit for
        bit.
    """
    patch = composite_patch(
        plate_view,
        crop_rgb,
        crop_matte,
        transform,
        landmarks,
        options,
        generated_landmarks=generated_landmarks,
        occlusion=occlusion,
        grade=grade,
    )
    x0, y0, x1, y1 = patch.box
    view = np.array(plate_view, np.float32)
    matte = np.zeros(view.shape[:2], np.float32)
    view[y0:y1, x0:x1] = patch.view
    matte[y0:y1, x0:x1] = patch.matte
    return view, matte


def composite_patch(
    plate_view: np.ndarray,
    crop_rgb: np.ndarray,
    crop_matte: np.ndarray | None,
    transform: CropTransform,
    landmarks: np.ndarray,
    options: CompositeOptions | None = None,
    *,
    generated_landmarks: np.ndarray | None = None,
    occlusion: OcclusionHook | None = None,
    grade: Grade | None = None,
    raw: bool = False,
) -> FacePatch:
    """:func:`composite_face` for the face's box only; arguments as there, and ``raw`` asks for the unblended face as
    well."""
    options = options or CompositeOptions()
    side = crop_rgb.shape[0]
    to_crop = np.asarray(transform.matrix, np.float64) * side
    source = np.ascontiguousarray(crop_rgb, np.float32)
    target = _target_crop(plate_view, to_crop, side)

    polygon, crop_matte, visible = _outline(
        target, landmarks, to_crop, options, crop_matte=crop_matte, generated=generated_landmarks, occlusion=occlusion
    )
    mask = _product(crop_matte, visible)
    matte = outer_matte(polygon, side=side, reach=options.reach, crop_matte=crop_matte, visible=visible)
    box = _box(matte, to_crop, side, plate_view.shape)
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        empty = np.zeros((0, 0, 3), np.float32)
        return FacePatch(box=(0, 0, 0, 0), view=empty, matte=np.zeros((0, 0), np.float32), raw=empty if raw else None)

    if grade is None:
        grade = grade_of(source, target, polygon, mask, options)
    source = apply_grade(source, grade)
    difference = blend_difference(
        source,
        target,
        polygon=polygon,
        mask=mask,
        levels=None,
        sigma=options.sigma,
        levels_from_target=options.levels_from_target,
        edges="area",
    )

    to_box = invert(to_crop)
    to_box[:, 2] -= (x0, y0)
    size = (x1 - x0, y1 - y0)
    plate = np.asarray(plate_view[y0:y1, x0:x1], np.float32)
    change = warp(difference, to_box, size, cubic=True)
    detail = np.clip(plate, 0.0, 1.0)
    detail -= warp(target, to_box, size, cubic=True)
    face = rasterise(transform_points(to_box, polygon), shape=(y1 - y0, x1 - x0), edges="area")
    if mask is not None:
        face *= np.clip(warp(mask, to_box, size), 0, 1)
    face = smooth_mask(face, options.sigma) * np.float32(1.0 - options.plate_detail)
    detail *= face[..., None]
    change -= detail
    skin = 1.0 if options.skin_detail is None else options.skin_detail
    if skin > 0:
        meshes = [np.asarray(landmarks)[:, :2] - (x0, y0)]
        if generated_landmarks is not None:
            meshes.append(transform_points(to_box, np.asarray(generated_landmarks)[:, :2]))
        change += _skin_detail(plate, change, face * np.float32(skin), meshes, options, transform.side)
    to_box_of_matte = to_box.copy()
    to_box_of_matte[:, :2] *= side / matte.shape[0]
    covered = np.clip(warp(matte, to_box_of_matte, size, border=cv2.BORDER_CONSTANT), 0, 1)
    change *= covered[..., None]
    return FacePatch(
        box=box,
        view=np.where(covered[..., None] > 0, plate + change, plate),
        matte=covered,
        raw=warp(source, to_box, size, cubic=True, border=cv2.BORDER_CONSTANT) if raw else None,
    )


def _skin_detail(
    plate: np.ndarray,
    change: np.ndarray,
    face: np.ndarray,
    meshes: list[np.ndarray],
    options: CompositeOptions,
    crop_side: float,
) -> np.ndarray:
    """See :mod:`understudy.composite.skin_detail`; ``crop_side`` in plate pixels."""
    sigma = options.detail_size * crop_side
    weights = skin_weights(meshes, plate.shape[:2], margin=2 * sigma, softness=sigma)
    weights *= face
    plate = np.clip(plate, 0.0, 1.0)
    return carry_skin_detail(plate + change, plate, weights, sigma=sigma, limit=options.detail_limit)


def fit_face_grade(
    plate_view: np.ndarray,
    crop_rgb: np.ndarray,
    crop_matte: np.ndarray | None,
    transform: CropTransform,
    landmarks: np.ndarray,
    options: CompositeOptions,
    *,
    generated_landmarks: np.ndarray | None = None,
    occlusion: OcclusionHook | None = None,
) -> Grade:
    """The grade that :func:`composite_face` would fit to this frame, for steadying over time; arguments as there."""
    side = crop_rgb.shape[0]
    to_crop = np.asarray(transform.matrix, np.float64) * side
    target = _target_crop(plate_view, to_crop, side)
    polygon, crop_matte, visible = _outline(
        target, landmarks, to_crop, options, crop_matte=crop_matte, generated=generated_landmarks, occlusion=occlusion
    )
    return grade_of(np.asarray(crop_rgb, np.float32), target, polygon, _product(crop_matte, visible), options)


def grade_of(
    source: np.ndarray, target: np.ndarray, polygon: np.ndarray, mask: np.ndarray | None, options: CompositeOptions
) -> Grade:
    """Grade of a generated crop against the plate's crop, both (s, s, 3), under the polygon (crop pixels) and mask."""
    under = rasterise(polygon, shape=source.shape[:2], edges="area")
    if mask is not None:
        under *= mask
    return fit_grade(
        source,
        target,
        under,
        colour_match=options.colour_match,
        contrast=options.contrast,
        contrast_limits=options.contrast_limits,
    )


def _outline(
    target: np.ndarray,
    landmarks: np.ndarray,
    to_crop: np.ndarray,
    options: CompositeOptions,
    *,
    crop_matte: np.ndarray | None,
    generated: np.ndarray | None,
    occlusion: OcclusionHook | None,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """The plate's face polygon in crop pixels, the generated face's mask, and what of the face is visible, both (s,
    s) or None."""
    side = target.shape[0]
    erode = _scaled(options.erode, side)
    crop_landmarks = transform_points(to_crop, np.asarray(landmarks)[:, :2])
    crop_matte, visible = seen_mask(target, crop_landmarks, crop_matte=crop_matte, occlusion=occlusion)
    if generated is not None:
        own = rasterise(face_polygon(generated, np.eye(2, 3), erode=erode), shape=(side, side), edges="area")
        crop_matte = _product(crop_matte, own)
    return face_polygon(landmarks, to_crop, erode=erode), crop_matte, visible


def _target_crop(plate_view: np.ndarray, to_crop: np.ndarray, side: int) -> np.ndarray:
    """The plate's face (side, side, 3) within [0, 1], read from its box only."""
    height, width = plate_view.shape[:2]
    corners = transform_points(invert(to_crop), np.array([(0, 0), (side, 0), (side, side), (0, side)]))
    # A margin for the sampling's kernel; at least one pixel of the plate, whose border is repeated where the crop
    # leaves it.
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 4, 0, (width - 1, height - 1))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 4, low + 1, (width, height))
    part = np.clip(plate_view[low[1] : high[1], low[0] : high[0]], 0.0, 1.0).astype(np.float32)
    matrix = to_crop.copy()
    matrix[:, 2] += matrix[:, :2] @ low
    return warp(part, matrix, (side, side), cubic=True)


def _box(matte: np.ndarray, to_crop: np.ndarray, side: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The plate's pixels that a matte over the crop's square can reach: x0, y0, x1, y1."""
    rows, columns = np.flatnonzero(matte.any(axis=1)), np.flatnonzero(matte.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    scale = side / matte.shape[0]
    left, right = (columns[0] - 1) * scale, (columns[-1] + 2) * scale
    top, bottom = (rows[0] - 1) * scale, (rows[-1] + 2) * scale
    corners = transform_points(invert(to_crop), np.array([(left, top), (right, top), (right, bottom), (left, bottom)]))
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, (shape[1], shape[0]))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _scaled(erode: tuple[float, float, float, float], side: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = erode
    return left * side, top * side, right * side, bottom * side


def _product(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    if first is None or second is None:
        return first if second is None else second
    return first * second
