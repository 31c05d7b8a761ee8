"""The benchmark's regions: parsers against the true regions, and families that edit by region on what has an exact answer.

Three questions are asked of frames whose regions are known. *regions*: a parser tells them apart. *rebuild*: a face is taken apart
and made again; the answer is the face. *edit*: the look of one frame is put into the true shapes of another frame of the same
person; the answer is that frame. No suite is needed that knows true edits: a person moves, and every frame is the edit of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from understudy.dataset.suite import RegionTask, Suite
from understudy.errors import MediaError
from understudy.faces.regions import PALETTE
from understudy.family import Textures
from understudy.jobs.benchmark_rows import REGIONS, UNCHANGED, Row, RowStore, clip_digest, refuse_if_seen
from understudy.jobs.benchmark_swap import Contender
from understudy.jobs.evaluate_figures import IDENTITY, LPIPS
from understudy.jobs.options_benchmark import BenchmarkOptions
from understudy.jobs.project import Project, require_consent

if TYPE_CHECKING:
    from understudy.faces.align import CropTransform
    from understudy.family import Parser, RegionEditor
    from understudy.jobs.track import FaceFinder

Progress = Callable[[str, int, int | None], None]

OUTLINES, FLAT = "outlines", "flat"
"""What has to be beaten: the mesh's outlines taken for regions; every region in its mean colour."""
MOST = 12
"""Frames of a task that are measured, evenly spread."""
STRIPS = "strips"
"""The folder of each contender's pictures."""
_SHOWN, _SIDE = 6, 176


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """One frame with a known answer: (H, W, 3) in [0, 1], its face, and its true regions (H, W)."""

    number: int
    view: np.ndarray
    landmarks: np.ndarray
    transform: CropTransform
    truth: np.ndarray


class FlatEditor:
    """The editor to beat: a region's texture is its mean colour, and a face is twelve colours."""

    oval_share = 0.5

    def __init__(self, size: int = 128) -> None:
        self.size = self.map_size = size

    def read(self, crops: np.ndarray, regions: np.ndarray) -> Textures:
        """See :class:`understudy.family.RegionEditor`; a texture is (3,) RGB."""
        inside = regions[:, None] == np.arange(len(PALETTE))[:, None, None]
        counts = inside.sum((2, 3))
        sums = np.einsum("brhw,bhwc->brc", inside.astype(np.float32), crops)
        return Textures(values=sums / np.maximum(counts, 1)[..., None], shown=counts > 0)

    def make(self, values: np.ndarray, regions: np.ndarray) -> np.ndarray:
        """See :class:`understudy.family.RegionEditor`."""
        return np.stack([colours[labels] for colours, labels in zip(values, regions, strict=True)]).astype(np.float32)


class RegionBench:
    """Fills the rows of the suite's regions, one contender after the other."""

    def __init__(
        self,
        options: BenchmarkOptions,
        suite: Suite,
        project: Project,
        store: RowStore,
        progress: Progress,
        finder: FaceFinder | None = None,
        parser: Parser | None = None,
    ) -> None:
        self.options, self.suite, self.project, self.store = options, suite, project, store
        self.progress, self.finder, self._parser = progress, finder, parser
        self._seen: dict[str, list[_Frame]] = {}

    def rows(self, kind: str, contender: Contender, tasks: Sequence[RegionTask]) -> list[Row]:
        """The contender's rows of a kind, made or kept."""

        def answer(task: RegionTask) -> Row:
            row = Row(contender=contender.name, kind=kind, task=task.name)
            return self.store.answered(
                row,
                lambda: self._asked(kind, contender, task),
                lambda: self._row(row, contender, task),
                name=f"{kind}-{contender.name}",  # three questions are asked of one task
            )

        return [answer(task) for task in tasks]

    def _asked(self, kind: str, contender: Contender, task: RegionTask) -> dict[str, Any]:
        from understudy import __version__
        from understudy.metrics.identity import missing_identity
        from understudy.metrics.lpips import missing_lpips
        from understudy.provenance.record import path_sha256

        weights = self._editor_weights(contender) if kind != "regions" else None
        parser = self._parser_weights(contender if kind == "regions" else None)
        return {
            "kind": kind,
            "contender": contender.name,
            "weights": path_sha256(weights) if weights else None,
            "parser": path_sha256(parser) if parser else None,
            "clip": clip_digest(task.clip),
            "truth": path_sha256(task.truth),
            "person": task.person,
            "frames": MOST,
            "size": self.options.size,
            "evaluators": [missing_identity() is None, missing_lpips() is None],
            "version": __version__,
        }

    def _row(self, row: Row, contender: Contender, task: RegionTask) -> Row:
        frames = self._frames(task)
        if row.kind == "regions":
            return self._parsed(row, contender, task, frames)
        require_consent(task.person, "render", project=self.project)
        return self._made(row, contender, task, frames)

    # -- regions --------------------------------------------------------------------------------------------------------

    def _parsed(self, row: Row, contender: Contender, task: RegionTask, frames: Sequence[_Frame]) -> Row:
        from understudy.faces.parse import GUIDE, region_guide
        from understudy.faces.regions import Region
        from understudy.metrics.region_overlap import RegionOverlap
        from understudy.perform.regions import plate_shares, read_face

        parser = None if contender.name == OUTLINES else self._open_parser(contender)
        order = [Region.SKIN, Region.BROWS, Region.EYES, Region.NOSE, Region.LIPS, Region.MOUTH]
        overlap, seconds, maps = RegionOverlap(), 0.0, []
        for done, frame in enumerate(frames):
            self.progress(f"regions {task.name}", done, len(frames))
            began = perf_counter()
            labels = np.zeros(frame.view.shape[:2], np.uint8)
            if parser is None:
                guide = region_guide(frame.landmarks, frame.view.shape[1::-1])
                for channel in (GUIDE.index(name) for name in ("face", "nose", "brows", "eyes", "lips", "mouth")):
                    labels[guide[channel] > 127] = order[channel]
            else:
                reading = read_face(frame.view, frame.landmarks, frame.transform, parser)
                for band, part in plate_shares(frame.view, [reading], [0]):
                    labels[band] = part.argmax(-1)
            seconds += perf_counter() - began
            overlap.add(labels, frame.truth)
            maps.append(labels)
        crops = [_face(frame, PALETTE[labels] / np.float32(255)) for frame, labels in zip(frames, maps, strict=True)]
        truths = [_face(frame, PALETTE[frame.truth] / np.float32(255)) for frame in frames]
        self._strip(row, task, "picture", [_face(frame, frame.view) for frame in frames])
        self._strip(row, task, "truth", truths)
        # A region that the truth does not show has no overlap; what is wrongly taken for it costs the one that is there.
        there = overlap.counts.sum(1) > 0
        found = {region: value for region, value in overlap.overlap().items() if there[region]}
        scores = {name: found[region] for name, region in REGIONS.items() if region in found}
        return replace(
            row,
            scores={"overlap": float(np.mean(list(found.values()))), "right": overlap.right(), **scores},
            frames=len(frames),
            per_frame=round(seconds / len(frames), 4),
            movie=self._strip(row, task, contender.name, crops),
            starts="the mesh" if parser is None else "packaged weights",
        )

    def _open_parser(self, contender: Contender | None) -> Parser:
        from understudy import families
        from understudy.perform.regions import open_parser

        if self._parser is not None:
            return self._parser
        family = families.get(contender.family) if contender is not None else None
        if family is not None and family.parser is not None:
            return family.parser(None, device=self.options.device)
        return open_parser(device=self.options.device)

    def _parser_weights(self, contender: Contender | None) -> Path | None:
        """The parser's file, seen never to have been trained on somebody of the suite."""
        if contender is not None and contender.name == OUTLINES:
            return None
        self._parser = self._open_parser(contender)
        if self._parser.source is not None:
            refuse_if_seen(self.suite, self._parser.source)
        return self._parser.source

    # -- rebuild and edit -----------------------------------------------------------------------------------------------

    def _made(self, row: Row, contender: Contender, task: RegionTask, frames: Sequence[_Frame]) -> Row:
        from understudy.jobs.evaluate_judges import barred
        from understudy.perform.region_faces import map_in_crop, region_face

        weights = self._editor_weights(contender)
        parser, editor = self._open_parser(None), self._editor(contender)
        barriers = barred(weights)
        look, first, values, seconds, shown, truths = None, None, [], 0.0, [], []
        for done, frame in enumerate(frames):
            self.progress(f"{row.kind} {task.name}", done, len(frames))
            began = perf_counter()
            if row.kind == "edit":
                crop = _cut(frame, editor)
                regions = map_in_crop(frame.truth, crop[1], editor.map_size)
                if look is None or first is None:
                    look, first = editor.read(crop[0][None], regions[None]).values, crop[0]
                    continue
                made = first if contender.name == UNCHANGED else editor.make(look, regions[None])[0]
                true = crop[0]
            else:
                face = region_face(frame.view, frame.landmarks, frame.transform, cast("RegionEditor", editor), parser)
                true = face.crop
                made = editor.make(editor.read(true[None], face.regions[None]).values, face.regions[None])[0]
            seconds += perf_counter() - began
            made = np.clip(made, 0, 1)
            points = _points(frame, editor)
            values.append(_compared(made, true, points, barriers))
            shown.append(made)
            truths.append(true)
        if not values:
            raise MediaError(f"{task.clip} has fewer than two frames whose regions are known.")
        self._strip(row, task, "truth", truths)
        scores = {name: float(np.mean([found[name] for found in values])) for name in values[0]}
        networks = {name: words for name, words in (("identity", IDENTITY), ("lpips", LPIPS)) if name in scores}
        starts = "" if weights is None else "packaged weights" if contender.checkpoint is None else "given weights"
        return replace(
            row,
            scores={name: value for name, value in scores.items() if np.isfinite(value)},
            frames=len(values),
            per_frame=0.0 if contender.name == UNCHANGED else round(seconds / len(values), 4),
            movie=self._strip(row, task, contender.name, shown),
            starts=starts,
            networks=networks,
            notes=tuple(barriers.values()),
        )

    def _editor_weights(self, contender: Contender) -> Path | None:
        """What an editing contender works with; None for a baseline.

        Raises:
            CheckpointError: there are none, or they have been trained on somebody of the suite.
        """
        from understudy.perform.region_faces import find_editor

        if not contender.family:
            return None
        _, checkpoint = find_editor(contender.checkpoint, contender.family)
        refuse_if_seen(self.suite, checkpoint)
        return checkpoint

    def _editor(self, contender: Contender) -> RegionEditor | FlatEditor:
        from understudy import families

        checkpoint = self._editor_weights(contender)
        if checkpoint is None:
            return FlatEditor(self.options.size)
        return families.get(contender.family).editor(checkpoint, device=self.options.device)

    # -- frames and pictures --------------------------------------------------------------------------------------------

    def _frames(self, task: RegionTask) -> list[_Frame]:
        """The frames whose regions are known and whose face was found, evenly spread.

        Raises:
            MediaError: there is none.
            DatasetError: the regions cannot be read, or are of another size.
        """
        from understudy.dataset.suite_regions import read_suite_regions
        from understudy.errors import DatasetError
        from understudy.faces.align import canonical_transform
        from understudy.jobs.measure import PlatePerson
        from understudy.jobs.options_track import TrackOptions
        from understudy.jobs.track import track_clip
        from understudy.media.clip import open_clip

        if task.name in self._seen:
            return self._seen[task.name]
        truth = read_suite_regions(task.truth)
        plainly = TrackOptions(stabilise=False, smooth=False)  # as the truth's shake is measured: followed once
        cache = self.project.tracks
        with (
            open_clip(task.clip) as clip,
            track_clip(clip, options=plainly, finder=self.finder, cache=cache, progress=self.progress) as faces,
        ):
            person = PlatePerson(faces)
            usable = [number for number in clip.numbers if number in truth and person.face(number) is not None]
            if not usable:
                raise MediaError(f"{task.clip} shows no face in the frames whose regions are known.")
            chosen = [
                usable[int(place)]
                for place in np.unique(np.linspace(0, len(usable) - 1, min(MOST, len(usable))).round())
            ]
            frames = []
            for number in chosen:
                found = person.face(number)
                assert found is not None
                view = np.clip(clip.frame(number).view(), 0, 1).astype(np.float32)
                if truth[number].shape != view.shape[:2]:
                    raise DatasetError(
                        f"{task.truth} has maps of {truth[number].shape}, and {task.clip} frames of {view.shape[:2]}."
                    )
                points = np.asarray(found.face.landmarks)
                frames.append(
                    _Frame(
                        number=number,
                        view=view,
                        landmarks=points,
                        transform=canonical_transform(found.face),
                        truth=truth[number],
                    )
                )
        self._seen = {task.name: frames}  # one task's frames at a time
        return frames

    def _strip(self, row: Row, task: RegionTask, name: str, pictures: Sequence[np.ndarray]) -> str:
        """Write some of a contender's pictures side by side; returns the file, below the benchmark's folder."""
        from understudy.jobs.sheet import to_bytes, write_picture

        places = np.unique(np.linspace(0, len(pictures) - 1, min(_SHOWN, len(pictures))).round().astype(int))
        strip = np.concatenate([to_bytes(pictures[place], _SIDE) for place in places], 1)
        path = strip_path(self.project, row.kind, task.name, name)
        write_picture(path, strip)
        return str(path.relative_to(self.project.root))


def strip_path(project: Project, kind: str, task: str, name: str) -> Path:
    """Where a contender's pictures of a task are kept."""
    return project.root / STRIPS / f"{task}--{kind}--{name.replace(':', '-')}.png"


def read_strip(path: Path) -> list[np.ndarray]:
    """Its pictures, (s, s, 3) float32 in [0, 1]."""
    from understudy.media.clip import open_clip

    with open_clip(path) as clip:
        strip = np.clip(clip.frame(clip.numbers[0]).view(), 0, 1)
    return [strip[:, start : start + len(strip)] for start in range(0, strip.shape[1], len(strip))]


def _face(frame: _Frame, picture: np.ndarray) -> np.ndarray:
    """The head in a picture of the frame's size, for looking."""
    from understudy.perform.regions import scaled

    return np.clip(scaled(frame.transform, 0.42).to_crop(np.asarray(picture, np.float32), _SIDE), 0, 1)


def _cut(frame: _Frame, editor: RegionEditor | FlatEditor) -> tuple[np.ndarray, CropTransform]:
    from understudy.perform.regions import scaled

    transform = scaled(frame.transform, editor.oval_share)
    return np.clip(transform.to_crop(frame.view, editor.size), 0, 1), transform


def _points(frame: _Frame, editor: RegionEditor | FlatEditor) -> np.ndarray:
    from understudy.perform.regions import scaled

    return scaled(frame.transform, editor.oval_share).points_to_crop(frame.landmarks, editor.size)


def _compared(made: np.ndarray, true: np.ndarray, points: np.ndarray, barriers: Mapping[str, str]) -> dict[str, float]:
    """A made crop beside the true one, whole crops as in the paper; identity of the two faces to each other."""
    from understudy.metrics.detail import detail
    from understudy.metrics.identity import embed, missing_identity, similarity
    from understudy.metrics.lpips import lpips, missing_lpips
    from understudy.metrics.psnr import psnr
    from understudy.metrics.rmse import rmse
    from understudy.metrics.ssim import ssim

    found = {
        "ssim": ssim(made, true),
        "psnr": psnr(made, true),
        "rmse": rmse(made, true),
        "detail": detail(made, true),
    }
    if missing_lpips() is None and "lpips" not in barriers:
        found["lpips"] = lpips(made, true)
    if missing_identity() is None and "identity" not in barriers:
        found["identity"] = similarity(embed(made, points), embed(true, points))
    return found
