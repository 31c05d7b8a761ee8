"""Thin lines in a picture: where they are, the best path along them, and what a path looks like from close by.

Points are (x, y) in pixels whose centres are whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_SCALES = (1.1, 1.7, 2.6, 3.8)
"""Standard deviations of the second derivatives, pixels: lines about twice as wide answer best."""
_GRAY = (0.2, 0.45, 0.35)
"""Red counts little: on skin, most lines are seen in green and blue."""
_THIN = 1.7
"""Widest scale at which a bright line is believed: wider ones are skin between dark things."""
_LIKELY = 0.05
"""Contrast at which a line in a strip is half believed, view units; that of skin is 0.01 to 0.02 there."""
_STEP, _HALF, _ALONG = 0.5, 11.0, 3.0
"""A strip's pixels, how far it goes to both sides of its path, and how far it is smoothed along it: pixels of the picture."""
_WIDTHS = (1.5, 2.0, 3.0, 4.0, 5.5, 7.0, 9.0)
_BESIDE = (0.5, 2.5)
"""From where to where beside a line its surroundings are looked at, pixels."""
_AWAY = (3.5, 5.5)
"""The same for its outermost pixels: what differs from there belongs to it."""
_BULGE = 1.6
"""Most that it goes to a side, in its own mean: beyond is something else beside it, such as a lid."""
_SPREAD = 2.0
"""Most that its outermost pixels go beyond the band that fits best, pixels."""


@dataclass(frozen=True, kw_only=True)
class LineField:
    """How much of a line there is at every pixel, and how it runs.

    Attributes:
        strength: (h, w) float32, about the line's contrast in view units.
        double: (2, h, w) float32, cosine and sine of twice the angle of the line's normal.
    """

    strength: np.ndarray
    double: np.ndarray

    def towards(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """The strength at points (..., 2) of lines with about those unit normals (..., 2)."""
        x, y = normals[..., 0], normals[..., 1]
        alike = 1 + (x * x - y * y) * sampled(self.double[0], points) + 2 * x * y * sampled(self.double[1], points)
        return sampled(self.strength, points) * np.clip(0.8 * alike, 0, 1)


def line_field(picture: np.ndarray, *, favour: float = 0.5) -> LineField:
    """Lines of any direction, dark or bright, by the second derivative across minus the one along.

    Args:
        picture: (h, w, 3) float32 RGB, view space.
        favour: 0 for lines of any width alike; more for thin ones.
    """
    gray = np.ascontiguousarray(picture @ np.asarray(_GRAY, np.float32))
    strength = np.zeros(gray.shape, np.float32)
    double = np.zeros((2, *gray.shape), np.float32)
    for scale in _SCALES:
        smooth = cv2.GaussianBlur(gray, (0, 0), scale)
        across, down, both = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) / 4 for order in ((2, 0), (0, 2), (1, 1)))
        half, difference = (across + down) / 2, (across - down) / 2
        spread = np.hypot(difference, both) + np.float32(1e-9)
        bend = np.abs(half) + spread - np.abs(np.abs(half) - spread)
        found = np.float32(2.6 * scale ** (2 - favour)) * bend
        if scale > _THIN:
            found = np.where(half > 0, found, found * np.float32(_THIN / scale))
        more = found > strength
        strength = np.where(more, found, strength)
        sign = np.sign(half) / spread
        double = np.where(more, np.stack([sign * difference, sign * both]), double)
    return LineField(strength=strength, double=double)


def sampled(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A picture (h, w) or (h, w, 3) at points (a, b, 2)."""
    points = np.asarray(points, np.float32)
    return cv2.remap(picture, points[..., 0], points[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def best_path(reward: np.ndarray, *, most: int, stiffness: float, closed: bool = False) -> np.ndarray:
    """The path through (T, R) rewards, one column a row, that gathers most.

    Args:
        reward: float32.
        most: columns that it may move from one row to the next.
        stiffness: what a move costs, times its square.
        closed: the last row is beside the first.

    Returns:
        (T,) int columns.
    """
    rows = np.concatenate([reward] * 3) if closed else reward
    moves = np.float32(stiffness) * np.arange(-most, most + 1, dtype=np.float32) ** 2
    back = np.zeros(rows.shape, np.int64)
    padded = np.full(rows.shape[1] + 2 * most, -1e6, np.float32)
    windows, inside = sliding_window_view(padded, 2 * most + 1), padded[most : most + rows.shape[1]]
    inside[:] = rows[0]
    columns = np.arange(rows.shape[1])
    for row in range(1, len(rows)):
        reached = windows - moves
        chosen = reached.argmax(1)
        back[row] = chosen - most
        inside[:] = reached[columns, chosen] + rows[row]
    place = int(inside.argmax())
    path = np.empty(len(rows), np.int64)
    for row in range(len(rows) - 1, -1, -1):
        path[row] = place
        place += back[row, place]
    return path[len(reward) : 2 * len(reward)] if closed else path


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of some width.

    Attributes:
        points: (N, 2) its middle.
        normals: (N, 2) unit vectors across.
        reach: (N, 2) how far it goes against and along them, pixels.
        contrast: (N,) to what lies on both sides, view units.
        closed: its end is its beginning.
    """

    points: np.ndarray
    normals: np.ndarray
    reach: np.ndarray
    contrast: np.ndarray
    closed: bool


def follow_line(picture: np.ndarray, points: np.ndarray, *, closed: bool) -> Line:
    """The line that lies about a path, and its width.

    It is looked for in a strip along the path, as a band whose colour differs in the same way from what is on both sides.

    Args:
        picture: (h, w, 3) float32 RGB, view space.
        points: (N, 2) not further from it than some pixels.
        closed: the path's end is its beginning.
    """
    points = _evenly(points, closed)
    rows = np.arange(0)
    for last in (False, True):
        normals = _normals(points, closed)
        away = np.arange(-_HALF, _HALF + _STEP / 2, _STEP)
        strip = sampled(picture, points[:, None] + away[None, :, None] * normals[:, None])
        strip = _along(strip, closed)
        bands = _bands(strip, away)
        believed = bands / (bands + _LIKELY)
        near = np.exp(-np.square(away / 6)).astype(np.float32)
        path = best_path(believed.max(-1) * near, most=1, stiffness=0.15, closed=closed)
        rows = np.arange(len(points))
        found = points + away[path][:, None] * normals
        if not last:
            points = _evenly(found, closed)
    widths = np.asarray(_WIDTHS)[best_path(believed[rows, path], most=1, stiffness=0.3, closed=closed)]
    sides = [_reach(strip, path, widths, side) for side in (-1, 1)]
    reach = np.stack([_calm(np.minimum(side, _BULGE * np.mean(side)), closed) for side in sides], 1)
    contrast = bands[rows, path].max(-1)
    return Line(points=found, normals=normals, reach=reach, contrast=contrast, closed=closed)


def draw_lines(lines: list[Line], shape: tuple[int, int], *, margin: float = 0.0) -> np.ndarray:
    """The share of every pixel (h, w) float32 that lines cover, each ``margin`` pixels wider on both sides."""
    fine = 4
    drawn = np.zeros((shape[0] * fine, shape[1] * fine), np.uint8)
    for line in lines:
        first, last = (
            line.points + sign * (line.reach[:, [side]] + margin) * line.normals for side, sign in ((0, -1), (1, 1))
        )
        if line.closed:
            first, last = (np.concatenate([edge, edge[:1]]) for edge in (first, last))
        corners = np.stack([first[:-1], first[1:], last[1:], last[:-1]], 1)
        for corner in np.round(((corners + 0.5) * fine - 0.5) * 16).astype(np.int32):
            cv2.fillConvexPoly(drawn, corner, 255, cv2.LINE_8, 4)
    return cv2.resize(drawn, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _evenly(points: np.ndarray, closed: bool) -> np.ndarray:
    """A smoothed path (N, 2) with a point a pixel."""
    sigma, reach = 2.0, 7
    kernel = np.exp(-np.square(np.arange(-reach, reach + 1) / sigma) / 2)
    kernel /= kernel.sum()
    if closed:
        padded = np.pad(points, ((reach, reach), (0, 0)), mode="wrap")
    else:
        padded = np.pad(points, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    smooth = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], 1)
    if closed:
        smooth = np.concatenate([smooth, smooth[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(smooth, axis=0), axis=1))])
    wanted = np.linspace(0, along[-1], max(8, int(along[-1])), endpoint=not closed)
    return np.stack([np.interp(wanted, along, smooth[:, axis]) for axis in (0, 1)], 1)


def _normals(points: np.ndarray, closed: bool) -> np.ndarray:
    way = np.roll(points, -1, 0) - np.roll(points, 1, 0) if closed else np.gradient(points, axis=0)
    across = np.stack([-way[:, 1], way[:, 0]], 1)
    return across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)


def _along(strip: np.ndarray, closed: bool) -> np.ndarray:
    """A strip smoothed along its path."""
    reach = round(3 * _ALONG)
    padded = np.pad(strip, ((reach, reach), (0, 0), (0, 0)), mode="wrap" if closed else "edge")
    return cv2.GaussianBlur(padded, (1, 2 * reach + 1), sigmaX=1e-3, sigmaY=_ALONG)[reach:-reach]


def _boxes(strip: np.ndarray, first: float, last: float) -> np.ndarray:
    """Means of a strip (M, K, 3) from ``first`` to ``last`` pixels beyond every column."""
    count = strip.shape[1]
    sums = np.concatenate([np.zeros_like(strip[:, :1]), np.cumsum(strip, 1)], 1)
    columns = np.arange(count)
    low = np.clip(columns + round(first / _STEP), 0, count - 1)
    high = np.clip(columns + round(last / _STEP), low, count - 1) + 1
    return (sums[:, high] - sums[:, low]) / (high - low)[None, :, None].astype(np.float32)


def _bands(strip: np.ndarray, away: np.ndarray) -> np.ndarray:
    """How much every column (M, K) is the middle of a band of every width: (M, K, W) float32, view units.

    Both differences, to the left and to the right, have to be alike: the edge of a shadow is no line.
    """
    found = []
    for width in _WIDTHS:
        middle = _boxes(strip, -width / 2 + _STEP / 2, width / 2 - _STEP / 2)
        left, right = (_boxes(strip, *sorted(side * (width / 2 + far) for far in _BESIDE)) - middle for side in (-1, 1))
        contrast = np.sqrt(np.maximum((left * right).sum(-1), 0) / 3) * np.float32(1 + 0.03 * width)
        found.append(contrast * (np.abs(away) <= _HALF - width / 2 - 2))
    return np.stack(found, -1).astype(np.float32)


def _reach(strip: np.ndarray, path: np.ndarray, widths: np.ndarray, side: int) -> np.ndarray:
    """(M,) how far to one side a line goes: on from its band's edge, while its colour is not that of what lies beside it."""
    rows, last = np.arange(len(path)), strip.shape[1] - 1
    edge = path + side * np.round(widths / 2 / _STEP).astype(int)
    steps = range(round(_AWAY[0] / _STEP), round(_AWAY[1] / _STEP) + 1)
    beside = np.mean([strip[rows, np.clip(edge + side * step, 0, last)] for step in steps], 0)
    contrast = np.linalg.norm(strip[rows, path] - beside, axis=1)
    place = np.clip(edge - side * 2, 0, last)
    there, reached = np.ones(len(path), bool), place
    for step in range(1 + round(_SPREAD / _STEP)):
        column = np.clip(place + side * step, 0, last)
        there = there & (np.linalg.norm(strip[rows, column] - beside, axis=1) > np.maximum(0.3 * contrast, 0.02))
        reached = np.where(there, column, reached)
    return np.abs(reached - path) * _STEP + _STEP / 2


def _calm(values: np.ndarray, closed: bool) -> np.ndarray:
    """(M,) medians and then means along a path."""
    for reach, smooth in ((12, np.median), (6, np.mean)):
        padded = np.pad(values, reach, mode="wrap" if closed else "edge")
        values = smooth(sliding_window_view(padded, 2 * reach + 1), axis=1)
    return values
