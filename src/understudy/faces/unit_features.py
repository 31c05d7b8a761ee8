"""What action units are read from: the mesh without its pose, the same on both sides; and blendshapes beside it."""

from __future__ import annotations

import functools

import numpy as np

from understudy.faces.align import fit_mesh, mirror_map
from understudy.faces.blendshapes import NAMES
from understudy.faces.topology import NUM_MESH_POINTS

# Depth is guessed by the mesh models rather than seen: it counts half.
_AXES = np.array([1.0, 1.0, 0.5])
# Blendshapes run from 0 to 1, a face's points by a few hundredths of its height: this makes a ridge treat them alike.
_SHAPES = 0.1


def canonical(landmarks: np.ndarray) -> np.ndarray:
    """Meshes without their pose, in units of the mean mesh (chin to forehead is 1); see ``faces.align.fit_mesh``.

    Args:
        landmarks: (B, 478, 3) pixels.

    Returns:
        (B, 478, 3) float32, upright and frontal; x right, y down, z away from the camera.

    Raises:
        FaceError: landmarks that are not finite, or all in one place.
    """
    result = np.empty(landmarks.shape, np.float32)
    for mesh, points in zip(result, landmarks, strict=True):
        fit = fit_mesh(points)
        mesh[:] = ((points - fit.shift) / fit.scale) @ fit.rotation
    return result


def mesh_features(meshes: np.ndarray) -> np.ndarray:
    """(B, F) float64 of canonical meshes (B, 478, 3): the mean of the face and its mirror image, one side of it.

    Action units are of both sides together, so a face and its mirror image give the same features. The irises are left
    out: the older mesh model does not see them, and gaze is no action unit.
    """
    mirrored = np.asarray(meshes, np.float64)[:, mirror_map()] * (-1.0, 1.0, 1.0)
    both = (meshes + mirrored) / 2 * _AXES
    return both[:, _one_side()].reshape(len(both), 3 * len(_one_side()))


def shape_features(blendshapes: np.ndarray) -> np.ndarray:
    """(B, 52) float64 of blendshapes (B, 52), 0 to 1: left and right are their mean."""
    shapes = np.asarray(blendshapes, np.float64)
    return (shapes + shapes[:, _other_side()]) / 2 * _SHAPES


@functools.cache
def _one_side() -> np.ndarray:
    mirror = mirror_map()
    return np.array([point for point in range(NUM_MESH_POINTS) if point <= mirror[point]])


@functools.cache
def _other_side() -> np.ndarray:
    exchange = {"Left": "Right", "Right": "Left"}
    place = {name: number for number, name in enumerate(NAMES)}
    others = []
    for name in NAMES:
        side = next(
            (side for side in exchange if name.endswith(side) and name[: -len(side)] + exchange[side] in place), ""
        )
        others.append(place[name[: -len(side)] + exchange[side]] if side else place[name])
    return np.array(others)
