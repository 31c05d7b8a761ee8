"""Where an eye looks, and a picture's irises moved so that it looks elsewhere.

An eye is taken apart into what lies behind and what lies on it: its white, closed where the iris was from the white beside it, and
the iris, whole again where lids cover it. The white goes where the lids go; the iris goes where it is wanted, round and in its own
size; the lids' opening shows both. To bend the picture instead would smear the iris and draw lids along.

A mesh's iris points are good enough for that: sideways they lie 0.01 of the eye's width (median over 19 photographs; 0.06 at most,
in the dark) from the circle at which a picture becomes light, also where an eye looks far aside. What they say of an iris behind
shut lids is nothing, so an eye is left as it is as it shuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.faces import topology
from understudy.faces.mesh_warp import carry
from understudy.faces.parse import polygon_mask


@dataclass(frozen=True, kw_only=True)
class Eye:
    """The mesh's points of one eye: lids all around, iris, the corners from left to right in the picture, the lids' middles."""

    ring: np.ndarray
    iris: np.ndarray
    corners: tuple[int, int]
    lids: tuple[int, int]


EYES = (
    Eye(ring=topology.RIGHT_EYE, iris=topology.RIGHT_IRIS, corners=(33, 133), lids=(159, 145)),
    Eye(ring=topology.LEFT_EYE, iris=topology.LEFT_IRIS, corners=(362, 263), lids=(386, 374)),
)
_SHUT, _OPEN = 0.08, 0.16
"""Openings, in widths of the eye, below which nothing is known of an iris, and above which everything is."""
_RIM = (0.96, 1.12)
"""Radii between which an iris ends."""
_COVERED = (1.15, 1.5)
"""Radii between which a picture's iris, and its shadow on the white, is closed by white."""
_CLEAR = 1.3
"""Radii beyond which white is white."""
_LID = 0.02
"""Softness of the opening's edge, in widths of the eye."""
_AROUND = 0.4
"""How far about an eye is worked on, in its width."""
_DARK = 0.12
"""What is so much darker than the brightest of an eye's white is lash or shadow, view units."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, kw_only=True)
class Iris:
    """A circle: centre (2,) and radius, in the units of its mesh."""

    centre: np.ndarray
    radius: float


@dataclass(frozen=True, kw_only=True)
class LayeredEyes:
    """A picture's eyes taken apart; see :func:`layered_eyes`.

    Attributes:
        white: (s, s, C) the picture without irises.
        whole: (s, s, C) the picture whose irises go on beneath the lids.
        irises: where they are, in the picture's unit square.
        known: of each, in [0, 1], how much of it the picture shows.
        span: the distance of the eyes' outer corners in depth as well, in the unit square.
    """

    white: np.ndarray
    whole: np.ndarray
    irises: tuple[Iris, ...]
    known: tuple[float, ...]
    span: float


def opening(mesh: np.ndarray, eye: Eye) -> float:
    """How far an eye of a mesh (478, 2 or 3) is open, in its width: 0 shut, about 0.3 open."""
    height, width = (float(np.linalg.norm(np.subtract(*mesh[list(ends), :2]))) for ends in (eye.lids, eye.corners))
    return height / max(width, 1e-6)


def iris_of(mesh: np.ndarray, eye: Eye) -> Iris:
    """The iris by the points of a mesh (478, 2 or 3)."""
    points = np.asarray(mesh, np.float64)[eye.iris, :2]
    return Iris(centre=points[0], radius=float(np.linalg.norm(points[1:] - points[0], axis=1).mean()))


def layered_eyes(picture: np.ndarray, mesh: np.ndarray) -> LayeredEyes:
    """Take a picture's eyes apart.

    Args:
        picture: (s, s, C) float32, its first three channels RGB in [0, 1], view space; others are left as they are.
        mesh: (478, 3) in its unit square.
    """
    white, whole = picture.copy(), picture.copy()
    found = [iris_of(mesh, eye) for eye in EYES]
    # Both are as large, but one that looks aside is seen from its side.
    irises = tuple(Iris(centre=iris.centre, radius=max(one.radius for one in found)) for iris in found)
    known = tuple(float(np.clip((opening(mesh, eye) - _SHUT) / (_OPEN - _SHUT), 0, 1)) for eye in EYES)
    for eye, iris, share in zip(EYES, irises, known, strict=True):
        box = _box(mesh, eye, len(picture))
        if share > 0 and box is not None:
            part = picture[box][..., :3]
            # Not as far as the lids, whose lashes hang over the opening's edge.
            inside = np.clip(2 * _inside(mesh, eye, box, len(picture)) - 1, 0, 1)
            away = _away(iris, box, len(picture))
            white[box][..., :3] = _without_iris(part, inside, away)
            whole[box][..., :3] = _whole_iris(part, inside, iris, box, len(picture))
    return LayeredEyes(white=white, whole=whole, irises=irises, known=known, span=_span(mesh))


def look(carried: np.ndarray, eyes: LayeredEyes, places: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """A picture that was carried to a mesh, with its irises where that mesh has them.

    Args:
        carried: (s, s, C) float32 the picture that ``eyes`` are of, at ``places``.
        eyes: from :func:`layered_eyes`.
        places: (s, s, 2) where every pixel comes from, see :func:`understudy.faces.mesh_warp.mesh_map`.
        mesh: (478, 3) in the carried picture's unit square.

    Returns:
        (s, s, C) float32.
    """
    side, result = len(carried), carried.copy()
    scale = _span(mesh) / max(eyes.span, 1e-6)
    for eye, iris, known in zip(EYES, eyes.irises, eyes.known, strict=True):
        weight = known * float(np.clip((opening(mesh, eye) - _SHUT) / (_OPEN - _SHUT), 0, 1))
        box = _box(mesh, eye, side)
        if weight == 0 or box is None:
            continue
        wanted = Iris(centre=iris_of(mesh, eye).centre, radius=iris.radius * scale)
        inside, away = _inside(mesh, eye, box, side), _away(wanted, box, side)
        white = carry(eyes.white, places[box], sharp=True)
        # The iris is not bent: round in, round out.
        there = (_grid(box, side) - wanted.centre) / scale + iris.centre
        whole = carry(eyes.whole, there.astype(np.float32), sharp=True)
        shows = (inside * _falling(away, _RIM))[..., None]
        # Not in the opening alone: on a far eye, whose lids fold, a bent iris lies beside it.
        result[box] += weight * (white + shows * (whole - white) - result[box])
    return result


def _without_iris(part: np.ndarray, inside: np.ndarray, away: np.ndarray) -> np.ndarray:
    """An eye (h, w, 3) whose white goes on where its iris is."""
    covered = _falling(away, _COVERED)
    seen = inside * (away > _CLEAR)
    light = part @ _LUMA
    if (seen > 0.5).sum() < 4:
        return part
    bright = float(np.quantile(light[seen > 0.5], 0.8))
    seen = seen * np.exp(-np.square(np.maximum(bright - light, 0) / _DARK))
    radius = np.sqrt((away < 1).sum() / np.pi)
    filled = part
    # From afar to near. Rows are alike, since the upper lid's shadow lies along them.
    for along, across in ((3.0, 3.0), (1.5, 0.3), (0.5, 0.2)):
        filled = _spread(part, seen, (along * radius, across * radius), filled)
    return part + (covered * inside)[..., None] * (filled - part)


def _spread(part: np.ndarray, weight: np.ndarray, sigma: tuple[float, float], otherwise: np.ndarray) -> np.ndarray:
    """The weighted mean about every pixel; ``otherwise`` where hardly anything is near."""
    blur = lambda values: cv2.GaussianBlur(values, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])  # noqa: E731
    near = blur(weight.astype(np.float32))[..., None]
    mean = blur((part * weight[..., None]).astype(np.float32)) / np.maximum(near, 1e-6)
    return otherwise + np.clip(near / 0.02, 0, 1) * (mean - otherwise)


def _whole_iris(part: np.ndarray, inside: np.ndarray, iris: Iris, box: tuple[slice, slice], side: int) -> np.ndarray:
    """An eye (h, w, 3) whose iris goes on beneath the lids: there every ring of it is as its seen part is on average."""
    away = _away(iris, box, side)
    ring = np.clip(away * 12, 0, 23).astype(int)
    weight = inside * (away < 2)
    total = np.bincount(ring.ravel(), weight.ravel(), 24)
    known = total > 0.5
    if known[:13].sum() < 2:
        return part
    means = np.stack([np.bincount(ring.ravel(), (weight * part[..., channel]).ravel(), 24) for channel in range(3)], -1)
    means[known] /= total[known, None]
    middles = (np.arange(24) + 0.5) / 12
    profile = np.stack([np.interp(away, middles[known], means[known, channel]) for channel in range(3)], -1)
    return part + (1 - inside)[..., None] * (profile.astype(np.float32) - part)


def _span(mesh: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(mesh, np.float64)[33] - np.asarray(mesh, np.float64)[263]))


def _box(mesh: np.ndarray, eye: Eye, side: int) -> tuple[slice, slice] | None:
    """Rows and columns about an eye; None where the picture shows nothing of it."""
    ring = np.asarray(mesh)[eye.ring, :2] * side
    reach = _AROUND * float(np.linalg.norm(np.subtract(*ring[[0, 8]])))
    low = np.clip(np.floor(ring.min(0) - reach), 0, side).astype(int)
    high = np.clip(np.ceil(ring.max(0) + reach), 0, side).astype(int)
    if (high - low < 4).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _grid(box: tuple[slice, slice], side: int) -> np.ndarray:
    """(h, w, 2) a box's pixel centres in the unit square."""
    rows, columns = ((np.arange(part.start, part.stop) + 0.5) / side for part in box)
    return np.stack(np.meshgrid(columns, rows), -1)


def _away(iris: Iris, box: tuple[slice, slice], side: int) -> np.ndarray:
    """(h, w) distance from an iris's centre, in its radii."""
    return np.linalg.norm(_grid(box, side) - iris.centre, axis=-1) / max(iris.radius, 1e-6)


def _inside(mesh: np.ndarray, eye: Eye, box: tuple[slice, slice], side: int) -> np.ndarray:
    """(h, w) float32 the lids' opening, with a soft edge."""
    rows, columns = box
    ring = np.asarray(mesh, np.float64)[eye.ring, :2] * side - (columns.start, rows.start)
    margin = _LID * float(np.linalg.norm(np.subtract(*ring[[0, 8]])))
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return polygon_mask(ring, size, feather=margin)


def _falling(away: np.ndarray, between: Sequence[float]) -> np.ndarray:
    """1 within the first radius, 0 beyond the second, float32."""
    share = np.clip((between[1] - away) / (between[1] - between[0]), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)
