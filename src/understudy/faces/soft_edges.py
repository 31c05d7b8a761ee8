"""Masks that follow a picture's edges: the guided filter (He, Sun, Tang 2010), fitted small and applied large (He, Sun 2015).

In every window of a picture I a mask p is taken for linear in the colour, p = a . I + b, with the least error (equations 14 to 16
of the first paper). Fitted at a low resolution, the factors are smooth and can be enlarged; with the large picture they give a mask
as fine as that.
"""

from __future__ import annotations

import cv2
import numpy as np


def fit_edges(picture: np.ndarray, masks: np.ndarray, *, radius: int, softness: float = 1e-3) -> np.ndarray:
    """Factors that make masks out of the picture's colours.

    Args:
        picture: (h, w, 3) float32 RGB, about [0, 1].
        masks: (h, w, N) float32.
        radius: pixels; windows are 2 radius + 1 wide.
        softness: epsilon of equation 14, in squares of the picture's values: where colours differ by less than its root, masks are
            blurred rather than sharpened.

    Returns:
        (N, h, w, 4) float32: a for red, green and blue, and b. Masks that sum to 1 at every pixel give factors that sum to (0, 0,
        0, 1), so the results sum to 1 as well.
    """
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, size, borderType=cv2.BORDER_REFLECT)

    picture = np.ascontiguousarray(picture, np.float32)
    average = mean(picture)
    # The six different products of two channels, their covariance, and its inverse by cofactors.
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    covariance = {
        (i, j): mean(picture[..., i] * picture[..., j]) - average[..., i] * average[..., j] + softness * (i == j)
        for i, j in pairs
    }
    rr, rg, rb, gg, gb, bb = (covariance[pair] for pair in pairs)
    cofactors = {
        (0, 0): gg * bb - gb * gb,
        (0, 1): rb * gb - rg * bb,
        (0, 2): rg * gb - rb * gg,
        (1, 1): rr * bb - rb * rb,
        (1, 2): rb * rg - rr * gb,
        (2, 2): rr * gg - rg * rg,
    }
    over = 1.0 / (rr * cofactors[0, 0] + rg * cofactors[0, 1] + rb * cofactors[0, 2])
    factors = np.empty((masks.shape[-1], *picture.shape[:2], 4), np.float32)
    for place in range(masks.shape[-1]):
        mask = np.ascontiguousarray(masks[..., place], np.float32)
        level = mean(mask)
        with_colour = mean(picture * mask[..., None]) - average * level[..., None]
        slopes = np.stack(
            [
                sum(cofactors[min(i, j), max(i, j)] * with_colour[..., j] for j in range(3)) * over  # type: ignore[misc]
                for i in range(3)
            ],
            -1,
        )
        offset = level - (slopes * average).sum(-1)
        factors[place] = mean(np.concatenate([slopes, offset[..., None]], -1).astype(np.float32))
    return factors


def apply_edges(picture: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """(h, w, 3) picture and (h, w, 4) factors to a mask (h, w), held within [0, 1]."""
    mask = (picture * factors[..., :3]).sum(-1) + factors[..., 3]
    return np.clip(mask, 0.0, 1.0)
