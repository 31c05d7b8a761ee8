"""The source's face driven by the plate's pictures themselves, through face-vid2vid's published weights: the paper's own way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import InternalError, WeightsError
from understudy.faces.align import CropTransform, canonical_transform
from understudy.jobs.regional_drive import FACE_VID2VID, mesh_onto
from understudy.jobs.regional_source import Source
from understudy.perform.region_faces import RegionFace, region_face
from understudy.perform.regions import scaled

if TYPE_CHECKING:
    from understudy.families.regional_inversion.face_vid2vid import Vid2VidDriver
    from understudy.family import Parser, RegionEditor

_KEPT = 48
"""Answers that are kept, of less than a megabyte: a shot asks first for those whose looks it averages, and again in their turn."""


def find_vid2vid() -> Path:
    """The published weights on this machine.

    Raises:
        WeightsError: they are not here; the sentence says what to bring, and on what terms.
    """
    from understudy.provenance import weights

    try:
        return weights.find(FACE_VID2VID)
    except WeightsError as error:
        terms = weights.get(FACE_VID2VID).licence
        raise WeightsError(
            f"--reenact {FACE_VID2VID}: {error} Their licence, yours to keep to: {terms}. Or use --reenact mesh."
        ) from error


class Vid2VidDriven:
    """The source's picture doing what the plate's does, made anew by face-vid2vid.

    Head, place and expression are read off the plate's picture and given to the source's own key points (absolute key points, as
    in the published swaps), so that its head lies where the plate's does. Where its mesh then lies is not measured on what was
    made; it is the source's, carried to the plate's expression and pose.
    """

    own_textures = True

    def __init__(self, source: Source, driver: Vid2VidDriver, editor: RegionEditor, parser: Parser) -> None:
        self._source, self._driver, self._editor, self._parser = source.faces[0], driver, editor, parser
        self._made: dict[bytes, RegionFace] = {}
        self._read = driver.read(self._crop(self._source.view, self._source.transform))

    def watch(self, view: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """What a face of a picture (H, W, 3) does, as the network sees it."""
        return self._driver.watch(self._crop(view, canonical_transform(np.asarray(landmarks, np.float32))))

    def driven(self, target: np.ndarray, watched: np.ndarray | None = None) -> RegionFace:
        if watched is None:
            raise InternalError("face-vid2vid drives by the plate's pictures, and this one was not looked at.")
        key = watched.tobytes() + np.asarray(target).tobytes()
        if key in self._made:
            return self._made[key]
        made = self._driver.drive(self._read, watched)
        mesh = mesh_onto(target, self._source.landmarks, self._driver.oval_share)
        landmarks = (mesh * self._driver.size).astype(np.float32)
        face = region_face(
            made,
            landmarks,
            canonical_transform(landmarks),
            self._editor,
            self._parser,
            map_side=len(self._source.face.regions),
        )
        if len(self._made) < _KEPT:
            self._made[key] = face
        return face

    def mesh(self, target: np.ndarray) -> np.ndarray:
        return mesh_onto(target, self._source.landmarks, self._editor.oval_share)

    def _crop(self, view: np.ndarray, transform: CropTransform) -> np.ndarray:
        window = scaled(transform, self._driver.oval_share)
        return np.clip(window.to_crop(np.asarray(view, np.float32), self._driver.size), 0, 1)


def open_vid2vid(source: Source, path: Path, *, editor: RegionEditor, parser: Parser, device: str) -> Vid2VidDriven:
    """The published weights in ``path``, with the source read.

    Raises:
        CheckpointError: they are not face-vid2vid's, or damaged.
        OptionError: the device is not there.
    """
    from understudy.families.regional_inversion.face_vid2vid import open_driver

    return Vid2VidDriven(source, open_driver(path, device=device), editor, parser)
