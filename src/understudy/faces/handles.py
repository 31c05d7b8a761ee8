"""Named points of a face to take hold of: the mesh follows, smoothly and along the skin."""

from __future__ import annotations

import difflib
import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from understudy.errors import FaceError, OptionError
from understudy.faces import topology
from understudy.faces.align import fit_mesh, mean_mesh

_LIPS = (*topology.LIPS_OUTER, *topology.LIPS_INNER)


@dataclass(frozen=True, kw_only=True)
class Handle:
    """Something to take hold of.

    Attributes:
        points: mesh points that move as one.
        reach: how far neighbours follow, as share of the face's height: at that distance along the skin, by 61 %.
        title: what it is, in a few words.
    """

    points: tuple[int, ...]
    reach: float
    title: str


def _handle(title: str, reach: float, *points: int) -> Handle:
    return Handle(points=tuple(int(point) for point in points), reach=reach, title=title)


HANDLES: Mapping[str, Handle] = {
    "mouth": _handle("both lips as they are", 0.05, *_LIPS),
    "mouth_left": _handle("left corner of the mouth", 0.05, 291),
    "mouth_right": _handle("right corner of the mouth", 0.05, 61),
    "mouth_top": _handle("upper lip, its middle", 0.05, 0, 11, 12, 13),
    "mouth_bottom": _handle("lower lip, its middle", 0.05, 14, 15, 16, 17),
    "chin": _handle("tip of the chin", 0.10, 152),
    "jaw_left": _handle("left corner of the jaw", 0.10, 397),
    "jaw_right": _handle("right corner of the jaw", 0.10, 172),
    "cheek_left": _handle("left cheek", 0.07, 425),
    "cheek_right": _handle("right cheek", 0.07, 205),
    "nose": _handle("the lower nose as it is", 0.05, 1, 2, 4, 5, 64, 294, 98, 327),
    "nose_tip": _handle("tip of the nose", 0.04, 4),
    "nose_bridge": _handle("bridge of the nose", 0.04, 6),
    "nostril_left": _handle("left wing of the nose", 0.03, 294),
    "nostril_right": _handle("right wing of the nose", 0.03, 64),
    "brow_left": _handle("the left brow as it is", 0.04, *topology.LEFT_BROW),
    "brow_left_inner": _handle("left brow, end by the nose", 0.05, 336, 285),
    "brow_left_middle": _handle("left brow, its arch", 0.05, 334, 282),
    "brow_left_outer": _handle("left brow, end by the temple", 0.05, 300, 276),
    "brow_right": _handle("the right brow as it is", 0.04, *topology.RIGHT_BROW),
    "brow_right_inner": _handle("right brow, end by the nose", 0.05, 107, 55),
    "brow_right_middle": _handle("right brow, its arch", 0.05, 105, 52),
    "brow_right_outer": _handle("right brow, end by the temple", 0.05, 70, 46),
    "eye_left": _handle("the left eye as it is", 0.03, *topology.LEFT_EYE),
    "eye_left_top": _handle("left upper lid, its middle", 0.03, 386),
    "eye_left_bottom": _handle("left lower lid, its middle", 0.03, 374),
    "eye_left_inner": _handle("left eye, corner by the nose", 0.03, 362),
    "eye_left_outer": _handle("left eye, corner by the temple", 0.03, 263),
    "iris_left": _handle("where the left eye looks", 0.02, *topology.LEFT_IRIS),
    "eye_right": _handle("the right eye as it is", 0.03, *topology.RIGHT_EYE),
    "eye_right_top": _handle("right upper lid, its middle", 0.03, 159),
    "eye_right_bottom": _handle("right lower lid, its middle", 0.03, 145),
    "eye_right_inner": _handle("right eye, corner by the nose", 0.03, 133),
    "eye_right_outer": _handle("right eye, corner by the temple", 0.03, 33),
    "iris_right": _handle("where the right eye looks", 0.02, *topology.RIGHT_IRIS),
    "forehead": _handle("top of the forehead", 0.10, 10),
}
"""Every handle by its name. Left and right are the person's own: the left eye is on the picture's right."""


def parse_moves(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Moves such as ``mouth_left=+6,-3``: pixels of the picture to the right and down.

    Raises:
        OptionError: not of that form, a handle that there is not (the near ones are named), or one given twice.
    """
    moves: dict[str, tuple[float, float]] = {}
    for text in texts:
        name, _, amounts = (piece.strip() for piece in text.partition("="))
        if name not in HANDLES:
            raise OptionError(f"--move {text}: there is no handle {name!r}; {_near(name)}")
        if name in moves:
            raise OptionError(f"--move {name} is given twice; add the two up.")
        try:
            x, y = (float(amount) for amount in amounts.split(","))
        except ValueError:
            x = y = math.nan
        if not (math.isfinite(x) and math.isfinite(y)):
            raise OptionError(
                f"--move {text}: say how many pixels to the right and how many down, such as {name}=+6,-3."
            )
        moves[name] = (x, y)
    return moves


def move_handles(landmarks: np.ndarray, moves: Mapping[str, tuple[float, float]], *, reach: float = 1.0) -> np.ndarray:
    """A face's mesh with some of its points moved, and the skin around them with it.

    Every point p moves by sum_k a_k exp(-d_k(p)^2 / 2 (reach s_k)^2), with d_k the distance from handle k along the skin and
    s_k its own reach. The a_k are such that each handle, in the mean of its points, moves as far as was asked. Along the
    skin, upper and lower lip are far from each other: they part at the mouth's corners, and so do the lids.

    Args:
        landmarks: (478, 3) pixels.
        moves: handles' names to pixels to the right and down.
        reach: factor on every handle's reach, above 0.

    Returns:
        (478, 3) float32 pixels; depth stays.

    Raises:
        OptionError: a reach that is not positive.
        FaceError: a move over half of the face's height, or landmarks that cannot be aligned.
    """
    if not (math.isfinite(reach) and reach > 0):
        raise OptionError(f"--reach must be above 0; 1 is usual, and it is {reach:g}.")
    result = np.array(landmarks, np.float32)
    if not moves:
        return result
    height = fit_mesh(landmarks).scale
    for name, (x, y) in moves.items():
        if math.hypot(x, y) > height / 2:
            raise FaceError(
                f"--move {name}={x:g},{y:g} is over half of the face's height, which is {height:.0f} pixels here; move it "
                "by less."
            )
    handles = [HANDLES[name] for name in moves]
    follow = np.stack([_follow(handle.points, handle.reach * reach) for handle in handles])  # (K, 478)
    reached = np.stack([follow[:, list(handle.points)].mean(axis=1) for handle in handles])
    amounts = np.linalg.lstsq(reached, np.array(list(moves.values()), np.float64), rcond=None)[0]
    result[:, :2] += (follow.T @ amounts).astype(np.float32)
    return result


def _near(name: str) -> str:
    names = difflib.get_close_matches(name, HANDLES, n=3, cutoff=0.5)
    words = set(name.split("_"))
    names += [handle for handle in HANDLES if handle not in names and words & set(handle.split("_"))]
    if not names:
        return "`understudy edit landmarks --list` shows all of them."
    return f"near it are {', '.join(names[:6])}; `understudy edit landmarks --list` shows all."


def _follow(points: tuple[int, ...], reach: float) -> np.ndarray:
    """(478,) how far every point follows a handle, 0 to 1. Irises follow their lids, and nothing follows an iris."""
    irises = ((topology.RIGHT_IRIS, topology.RIGHT_EYE), (topology.LEFT_IRIS, topology.LEFT_EYE))
    for iris, _ in irises:
        if points[0] in iris:
            return np.isin(np.arange(topology.NUM_POINTS), iris).astype(np.float64)
    follow = np.exp(-0.5 * (_away(points) / reach) ** 2)
    for iris, lids in irises:
        # An eye that is moved as a whole takes its iris along; one that is opened or shut does not.
        follow[iris] = follow[lids].min()
    return follow


@cache
def _away(points: tuple[int, ...]) -> np.ndarray:
    """(478,) distance from the nearest of ``points`` along the skin of the mean mesh, in faces; irises are infinitely far."""
    away = np.full(topology.NUM_POINTS, np.inf)
    queue = [(0.0, point) for point in points]
    while queue:
        distance, point = heapq.heappop(queue)
        if distance >= away[point]:
            continue
        away[point] = distance
        for neighbour, length in _skin()[point]:
            if distance + length < away[neighbour]:
                heapq.heappush(queue, (distance + length, neighbour))
    return away


@cache
def _skin() -> tuple[tuple[tuple[int, float], ...], ...]:
    """Every point's neighbours on the skin and how far they are: the mean mesh triangulated as seen from the front, with
    holes for mouth and eyes."""
    mesh = mean_mesh()[: topology.NUM_MESH_POINTS]
    low = mesh[:, :2].min(axis=0)
    flat = ((mesh[:, :2] - low) * 1000 + 10).astype(np.float32)
    width, height = (int(value) + 20 for value in flat.max(axis=0))
    plane = cv2.Subdiv2D((0, 0, width, height))
    for point in flat.tolist():
        plane.insert(point)
    number_of = {tuple(point): number for number, point in enumerate(flat.tolist())}
    across = _across()
    neighbours: list[dict[int, float]] = [{} for _ in range(topology.NUM_POINTS)]
    for triangle in np.asarray(plane.getTriangleList()).reshape(-1, 3, 2).tolist():
        corners = [number_of.get(tuple(corner)) for corner in triangle]
        for first, last in zip(corners, corners[1:] + corners[:1], strict=True):
            # The triangulation's own outermost corners are no points of the mesh.
            if first is None or last is None or (first, last) in across:
                continue
            length = float(np.linalg.norm(mesh[first] - mesh[last]))
            neighbours[first][last] = neighbours[last][first] = length
    return tuple(tuple(sorted(around.items())) for around in neighbours)


def _across() -> set[tuple[int, int]]:
    """Pairs of points with nothing between them but the slit of the mouth or of an eye."""
    pairs = set()
    for ring in (topology.LIPS_INNER.tolist(), topology.RIGHT_EYE.tolist(), topology.LEFT_EYE.tolist()):
        beside = set(zip(ring, ring[1:] + ring[:1], strict=True))
        pairs |= {(a, b) for a in ring for b in ring if (a, b) not in beside and (b, a) not in beside}
    return pairs
