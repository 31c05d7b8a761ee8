"""Swapping region by region through a shot: what is read of plate and source first, and then a performer for its frames.

The plate is read through once: its region maps are kept small and averaged over time, and the looks of its regions, and of the
driven source's, over the shot. A frame then depends on its own mesh and on the maps of the frames about it, wherever a run began.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.composite.own_detail import enlarged
from understudy.dataset.pictures import resized
from understudy.errors import InternalError, OptionError
from understudy.faces.regions import Region
from understudy.family import FaceParts, SwapResult
from understudy.jobs.options_regional import RegionalOptions
from understudy.jobs.options_swap import SwapOptions
from understudy.jobs.project import Project
from understudy.jobs.region_files import name_of
from understudy.jobs.regional_detail import RegionalDetail, in_plates_light
from understudy.jobs.regional_drive import OF_THE_FACE, Reenactor, Watcher, in_canonical_crop, open_reenactor
from understudy.jobs.regional_eyes import shut_eyes, with_lids
from understudy.jobs.regional_eyewear import ShotEyewear, behind_glasses, with_glasses
from understudy.jobs.regional_maps import crop_side, map_side, smaller_map, without_gaps
from understudy.jobs.regional_source import Source, mean_textures, read_source, source_pictures
from understudy.jobs.shot_frames import Plan, read_frames
from understudy.jobs.track import FaceFinder
from understudy.media.clip import Clip
from understudy.perform.region_faces import RegionFace, crop_shares
from understudy.perform.regions import read_face, scaled
from understudy.provenance.record import RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    from understudy.family import Family, Parser, RegionEditor
    from understudy.perform.swap import CropFace

Progress = Callable[[str, int, int | None], None]
_KEPT_SIDE = 256
"""Most pixels a side of the shares that are kept; they are smooth, so that maps of more pixels are drawn from them."""
_LOOKED_AT = 24
"""Frames of a shot whose looks are averaged."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    values: np.ndarray
    shown: np.ndarray


class RegionalShot:
    """A performer for one shot (see ``understudy.perform.swap.FacePerformer``).

    Attributes:
        identities: the one whose face is put on.
        size: side of its crops, pixels; no less than the editor's.
        oval_share: height of the face in them.
        seam: how its crops are laid in.
    """

    def __init__(
        self,
        identity: str,
        options: RegionalOptions,
        *,
        editor: RegionEditor,
        parser: Parser,
        source: Source,
        reenactor: Reenactor,
        detail: RegionalDetail | None = None,
    ) -> None:
        self.identities = (identity,)
        self.size, self.oval_share, self.seam = crop_side(editor), editor.oval_share, options.seam
        self._options, self._editor = options, editor
        self._parser, self._source, self._reenactor = parser, source, reenactor
        self._detail = detail
        self._maps: dict[tuple[int, int], bytes] = {}
        self._watched: dict[tuple[int, int], np.ndarray] = {}
        self._order: dict[int, list[int]] = {}
        self._map_side = map_side(editor)
        self._side = min(self._map_side, _KEPT_SIDE)
        self._target: dict[int, _Look] = {}
        self._driven: dict[int, _Look] = {}
        self._eyewear: dict[int, ShotEyewear] = {}
        self._keeps_glasses = Region.GLASSES not in named_regions(options.regions)
        self._moving = False

    def prepare(
        self,
        plate: Clip,
        plan: Plan,
        progress: Progress = lambda stage, done, total: None,
        *,
        needed: Collection[int] | None = None,
    ) -> None:
        """Read the plate: the frames whose looks are averaged, and those that are to be made with the ones about them.

        Args:
            needed: the frames that will be made; None for every frame that ``plan`` has. It changes no pixel of theirs.

        Raises:
            OptionError: a region to swap that the plate does not show, and whose shape the source does not give.
        """
        numbers = [number for number in plate.numbers if number in plan]
        self._moving = len(plate) > 1
        looked = {numbers[round(place)] for place in np.linspace(0, len(numbers) - 1, min(_LOOKED_AT, len(numbers)))}
        if needed is not None:
            calm = self._options.calm
            near = {number + shift for number in needed for shift in range(-calm, calm + 1)}
            numbers = [number for number in numbers if number in near or number in looked]
        seen = np.zeros(len(Region), bool)
        looks: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        driven: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        for done, frame in enumerate(read_frames(plate, numbers)):
            progress("regions", done, len(numbers))
            view = frame.view()
            for found in plan[frame.number]:
                track = found.face.track
                reading = read_face(view, found.face.landmarks, found.transform, self._parser)
                crop = scaled(found.transform, self.oval_share)
                shares = crop_shares(reading, crop, self._side)
                self._maps[frame.number, track] = zlib.compress(np.round(shares * 255).astype(np.uint8).tobytes(), 1)
                self._order.setdefault(track, []).append(frame.number)
                seen[shares.argmax(-1)] = True
                if isinstance(self._reenactor, Watcher):
                    self._watched[frame.number, track] = self._reenactor.watch(view, found.face.landmarks)
                if frame.number not in looked:
                    continue
                picture = np.clip(crop.to_crop(view, self.size), 0, 1)
                if self._keeps_glasses:
                    mesh = crop.points_to_crop(found.face.landmarks, 1)
                    self._eyewear.setdefault(track, ShotEyewear()).look(picture, shares, mesh)
                if self._options.textures == "shot":
                    looks.setdefault(track, []).append(self._look(picture, self._labels(shares)))
                    if self._reenactor.own_textures:
                        watched = self._watched.get((frame.number, track))
                        face = self._reenactor.driven(found.face.landmarks, watched)
                        driven.setdefault(track, []).append(self._look(face.crop, face.regions))
        progress("regions", len(numbers), len(numbers))
        for region in named_regions(self._options.regions):
            if not seen[region] and region not in OF_THE_FACE:
                raise OptionError(
                    f"--regions {name_of(region)}: {plate.source} shows no {name_of(region)}, and of these a swap takes the look "
                    "alone; leave it out."
                )
        for track, found in looks.items():
            self._target[track] = _mean(found)
        for track, found in driven.items():
            self._driven[track] = _mean(found)

    def swap(self, crops: np.ndarray, identity: str) -> SwapResult:
        """Not to be asked without the faces' meshes; see :meth:`swap_faces`."""
        raise InternalError("a swap by region needs the plate's meshes")

    def swap_faces(self, crops: np.ndarray, identity: str, faces: Sequence[CropFace]) -> SwapResult:
        """(B, size, size, 3) crops of the plate, and who is in them -> the swapped faces, and where they are to be laid in."""
        made, mattes = [], []
        for crop, face in zip(crops, faces, strict=True):
            picture, matte = self._swapped(crop, face)
            made.append(picture)
            mattes.append(matte)
        return SwapResult(crops=np.stack(made), mattes=np.stack(mattes))

    def _swapped(self, crop: np.ndarray, face: CropFace) -> tuple[np.ndarray, np.ndarray]:
        shares = self._calm(face.number, face.track)
        regions = behind = self._labels(shares)
        mesh, glasses = in_canonical_crop(face.landmarks, self.oval_share), None
        if face.track in self._eyewear:
            glasses = self._eyewear[face.track].matte(crop, shares, mesh)
        if glasses is not None:
            # The face is made as if it wore none, and they are the plate's own pixels.
            regions, behind = with_glasses(regions, glasses), behind_glasses(regions)
        driven = self._reenactor.driven(face.landmarks, self._watched.get((face.number, face.track)))
        driven = self._with_lids(driven, face.landmarks, regions)
        target = self._target.get(face.track)
        if target is None:
            target = _mean([self._look(crop, regions)])
        source = self._driven.get(face.track)
        if source is None:
            if self._reenactor.own_textures:
                source = _mean([self._look(driven.crop, driven.regions)])
            else:
                source = _Look(values=self._source.values, shown=self._source.shown)
        joined = self._editor.join(
            FaceParts(regions=behind, values=target.values, shown=target.shown),
            FaceParts(regions=driven.regions, values=source.values, shown=source.shown),
            regions=self._options.regions,
            order=self._options.order,
            moving=self._moving,
        )
        small = smaller_map(joined.regions, self._editor.map_size)
        made = enlarged(self._editor.make(joined.values[None], small[None])[0], self.size)
        if self._detail is not None:
            made = self._detail.add(
                made,
                joined,
                crop=crop,
                regions=regions,
                mesh=mesh,
                driven=self._reenactor.mesh(face.landmarks),
                shown=source.shown,
            )
        if self._options.light != "source":
            made = in_plates_light(made, joined, crop, regions, complexion=self._options.light == "plate")
        matte = resized(joined.matte, self.size)
        return made, matte if glasses is None else matte * (1 - resized(glasses, self.size))

    def _with_lids(self, driven: RegionFace, landmarks: np.ndarray, regions: np.ndarray) -> RegionFace:
        """The driven face with its eyes shut where the plate's are; a picture that is bent opens none that it does not show."""
        source = self._source.faces[0]
        asleep = np.zeros(2)
        if not self._reenactor.own_textures:
            asleep = shut_eyes(source.face.transform.points_to_crop(source.landmarks, 1), source.face.regions)
        mesh = self._reenactor.mesh(landmarks)
        shut = shut_eyes(in_canonical_crop(landmarks, self.oval_share), regions, driven=mesh)
        return replace(driven, regions=with_lids(driven.regions, mesh, shut=shut, asleep=asleep))

    def _calm(self, number: int, track: int) -> np.ndarray:
        """The shares (s, s, 12) of a frame, averaged over the frames about it."""
        numbers = self._order[track]
        place = numbers.index(number)
        first = max(0, place - self._options.calm)
        near = [n for n in numbers[first : place + self._options.calm + 1] if abs(n - number) <= self._options.calm]
        total = np.zeros((self._side, self._side, len(Region)), np.float32)
        for other in near:
            kept = np.frombuffer(zlib.decompress(self._maps[other, track]), np.uint8)
            total += kept.reshape(total.shape)
        return total / np.float32(255 * len(near))

    def _labels(self, shares: np.ndarray) -> np.ndarray:
        """Shares of any size as a region map."""
        size = self._map_side
        if len(shares) != size:
            parts = [np.ascontiguousarray(shares[..., k : k + 4]) for k in range(0, len(Region), 4)]
            shares = np.concatenate(
                [cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR) for part in parts], -1
            )
        return without_gaps(shares.argmax(-1).astype(np.uint8))

    def _look(self, crop: np.ndarray, regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        regions = smaller_map(regions, self._editor.map_size)
        found = self._editor.read(resized(np.asarray(crop, np.float32), self._editor.size)[None], regions[None])
        return found.values[0], found.shown[0]


def _mean(looks: Sequence[tuple[np.ndarray, np.ndarray]]) -> _Look:
    values, shown = mean_textures(np.stack([look[0] for look in looks]), np.stack([look[1] for look in looks]))
    return _Look(values=values, shown=shown)


def named_regions(words: Sequence[str]) -> tuple[Region, ...]:
    """The regions in ``("eyes", "lips=0.5,nose")``.

    Raises:
        OptionError: no such region.
    """
    names = {name_of(region): region for region in Region if region is not Region.BACKGROUND}
    parts = [part.partition("=")[0].strip() for word in words for part in word.split(",") if part.strip()]
    for part in parts:
        if part not in names:
            raise OptionError(f"--regions {part}: the regions are {', '.join(names)}.")
    return tuple(names[part] for part in parts)


def open_regional(
    options: SwapOptions,
    family: Family,
    model: Path,
    *,
    project: Project | None,
    finder: FaceFinder,
    record: RunRecord,
    parser: Parser,
    progress: Progress = lambda stage, done, total: None,
) -> RegionalShot:
    """A performer for a swap region by region, its source read; :meth:`RegionalShot.prepare` comes next.

    Raises:
        OptionError: an unknown region, identity or reenactor.
        CheckpointError: weights that cannot be read.
        FaceError: a picture of the source without a face.
    """
    regional = options.regional
    named = named_regions(regional.regions)  # said before pictures are read
    if parser.source is not None:
        record.add_weights(parser.source)
    editor = family.editor(model, device=options.device)
    source = read_source(
        source_pictures(options.identity, project),
        editor=editor,
        parser=parser,
        finder=finder,
        cache=project.tracks if project else None,
        record=record,
        fit=regional.fit,
        min_visible=options.min_visible,
        max_yaw=options.max_yaw,
        progress=progress,
    )
    for region in named:
        # A mouth that is closed in the source's pictures is the plate's own where it opens.
        if not source.shown[region] and region is not Region.MOUTH:
            raise OptionError(
                f"--regions {name_of(region)}: no {name_of(region)} can be seen of {options.identity}; choose another picture, or "
                "leave it out."
            )
    reenactor, weights = open_reenactor(regional.reenact, source, editor=editor, parser=parser, device=options.device)
    if weights is not None:
        record.add_weights(weights)
    detail = None
    if options.composite.own_detail > 0:
        detail = RegionalDetail(source, editor=editor, options=options.composite, gaze=regional.gaze)
    record.options["own_detail_pictures"] = 0 if detail is None else len(detail)
    return RegionalShot(
        options.identity, regional, editor=editor, parser=parser, source=source, reenactor=reenactor, detail=detail
    )
