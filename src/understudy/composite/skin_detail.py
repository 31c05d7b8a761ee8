"""The plate's finest skin detail over the generated face: pores, stubble's shadow, grain.

A generated face is soft: its network holds fewer pixels than the plate, and what a network cannot foretell it blurs. The
plate shows skin in the same place, under the same light, through the same lens and on the same sensor; what of it is
finer than the generated face belongs to camera and light more than to the person. So on skin the finest band of the
face comes from the plate,

    O = F + w (limit(P - G(P)) - (F - G(F))),

F the blended face, P the plate, G a Gaussian; w is 1 on skin and 0 over eyes, brows and lips, whose edges are the
person's own. The limit keeps what is stronger than skin (the line of a nose, a strand of hair) from ghosting.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.faces.topology import LEFT_BROW, LEFT_EYE, LIPS_OUTER, RIGHT_BROW, RIGHT_EYE

FEATURES = (RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LEFT_BROW, LIPS_OUTER)


def skin_weights(meshes: Sequence[np.ndarray], shape: tuple[int, int], *, margin: float, softness: float) -> np.ndarray:
    """(H, W) float32: 1 on skin, 0 over eyes, brows and lips of any of the meshes.

    Args:
        meshes: each (478, 2 or 3), pixels.
        shape: height and width.
        margin: pixels by which eyes, brows and lips grow.
        softness: standard deviation of the edges, pixels.
    """
    features = np.zeros(shape, np.uint8)
    for mesh in meshes:
        for outline in FEATURES:
            hull = cv2.convexHull(np.asarray(mesh[outline, :2], np.float32))
            # A sixteenth of a pixel, so that the weights move smoothly with the face.
            points = np.round((hull - 0.5) * 16).astype(np.int32)
            cv2.fillPoly(features, [points], 255, lineType=cv2.LINE_AA, shift=4)
            if margin > 0:
                thick = max(1, round(2 * margin))
                cv2.polylines(features, [points], True, 255, thick, lineType=cv2.LINE_AA, shift=4)
    weights = 1.0 - features.astype(np.float32) / 255
    return cv2.GaussianBlur(weights, (0, 0), softness) if softness > 0 else weights


def carry_skin_detail(
    face: np.ndarray, plate: np.ndarray, weights: np.ndarray, *, sigma: float, limit: float
) -> np.ndarray:
    """What has to be added to the blended face so that its finest band is the plate's where the weights are 1.

    Args:
        face, plate: (H, W, 3) float32, view space.
        weights: (H, W) float32 in [0, 1].
        sigma: of G, pixels.
        limit: detail approaches this amount (tanh), view units.

    Returns:
        (H, W, 3) float32.
    """
    change = plate - cv2.GaussianBlur(plate, (0, 0), sigma)
    # Grain is grey or nearly so; all channels shrink by one gain, so that a limited edge keeps its colour.
    size = np.abs(change).max(axis=2, keepdims=True)
    change *= np.tanh(size / limit) * limit / np.maximum(size, 1e-6)
    change -= face
    change += cv2.GaussianBlur(face, (0, 0), sigma)
    change *= weights[..., None]
    return change
