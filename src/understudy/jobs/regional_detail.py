"""Fine detail of a face that was swapped by region: what a network blurs, from the two faces' own pictures.

The made face is a face's shape and light. Brows, lashes, irises, lips' edges and stubble come from the source's pictures, carried
to the mesh by which its region map was bent: that is where the made face has them, and a made face of a few pixels shows no mesh.
The source's pictures count in regions of the face whose texture was swapped, by the strength, and where they show a face: hair and
glasses of theirs stay behind. Everywhere else the detail is the plate's own, as far as the new map has there what the plate has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.composite.options import CompositeOptions
from understudy.composite.own_detail import Detail, NearestPictures, carry_details
from understudy.faces.mesh_warp import carry, mesh_map
from understudy.faces.regions import Region
from understudy.jobs.regional_drive import OF_THE_FACE, with_whole_jaw
from understudy.jobs.regional_maps import crop_side
from understudy.jobs.regional_source import Source

if TYPE_CHECKING:
    from understudy.family import JoinedFace, RegionEditor

_OF_SKIN = (*OF_THE_FACE, Region.NECK, Region.EARS)
"""What the plate's detail is detail of; hair and glasses are detail altogether."""
_EDGE = 0.004
"""Softness of a weight's edge, share of the crop's side."""
_CAREFUL = 0.015
"""How far inside its regions a face is trusted, share of the crop's side: maps are not exact, and hair hangs over."""


class RegionalDetail:
    """The detail of a source, for faces that it is put on.

    Args:
        source: whose pictures.
        editor: whose faces.
        options: how much and how fine; the editor says how fine where they do not.
    """

    def __init__(self, source: Source, *, editor: RegionEditor, options: CompositeOptions) -> None:
        self._side, self._strength = crop_side(editor), np.float32(options.own_detail)
        size = editor.detail_size if options.own_detail_size is None else options.own_detail_size
        self._sigma = size * self._side
        self._source = source
        meshes = [face.face.transform.points_to_crop(face.landmarks, 1)[:, :2] for face in source.faces]
        self._pictures = NearestPictures(np.stack(meshes), self._read)

    def __len__(self) -> int:
        return len(self._pictures)

    def add(
        self,
        made: np.ndarray,
        joined: JoinedFace,
        *,
        crop: np.ndarray,
        regions: np.ndarray,
        mesh: np.ndarray,
        driven: np.ndarray,
        shown: np.ndarray,
    ) -> np.ndarray:
        """A made face with detail.

        Args:
            made: (s, s, 3) float32 in [0, 1].
            joined: what it was made of.
            crop: (s, s, 3) float32, the plate's crop.
            regions: (h, h) uint8, the plate's map.
            mesh: (478, 2 or 3) the plate's mesh in the crop's unit square.
            driven: the same of the driven source.
            shown: (12,) bool, which regions the source's pictures show.

        Returns:
            (s, s, 3) float32 in [0, 1].
        """
        side = self._side
        new = _labels(joined.regions, side)
        mesh, driven = np.asarray(mesh, np.float32)[:, :2], np.asarray(driven, np.float32)[:, :2]
        strengths = np.zeros(len(Region), np.float32)
        strengths[list(OF_THE_FACE)] = joined.strengths[list(OF_THE_FACE)]
        face, skin = _soft(np.isin(new, OF_THE_FACE), side), _soft(np.isin(new, _OF_SKIN), side)
        details = []
        for strength in np.unique(strengths):
            chosen = strengths == strength
            where = _soft(chosen[new], side)
            if not where.any():
                continue
            # A region that is swapped in part has a shape between both.
            end = mesh + strength * (driven - mesh)
            given = np.zeros((side, side), np.float32)
            if strength > 0:
                footage = self._pictures.footage(end, side)
                trusted = footage[..., 3]
                picture = footage[..., :3] / np.maximum(trusted[..., None], 1e-3)
                given = strength * _careful(trusted, side) * _soft((chosen & shown)[new], side)
                details.append(_detail(np.clip(picture, 0, 1), trusted, face, where * given))
            for plate, labels, here in self._plates(crop, _labels(regions, side), new, mesh, end):
                same = _soft((labels == new) & here, side)
                of_plate = _soft(np.isin(labels, _OF_SKIN), side)
                details.append(_detail(np.clip(plate, 0, 1), of_plate, skin, where * (1 - given) * same))
        weighed = [
            Detail(
                picture=one.picture, of_picture=one.of_picture, of_face=one.of_face, weight=self._strength * one.weight
            )
            for one in details
        ]
        return carry_details(made, weighed, sigma=self._sigma)

    def _plates(
        self, crop: np.ndarray, labels: np.ndarray, new: np.ndarray, mesh: np.ndarray, end: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The plate's crop and map, and where they count: features move with the mesh, skin goes as far as the plate's does."""
        if np.array_equal(mesh, end):
            yield crop, labels, np.ones(new.shape, bool)
            return
        features = np.isin(new, [region for region in OF_THE_FACE if region is not Region.SKIN])
        yield crop, labels, ~features
        places = mesh_map(mesh, end, self._side)
        yield carry(crop, places, sharp=True), carry(labels, places, nearest=True), features

    def _read(self, place: int) -> np.ndarray:
        """A picture of the source's face, times where it is face, and that: (s, s, 4)."""
        face = self._source.faces[place]
        transform = face.face.transform
        picture = np.clip(transform.to_crop(face.view, self._side), 0, 1)
        # What is background inside the outline may be a hand, and is left out.
        regions = with_whole_jaw(
            _labels(face.face.regions, self._side), transform.points_to_crop(face.landmarks, 1), (Region.NECK,)
        )
        shows = _soft(np.isin(regions, OF_THE_FACE), self._side)[..., None]
        return np.concatenate([picture * shows, shows], -1).astype(np.float32)


def _detail(picture: np.ndarray, of_picture: np.ndarray, of_face: np.ndarray, weight: np.ndarray) -> Detail:
    return Detail(picture=picture, of_picture=of_picture, of_face=of_face, weight=weight.astype(np.float32))


def _labels(regions: np.ndarray, side: int) -> np.ndarray:
    if len(regions) == side:
        return regions
    return cv2.resize(regions, (side, side), interpolation=cv2.INTER_NEAREST)


def _soft(mask: np.ndarray, side: int) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _EDGE * side)


def _careful(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask without its rim."""
    reach = 2 * max(1, round(_CAREFUL * side)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    inner = cv2.erode((mask > 0.5).astype(np.uint8), disc)
    return cv2.GaussianBlur(inner.astype(np.float32), (0, 0), _CAREFUL / 2 * side)
