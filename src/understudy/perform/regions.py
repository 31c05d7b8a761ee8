"""A picture's regions: crops of its faces through a parser, joined, and brought to the picture's own size.

A face is read in three crops: a wide one, for long hair; the parser's own; and a close one, for eyes and teeth. What they say is
joined on one canvas that is fixed to the head, so that it can be averaged over time; then a guided filter carries it to the plate's
pixels, where it follows the plate's edges.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.errors import CheckpointError
from understudy.faces.align import OVAL_CENTRE, OVAL_SHARE, CropTransform
from understudy.faces.eyewear import SURE, eyewear_matte, find_eyewear
from understudy.faces.parse import face_mask, region_guide
from understudy.faces.regions import Region
from understudy.faces.soft_edges import apply_edges, fit_edges
from understudy.faces.warp import warp

if TYPE_CHECKING:
    from pathlib import Path

    from understudy.family import Parser

CANVAS = 768
"""Side of the canvas, pixels."""
WIDE, CLOSE = 0.2, 0.66
"""Height of the face as share of the canvas, which is the wide crop, and of the close crop."""
OUTER = (Region.BACKGROUND, Region.HAIR, Region.EARS, Region.NECK)
"""Regions whose edges a picture shows; the others, which are thinner than the filter's windows, share what is left."""
INNER = tuple(region for region in Region if region not in OUTER)
BAND = 256
"""Rows of a plate that are worked on at once."""
_FITTED, _RADIUS = CANVAS // 2, 2  # where the guided filter is fitted: windows of a sixteenth of the face
_TOP = 0.03  # regions with less of a pixel than this are noise of the filter, not hair


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read of one face.

    Attributes:
        shares: (CANVAS, CANVAS, 12) float32, sums of 1.
        transform: plate pixels to the canvas's unit square.
    """

    shares: np.ndarray
    transform: CropTransform


def open_parser(checkpoint: Path | str | None = None, *, device: str = "auto") -> Parser:
    """The parser that comes with the package, or one from a checkpoint.

    Raises:
        CheckpointError: it cannot be read, or is of another kind.
    """
    from understudy import families

    for name in families.names():
        family = families.get(name)
        if family.parser is not None:
            return family.parser(checkpoint, device=device)
    raise CheckpointError("No family of this installation parses faces.")


def scaled(transform: CropTransform, oval_share: float) -> CropTransform:
    """A canonical crop's transform with the face at another height, as share of the side."""
    factor = oval_share / OVAL_SHARE
    matrix = transform.matrix * factor
    matrix[:, 2] += (1 - factor) * np.array(OVAL_CENTRE)
    return CropTransform(matrix=matrix)


def read_face(view: np.ndarray, landmarks: np.ndarray, transform: CropTransform, parser: Parser) -> Reading:
    """Read one face.

    Args:
        view: (H, W, 3) float32 RGB, view space.
        landmarks: (478, 2 or 3) plate pixels.
        transform: the face's canonical crop (``faces.align.canonical_transform``).
    """
    crops = [scaled(transform, share) for share in (WIDE, parser.oval_share, CLOSE)]
    size = parser.size
    pictures = np.stack([np.clip(crop.to_crop(view, size), 0, 1) for crop in crops])
    guides = np.stack([region_guide(crop.points_to_crop(landmarks, size), size) for crop in crops])
    # A face and its mirror image must come to the same.
    both = parser.parse(
        np.concatenate([pictures, pictures[:, :, ::-1]]).copy(), np.concatenate([guides, guides[..., ::-1]]).copy()
    )
    read = (both[:3] + both[3:, :, ::-1]) / 2
    canvas = scaled(transform, WIDE)
    joined = cv2.resize(read[0], (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
    for crop, answer, border in ((crops[1], read[1], 0.12), (crops[2], read[2], 0.16)):
        joined = _laid_in(joined, answer, canvas, crop, border)
    return Reading(shares=without_islands(joined, _on_plate(canvas, view.shape[1::-1])), transform=canvas)


_NOTHING = np.eye(len(Region), dtype=np.float32)[Region.BACKGROUND]


def _on_plate(canvas: CropTransform, size: tuple[int, int]) -> np.ndarray:
    """(CANVAS, CANVAS) bool: the canvas's pixels whose centres lie on a plate of ``size`` (width, height)."""
    place = (np.arange(CANVAS) + 0.5) / CANVAS
    matrix = np.linalg.inv(np.vstack([canvas.matrix, (0, 0, 1)]))[:2]
    inside = np.ones((CANVAS, CANVAS), bool)
    for (across, down, start), length in zip(matrix, size, strict=True):
        there = across * place[None] + down * place[:, None] + start
        inside &= (there >= 0) & (there <= length)
    return inside


def _laid_in(
    joined: np.ndarray, answer: np.ndarray, canvas: CropTransform, crop: CropTransform, border: float
) -> np.ndarray:
    """The canvas with a smaller crop's answer in its place; it fades in over ``border`` of the crop's side."""
    size = len(answer)
    place = np.minimum(np.arange(size) + 0.5, size - 0.5 - np.arange(size)) / (border * size)
    ramp = np.clip(place, 0, 1).astype(np.float32)
    ramp = ramp * ramp * (3 - 2 * ramp)
    weight = np.minimum(ramp[:, None], ramp[None])
    full = np.vstack([canvas.for_size(CANVAS), (0, 0, 1)])
    matrix = (full @ np.linalg.inv(np.vstack([crop.for_size(size), (0, 0, 1)])))[:2]
    # Both lie side by side: the smaller crop's square is upright on the canvas.
    low, high = np.floor(matrix[:, 2]).astype(int), np.ceil(matrix[:, :2] @ (size, size) + matrix[:, 2]).astype(int)
    (x0, y0), (x1, y1) = np.clip(low, 0, CANVAS), np.clip(high, 0, CANVAS)
    matrix[:, 2] -= (x0, y0)
    box = (int(x1 - x0), int(y1 - y0))
    there = warp(weight, matrix, box, border=cv2.BORDER_CONSTANT)[..., None]
    laid = np.concatenate([warp(part, matrix, box) for part in _fours(answer)], -1)
    part = joined[y0:y1, x0:x1]
    part += there * (laid - part)
    return joined


def _fours(shares: np.ndarray) -> list[np.ndarray]:
    """(h, w, 12) as three of four channels, which is as many as OpenCV warps at once."""
    return [np.ascontiguousarray(shares[..., first : first + 4]) for first in range(0, len(Region), 4)]


def without_islands(shares: np.ndarray, on_plate: np.ndarray) -> np.ndarray:
    """Shares (h, h, 12) of a canvas without what does not hang together with the head: it becomes background.

    ``on_plate`` (h, h) bool says where the canvas shows the plate. Beyond it lie the plate's last pixels, repeated: streaks that
    look like hair and join what is apart. They keep their shares, lest mattes fade towards the plate's edge.
    """
    there = ((1 - shares[..., Region.BACKGROUND] > 0.5) & on_plate).astype(np.uint8)
    count, found = cv2.connectedComponents(there)
    parts = found.astype(np.int64)
    if count <= 2:
        return shares
    size = len(shares)
    reach = 0.5 * WIDE * size
    x, y = np.array(OVAL_CENTRE) * size
    rows, columns = (slice(int(max(0, c - reach)), int(c + reach) + 1) for c in (y, x))
    kept = np.zeros(count, bool)
    kept[np.unique(parts[rows, columns])] = True
    kept[0] = True
    alone = (~kept[parts]).astype(np.uint8)
    if not alone.any():
        return shares
    # With the soft edge around them.
    lost = ((cv2.dilate(alone, np.ones((9, 9), np.uint8)) > 0) & ((parts == 0) | (alone > 0)))[..., None]
    return np.where(lost, _NOTHING, shares)


def plate_shares(
    view: np.ndarray, readings: Sequence[Reading], chosen: Sequence[int]
) -> Iterator[tuple[slice, np.ndarray]]:
    """The regions of a plate, a band of rows after the other.

    Args:
        view: (H, W, 3) float32 RGB, view space.
        readings: of all of its faces; a pixel is the nearest one's.
        chosen: places in ``readings`` of those whose regions are wanted; all else is background.

    Yields:
        The band's rows, and (rows, W, 12) float32, sums of 1.
    """
    height, width = view.shape[:2]
    factors, sure = {}, {}
    for place in chosen:
        reading = readings[place]
        sure[place] = surer(reading.shares)
        small = np.clip(warp(view, reading.transform.for_size(_FITTED), (_FITTED, _FITTED)), 0, 1)
        outer = cv2.resize(sure[place][..., list(OUTER)], (_FITTED, _FITTED), interpolation=cv2.INTER_AREA)
        factors[place] = fit_edges(small, outer, radius=_RADIUS)
    for first in range(0, height, BAND):
        rows = slice(first, min(first + BAND, height))
        band = np.clip(view[rows], 0, 1)
        shares = np.zeros((*band.shape[:2], len(Region)), np.float32)
        shares[..., Region.BACKGROUND] = 1
        nearest = _nearest([reading.transform for reading in readings], rows, width)
        for place in chosen:
            matrix = _to_band(readings[place].transform, rows)
            inside = warp(np.ones((CANVAS, CANVAS), np.float32), matrix, band.shape[1::-1], border=cv2.BORDER_CONSTANT)
            own = inside >= 0.999
            if nearest is not None:
                own &= nearest == place
            where = np.flatnonzero(own.any(0))
            if not len(where):
                continue
            columns = slice(int(where[0]), int(where[-1]) + 1)
            matrix[0, 2] -= columns.start
            size = (columns.stop - columns.start, band.shape[0])
            fitted = matrix.copy()
            fitted[:, :2] *= CANVAS / _FITTED
            found = np.empty((size[1], size[0], len(Region)), np.float32)
            for region, planes in zip(OUTER, factors[place], strict=True):
                found[..., region] = apply_edges(band[:, columns], warp(planes, fitted, size))
            inner = sure[place][..., list(INNER)]
            halves = [warp(np.ascontiguousarray(inner[..., half]), matrix, size) for half in (np.s_[:4], np.s_[4:])]
            inner = np.concatenate(halves, -1)
            left = np.clip(1 - found[..., list(OUTER)].sum(-1), 0, 1)
            found[..., list(INNER)] = inner * (left / np.maximum(inner.sum(-1), 1e-4))[..., None]
            found = settled(found)
            shares[:, columns][own[:, columns]] = found[own[:, columns]]
        yield rows, shares


def surer(shares: np.ndarray) -> np.ndarray:
    """Shares (..., 12) squared and brought back to a sum of 1.

    A parser that has seen every colour of hair is seldom sure; a matte of what it holds for likely should be whole all the same.
    """
    squares = np.square(shares)
    return squares / np.maximum(squares.sum(-1, keepdims=True), 1e-6)


def settled(shares: np.ndarray) -> np.ndarray:
    """Shares (..., 12) without traces, summing to 1."""
    kept = np.where(shares < _TOP, 0, shares)
    total = kept.sum(-1, keepdims=True)
    empty = total[..., 0] <= 0
    kept = kept / np.maximum(total, 1e-6)
    kept[empty] = 0
    kept[empty, Region.BACKGROUND] = 1
    return kept.astype(np.float32)


def _to_band(transform: CropTransform, rows: slice) -> np.ndarray:
    """(2, 3) canvas pixels to the pixels of a band of the plate."""
    full = np.linalg.inv(np.vstack([transform.for_size(CANVAS), (0, 0, 1)]))[:2]
    full[1, 2] -= rows.start
    return full


def _nearest(transforms: Sequence[CropTransform], rows: slice, width: int) -> np.ndarray | None:
    """(rows, width) which face is nearest, in heights of the face; None where there is one alone."""
    if len(transforms) < 2:
        return None
    x, y = np.arange(width) + 0.5, np.arange(rows.start, rows.stop) + 0.5
    distances = []
    for transform in transforms:
        a = transform.matrix
        across = a[0, 0] * x[None] + a[0, 1] * y[:, None] + a[0, 2] - OVAL_CENTRE[0]
        down = a[1, 0] * x[None] + a[1, 1] * y[:, None] + a[1, 2] - OVAL_CENTRE[1]
        distances.append(np.hypot(across, down))
    return np.argmin(distances, axis=0)


_BEFORE = (Region.HAIR, Region.GLASSES)
_KEPT = 64  # answers, of 256 KB at a side of 256 pixels
_FINE_FACE = 300  # pixels of a face's height at which its glasses are looked for
_HINT = 0.2  # share of glasses that a parser gives somewhere where there are any
_TIGHT = 0.035  # the mesh's outline is exact to about so much of the face's height


class RegionOcclusion:
    """What stands before a face, by its regions (see ``composite.matte.OcclusionHook``).

    Hair and glasses cover the face wherever they are; what is background cover it inside the face's outline: hats, hands,
    microphones. Rims of glasses that are thinner than a parser sees are looked for in the picture.
    """

    def __init__(self, parser: Parser) -> None:
        self.parser = parser
        self._answers: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def __call__(self, crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(r, r, 3) float32 RGB crop and its (478, 2) mesh to the visible share (r, r) float32."""
        # A shot asks twice for every face, when it grades and some frames later when it composites.
        asked = np.ascontiguousarray(crop), np.ascontiguousarray(landmarks)
        key = hashlib.blake2b(asked[0].tobytes() + asked[1].tobytes()).digest()
        if key not in self._answers:
            self._answers[key] = self._visible(crop, landmarks)
            if len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
        return self._answers[key].copy()

    def _visible(self, crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        side, size = len(crop), self.parser.size
        shrinks = side > size
        picture = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        points = np.asarray(landmarks)[:, :2] * (size / side)
        guide = region_guide(points, size)
        both = self.parser.parse(
            np.stack([picture, picture[:, ::-1]]).astype(np.float32), np.stack([guide, guide[..., ::-1]])
        )
        read = (both[0] + both[1, :, ::-1]) / 2
        shares = surer(read)
        unit = float(np.linalg.norm(points[10] - points[152]))
        outline = face_mask(points, size)
        inside = cv2.erode(outline, np.ones((2 * round(_TIGHT * unit) + 1,) * 2, np.uint8))
        inside = cv2.GaussianBlur(inside, (0, 0), max(0.5, _TIGHT * unit / 2))
        thing = inside * shares[..., Region.BACKGROUND]
        # What is seen inside goes on over the outline, where by itself it might be the background.
        further = cv2.dilate(thing, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * round(_TIGHT * unit) + 1,) * 2))
        covered = shares[..., list(_BEFORE)].sum(-1) + np.maximum(thing, further * shares[..., Region.BACKGROUND])
        covered = np.maximum(
            cv2.resize(covered, (side, side), interpolation=cv2.INTER_LINEAR), _rims(crop, read, landmarks)
        )
        return (1 - np.clip(covered, 0, 1)).astype(np.float32)


def _rims(crop: np.ndarray, shares: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Where the frames of glasses are (r, r) float32 in [0, 1], thin ones too; shares (h, h, 12) are of the whole crop."""
    side = len(crop)
    if shares[..., Region.GLASSES].max() < _HINT:
        return np.zeros((side, side), np.float32)
    points = np.asarray(landmarks)[:, :2]
    scale = _FINE_FACE / max(float(np.linalg.norm(points[10] - points[152])), 1)
    size = max(1, round(scale * side))
    picture = cv2.resize(
        crop.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    )
    glasses, brows = (cv2.resize(shares[..., region], (size, size)) for region in (Region.GLASSES, Region.BROWS))
    found = find_eyewear(np.clip(picture, 0, 1), glasses, brows, points * (size / side))
    if found.score <= SURE:
        return np.zeros((side, side), np.float32)
    matte = eyewear_matte(picture, found)
    return cv2.resize(matte, (side, side), interpolation=cv2.INTER_AREA if size > side else cv2.INTER_LINEAR)
