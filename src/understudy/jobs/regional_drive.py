"""The source's face with the plate's expression and pose: bent by its mesh, made by a family that animates, or as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import cv2
import numpy as np

from understudy.errors import OptionError
from understudy.faces.align import CropTransform, canonical_transform
from understudy.faces.mesh_warp import carry, mesh_map
from understudy.faces.parse import polygon_mask
from understudy.faces.regions import Region
from understudy.faces.retarget import onto
from understudy.faces.topology import FACE_OVAL, LIPS_INNER
from understudy.family import Drive
from understudy.jobs.regional_source import Source
from understudy.perform.animate import animate_crops, find_animator
from understudy.perform.region_faces import RegionFace, region_face
from understudy.perform.regions import scaled

if TYPE_CHECKING:
    from understudy.family import Animator, Parser, RegionEditor
    from understudy.jobs.performance import UnitReader

_FOREHEAD, _BEYOND = 0.5, 0.015
"""Of the face's height: how far its skin may reach above the mesh's outline, and beside it."""
_SLIT = 128
"""A mouth is open by more than one of so many parts of the map's side, which shows two faces' heights."""
OF_THE_FACE = (Region.SKIN, Region.BROWS, Region.EYES, Region.NOSE, Region.LIPS, Region.MOUTH)
"""Regions that a mesh knows the place of."""
FACE_VID2VID = "face-vid2vid"
"""The reenactor of the paper's own swaps, and its row among the foreign weights."""


class Reenactor(Protocol):
    """Gives a source the expression and pose of another face."""

    own_textures: bool
    """Its pictures have textures of their own; else the source's are as good."""

    def driven(self, target: np.ndarray, watched: np.ndarray | None = None) -> RegionFace:
        """The source doing what a face (478, 3), plate pixels, does; in the canonical crop of that face.

        ``watched`` is what a :class:`Watcher` said of that face's picture.
        """
        ...

    def mesh(self, target: np.ndarray) -> np.ndarray:
        """Where the driven source's mesh (478, 3) lies then, in the crop's unit square."""
        ...


@runtime_checkable
class Watcher(Protocol):
    """A reenactor that goes by the plate's picture, and not by its mesh alone."""

    def watch(self, view: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """What a face (478, 3) of a picture (H, W, 3), view space, does: a few numbers to keep for ``Reenactor.driven``."""
        ...


def find_reenactor(name: str) -> Path | None:
    """The weights of the reenactor called ``name``; None for those that need none.

    Raises:
        OptionError: no such family, or it does not animate.
        CheckpointError: it has no weights here.
        WeightsError: the published weights that it goes by are not here.
    """
    if name in ("none", "mesh"):
        return None
    if name == FACE_VID2VID:
        from understudy.jobs.regional_vid2vid import find_vid2vid

        return find_vid2vid()
    try:
        return find_animator(None, name)[1]
    except OptionError as error:
        raise OptionError(
            f"{str(error).replace('--method', '--reenact')} There are also mesh, none and {FACE_VID2VID}."
        ) from error


def open_reenactor(
    name: str,
    source: Source,
    *,
    editor: RegionEditor,
    parser: Parser,
    device: str = "auto",
    reader: UnitReader | None = None,
) -> tuple[Reenactor, Path | None]:
    """The reenactor called ``name``, and the weights that it uses.

    Raises:
        OptionError, CheckpointError, WeightsError: as :func:`find_reenactor`.
    """
    path = find_reenactor(name)
    if name == "none":
        return Unmoved(source), None
    if name == "mesh":
        return MeshBent(source, editor), None
    if name == FACE_VID2VID:
        from understudy.jobs.regional_vid2vid import open_vid2vid

        assert path is not None
        return open_vid2vid(source, path, editor=editor, parser=parser, device=device), path
    family, path = find_animator(None, name)
    animator = family.animator(path, device=device)
    return Animated(source, animator, editor, parser, reader), path


class Unmoved:
    """The source as it is: the paper's ablation without reenactment."""

    own_textures = False

    def __init__(self, source: Source) -> None:
        self._face, self._landmarks = source.faces[0].face, source.faces[0].landmarks

    def driven(self, target: np.ndarray, watched: np.ndarray | None = None) -> RegionFace:
        return self._face

    def mesh(self, target: np.ndarray) -> np.ndarray:
        return self._face.transform.points_to_crop(self._landmarks, 1)


class MeshBent:
    """The source's picture and regions carried from its own mesh to the same face doing what the plate's does.

    Nothing is made that the picture does not show: a turned head shows no new cheek, and beyond 25 degrees or so the far side
    folds. A mouth has the region that its landmarks give it; what is in one that was closed stays the plate's.
    """

    own_textures = False

    def __init__(self, source: Source, editor: RegionEditor) -> None:
        self._source, self._editor = source.faces[0], editor

    def driven(self, target: np.ndarray, watched: np.ndarray | None = None) -> RegionFace:
        source, end = self._source, self.mesh(target)
        start = source.face.transform.points_to_crop(source.landmarks, 1)
        face = bent(source.face, start, end)
        face = replace(face, regions=within_outline(with_whole_jaw(face.regions, end), end))
        return replace(face, regions=with_mouth(face.regions, end))

    def mesh(self, target: np.ndarray) -> np.ndarray:
        return mesh_onto(target, self._source.landmarks, self._editor.oval_share)


class Animated:
    """The source's picture animated by a family, then carried to the plate's pose where the family does not turn heads."""

    own_textures = True

    def __init__(
        self,
        source: Source,
        animator: Animator,
        editor: RegionEditor,
        parser: Parser,
        reader: UnitReader | None = None,
    ) -> None:
        if not animator.signals & {"units", "landmarks"}:
            raise OptionError(
                "--reenact: that family is driven by named expressions alone; choose another, mesh or none."
            )
        self._source, self._animator, self._editor, self._parser = source.faces[0], animator, editor, parser
        self._window = scaled(self._source.transform, animator.oval_share)
        self._still = np.clip(self._window.to_crop(self._source.view, animator.size), 0, 1)
        self._reader = reader
        self._units: np.ndarray | None = None

    def driven(self, target: np.ndarray, watched: np.ndarray | None = None) -> RegionFace:
        source, turns = self._source, "landmarks" in self._animator.signals
        posed = onto(target, source.landmarks)
        mesh = posed if turns else onto(target, source.landmarks, head="still")
        strength = np.ones(1, np.float32)
        if turns:
            drive = Drive(
                strength=strength,
                landmarks=self._window.points_to_crop(mesh[None].astype(np.float32), 1),
                still_landmarks=self._window.points_to_crop(source.landmarks.astype(np.float32), 1),
            )
        else:
            drive = Drive(strength=strength, units=self._measured(target), still_units=self._own_units())
        (answer,) = animate_crops(self._still, drive, animator=self._animator)
        landmarks = self._window.points_to_crop(mesh, self._animator.size)
        face = region_face(
            answer.crop,
            landmarks,
            canonical_transform(landmarks),
            self._editor,
            self._parser,
            map_side=len(source.face.regions),
        )
        if turns:
            return face
        return bent(
            face,
            in_canonical_crop(mesh, self._editor.oval_share),
            in_canonical_crop(posed, self._editor.oval_share),
        )

    def mesh(self, target: np.ndarray) -> np.ndarray:
        return mesh_onto(target, self._source.landmarks, self._editor.oval_share)

    def _measured(self, mesh: np.ndarray) -> np.ndarray:
        if self._reader is None:
            from understudy.jobs.performance import MeshUnits

            self._reader = MeshUnits()
        return np.asarray(self._reader.measure(np.asarray(mesh, np.float32)[None]), np.float32)

    def _own_units(self) -> np.ndarray:
        units = self._units
        if units is None:
            units = self._units = self._measured(self._source.landmarks)[0]
        return units


def mesh_onto(target: np.ndarray, source: np.ndarray, oval_share: float) -> np.ndarray:
    """A source's mesh (478, 3) doing what a plate's does, in the unit square of its own canonical crop."""
    return in_canonical_crop(onto(target, source), oval_share)


def in_canonical_crop(mesh: np.ndarray, oval_share: float) -> np.ndarray:
    """A mesh (478, 3) in the unit square of its own canonical crop."""
    crop: CropTransform = scaled(canonical_transform(np.asarray(mesh, np.float32)), oval_share)
    return crop.points_to_crop(mesh, 1)


def with_mouth(regions: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """A region map whose lips are parted where the mesh (478, 3), in the map's unit square, parts them, and nowhere else.

    A spline does not shut an open mouth: it leaves a slit of teeth between lips that meet.
    """
    size = len(regions)
    opened = (polygon_mask(mesh[LIPS_INNER, :2] * size, size) > 0.5).astype(np.uint8)
    # Closed lips leave a line, which is no mouth.
    line = max(2, size // _SLIT)
    opened = cv2.morphologyEx(opened, cv2.MORPH_OPEN, np.ones((line, line), np.uint8)) > 0
    regions = np.where(opened & np.isin(regions, (Region.LIPS, Region.SKIN)), np.uint8(Region.MOUTH), regions)
    near = cv2.dilate(opened.astype(np.uint8), np.ones((line + 1, line + 1), np.uint8)) > 0
    return np.where((regions == Region.MOUTH) & ~near, np.uint8(Region.LIPS), regions)


def with_whole_jaw(
    regions: np.ndarray, mesh: np.ndarray, taken_for: tuple[Region, ...] = (Region.NECK, Region.BACKGROUND)
) -> np.ndarray:
    """A region map whose face fills the outline of the mesh (478, 3), in the map's unit square.

    A parser finds the edge between jaw and neck by the shadow that lies there, and takes a dark cheek for either or for none; the
    mesh knows it.
    """
    inside = np.zeros_like(regions)
    outline = cv2.convexHull((mesh[FACE_OVAL, :2] * regions.shape[0]).astype(np.float32))
    cv2.fillPoly(inside, [np.round((outline - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return np.where((inside > 0) & np.isin(regions, taken_for), np.uint8(Region.SKIN), regions)


def within_outline(regions: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """A region map whose face keeps to the outline of the mesh (478, 3), in the map's unit square; what lies beyond is background.

    Where a head turns far, the spline drags the skin beside the outline, of which the mesh knows nothing, out of the head. Upwards
    the outline ends at the hairline, so a bald head's skin is left.
    """
    points = mesh[FACE_OVAL, :2] * regions.shape[0]
    up = (mesh[10, :2] - mesh[152, :2]) * regions.shape[0]
    hull = cv2.convexHull(np.concatenate([points, points + _FOREHEAD * up]).astype(np.float32))
    inside = np.zeros_like(regions)
    cv2.fillPoly(inside, [np.round((hull - 0.5) * 16).astype(np.int32)], 1, shift=4)
    radius = max(1, round(_BEYOND * float(np.linalg.norm(up))))
    inside = cv2.dilate(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))
    return np.where((inside == 0) & np.isin(regions, OF_THE_FACE), np.uint8(Region.BACKGROUND), regions)


def bent(face: RegionFace, start: np.ndarray, end: np.ndarray) -> RegionFace:
    """A face whose mesh lies at ``start`` of its crop's unit square, carried so that it lies at ``end``."""
    picture = carry(np.ascontiguousarray(face.crop), mesh_map(start, end, face.crop.shape[0]))
    regions = carry(face.regions, mesh_map(start, end, face.regions.shape[0]), nearest=True)
    return RegionFace(crop=picture, regions=regions, transform=face.transform)
