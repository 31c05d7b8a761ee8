"""Pictures of people whom a model by region has not seen: which are given back, and who is swapped with whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from understudy.dataset.region_crops import RegionEntry, read_entry, read_region_folder
from understudy.errors import DatasetError
from understudy.faces.align import canonical_transform
from understudy.family import FaceParts
from understudy.jobs.regional_source import Source, SourceFace
from understudy.perform.region_faces import RegionFace, map_in_crop, region_face

if TYPE_CHECKING:
    from understudy.family import Parser, RegionEditor

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A picture's face as a model sees it.

    Attributes:
        person: who is on it.
        landmarks: (478, 3) the picture's pixels.
        points: (478, 2) the crop's pixels.
        face: its crop, with the regions as the parser tells them.
        truth: (map_size, map_size) uint8, the regions as they are.
        parts: its textures as read by the parser's regions.
        seconds: what "parse" and "encode" took.
    """

    entry: RegionEntry
    person: str
    landmarks: np.ndarray
    points: np.ndarray
    face: RegionFace
    truth: np.ndarray
    parts: FaceParts
    seconds: dict[str, float]

    def source(self) -> Source:
        """The face as one that is put on."""
        face = SourceFace(
            view=read_entry(self.entry)[0].astype(np.float32) / 255,
            landmarks=self.landmarks,
            transform=canonical_transform(self.landmarks),
            face=self.face,
        )
        return Source(faces=(face,), values=self.parts.values, shown=self.parts.shown)


def read_cases(folder: Path, *, progress: Progress = lambda *_: None) -> list[RegionEntry]:
    """Pictures with region maps and landmarks.

    Raises:
        DatasetError: not such a folder.
        WeightsError: landmarks must be made and the face models are not at hand.
    """
    entries = read_region_folder(folder, progress=progress)
    if any(entry.regions is None or entry.points is None for entry in entries):
        raise DatasetError(
            f"{folder} holds pictures without regions; measuring needs the folders pictures and regions (docs/regions.md)."
        )
    if len(entries) < 2:
        raise DatasetError(f"{folder} has {len(entries)} usable pictures; at least 2 are needed.")
    return entries


def read_case(entry: RegionEntry, editor: RegionEditor, parser: Parser) -> Case:
    """Take the face of a picture apart.

    Raises:
        DatasetError: the picture or its map cannot be read.
    """
    assert entry.points is not None
    picture, regions = read_entry(entry)
    view, transform = picture.astype(np.float32) / 255, canonical_transform(entry.points)
    started = perf_counter()
    face = region_face(view, entry.points, transform, editor, parser)
    parsed = perf_counter()
    textures = editor.read(face.crop[None], face.regions[None])
    return Case(
        entry=entry,
        person=entry.person,
        landmarks=entry.points,
        points=face.transform.points_to_crop(entry.points, editor.size)[:, :2],
        face=face,
        truth=map_in_crop(regions, face.transform, editor.map_size),
        parts=FaceParts(regions=face.regions, values=textures.values[0], shown=textures.shown[0]),
        seconds={"parse": parsed - started, "encode": perf_counter() - parsed},
    )


def spread(entries: Sequence[RegionEntry], most: int) -> list[int]:
    """Places of ``most`` pictures, evenly over all of them."""
    return [int(place) for place in np.unique(np.linspace(0, len(entries) - 1, min(most, len(entries))).round())]


def choose_pairs(people: Sequence[str], count: int, *, seed: int = 0) -> list[tuple[int, int]]:
    """Places of (source, target): ``count`` pairs of different people at random, none twice; fewer where there are no more.

    Raises:
        DatasetError: one person alone.
    """
    if count and len(set(people)) < 2:
        raise DatasetError("all pictures are of one person, and a swap needs two; give more people, or --pairs 0.")
    numbers, chosen = np.random.default_rng(seed), dict[tuple[int, int], None]()
    # Every picture is a source as often as every other one.
    for _ in range(50 * (1 + count // len(people)) if count else 0):
        for source, target in zip(*numbers.permuted([range(len(people))] * 2, axis=1), strict=True):
            if people[source] != people[target] and len(chosen) < count:
                chosen[int(source), int(target)] = None
    return list(chosen)
