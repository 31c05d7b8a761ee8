"""Where the frames of glasses lie: what a face parser, which sees few pixels, loses of thin rims, bridges and temples.

A parser's shares say whether there are glasses and about where; the picture says exactly. Round each eye the rim is the closed
path that crosses most of line and share, found by dynamic programming in polar coordinates about the lens; both paths lean on each
other, for glasses are alike on both sides. The bridge joins them across the nose, temples lead to the ears. A face without glasses
has neither a line all round the eye nor one across the nose, so both together tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from understudy.faces import topology
from understudy.faces.lines import Line, LineField, best_path, draw_lines, follow_line, line_field, sampled

SURE = 0.16
"""Score at which glasses are believed. Of 19 pictures and frames with glasses 18 had 0.19 or more, and a dark, turned face with
dark rims 0.13; of 46 bare faces none had more than 0.08."""
_AROUND = 240
"""Steps round a lens."""
_RADII = np.linspace(0.5, 1.65, 116, dtype=np.float32)
"""Looked at, in a usual lens's half axes."""
_AXES = (0.42, 0.34)
"""Those half axes along the line of the eyes and across, distances of the eyes; and what follows in the same measure."""
_MIDDLE = (0.06, 0.11)
"""How far outwards and down from the eye its lens has its middle."""
_MIDLINE = 0.04
"""How near to the face's midline a rim comes."""
_BRIDGE, _TEMPLE = (-0.3, 0.12), (-0.28, 0.16)
"""From how far above to how far below the rims' inner ends a bridge is looked for, and a temple at their outer ends."""
_EARS = (127, 356)
"""Where temples end."""
_LIKELY = 0.07
"""Contrast at which a line is half believed, view units."""
_SHARED = 0.12
"""Parser's share of glasses that is as good as a whole."""
_LEAN = 0.3
"""How much one rim's likeness to the other counts."""
_USUAL = 0.4
"""Reward of the shot's mean that is as good as a whole."""
_INTO = 4.0
"""How far bridge and temples reach into the rims, pixels."""
_GAPS = 2
"""Radius of nicks that are filled where parts meet, pixels."""
_WHOLE = 1.2
"""What its matte is multiplied by, up to 1."""
_MARGIN, _SOFT = 0.6, 0.6
"""What a rim is kept wider than it is measured, and the softness of its matte's edge: pixels."""


@dataclass(frozen=True, kw_only=True)
class Eyewear:
    """Glasses on a face.

    Attributes:
        score: how sure it is that there are any, 0 to 1; see ``SURE``.
        rims: (2, A, R) float32, how well a right and a left rim would run through every place about the eyes, from -1 to 2.
        paths: the rims, the bridge and the temples, each (N, 2) pixels whose centres are whole numbers.
    """

    score: float
    rims: np.ndarray
    paths: tuple[np.ndarray, ...]


@dataclass(frozen=True, kw_only=True)
class _Lens:
    middle: np.ndarray
    outwards: np.ndarray
    down: np.ndarray


def find_eyewear(
    picture: np.ndarray,
    glasses: np.ndarray,
    brows: np.ndarray,
    landmarks: np.ndarray,
    *,
    usual: np.ndarray | None = None,
) -> Eyewear:
    """Look for the glasses of a face.

    Args:
        picture: (s, s, 3) float32 RGB in [0, 1], view space; the face about 300 pixels high.
        glasses, brows: (s, s) float32, a parser's shares of both regions. Brows look like rims and are none.
        landmarks: (478, 2 or 3) pixels of the picture.
        usual: the mean of ``Eyewear.rims`` over frames of the same shot, which holds weak rims in their place.
    """
    mesh = np.asarray(landmarks, np.float32)[:, :2] - np.float32(0.5)
    lenses, unit = _lenses(mesh)
    middle = (lenses[0].middle + lenses[1].middle) / 2
    reach = np.array([2.0, 0.8]) * unit
    low = np.clip(np.floor(middle - reach), 0, np.array(picture.shape[1::-1]) - 2).astype(int)
    high = np.maximum(np.minimum(np.ceil(middle + reach), picture.shape[1::-1]).astype(int), low + 2)
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    crop, shares, hairs = (np.ascontiguousarray(np.asarray(one, np.float32)[box]) for one in (picture, glasses, brows))
    search = _Search(unit, low, shares, hairs)
    thin, any_width = line_field(crop, favour=0.8), line_field(crop, favour=0.3)

    places = [_around(lens, unit) for lens in lenses]
    rims = np.stack([search.reward(thin, points, normals) for points, normals in places])
    for rim, (points, _), lens in zip(rims, places, lenses, strict=True):
        rim[(points - middle) @ lens.outwards < _MIDLINE * unit] = -0.5
    rims = np.stack([_round(rim) for rim in rims])
    weighed = rims if usual is None else rims * (0.3 + 0.7 * np.clip(_near(usual, 5) / _USUAL, 0, 1))
    paths, scores = [], []
    for own, other, (points, _) in ((0, 1, places[0]), (1, 0, places[1])):
        like = np.clip(cv2.blur(_near(weighed[other : other + 1], 7)[0], (5, 3)), 0, 1)
        columns = best_path(weighed[own] + _LEAN * like, most=4, stiffness=0.05, closed=True)
        steps = np.arange(_AROUND)
        paths.append(points[steps, columns])
        scores.append(float(rims[own][steps, columns].mean()))
    inner = [path[_AROUND // 2 - 6 : _AROUND // 2 + 7].mean(0) for path in paths]
    bridge, gained = search.between(any_width, inner[0], inner[1], lenses[0].down, _BRIDGE)
    paths.append(bridge)
    for path, lens, ear in zip(paths[:2], lenses, _EARS, strict=True):
        outer = np.concatenate([path[-6:], path[:7]]).mean(0)
        if (mesh[ear] - outer) @ lens.outwards > 0.06 * unit:
            temple, along = search.between(any_width, outer, mesh[ear], lens.down, _TEMPLE)
            # As far as it is seen.
            seen = np.cumsum(along - 0.25)
            if seen.max() > 1:
                paths.append(temple[: max(4, int(seen.argmax()) + 1)])
    return Eyewear(score=float(gained.mean()) * (scores[0] + scores[1]) / 2, rims=rims, paths=tuple(paths))


def eyewear_matte(picture: np.ndarray, eyewear: Eyewear) -> np.ndarray:
    """The share of every pixel (s, s) float32 in [0, 1] that glasses' frames cover, with the softest of edges.

    Args:
        picture: (s, s, 3) float32 RGB in [0, 1], the one that they were found in.
    """
    picture = np.ascontiguousarray(picture, np.float32)
    lines = eyewear_lines(picture, eyewear)
    drawn = draw_lines(lines, (picture.shape[0], picture.shape[1]), margin=_MARGIN)
    nicks = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _GAPS + 1, 2 * _GAPS + 1))
    drawn = cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, nicks)
    # Whole over the whole of a rim, so that its pixels stay what they are.
    return np.clip(_WHOLE * cv2.GaussianBlur(drawn, (0, 0), _SOFT), 0, 1)


def eyewear_lines(picture: np.ndarray, eyewear: Eyewear) -> list[Line]:
    """The lines that the frames are made of."""
    return [follow_line(picture, path, closed=place < 2) for place, path in enumerate(eyewear.paths)]


class _Search:
    """What speaks for glasses at places of a picture, given what the parser says of a part of it."""

    def __init__(self, unit: float, corner: np.ndarray, glasses: np.ndarray, brows: np.ndarray) -> None:
        self._unit, self._corner, self._glasses, self._brows = unit, corner, glasses, brows

    def reward(self, field: LineField, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """For lines with those normals (a, b, 2) through points (a, b, 2): (a, b) float32, 0 to 1."""
        here = points - self._corner
        strength = field.towards(here, normals)
        shared = np.clip(np.sqrt(np.maximum(sampled(self._glasses, here), 0) / _SHARED), 0, 1)
        brow = np.clip(sampled(self._brows, here), 0, 0.5)
        return (strength / (strength + _LIKELY) * (0.2 + 0.8 * shared) * (1 - brow)).astype(np.float32)

    def between(
        self, field: LineField, first: np.ndarray, last: np.ndarray, down: np.ndarray, height: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best line from one side to the other: points (N, 2), and what speaks for each."""
        length = float(np.linalg.norm(last - first))
        beyond = _INTO / max(length, 1e-6)
        steps = np.linspace(-beyond, 1 + beyond, max(8, int(length + 2 * _INTO)))
        shifts = np.arange(height[0] * self._unit, height[1] * self._unit, 1.0)
        points = (first + steps[:, None] * (last - first))[:, None] + shifts[None, :, None] * down
        rewards = self.reward(field, points, np.broadcast_to(down, points.shape))
        columns = best_path(rewards, most=2, stiffness=0.1)
        rows = np.arange(len(steps))
        return points[rows, columns], rewards[rows, columns]


def _lenses(mesh: np.ndarray) -> tuple[tuple[_Lens, _Lens], float]:
    """Where lenses would be, and the distance of the eyes."""
    right, left = (mesh[eye].mean(axis=0).astype(np.float64) for eye in (topology.RIGHT_EYE, topology.LEFT_EYE))
    unit = float(np.linalg.norm(left - right))
    across = (left - right) / max(unit, 1e-6)
    down = np.array([-across[1], across[0]])
    out, below = _MIDDLE[0] * unit, _MIDDLE[1] * unit
    return (
        _Lens(middle=right - out * across + below * down, outwards=-across, down=down),
        _Lens(middle=left + out * across + below * down, outwards=across, down=down),
    ), unit


def _around(lens: _Lens, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Places about a lens, outwards first and then down: points (A, R, 2), and the normals that a rim has there."""
    angle = np.arange(_AROUND) / _AROUND * 2 * np.pi
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    rays = unit * (_AXES[0] * cosine * lens.outwards + _AXES[1] * sine * lens.down)
    normals = cosine / _AXES[0] * lens.outwards + sine / _AXES[1] * lens.down
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = lens.middle + _RADII[None, :, None] * rays[:, None]
    return points, np.broadcast_to(normals[:, None], points.shape)


def _round(rewards: np.ndarray) -> np.ndarray:
    """Rewards (A, R) a little smoothed round the lens."""
    padded = np.pad(rewards, ((6, 6), (0, 0)), mode="wrap")
    return cv2.GaussianBlur(padded, (1, 7), sigmaX=1e-3, sigmaY=1.5)[6:-6]


def _near(rims: np.ndarray, reach: int) -> np.ndarray:
    """The most of rewards (n, A, R) some places away."""
    around = reach + 4
    padded = np.pad(rims, ((0, 0), (around, around), (0, 0)), mode="wrap")
    window = np.ones((reach + 4, reach), np.uint8)
    return np.stack([cv2.dilate(rim, window)[around:-around] for rim in padded])
