"""Boundary maps: the lines of a face (or a hand, or a cat) as pictures, one for every line.

Which points of a markup make which line is data: a TOML file a topology. ``face13`` and ``face15`` are the usual lines of the
68-point and 98-point markups, laid over the 478-point mesh; ``face17`` adds the rims of the irises. A user's own is a file like::

    points = 21                     # of the markup

    [[curves]]
    name = "thumb"
    points = [0, 1, 2, 3, 4]        # in the order in which the line meets them
    closed = false                  # true: the last point is joined to the first

Above the curves may stand ``mirror``, the point that takes each point's place in a mirrored picture (``"mesh"`` for the
478-point mesh); without it a mirrored picture is none of its kind.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import FaceError, OptionError
from understudy.faces.align import mirror_map
from understudy.faces.topology import NUM_POINTS

OPENINGS = (
    ("upper_lip_bottom", "lower_lip_top"),
    ("right_upper_lid", "right_lower_lid"),
    ("left_upper_lid", "left_lower_lid"),
)
"""Lines, by name, that enclose what lips and lids show when they part."""
MOUTH = OPENINGS[:1]
CUT = 3.0
"""Sigmas beyond which a line leaves no trace."""
_STEP = 1.0
"""Pixels between two samples of a line; what lies between is a straight segment, exactly."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line through points of a markup."""

    name: str
    points: tuple[int, ...]
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class BoundaryTopology:
    """Which lines a boundary map has.

    Attributes:
        name: what a network's card calls it.
        points: how many points the markup has.
        curves: the lines, in the order of the map's channels.
        mirror: (points,) the point that takes each point's place in a mirrored picture, or None where a mirrored picture
            is none of this kind.
    """

    name: str
    points: int
    curves: tuple[Curve, ...]
    mirror: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.curves or self.points < 2:
            raise OptionError(f"boundary topology {self.name}: it needs two points or more, and a curve.")
        names = [curve.name for curve in self.curves]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise OptionError(f"boundary topology {self.name}: the curve {twice[0]} stands there twice.")
        for curve in self.curves:
            if len(curve.points) < 2 + curve.closed:
                raise OptionError(
                    f"boundary topology {self.name}: the curve {curve.name} has {len(curve.points)} points; an open one needs "
                    f"two, a closed one three."
                )
            wrong = [point for point in curve.points if not 0 <= point < self.points]
            if wrong:
                raise OptionError(
                    f"boundary topology {self.name}: the curve {curve.name} names the point {wrong[0]}; the markup has 0 to "
                    f"{self.points - 1}."
                )
        if self.mirror is not None and sorted(self.mirror) != list(range(self.points)):
            raise OptionError(f"boundary topology {self.name}: mirror must name each of the {self.points} points once.")

    def as_record(self) -> dict[str, Any]:
        """What :func:`topology_of` reads: a card keeps it, so that weights do not depend on a file."""
        curves = [{"name": c.name, "points": list(c.points), "closed": c.closed} for c in self.curves]
        is_mesh = self.points == NUM_POINTS and self.mirror == tuple(int(point) for point in mirror_map())
        mirror = None if self.mirror is None else "mesh" if is_mesh else list(self.mirror)
        return {"name": self.name, "points": self.points, "curves": curves} | ({"mirror": mirror} if mirror else {})


@functools.cache
def built_in_topologies() -> tuple[str, ...]:
    """Names of the topologies that come with the package."""
    return tuple(sorted(path.name[:-5] for path in _folder().iterdir() if path.name.endswith(".toml")))


def load_topology(name: str | Path) -> BoundaryTopology:
    """A built-in topology by its name, or a user's by its TOML file.

    Raises:
        OptionError: no such name or file, or the file is no topology.
    """
    if str(name) in built_in_topologies():
        return topology_of({"name": str(name), **tomllib.loads((_folder() / f"{name}.toml").read_text("utf-8"))})
    path = Path(name)
    if path.suffix != ".toml":
        known = ", ".join(built_in_topologies())
        raise OptionError(f"boundary topology {name}: there are {known}, or name a .toml file.")
    try:
        record = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"boundary topology {path} cannot be read ({error}); see docs/train.md for one.") from error
    return topology_of({"name": path.stem, **record})


def topology_of(record: Mapping[str, Any]) -> BoundaryTopology:
    """A topology from a file's or a card's fields.

    Raises:
        OptionError: fields that are missing, unknown or of the wrong kind.
    """
    try:
        mirror = record.get("mirror")
        if mirror == "mesh":
            mirror = mirror_map()
        curves = tuple(
            Curve(
                name=str(curve["name"]),
                points=tuple(int(point) for point in curve["points"]),
                closed=bool(curve.get("closed", False)),
            )
            for curve in record["curves"]
        )
        unknown = sorted(record.keys() - {"name", "points", "curves", "mirror"})
        if unknown:
            raise KeyError(unknown[0])
        return BoundaryTopology(
            name=str(record["name"]),
            points=int(record["points"]),
            curves=curves,
            mirror=None if mirror is None else tuple(int(point) for point in mirror),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OptionError(
            f"boundary topology {record.get('name', '')}: {type(error).__name__} at {error}; it holds points, mirror, and "
            f"[[curves]] with name, points and closed."
        ) from error


def boundary_maps(points: np.ndarray, topology: BoundaryTopology, size: int, *, sigma: float = 1.0) -> np.ndarray:
    """Draw the lines of a topology: exp(-D² / 2 sigma²) with D a pixel centre's distance from the line, 0 from 3 sigma on.

    A line is the natural (closed: periodic) cubic spline through its points along the chords' lengths. D is measured to
    the line itself, not to its pixels, so that a line that moves by a tenth of a pixel changes the map; lines beyond the
    map's edge are drawn as far as they reach into it. A map depends on its own points alone, whatever else is in the batch.

    A face takes about 2.5 ms at 128² and 3 ms at 256² (face17, one core).

    Args:
        points: (B, N, 2 or more) x and y in pixels of the map, (0, 0) the outer corner of its first pixel; a third
            coordinate is not read.
        topology: from :func:`load_topology`; N is its ``points``.
        size: the maps' side, pixels.
        sigma: softness of the lines, pixels of the map.

    Returns:
        (B, K, size, size) float32 in [0, 1], K the number of curves.

    Raises:
        FaceError: another number of points, or points that are not finite.
        OptionError: a size or sigma that cannot be.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 3 or points.shape[1] != topology.points or points.shape[2] < 2:
        raise FaceError(
            f"boundary maps of {topology.name} need points (B, {topology.points}, 2); these have shape {points.shape}."
        )
    if not np.isfinite(points[..., :2]).all():
        raise FaceError("boundary maps need finite points; some of these are NaN or infinite.")
    if size < 1 or not 0 < sigma < math.inf:
        raise OptionError(f"boundary maps of {size} pixels with sigma {sigma}: both must be positive.")
    maps = np.zeros((len(points), len(topology.curves), size, size), np.float32)
    for face, drawn in zip(points[..., :2], maps, strict=True):
        # Of a face far outside nothing is seen, but its lines would be cut into millions of pieces.
        near = np.clip(face, -4 * size, 5 * size)
        lines = [spline(near[list(curve.points)], closed=curve.closed) for curve in topology.curves]
        squared = _squared_distances(lines, size, CUT * sigma)
        near = squared < (CUT * sigma) ** 2
        drawn[near] = np.exp(squared[near] * np.float32(-0.5 / sigma**2))
    return maps


def opening_masks(
    points: np.ndarray, topology: BoundaryTopology, size: int, *, openings: Sequence[tuple[str, str]] = OPENINGS
) -> np.ndarray:
    """Where mouth and eyes are open, their rims included: a shut one is a line about two pixels wide.

    Args:
        points: (B, N, 2 or more) x and y in pixels, as for :func:`boundary_maps`.
        topology: with the lines that ``openings`` names; those of pairs that it lacks are left out.
        size: the masks' side, pixels.
        openings: pairs of lines.

    Returns:
        (B, size, size) float32 in [0, 1].

    Raises:
        OptionError: the topology has none of the pairs.
    """
    import cv2

    lines = {curve.name: list(curve.points) for curve in topology.curves}
    rings = []
    for upper, lower in openings:
        if upper in lines and lower in lines:
            back = lines[lower][::-1] if lines[lower][0] == lines[upper][0] else lines[lower]
            rings.append([*lines[upper], *back])
    if not rings:
        raise OptionError(
            f"boundary topology {topology.name} has no lids and no lips, such as {' and '.join(openings[0])}."
        )
    masks = np.zeros((len(points), size, size), np.uint8)
    for face, mask in zip(np.asarray(points, np.float64)[..., :2], masks, strict=True):
        # OpenCV counts from the centre of the first pixel, in sixteenths here.
        drawn = np.round((np.clip(face, -size, 2 * size) - 0.5) * 16).astype(np.int32)
        for ring in rings:
            cv2.fillPoly(mask, [drawn[ring]], 255, cv2.LINE_AA, 4)
            cv2.polylines(mask, [drawn[ring]], True, 255, 1, cv2.LINE_AA, 4)
    return masks.astype(np.float32) / 255


def spline(points: np.ndarray, *, closed: bool = False, step: float = _STEP) -> np.ndarray:
    """(N, 2) points to the (M, 2) samples of the cubic spline through them, about ``step`` apart, the points among them.

    Natural at its ends, or periodic with the first point repeated as the last.
    """
    ends = np.roll(points, -1, axis=0) if closed else points[1:]
    chords = ends - (points if closed else points[:-1])
    # Points that coincide, as those of closed lids do, have no direction.
    lengths = np.maximum(np.hypot(chords[:, 0], chords[:, 1]), 1e-6)
    bends = _bends(chords / lengths[:, None], lengths, closed)
    counts = np.maximum(1, np.ceil(lengths / step)).astype(int)
    chord = np.repeat(np.arange(len(lengths)), counts)
    share = (np.arange(len(chord)) - np.repeat(np.cumsum(counts) - counts, counts)) / np.repeat(counts, counts)
    share = share[:, None]
    rest, squared = 1 - share, lengths[chord, None] ** 2 / 6
    following = (chord + 1) % len(points)
    samples = rest * points[chord] + share * points[following]
    samples += squared * ((rest**3 - rest) * bends[chord] + (share**3 - share) * bends[following])
    return np.concatenate([samples, points[:1] if closed else points[-1:]])


def _bends(slopes: np.ndarray, lengths: np.ndarray, closed: bool) -> np.ndarray:
    """Second derivatives (N, 2) at the points of the spline over chords of these slopes (C, 2) and lengths (C,)."""
    if closed:
        count, before = len(lengths), np.roll(lengths, 1)
        at = np.arange(count)
        matrix = np.zeros((count, count))
        # Of three points the one before and the one after have a common neighbour: both shares are added.
        np.add.at(matrix, (at, at), 2 * (before + lengths))
        np.add.at(matrix, (at, (at - 1) % count), before)
        np.add.at(matrix, (at, (at + 1) % count), lengths)
        return np.linalg.solve(matrix, 6 * (slopes - np.roll(slopes, 1, axis=0)))
    bends = np.zeros((len(lengths) + 1, 2))
    if len(lengths) > 1:
        matrix = np.diag(2 * (lengths[:-1] + lengths[1:])) + np.diag(lengths[1:-1], 1) + np.diag(lengths[1:-1], -1)
        bends[1:-1] = np.linalg.solve(matrix, 6 * np.diff(slopes, axis=0))
    return bends


def _squared_distances(lines: Sequence[np.ndarray], size: int, reach: float) -> np.ndarray:
    """(K, size, size) float32: every pixel centre's squared distance from each of the (M, 2) lines, at most reach²."""
    starts = np.concatenate([line[:-1] for line in lines])
    ways = np.concatenate([np.diff(line, axis=0) for line in lines])
    channel = np.repeat(np.arange(len(lines)), [len(line) - 1 for line in lines])
    # Every piece looks at the square of pixels around its middle that holds all that it could be nearest to.
    longest = float(np.sqrt((ways**2).sum(axis=1).max(initial=0.0)))
    radius = math.ceil(reach + longest / 2 + 0.5)
    corner = np.floor(starts + ways / 2).astype(int) - radius
    side = np.arange(2 * radius + 1)
    x, y = corner[:, :1] + side, corner[:, 1:] + side
    away = (side + 0.5)[None] - (starts - corner)[:, :, None]  # (S, 2, side), measured from the piece's start
    along_x, along_y = away[:, 0].astype(np.float32)[:, None, :], away[:, 1].astype(np.float32)[:, :, None]
    way_x, way_y = (ways[:, axis].astype(np.float32)[:, None, None] for axis in (0, 1))
    length = np.maximum(way_x**2 + way_y**2, np.float32(1e-12))
    share = (along_x * (way_x / length) + along_y * (way_y / length)).clip(0, 1)
    squared = (along_x - share * way_x) ** 2 + (along_y - share * way_y) ** 2
    seen = (squared < reach**2) & ((x >= 0) & (x < size))[:, None, :] & ((y >= 0) & (y < size))[:, :, None]
    places = (channel[:, None, None] * size + y[:, :, None]) * size + x[:, None, :]
    result = np.full(len(lines) * size * size, reach**2, np.float32)
    np.minimum.at(result, places[seen], squared[seen])
    return result.reshape(len(lines), size, size)


def _folder() -> Traversable:
    return resources.files("understudy.faces").joinpath("data/boundary")
