"""Whose face a swap by region puts on: the face of a picture, or of the best pictures gathered of an identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import MediaError, OptionError
from understudy.faces.align import CropTransform, canonical_transform
from understudy.jobs.picture_consent import picture_consent
from understudy.jobs.project import Project, require_consent
from understudy.jobs.regional_maps import map_side, smaller_map
from understudy.jobs.still_face import face_of_still
from understudy.jobs.track import FaceFinder, track_clip
from understudy.media.clip import open_clip
from understudy.perform.region_faces import RegionFace, region_face

if TYPE_CHECKING:
    from understudy.family import Parser, RegionEditor
    from understudy.provenance.cast import Consent
    from understudy.provenance.record import RunRecord

Progress = Callable[[str, int, int | None], None]
MOST = 5
"""Pictures of an identity that are looked at."""


@dataclass(frozen=True, kw_only=True)
class SourceFace:
    """One picture of the face that is put on.

    Attributes:
        view: (H, W, 3) float32 RGB, view space.
        landmarks: (478, 3) pixels of it.
        transform: its canonical crop.
        face: the crop that the editor sees, and its regions, which may be finer.
    """

    view: np.ndarray
    landmarks: np.ndarray
    transform: CropTransform
    face: RegionFace


@dataclass(frozen=True, kw_only=True)
class Source:
    """The face that is put on.

    Attributes:
        faces: the first is the one that is reenacted.
        values: (12, L) textures, averaged over the pictures that show the region.
        shown: (12,) whether any of them does.
    """

    faces: tuple[SourceFace, ...]
    values: np.ndarray
    shown: np.ndarray


def source_pictures(identity: str, project: Project | None) -> list[Path]:
    """The pictures of ``--identity``: the one of that name, or the best that were gathered of it, frontal and sharp first.

    Raises:
        OptionError: neither.
    """
    if Path(identity).is_file():
        return [Path(identity)]
    if project is None or identity not in project.gathered():
        known = f"; gathered are {', '.join(project.gathered()) or 'nobody'}" if project is not None else ""
        raise OptionError(
            f"--identity {identity}: there is no such picture, and no gathered faces of that name{known}."
        )
    from understudy.dataset.face_set import FaceSet

    with FaceSet.open(project.faces(identity)) as faces:
        entries = list(faces.entries())
        sharp = float(np.median([entry.sharpness for entry in entries])) if entries else 0.0
        rank = lambda entry: (entry.sharpness < sharp, abs(entry.pose.yaw) + abs(entry.pose.pitch))  # noqa: E731
        return [entry.path for entry in sorted(entries, key=rank)[:MOST]]


def source_consent(identity: str, project: Project | None, consent: Path | None) -> tuple[str, Consent]:
    """The name that consent to put on this face is given for, and the consent.

    Raises:
        ConsentError: there is none.
    """
    if Path(identity).is_file():
        return picture_consent(identity, identity=None, project=project, consent=consent)
    return identity, require_consent(identity, "render", project=project, consent=consent)


def read_source(
    pictures: list[Path],
    *,
    editor: RegionEditor,
    parser: Parser,
    finder: FaceFinder,
    cache: Path | None,
    record: RunRecord,
    fit: int = 0,
    min_visible: float = 0.5,
    max_yaw: float = 75.0,
    progress: Progress = lambda stage, done, total: None,
) -> Source:
    """Read the pictures of a face.

    Args:
        fit: steps of fitting the textures to each picture.
        min_visible, max_yaw: what is refused, see the options of ``swap``.

    Raises:
        FaceError: a picture without a face, or with several.
        MediaError: a picture cannot be read.
    """
    faces, values, shown = [], [], []
    for done, path in enumerate(pictures):
        progress("source", done, len(pictures))
        with open_clip(str(path)) as clip:
            if clip.kind != "still":
                raise MediaError(f"{path} is a {clip.kind}; the face that is put on comes from a picture.")
            frame = clip.frame(clip.numbers[0])
            with track_clip(clip, finder=finder, cache=cache) as tracked:
                record.inputs[str(path)] = tracked.sha256
                sheet = path.with_name(f"{path.stem}.people.png")
                face, _ = face_of_still(
                    clip,
                    tracked,
                    source=str(path),
                    sheet=sheet,
                    min_visible=min_visible,
                    max_yaw=max_yaw,
                    alone=True,
                )
        view, transform = frame.view(), canonical_transform(face)
        read = region_face(view, face.landmarks, transform, editor, parser, map_side=map_side(editor))
        faces.append(SourceFace(view=view, landmarks=face.landmarks, transform=transform, face=read))
        regions = smaller_map(read.regions, editor.map_size)
        found = editor.read(read.crop[None], regions[None])
        own = found.values[0]
        if fit:
            own, _ = editor.optimise(
                read.crop, regions, own, steps=fit, progress=lambda step, total: progress("fit", step, total)
            )
        values.append(own)
        shown.append(found.shown[0])
    progress("source", len(pictures), len(pictures))
    mean, any_shown = mean_textures(np.stack(values), np.stack(shown))
    return Source(faces=tuple(faces), values=mean, shown=any_shown)


def mean_textures(values: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 12, L) textures averaged over the pictures that show each region, and (12,) whether any does."""
    counts = shown.astype(np.float32)
    mean = (values * counts[:, :, None]).sum(0) / np.maximum(counts.sum(0), 1)[:, None]
    return mean.astype(np.float32), np.asarray(shown.any(0))
