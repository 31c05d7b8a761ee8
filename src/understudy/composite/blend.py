"""Multi-band blending: Algorithm 1 of Naruniec et al., High-Resolution Neural Face Swapping for Visual Effects (2020).

The algorithm, with the names used here (T target, S source, L outer landmarks, sigma, r):

    1  n = log2 r; P(S)_i, P(T)_i Laplacian pyramids, i = 1 (coarsest) ... n (finest)
    2  for every i: mask of the background, 0 inside the polygon of L at the level's size, 1 outside
    3     smoothed with standard deviation sigma, in pixels of the level, the same at each level
    4     face mask M_i = 1 - background mask
    5     P(O)_i = (1 - M_i) P(T)_i + M_i P(T)_i   where i <= 2
    6     P(O)_i = (1 - M_i) P(T)_i + M_i P(S)_i   elsewhere
    7  collapse P(O) once, after the loop (the paper prints this line inside it)

Building and collapsing a pyramid are linear and their chain is the identity, therefore

    O = T + collapse( M_i P(S - T)_i  where i > 2, else 0 ).

That is what runs here: half the work, and what must not change (S = T, or nothing under the mask) keeps every bit, also
in plates below 0 and above 1. A test holds it against the lines above, written out slowly.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from understudy.composite.polygon import rasterise
from understudy.errors import OptionError


def num_pyramid_levels(shape: tuple[int, ...]) -> int:
    """n = log2 r (line 1), r the longer side of a picture of ``shape`` (height, width, ...).

    Rounded up where r is no power of two, so that the coarsest level is always two pixels long.
    """
    return max(1, math.ceil(math.log2(max(shape[:2]))))


def laplacian_pyramid(picture: np.ndarray, *, levels: int | None = None) -> list[np.ndarray]:
    """Laplacian pyramid of Burt and Adelson (1983), coarsest level first.

    Args:
        picture: (H, W) or (H, W, C) float32 of any size and range.
        levels: number of levels n, the low-pass remainder included; default log2 of the longer side.

    Returns:
        n arrays: index 0 is the paper's i = 1. Sides shrink by half, rounded up. Pixel (x, y) of the level k steps
            below
        the finest lies at (2^k (x - 0.5) + 0.5, 2^k (y - 0.5) + 0.5) of the picture (pixel centres at +0.5).
    """
    levels = num_pyramid_levels(picture.shape) if levels is None else levels
    bands = []
    current = np.ascontiguousarray(picture, np.float32)
    for _ in range(levels - 1):
        reduced = cv2.pyrDown(current)
        bands.append(current - cv2.pyrUp(reduced, dstsize=current.shape[1::-1]).reshape(current.shape))
        current = reduced.reshape(reduced.shape[:2] + current.shape[2:])
    return [current, *reversed(bands)]


def collapse(pyramid: list[np.ndarray]) -> np.ndarray:
    """Picture from a Laplacian pyramid, coarsest level first (line 7); inverse of :func:`laplacian_pyramid`."""
    picture = pyramid[0]
    for band in pyramid[1:]:
        picture = cv2.pyrUp(picture, dstsize=band.shape[1::-1]).reshape(band.shape)
        picture += band
    return picture


def smooth_mask(mask: np.ndarray, sigma: float) -> np.ndarray:
    """G(mask, sigma), line 3, for a mask of the face: (H, W) float32.

    The paper smooths the background's mask; 1 - G(1 - m, sigma) = G(m, sigma) where everything beyond the picture's
    border is background, so smoothing the face's mask with zeros around it is the same with one step less. The kernel
    is cut at four sigma.
    """
    if sigma <= 0:
        return mask
    side = 2 * math.ceil(4 * sigma) + 1
    return cv2.GaussianBlur(mask, (side, side), sigma, borderType=cv2.BORDER_CONSTANT)


def blend_multiband(
    source: np.ndarray,
    target: np.ndarray,
    *,
    polygon: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    levels: int | None = None,
    sigma: float = 2.0,
    levels_from_target: int = 2,
    edges: str = "hard",
) -> np.ndarray:
    """Blend a source face into a target picture of the same size by Algorithm 1.

    Args:
        source: (H, W, C) float32, the generated face, view space.
        target: (H, W, C) float32, the plate, same space; values outside [0, 1] pass through.
        polygon: (M, 2) outer landmarks in pixels of the target (pixel centres at +0.5).
        mask: (H, W) float32 in [0, 1], 1 = face, instead of the polygon or multiplied with it.
        levels: number of levels n; default log2 of the longer side.
        sigma: standard deviation of the masks' smoothing in pixels of each level, 0 for none. The paper gives no value.
        levels_from_target: how many of the coarsest levels come from the target; the paper's 2.
        edges: how the polygon is drawn at each level: ``"hard"`` (the paper's 0 and 1) or ``"area"``
            (:func:`~understudy.composite.polygon.rasterise`), which does not flicker when the face moves.

    Returns:
        (H, W, C) float32. Equal to the target bit for bit where source and target agree everywhere or the mask is
        empty.

    Raises:
        OptionError: sizes differ, no polygon and no mask, or an option out of its range.
    """
    target = np.asarray(target, np.float32)
    return target + blend_difference(
        np.asarray(source, np.float32),
        target,
        polygon=polygon,
        mask=mask,
        levels=levels,
        sigma=sigma,
        levels_from_target=levels_from_target,
        edges=edges,
    )


def blend_difference(
    source: np.ndarray,
    target: np.ndarray,
    *,
    polygon: np.ndarray | None,
    mask: np.ndarray | None,
    levels: int | None,
    sigma: float,
    levels_from_target: int,
    edges: str,
) -> np.ndarray:
    """O - T of :func:`blend_multiband`, (H, W, C) float32: what has to be added to the target."""
    if source.shape != target.shape:
        raise OptionError(
            f"source and target must have equal sizes; the source is {source.shape}, the target {target.shape}."
        )
    if polygon is None and mask is None:
        raise OptionError("blending needs a polygon or a mask; neither was given.")
    if mask is not None and mask.shape != target.shape[:2]:
        raise OptionError(f"mask must have the target's size {target.shape[:2]}; it has {mask.shape}.")
    if levels_from_target < 0:
        raise OptionError(f"levels_from_target must be 0 or more; it is {levels_from_target}.")
    if not sigma >= 0:
        raise OptionError(f"sigma must be 0 or more pixels; it is {sigma}.")
    n = num_pyramid_levels(target.shape) if levels is None else levels
    if levels_from_target >= n:
        return np.zeros_like(target)
    difference = laplacian_pyramid(source - target, levels=n)  # P(S)_i - P(T)_i
    masks = _reduced_masks(mask, n)
    for i in range(1, n + 1):
        band = difference[i - 1]
        if i <= levels_from_target:  # line 5: the level stays the target's
            band[:] = 0
            continue
        face = masks[i - 1]
        if polygon is not None:  # line 2
            drawn = rasterise((polygon - 0.5) / 2 ** (n - i) + 0.5, shape=band.shape[:2], edges=edges)
            face = drawn if face is None else face * drawn
        assert face is not None
        face = smooth_mask(face, sigma)  # lines 3 and 4
        band *= face.reshape(face.shape + (1,) * (band.ndim - 2))  # line 6
    return collapse(difference)


def _reduced_masks(mask: np.ndarray | None, levels: int) -> list[np.ndarray] | list[None]:
    """The mask at every level's size, coarsest first."""
    if mask is None:
        return [None] * levels
    reduced: list[np.ndarray] = [np.ascontiguousarray(mask, np.float32)]
    for _ in range(levels - 1):
        reduced.append(cv2.pyrDown(reduced[-1]))
    return reduced[::-1]
