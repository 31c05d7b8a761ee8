"""Steady landmarks: repeated measurement on perturbed crops, averaged (the comb paper's landmark stabilisation)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from understudy.errors import OptionError
from understudy.faces.face import Face
from understudy.faces.landmarks import LandmarkModel, roi_from_landmarks


def stabilise_landmarks(
    picture: np.ndarray,
    face: Face | np.ndarray,
    model: LandmarkModel,
    *,
    perturbations: int = 9,
    shift: float = 0.05,
    scale: float = 0.02,
    seed: int = 0,
) -> np.ndarray:
    """A face's mesh as the mean of several measurements, each in a region slightly shifted and scaled.

    Args:
        picture: (H, W, 3) uint8 RGB, display-encoded.
        face: the face, or its landmarks (478, 3) in picture pixels: where to measure.
        model: the landmark model.
        perturbations: how many measurements, N; the first is unperturbed.
        shift: largest shift, as share of the region's side (1.5 times the face).
        scale: largest change of the region's side, as share of it.
        seed: of the perturbations; the same seed gives the same numbers in every frame.

    Returns:
        (478, 3) float32 picture pixels.
    """
    landmarks = face.landmarks if isinstance(face, Face) else face
    options = {"perturbations": perturbations, "shift": shift, "scale": scale, "seed": seed}
    return stabilise_all(picture, [landmarks], model, **options)[0].mean(axis=0)


def stabilise_all(
    picture: np.ndarray,
    meshes: Sequence[np.ndarray],
    model: LandmarkModel,
    *,
    perturbations: int = 9,
    shift: float = 0.05,
    scale: float = 0.02,
    seed: int = 0,
) -> np.ndarray:
    """The single measurements behind :func:`stabilise_landmarks` for several faces of a picture, in one batch.

    Returns:
        (faces, N, 478, 3) float32 picture pixels; ``[:, 0]`` are the unperturbed ones, the mean over the second axis is
        steady.
    """
    changes = perturbed_regions(perturbations, shift=shift, scale=scale, seed=seed)
    rois = np.concatenate([apply_changes(roi_from_landmarks(mesh), changes) for mesh in meshes])
    measured, _ = model.landmarks(picture, rois)
    return measured.reshape(len(meshes), perturbations, *measured.shape[1:])


def perturbed_regions(count: int, *, shift: float, scale: float, seed: int) -> np.ndarray:
    """(count, 3) changes of a region: shift in x and y and change of side, all as shares of the side.

    The first is none at all, the others come in pairs of opposites: what an error owes to the region's place in first
    order cancels in the mean.

    Raises:
        OptionError: no perturbation asked for, or shares outside 0 to 0.3.
    """
    if count < 1:
        raise OptionError(f"perturbations={count} is too few; 1 measures once, 9 is usual.")
    if not (0 <= shift <= 0.3 and 0 <= scale <= 0.3):
        raise OptionError(f"shift={shift} and scale={scale} are shares of the region's side and lie between 0 and 0.3.")
    random = np.random.default_rng(seed)
    half = random.uniform(-1.0, 1.0, (count // 2, 3)) * (shift, shift, scale)
    return np.concatenate([np.zeros((1, 3)), half, -half])[:count]


def apply_changes(roi: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """(N, 4) regions from one (4,) and its changes (N, 3)."""
    rois = np.repeat(np.asarray(roi, np.float64)[None], len(changes), axis=0)
    rois[:, :2] += changes[:, :2] * roi[2]
    rois[:, 2] *= 1.0 + changes[:, 2]
    return rois


def jitter(landmarks: np.ndarray, *, numbers: Sequence[int] | None = None) -> float:
    """How much points shake from frame to frame, in pixels, whatever smooth motion they make.

    Through every five successive positions of a point the best parabola in time is laid; what the middle position keeps
    as distance from it is shake. (That residual is 3/35 of the second difference of the second difference, so motion up
    to a cubic in time counts as none.) The figure is the root mean square of these distances over time and points,
    scaled so that an independent shake of every frame by r pixels RMS, in two dimensions, reads r.

    Args:
        landmarks: (T, P, 2 or more) pixels, of which x and y count.
        numbers: (T,) frame numbers, rising; only unbroken runs of five are used. Without them all frames are
            successive.

    Returns:
        Pixels; not-a-number where no five frames follow each other.
    """
    points = np.asarray(landmarks, np.float64)[..., :2]
    if len(points) < 5:
        return float("nan")
    fourth = points[:-4] - 4 * points[1:-3] + 6 * points[2:-2] - 4 * points[3:-1] + points[4:]
    if numbers is not None:
        counted = np.asarray(numbers)
        fourth = fourth[counted[4:] - counted[:-4] == 4]
    if not len(fourth):
        return float("nan")
    # 1 + 16 + 36 + 16 + 1: the fourth difference has seventy times the variance of independent positions.
    return float(np.sqrt((fourth**2).sum(axis=-1).mean() / 70.0))
