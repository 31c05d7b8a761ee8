"""Fine detail of a face that was swapped by region: what a network blurs, from the two faces' own pictures.

The made face is a face's shape and light. Brows, lashes, irises, lips' edges and stubble come from the source's pictures, carried
to the mesh by which its region map was bent: that is where the made face has them, and a made face of a few pixels shows no mesh.
The source's pictures count in regions of the face whose texture was swapped, by the strength, and where they show a face: hair and
glasses of theirs stay behind. Everywhere else the detail is the plate's own, as far as the new map has there what the plate has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from understudy.composite.carry_detail import Detail, carry_details, carry_light, creased
from understudy.composite.options import CompositeOptions
from understudy.composite.own_detail import NearestPictures
from understudy.dataset.pictures import resized
from understudy.faces.creases import mouth_corners
from understudy.faces.gaze import EYES, opening
from understudy.faces.mesh_warp import carry, mesh_map, mesh_maps
from understudy.faces.regions import Region
from understudy.jobs.regional_creases import SourceCreases
from understudy.jobs.regional_drive import OF_THE_FACE, with_whole_jaw
from understudy.jobs.regional_eyes import LookingPictures, shut_eyes
from understudy.jobs.regional_maps import crop_side
from understudy.jobs.regional_source import Source

if TYPE_CHECKING:
    from understudy.family import JoinedFace, RegionEditor

_OF_SKIN = (*OF_THE_FACE, Region.NECK, Region.EARS)
"""What the plate's detail is detail of; hair and glasses are detail altogether."""
_EDGE = 0.004
"""Softness of a weight's edge, share of the crop's side."""
_CAREFUL = 0.015
"""How far inside its regions a face is trusted, share of the crop's side: maps are not exact."""
_OVERHUNG = 0.02
"""How much further from hair, whose strands and shadow lie on the skin."""
_SMEARED, _SHARP, _COARSE = 0.2, 0.5, 64
"""Pixels of a picture to a pixel of the face at which it is of no use and of full use; the side at which that is looked at."""
_LIGHT = 0.08
"""What is light, and not a feature: standard deviation, share of the crop's side; the face is half as high or more."""
_SHUT, _OPEN, _SEEN, _LIDS, _DRAWN = 0.3, 0.6, 0.15, 0.9, 0.06
"""Shares of a picture's own opening at which its eye is of no use and of full use; the least opening, in widths of the eye, that is
an open eye; how far lids reach from the eye's middle, in its widths; by how much wider a shut eye is drawn open."""


def in_plates_light(
    made: np.ndarray, joined: JoinedFace, crop: np.ndarray, regions: np.ndarray, *, complexion: bool = True
) -> np.ndarray:
    """A made face (s, s, 3) in the light of the plate's, whose crop (s, s, 3) and map (h, h) are given.

    Light and complexion are one colour; the mean is taken for ``complexion``, which stays the made face's if that is False.
    """
    side = len(made)
    of_face, of_plate = (_soft(np.isin(_labels(one, side), OF_THE_FACE), side) for one in (joined.regions, regions))
    return carry_light(made, crop, of_face=of_face, of_plate=of_plate, sigma=_LIGHT * side, complexion=complexion)


class RegionalDetail:
    """The detail of a source, for faces that it is put on.

    Args:
        source: whose pictures.
        editor: whose faces.
        options: how much and how fine; the editor says how fine where they do not.
        gaze: whose.
    """

    def __init__(
        self,
        source: Source,
        *,
        editor: RegionEditor,
        options: CompositeOptions,
        gaze: Literal["plate", "source"] = "plate",
    ) -> None:
        self._side, self._strength = crop_side(editor), np.float32(options.own_detail)
        size = editor.detail_size if options.own_detail_size is None else options.own_detail_size
        self._sigma = size * self._side
        self._source = source
        meshes = np.stack([face.face.transform.points_to_crop(face.landmarks, 1) for face in source.faces])
        flat = meshes[..., :2]
        looking = gaze == "plate"
        self._pictures = LookingPictures(meshes, self._read) if looking else NearestPictures(flat, self._read)
        self._mouths = NearestPictures(flat, self._mouth)
        self._asleep = np.stack(
            [shut_eyes(own, face.face.regions) for own, face in zip(meshes, source.faces, strict=True)]
        )
        self._creases = SourceCreases(source)

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
            mesh: (478, 3) the plate's mesh in the crop's unit square.
            driven: the same of the driven source.
            shown: (12,) bool, which regions the source's pictures show.

        Returns:
            (s, s, 3) float32 in [0, 1].
        """
        side = self._side
        new = _labels(joined.regions, side)
        mesh, driven = np.asarray(mesh, np.float32), np.asarray(driven, np.float32)
        strengths = np.zeros(len(Region), np.float32)
        strengths[list(OF_THE_FACE)] = joined.strengths[list(OF_THE_FACE)]
        face, skin = _soft(np.isin(new, OF_THE_FACE), side), _soft(np.isin(new, _OF_SKIN), side)
        labels = _labels(regions, side)
        unmoved = (np.clip(crop, 0, 1), labels, _soft(np.isin(labels, _OF_SKIN), side))
        details = []
        for strength in np.unique(strengths):
            chosen = strengths == strength
            where = _soft(chosen[new], side)
            if not where.any():
                continue
            # A region that is swapped in part has a shape between both.
            solid = mesh + strength * (driven - mesh)
            end = solid[:, :2]
            given = np.zeros((side, side), np.float32)
            plates = list(self._plates(unmoved, new, mesh[:, :2], end))
            shut = self._shut(end, shut_eyes(mesh, regions, driven=driven)) if strength > 0 else np.float32(0)
            if strength > 0:
                footage = self._pictures.footage(solid, side)
                trusted = footage[..., 3]
                picture = np.clip(footage[..., :3] / np.maximum(trusted[..., None], 1e-3), 0, 1)
                # What is in a mouth, and what is not, goes nowhere else, however lips are bent.
                mouth = self._mouths.footage(end, side)
                fits = np.clip(np.where(new == Region.MOUTH, mouth, 1 - mouth) * 2 - 0.5, 0, 1)
                known = _careful(trusted, side) * self._turned_to(end)
                given = strength * known * _soft((chosen & shown)[new], side) * _soft(fits, side) * (1 - shut)
                go, come = self._other_creases(driven, end, picture, plates[-1][:3], chosen[new], new)
                ends = self._ends(known, chosen[new], new)
                wanted = where * given
                # Creases that come are the plate's; the source's make way for them.
                creases = wanted * (1 - np.maximum(go, come))
                for part, measured in self._by_lips(new):
                    weights = (part * weight for weight in (wanted, creases, creases * (1 - ends)))
                    details.append(self._weighed(picture, trusted * measured, face * measured, *weights))
                if come.any():
                    plate, _, of_plate, _ = plates[-1]
                    details.append(
                        self._weighed(plate, of_plate, skin, 0 * wanted, wanted * come, wanted * come * (1 - ends))
                    )
            for plate, labels, of_plate, here in plates:
                same = np.maximum(_soft(labels == new, side), shut) * _soft(here, side)
                shades = None
                if strength > 0:
                    shades = where * (1 - given * (1 - ends * self._hairless(labels))) * same
                details.append(self._weighed(plate, of_plate, skin, where * (1 - given) * same, shades=shades))
        return carry_details(made, details, sigma=self._sigma)

    def _weighed(
        self,
        picture: np.ndarray,
        of_picture: np.ndarray,
        of_face: np.ndarray,
        weight: np.ndarray,
        creases: np.ndarray | None = None,
        shades: np.ndarray | None = None,
    ) -> Detail:
        return Detail(
            picture=picture,
            of_picture=of_picture,
            of_face=of_face,
            weight=self._strength * weight.astype(np.float32),
            creases=None if creases is None else self._strength * creases.astype(np.float32),
            shades=None if shades is None else self._strength * shades.astype(np.float32),
        )

    def _by_lips(self, new: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(side, side) parts of a new map, and the face that their detail is measured against.

        Beside lips that is skin alone. A source's lips are redder than a made face's: against a mean that has lips in it, the skin
        between nose and mouth would turn green.
        """
        lips = np.isin(new, (Region.LIPS, Region.MOUTH))
        part = _soft(lips, self._side)
        if lips.any():
            yield part, np.ones_like(part)
        yield 1 - part, 1 - _soft(cv2.dilate(lips.astype(np.uint8), _disc(_CAREFUL * self._side)), self._side)

    def _ends(self, known: np.ndarray, chosen: np.ndarray, new: np.ndarray) -> np.ndarray:
        """(side, side) how far the source's shading makes way for the plate's: 1 where it ends on skin, 0 well inside.

        Under its hair a face darkens; ended at once, that would be a line on the smooth skin of another. Features keep theirs.

        Args:
            known: (side, side) how much is known of the source's face.
            chosen: (side, side) bool, what is swapped.
            new: (side, side) the new map.
        """
        missing = resized(((known < 0.5) & chosen).astype(np.float32), _COARSE)
        near = cv2.GaussianBlur(missing, (0, 0), self._sigma * _COARSE / self._side)
        near = np.clip(2 * cv2.resize(near, known.shape, interpolation=cv2.INTER_CUBIC), 0, 1)
        return near * self._hairless(np.where(chosen, new, Region.BACKGROUND))

    def _hairless(self, labels: np.ndarray) -> np.ndarray:
        """(side, side) skin without brows, lashes, and what they shade."""
        bare = (labels == Region.SKIN) & ~self._near(labels, Region.EYES) & ~self._near(labels, Region.BROWS)
        return _soft(bare, self._side)

    def _other_creases(
        self,
        driven: np.ndarray,
        laid: np.ndarray,
        picture: np.ndarray,
        plate: tuple[np.ndarray, np.ndarray, np.ndarray],
        chosen: np.ndarray,
        new: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(side, side) where creases of the source's pictures do not count, and where the plate's do; features keep theirs,

        but for a mouth's corners: a smile's are dark pits.

        Args:
            driven: (478, 3) the driven source's mesh.
            laid: (478, 2) where the pictures lie.
            picture, plate: theirs, and the plate's crop, map and skin, all carried there.
            chosen: (side, side) bool, what is swapped.
            new: (side, side) the new map.
        """
        side = self._side
        go, come = self._creases.zones(driven, laid, *self._pictures.nearest(laid), side)
        if go.any() or come.any():
            bare = _soft(chosen & (new == Region.SKIN) & ~self._near(new, Region.EYES), side)
            come *= bare
            pits = mouth_corners(laid, side) * _soft(chosen & (new == Region.LIPS), side)
            go *= np.minimum(bare + pits, 1)
        if come.any():
            crop, labels, of_plate = plate
            come *= self._hairless(labels) * _careful(of_plate, side)
            # An old face has the folds of a smile without one: they are its own.
            come *= creased(crop, picture, sigma=self._sigma)
        return go, come

    def _near(self, labels: np.ndarray, region: Region) -> np.ndarray:
        """(side, side) bool, a region and what of its hairs lies on the skin."""
        return cv2.dilate((labels == region).astype(np.uint8), _disc(_CAREFUL * self._side)) > 0

    def _turned_to(self, mesh: np.ndarray) -> np.ndarray:
        """(side, side) how well the pictures show each place of a mesh (478, 2): 0 where a few of their pixels would cover much.

        The far cheek of a turned head is such a place.
        """
        places, weights = self._pictures.nearest(mesh)
        share = np.zeros((_COARSE, _COARSE), np.float32)
        for weight, where in zip(weights, mesh_maps(self._pictures.meshes[places], mesh, _COARSE), strict=True):
            (down_x, across_x), (down_y, across_y) = (np.gradient(where[..., axis] * _COARSE) for axis in (0, 1))
            area = across_x * down_y - down_x * across_y
            share += np.float32(weight) * np.clip((area - _SMEARED) / (_SHARP - _SMEARED), 0, 1)
        return np.clip(resized(cv2.GaussianBlur(share, (0, 0), 1), self._side), 0, 1)

    def _shut(self, mesh: np.ndarray, plates: np.ndarray) -> np.ndarray:
        """(side, side) how little the pictures know of the eyes of a mesh (478, 2): 1 about a shut eye, if theirs are open.

        An open eye pressed into a slit is no closed one; the plate's own lids are. Nor is a shut one that is drawn open an eye.
        ``plates`` (2,) says how far the plate's are shut.
        """
        places, weights = self._pictures.nearest(mesh)
        zone = np.zeros((self._side, self._side), np.float32)
        for eye, shut, asleep in zip(EYES, plates, weights @ self._asleep[places], strict=True):
            theirs = float(weights @ [opening(self._pictures.meshes[place], eye) for place in places])
            ratio = opening(mesh, eye) / max(theirs, 1e-6)
            share = max(float(np.clip((_OPEN - ratio) / (_OPEN - _SHUT), 0, 1)), shut) if theirs > _SEEN else 0.0
            drawn_open = float(np.clip((opening(mesh, eye) - theirs) / _DRAWN, 0, 1))
            share = max(share * (1 - asleep), asleep * (1 - shut) * drawn_open)
            if share > 0:
                middle = mesh[eye.ring].mean(axis=0)
                reach = _LIDS * float(np.linalg.norm(np.subtract(*mesh[list(eye.corners)])))
                place = (np.arange(self._side, dtype=np.float32) + 0.5) / self._side
                away = np.hypot(place[None] - middle[0], 1.5 * (place[:, None] - middle[1])) / reach
                zone = np.maximum(zone, share * np.clip(2 * (1 - away), 0, 1))
        return zone

    def _plates(
        self, unmoved: tuple[np.ndarray, np.ndarray, np.ndarray], new: np.ndarray, mesh: np.ndarray, end: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """The plate's crop, its map, what of it is skin, and where that counts.

        Features move with the mesh, skin goes as far as the plate's does.
        """
        if np.array_equal(mesh, end):
            yield *unmoved, np.ones(new.shape, bool)
            return
        features = np.isin(new, [region for region in OF_THE_FACE if region is not Region.SKIN])
        yield *unmoved, ~features
        crop, labels, _ = unmoved
        places = mesh_map(mesh, end, self._side)
        labels = carry(labels, places, nearest=True)
        crop = np.clip(carry(crop, places, sharp=True), 0, 1)
        yield crop, labels, _soft(np.isin(labels, _OF_SKIN), self._side), features

    def _read(self, place: int) -> np.ndarray:
        """A picture of the source's face, times where it is face, and that: (s, s, 4)."""
        face = self._source.faces[place]
        transform = face.face.transform
        picture = np.clip(transform.to_crop(face.view, self._side), 0, 1)
        # What is background inside the outline may be a hand, and is left out.
        regions = with_whole_jaw(
            _labels(face.face.regions, self._side), transform.points_to_crop(face.landmarks, 1), (Region.NECK,)
        )
        near_hair = cv2.dilate((regions == Region.HAIR).astype(np.uint8), _disc(_OVERHUNG * self._side)) > 0
        shows = _soft(np.isin(regions, OF_THE_FACE) & ~near_hair, self._side)[..., None]
        return np.concatenate([picture * shows, shows], -1).astype(np.float32)

    def _mouth(self, place: int) -> np.ndarray:
        """(s, s) where a picture shows the mouth's inside."""
        return _soft(_labels(self._source.faces[place].face.regions, self._side) == Region.MOUTH, self._side)


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _labels(regions: np.ndarray, side: int) -> np.ndarray:
    if len(regions) == side:
        return regions
    return cv2.resize(regions, (side, side), interpolation=cv2.INTER_NEAREST)


def _soft(mask: np.ndarray, side: int) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _EDGE * side)


def _careful(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask without its rim."""
    inner = cv2.erode((mask > 0.5).astype(np.uint8), _disc(_CAREFUL * side))
    return cv2.GaussianBlur(inner.astype(np.float32), (0, 0), _CAREFUL / 2 * side)
