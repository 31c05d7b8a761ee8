"""Expression distance (E4S, Table 2): how far what two faces do lies apart, apart from whose faces they are.

The paper takes the 64 expression coefficients of a 3D face model under a licence of its own. Two things stand in: the
distance of the mesh's moving points, and that of MediaPipe's 52 blendshapes, both against each person's own face at rest.
As they stand, blendshapes say so much about whose face it is that a fair swap reads farther from its plate than that same
plate a second later.
"""

from __future__ import annotations

import numpy as np

from understudy.errors import InternalError
from understudy.faces import topology
from understudy.faces.align import fit_mesh

BLENDSHAPES = "MediaPipe's 52 blendshapes against the face at rest, not Deng et al.'s 64 coefficients"
MESH = "points of lips, eyes and brows against the face at rest, not Deng et al.'s 64 coefficients"

_MOVING = np.unique(
    np.concatenate(
        [
            *(topology.LIPS_OUTER, topology.LIPS_INNER, topology.LEFT_EYE, topology.RIGHT_EYE),
            *(topology.LEFT_BROW, topology.RIGHT_BROW),
        ]
    )
)
_NEUTRAL = 0  # of the 52, the one that says nothing


def blendshape_distance(shapes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Euclidean distance of blendshapes, or of their changes from rest, without unit: (..., 52) -> (...); 0 is equal.

    Raises:
        InternalError: shapes differ.
    """
    if shapes.shape != truth.shape or shapes.shape[-1] != 52:
        raise InternalError(f"blendshapes of shape {shapes.shape} and {truth.shape} cannot be compared")
    difference = np.asarray(shapes, np.float64) - np.asarray(truth, np.float64)
    difference[..., _NEUTRAL] = 0.0
    return np.linalg.norm(difference, axis=-1)


def mesh_distance(landmarks: np.ndarray, rest: np.ndarray, truth: np.ndarray, truth_rest: np.ndarray) -> float:
    """Root mean square distance of two faces' changes from their own rest, over the points that expressions move.

    Every mesh is first brought upright and to one size by its own fit, so neither pose nor distance counts; taking off the
    face at rest leaves out who it is.

    Args:
        landmarks, rest: (478, 3) pixels, one person's face and the same at rest.
        truth, truth_rest: the same of the other person.

    Returns:
        Per cent of the face's height, chin to forehead.
    """
    change = _upright(landmarks) - _upright(rest) - _upright(truth) + _upright(truth_rest)
    return 100.0 * float(np.sqrt(np.square(change).sum(axis=1).mean()))


def _upright(landmarks: np.ndarray) -> np.ndarray:
    """The moving points (P, 3) in the mean mesh's frame, whose face is 1 high."""
    fit = fit_mesh(landmarks)
    return (np.asarray(landmarks, np.float64)[_MOVING] - fit.shift) @ fit.rotation / fit.scale
