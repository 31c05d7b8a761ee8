"""Eyes of a face that was swapped by region: they look where the plate's do, and are shut where those are.

A shut lid is skin. A mesh seldom says that an eye is shut: squeezed shut it seems open by a tenth of its width, as much as one that
looks down. The region map tells them apart, since no eye is seen in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from understudy.composite.own_detail import NearestPictures
from understudy.faces.gaze import EYES, layered_eyes, look, opening
from understudy.faces.mesh_warp import carry, mesh_maps
from understudy.faces.parse import polygon_mask
from understudy.faces.regions import Region

_HELD = 8
"""Pictures whose eyes are kept apart; a source has five at most."""
_SHUT, _OPEN = 0.04, 0.09
"""Openings, in widths of the eye, at which a mesh is believed that an eye is shut, and at which it no longer says so."""
_SQUEEZED, _WIDE = 0.16, 0.22
"""Openings up to which a map that shows no eye is believed, and beyond which it must be wrong."""
_AWAKE = 0.3
"""An opening of a driven face that does nothing of what the plate's shut eyes do."""
_NONE, _SOME = 0.025, 0.065
"""Areas of an eye in a map, in squares of its width: shut, and not shut; an open one has 0.15."""
_REACH = 0.8
"""How far about its middle an eye lies, in its width."""
_UNCOVERED = 0.7
"""Share of an eye's place that must be skin or eye, and not hair or glasses, for a map to tell."""


class LookingPictures(NearestPictures):
    """Pictures of a face that are carried to a mesh with their irises where that mesh has them.

    Args:
        meshes: (N, 478, 3) where the mesh lies in each, in its unit square.
        picture: the picture at a place, (s, s, C), RGB first.
    """

    def __init__(self, meshes: np.ndarray, picture: Callable[[int], np.ndarray]) -> None:
        super().__init__(np.asarray(meshes)[..., :2], picture)
        self._solid = np.asarray(meshes, np.float32)
        self._eyes = lru_cache(maxsize=_HELD)(lambda place: layered_eyes(self._picture(place), self._solid[place]))

    def footage(self, mesh: np.ndarray, size: int) -> np.ndarray:
        """See the parent; mesh (478, 3)."""
        places, weights = self.nearest(mesh)
        total = np.float32(0)
        for place, weight, where in zip(places, weights, mesh_maps(self.meshes[places], mesh, size), strict=True):
            carried = carry(self._picture(int(place)), where, sharp=True)
            total = total + np.float32(weight) * look(carried, self._eyes(int(place)), where, mesh)
        return np.clip(total, 0.0, 1.0)


def shut_eyes(mesh: np.ndarray, regions: np.ndarray, *, driven: np.ndarray | None = None) -> np.ndarray:
    """(2,) how far a face's right and left eye are shut, in [0, 1].

    Args:
        mesh: (478, 2 or 3) in the unit square of the map.
        regions: (h, h) uint8 of the same face.
        driven: (478, 2 or 3) a face that does the same; if it does not, and has its eyes open, they are.
    """
    shares = []
    for eye in EYES:
        if driven is not None and opening(driven, eye) > _AWAKE:
            shares.append(0.0)
            continue
        wide = opening(mesh, eye)
        share = _falling(wide, _SHUT, _OPEN)
        believed = _falling(wide, _SQUEEZED, _WIDE)
        if believed > 0:
            area, uncovered = _seen(mesh, eye.ring, regions)
            share = max(share, believed * _falling(area, _NONE, _SOME)) if uncovered > _UNCOVERED else share
        shares.append(share)
    return np.array(shares)


def with_lids(regions: np.ndarray, mesh: np.ndarray, *, shut: np.ndarray, asleep: np.ndarray) -> np.ndarray:
    """A driven face's region map whose eyes are skin where the plate's are shut, and eyes where only the source's own are.

    Args:
        regions: (h, h) uint8.
        mesh: (478, 2 or 3) the driven face's, in the map's unit square.
        shut, asleep: (2,) from :func:`shut_eyes`, of the plate and of the source's own picture.
    """
    size = len(regions)
    for eye, lids, own in zip(EYES, shut, asleep, strict=True):
        if lids > 0.5:
            box, near = _about(mesh, eye.ring, size)
            regions = regions.copy()
            regions[box][near & (regions[box] == Region.EYES)] = Region.SKIN
        elif own > 0.5:
            inside = polygon_mask(mesh[eye.ring, :2] * size, size) > 0.5
            regions = np.where(inside & (regions == Region.SKIN), np.uint8(Region.EYES), regions)
    return regions


def _seen(mesh: np.ndarray, ring: np.ndarray, regions: np.ndarray) -> tuple[float, float]:
    """The area of an eye in a map, in squares of its width, and how much of its place is skin or eye."""
    size = len(regions)
    width = float(np.linalg.norm(np.subtract(*mesh[ring[[0, 8]], :2])))
    box, near = _about(mesh, ring, size)
    here = regions[box]
    area = (near & (here == Region.EYES)).sum() / max(width * size, 1e-6) ** 2
    place = np.zeros(here.shape, np.uint8)
    # A shut eye's ring is a line.
    corner = (box[1].start, box[0].start)
    points = np.round(mesh[ring, :2] * size - 0.5 - corner).astype(np.int32)
    cv2.polylines(place, [points], True, 1)
    cv2.fillPoly(place, [points], 1)
    known = np.isin(here[place > 0], (Region.SKIN, Region.EYES, Region.BROWS, Region.NOSE))
    return float(area), float(known.mean()) if len(known) else 0.0


def _about(mesh: np.ndarray, ring: np.ndarray, size: int) -> tuple[tuple[slice, slice], np.ndarray]:
    """Rows and columns about an eye, and which of their pixels lie near its middle."""
    points = np.asarray(mesh, np.float64)[ring, :2] * size
    reach = _REACH * float(np.linalg.norm(points[0] - points[8]))
    middle = points.mean(0)
    (x0, y0), (x1, y1) = (np.clip(np.round(middle + way * reach), 0, size).astype(int) for way in (-1, 1))
    across, down = np.arange(x0, x1) + 0.5 - middle[0], np.arange(y0, y1) + 0.5 - middle[1]
    return (slice(int(y0), int(y1)), slice(int(x0), int(x1))), np.hypot(across[None], down[:, None]) < reach


def _falling(value: float, low: float, high: float) -> float:
    """1 up to ``low``, 0 from ``high`` on."""
    return float(np.clip((high - value) / (high - low), 0, 1))
