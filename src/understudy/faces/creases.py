"""Creases that an expression draws into a face: where they lie, and how far a movement undoes or forms them.

A smile draws the folds from the nose to the mouth's corners, the dimples beside these and the crow's feet; lowered brows the lines
between them; raised brows those of the forehead. A crease lies across the pull of its muscle, so it goes as what the muscle
moves goes back. Two meshes of one person are compared, without their poses, so that nobody's shape is taken for an expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from understudy.faces.align import fit_mesh, mean_mesh, mirror_map
from understudy.faces.retarget import without_pose

NUM_PULLS = 4
"""Right corner of the mouth up and out, left corner, brows down and together, brows up."""
_RIGHT_SMILE, _LEFT_SMILE, _FROWN, _RAISE = range(NUM_PULLS)
_CORNERS, _LIPS_MIDDLE = (61, 291), (0, 17)
_INNER_BROWS, _BROWS = (107, 336), (105, 334)
_TRACE, _PLAIN = 0.35, 0.6
"""Creases drawn less than this are too faint to miss, or too likely a face's own to be put on another."""
_PITS = 0.035
"""How far about the corners of a mouth the pits of a smile reach, faces."""
_GRID = 64
"""Places a side at which zones are worked out; they are smooth."""
_UPRIGHT = (10, 2)
"""Points whose distance is a face's size: no expression moves them."""


@dataclass(frozen=True, kw_only=True)
class _Crease:
    """One crease.

    Attributes:
        line: mesh points along which it lies.
        width: how far beside the line it reaches, faces.
        pull: what draws it.
        rest, whole: pulls, faces: at which it is not there, and at which all of it is.
    """

    line: tuple[int, ...]
    width: float
    pull: int
    rest: float
    whole: float


def _smile(line: tuple[int, ...], width: float, rest: float, whole: float) -> tuple[_Crease, _Crease]:
    """A crease beside the right corner of the mouth or eye, and its mirror image."""
    other = tuple(int(point) for point in mirror_map()[list(line)])
    return tuple(  # type: ignore[return-value]
        _Crease(line=points, width=width, pull=pull, rest=rest, whole=whole)
        for points, pull in ((line, _RIGHT_SMILE), (other, _LEFT_SMILE))
    )


_CREASES = (
    *_smile((129, 203, 206, 216, 212), 0.09, 0.0, 0.09),  # from the nose to the mouth's corner, and the dimple
    *_smile((61, 57, 216), 0.05, 0.0, 0.09),  # the mouth's corner
    *_smile((156, 35, 111), 0.05, 0.03, 0.09),  # crow's feet
    *_smile((111, 229, 231), 0.03, 0.03, 0.09),  # below the lower lid
    _Crease(line=(151, 9, 8, 168), width=0.06, pull=_FROWN, rest=-0.02, whole=0.01),  # between the brows
    _Crease(line=(107, 9, 336), width=0.06, pull=_FROWN, rest=-0.02, whole=0.01),
    _Crease(line=(104, 69, 108, 151, 337, 299, 333), width=0.08, pull=_RAISE, rest=0.01, whole=0.05),
)
NUM_CREASES = len(_CREASES)


def at_rest(mesh: np.ndarray) -> np.ndarray:
    """A mesh (478, 3) without its pose, faces, for :func:`pulls`.

    Raises:
        FaceError: landmarks that are not finite, or all in one place.
    """
    return without_pose(mesh, fit_mesh(np.asarray(mesh)))


def pulls(mesh: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """How far a face's mouth and brows are pulled, against the mean face at rest.

    A person's own shape is in it too, so differences within one person are surer than the pulls themselves.

    Args:
        mesh: (478, 3), in pixels or any unit.
        rest: (478, 3) another mesh of the same person, from :func:`at_rest`, which is laid on; its expression is no matter.

    Returns:
        (4,) float32, faces: chin to forehead of the mean mesh is 1.

    Raises:
        FaceError: landmarks that are not finite, or all in one place.
    """
    return (_measured(without_pose(mesh, fit_mesh(np.asarray(mesh), rest))) - _mean_pulls()).astype(np.float32)


@cache
def _mean_pulls() -> np.ndarray:
    return _measured(mean_mesh())


def _measured(mesh: np.ndarray) -> np.ndarray:
    """The pulls of a mesh without its pose."""
    x, y = mesh.T[:2]
    # A jaw that drops takes the corners along by about half of what the lower lip goes.
    middle_x, middle_y = (axis[list(_LIPS_MIDDLE)].mean() for axis in (x, y))
    corners = [middle_y - y[corner] + abs(x[corner] - middle_x) for corner in _CORNERS]
    apart = abs(x[_INNER_BROWS[0]] - x[_INNER_BROWS[1]]) / 2
    return np.array([*corners, y[list(_INNER_BROWS)].mean() - apart, -y[list(_BROWS)].mean()])


def gone(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Which share of every crease of a face goes as its pulls (4,) change: (K,) float32, 0 to 1."""
    drawn = _drawn(before)
    return np.clip((drawn - _drawn(now)) / np.maximum(drawn, _TRACE), 0, 1)


def come(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Which share of every crease of a face that is pulled by ``now`` (4,) was not there ``before``: (K,) float32, 0 to 1."""
    drawn = _drawn(now)
    return np.clip((drawn - _drawn(before)) / np.maximum(drawn, _PLAIN), 0, 1)


def _drawn(pulls_: np.ndarray) -> np.ndarray:
    """(K,) how far every crease is drawn, 0 to 1."""
    return np.array(
        [np.clip((pulls_[one.pull] - one.rest) / (one.whole - one.rest), 0, 1) for one in _CREASES], np.float32
    )


def zones(shares: np.ndarray, mesh: np.ndarray, size: int) -> np.ndarray:
    """Shares (K,) of creases where these lie on a face: (size, size) float32, 0 to 1, soft.

    Args:
        mesh: (478, 2 or 3) in the picture's unit square.
    """
    parts = [(crease.line, crease.width, share) for share, crease in zip(shares, _CREASES, strict=True) if share > 0]
    return _near(parts, mesh, size)


def mouth_corners(mesh: np.ndarray, size: int) -> np.ndarray:
    """Where the corners of a mouth lie: (size, size) float32, 0 to 1, soft.

    A mouth that smiles ends in two dark pits, which are neither skin nor lips.

    Args:
        mesh: (478, 2 or 3) in the picture's unit square.
    """
    return _near([(line, _PITS, 1.0) for line in ((61, 57), (291, 287))], mesh, size)


def _near(parts: Sequence[tuple[tuple[int, ...], float, float]], mesh: np.ndarray, size: int) -> np.ndarray:
    """Lines, their widths and shares on a mesh: (size, size) the greatest share that is near each place."""
    mesh = np.asarray(mesh, np.float32)[:, :2]
    upper, lower = _UPRIGHT
    face = np.linalg.norm(mesh[upper] - mesh[lower]) / np.linalg.norm((mean_mesh()[upper] - mean_mesh()[lower])[:2])
    place = ((np.arange(_GRID) + 0.5) / _GRID).astype(np.float32)
    grid = np.stack(np.meshgrid(place, place), -1)
    result = np.zeros((_GRID, _GRID), np.float32)
    for line, width, share in parts:
        away = _away(grid, mesh[list(line)]) / np.float32(width * face)
        result = np.maximum(result, np.float32(share) * np.clip(1.5 * np.exp(-2 * away**2), 0, 1))
    return np.clip(cv2.resize(result, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def _away(grid: np.ndarray, line: np.ndarray) -> np.ndarray:
    """(s, s) distances of places (s, s, 2) from a line through points (P, 2)."""
    nearest = np.full(grid.shape[:2], np.inf, np.float32)
    for start, end in zip(line[:-1], line[1:], strict=True):
        way = end - start
        along = np.clip(((grid - start) @ way) / max(float(way @ way), 1e-12), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(grid - start - along[..., None] * way, axis=-1))
    return nearest
