"""The benchmark's animations: a still of one performer does what another does, and the true film of it is known.

A model moves the expression and leaves the head where the still has it, so result and truth are each cut where their own face is
(``canonical_transform``): place, size and roll of the head fall away, its turn does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.dataset.suite import AnimateTask, Suite
from understudy.errors import CheckpointError, MediaError
from understudy.jobs.benchmark_rows import TRUTH, UNCHANGED, Row, RowStore, clip_digest, refuse_if_seen, result_path
from understudy.jobs.benchmark_swap import Contender
from understudy.jobs.evaluate_figures import IDENTITY, LPIPS
from understudy.jobs.evaluate_performance import UNITS
from understudy.jobs.options_benchmark import BenchmarkOptions
from understudy.jobs.project import Project
from understudy.metrics import expression, head_pose
from understudy.metrics.flow_warp import FLOW

if TYPE_CHECKING:
    from understudy.faces.face import Pose
    from understudy.jobs.clip_faces import ClipFaces, TrackedFace
    from understudy.jobs.performance import UnitReader
    from understudy.jobs.track import FaceFinder
    from understudy.media.clip import Clip

_NETWORKS = {
    "identity": IDENTITY,
    "lpips": LPIPS,
    "pose": head_pose.SOURCE,
    "expression": expression.MESH,
    "units": UNITS,
    "flow_warp": FLOW,
}

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A face in one frame: its crop (s, s, 3) in [0, 1], its mask (s, s), and its landmarks in plate and in crop pixels; ``fine``
    and ``fine_mask`` are crop and mask at the side at which detail is measured."""

    number: int
    crop: np.ndarray
    mask: np.ndarray
    mesh: np.ndarray
    landmarks: np.ndarray
    pose: Pose
    fine: np.ndarray
    fine_mask: np.ndarray


class AnimateBench:
    """Fills the rows of the suite's animations, one contender after the other."""

    def __init__(
        self,
        options: BenchmarkOptions,
        suite: Suite,
        project: Project,
        store: RowStore,
        progress: Progress,
        finder: FaceFinder | None = None,
        reader: UnitReader | None = None,
    ) -> None:
        self.options, self.suite, self.project, self.store = options, suite, project, store
        self.progress, self.finder, self._reader = progress, finder, reader

    def rows(self, contender: Contender, tasks: Sequence[AnimateTask]) -> list[Row]:
        """The contender's rows, made or kept."""

        def answer(task: AnimateTask) -> Row:
            row = Row(contender=contender.name, kind="animate", task=task.name)
            return self.store.answered(row, lambda: self._asked(contender, task), lambda: self._row(contender, task))

        return [answer(task) for task in tasks]

    def _weights(self, contender: Contender) -> Path | None:
        """What an animating contender performs with; None for a baseline.

        Raises:
            CheckpointError: it comes without weights, or has been trained on somebody of the suite.
        """
        from understudy import families

        if not contender.family:
            return None
        weights = contender.checkpoint or families.get(contender.family).default_weights
        if weights is None or not weights.is_file():
            raise CheckpointError(
                f"{contender.family} comes without weights here; train it, then name the result with --run {contender.family}=RUN."
            )
        refuse_if_seen(self.suite, weights)
        return weights

    def _asked(self, contender: Contender, task: AnimateTask) -> dict[str, Any]:
        from understudy import __version__
        from understudy.metrics.identity import missing_identity
        from understudy.metrics.lpips import missing_lpips
        from understudy.provenance.record import path_sha256

        weights = self._weights(contender)
        return {
            "contender": contender.name,
            "weights": path_sha256(weights) if weights else None,
            "clips": [clip_digest(path) for path in (task.still, task.drive, task.truth)],
            "frame": task.frame,
            "person": task.person,
            "neutral": self._neutral(contender, task),
            "every": self.options.every,
            "size": self.options.size,
            "evaluators": [missing_identity() is None, missing_lpips() is None],
            "version": __version__,
        }

    def _row(self, contender: Contender, task: AnimateTask) -> Row:
        from understudy.jobs.evaluate_judges import barred
        from understudy.media.clip import open_clip

        row = Row(contender=contender.name, kind="animate", task=task.name)
        still = self.still(task)
        movie = {TRUTH: task.truth, UNCHANGED: still}.get(contender.name)
        if movie is None:
            movie = result_path(self.project.renders / contender.folder, task.name, task.drive)
            began = perf_counter()
            made, seconds = self._animate(contender, task, still, movie)
            row = replace(
                row,
                movie=str(movie.relative_to(self.project.root)),
                per_frame=round((perf_counter() - began if not made else seconds) / max(made, 1), 4),
                starts="packaged weights" if contender.checkpoint is None else "given weights",
            )
        else:
            row = replace(row, movie=str(movie))
        with ExitStack() as stack:
            truth, result = (stack.enter_context(open_clip(path)) for path in (task.truth, movie))
            weights = self._weights(contender)
            return self._scored(row, truth, result, still, barred(weights))

    def still(self, task: AnimateTask) -> Path:
        """The task's still as a picture: itself, or one frame of a clip."""
        from understudy.media.clip import open_clip
        from understudy.media.formats.picture_writer import encode_picture
        from understudy.provenance.atomic import write_bytes

        with open_clip(task.still) as clip:
            if clip.kind == "still":
                return task.still
            target = self.project.root / "stills" / f"{task.name}.png"
            if not target.is_file():
                write_bytes(target, encode_picture(clip.frame(task.frame), ".png"))
        return target

    def _animate(self, contender: Contender, task: AnimateTask, still: Path, movie: Path) -> tuple[int, float]:
        from understudy.jobs.animate import AnimateOptions, animate_still

        options = AnimateOptions(
            still=str(still),
            drive=str(task.drive),
            output=movie,
            identity=task.person,
            project=self.project.root,
            method=contender.family,
            run=str(contender.checkpoint) if contender.checkpoint else None,
            ease=0.0,  # the truth does not begin as the still does
            neutral=self._neutral(contender, task),
            device=self.options.device,
        )
        report = animate_still(options, self._named(task.name), finder=self.finder, reader=self._reader)
        return report.made, report.seconds["all"] - report.seconds["track"]

    def _neutral(self, contender: Contender, task: AnimateTask) -> str:
        """The drive's frame from which the head's turning counts.

        A still that is a frame of the truth looks where the performer looks in that very frame, which need not be where they
        mostly look. Models that are told units leave the head alone, and read a face at rest better from many frames.
        """
        from understudy import families
        from understudy.media.clip import open_clip

        weights = self._weights(contender)
        if weights is None or task.still != task.truth:
            return "auto"
        if "units" in families.get(contender.family).animator(weights, device="cpu").signals:
            return "auto"
        with open_clip(task.truth) as truth, open_clip(task.drive) as drive:
            place = list(truth.numbers).index(task.frame) if task.frame in truth.numbers else len(drive)
            return str(drive.numbers[place]) if place < len(drive) else "auto"

    # -- measuring ----------------------------------------------------------------------------------------------------

    def _scored(self, row: Row, truth: Clip, result: Clip, still: Path, barriers: Mapping[str, str]) -> Row:
        from understudy.jobs.animation_scores import missing_measures
        from understudy.jobs.performance import MeshUnits

        reader = self._reader or MeshUnits()
        person = None if "identity" in barriers else self._person(still)
        values: dict[str, list[float]] = {}
        meshes: list[tuple[np.ndarray, np.ndarray]] = []
        numbers: list[int] = []
        colours: list[tuple[np.ndarray, np.ndarray]] = []
        before: tuple[_Seen, _Seen] | None = None
        for now, wanted in self._pairs(truth, result):
            for name, value in self._compared(now, wanted, before, person, barriers).items():
                values.setdefault(name, []).append(value)
            colours.append((_colour(now), _colour(wanted)))
            meshes.append((now.mesh, wanted.mesh))
            numbers.append(wanted.number)
            before = (now, wanted)
        if not numbers:
            raise MediaError(f"{truth.source} and {result.source} have no frame in which both show a face.")
        scores = {name: float(np.mean(found)) for name, found in values.items()}
        scores |= _over_the_clip(meshes, numbers, colours, reader)
        if row.contender == TRUTH:  # against itself only what needs no truth says anything
            scores = {name: value for name, value in scores.items() if name in ("identity", "jitter", "flow_warp")}
        if row.contender == UNCHANGED:  # nothing moves
            scores = {name: value for name, value in scores.items() if name not in ("jitter", "flow_warp")}
        scores = {name: value for name, value in scores.items() if math.isfinite(value)}  # too few frames to tell
        notes = dict.fromkeys((*row.notes, *barriers.values(), *missing_measures()))
        networks = {name: words for name, words in _NETWORKS.items() if name in scores}
        return replace(row, scores=scores, frames=len(numbers), notes=tuple(notes), networks=networks)

    def _compared(
        self,
        now: _Seen,
        wanted: _Seen,
        before: tuple[_Seen, _Seen] | None,
        person: np.ndarray | None,
        barriers: Mapping[str, str],
    ) -> dict[str, float]:
        from understudy.metrics.detail import detail
        from understudy.metrics.flicker import flicker
        from understudy.metrics.flow_warp import flow_warping_error
        from understudy.metrics.head_pose import pose_distance
        from understudy.metrics.identity import embed, similarity
        from understudy.metrics.lpips import lpips, missing_lpips
        from understudy.metrics.psnr import psnr
        from understudy.metrics.rmse import rmse
        from understudy.metrics.ssim import ssim

        found = {
            "ssim": ssim(now.crop, wanted.crop, mask=wanted.mask),
            "psnr": psnr(now.crop, wanted.crop, mask=wanted.mask),
            "rmse": rmse(now.crop, wanted.crop, mask=wanted.mask),
            "detail": detail(now.fine, wanted.fine, mask=wanted.fine_mask),
            "pose": pose_distance(now.pose, wanted.pose),
        }
        if missing_lpips() is None and "lpips" not in barriers:
            found["lpips"] = lpips(now.crop, wanted.crop, mask=wanted.mask)
        if person is not None:
            found["identity"] = similarity(embed(now.crop, now.landmarks), person)
        if before is not None and wanted.number - before[1].number == self.options.every:
            mask = wanted.mask * before[1].mask
            found["flicker"] = flicker(now.crop, before[0].crop, wanted.crop, before[1].crop, mask=mask)
            if now is not before[0]:
                warped = flow_warping_error(before[0].crop, now.crop, mask=before[0].mask)
                if warped.visible > 0:
                    found["flow_warp"] = 1000 * warped.error
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _pairs(self, truth: Clip, result: Clip) -> Iterator[tuple[_Seen, _Seen]]:
        """The result's face and the truth's in every frame where both have one; a still stands throughout."""
        with self._tracked(truth) as wanted, self._tracked(result) as found:
            true_person, person = _largest(wanted), _largest(found)
            still = _seen(result, person, result.numbers[0], self.options.size) if result.kind == "still" else None
            for place, number in enumerate(truth.numbers):
                self.progress("measure", place, len(truth))
                if place % self.options.every or (still is None and place >= len(result)):
                    continue
                true = _seen(truth, true_person, number, self.options.size)
                own = still or _seen(result, person, result.numbers[place], self.options.size)
                if true is not None and own is not None:
                    yield own, true
            self.progress("measure", len(truth), len(truth))

    def _tracked(self, clip: Clip) -> ClipFaces:
        from understudy.jobs.track import track_clip

        return track_clip(clip, finder=self.finder, cache=self.project.tracks, progress=self._named(clip.source.stem))

    def _person(self, still: Path) -> np.ndarray | None:
        """What the still's face is to the identity network."""
        from understudy.media.clip import open_clip
        from understudy.metrics.identity import embed, missing_identity

        if missing_identity() is not None:
            return None
        with open_clip(still) as clip, self._tracked(clip) as faces:
            seen = _seen(clip, _largest(faces), clip.numbers[0], self.options.size)
        if seen is None:
            raise MediaError(f"{still} shows no face.")
        return embed(seen.crop, seen.landmarks)

    def _named(self, name: str) -> Progress:
        return lambda stage, done, total: self.progress(f"{stage} {name}", done, total)


def _colour(seen: _Seen) -> np.ndarray:
    from understudy.metrics.colour_drift import face_colour

    return face_colour(seen.crop, seen.mask)


def _over_the_clip(
    meshes: Sequence[tuple[np.ndarray, np.ndarray]],
    numbers: Sequence[int],
    colours: Sequence[tuple[np.ndarray, np.ndarray]],
    reader: UnitReader,
) -> dict[str, float]:
    """The measures that want all frames: result and truth by frame -> measure -> value.

    Both are read against the truth's face at rest: it is the same person, and where they rest is part of the answer.
    """
    from understudy.metrics.action_units import unit_error
    from understudy.metrics.colour_drift import colour_drift
    from understudy.metrics.expression import mesh_distance
    from understudy.metrics.jitter import landmark_jitter

    own, true = (np.stack([pair[place] for pair in meshes]) for place in (0, 1))
    rest, calm = reader.rest_of(true), true[int(reader.quiet_of(true)[0])]
    drift = colour_drift(*(np.stack([pair[place] for pair in colours]) for place in (0, 1)))
    return {
        "units": unit_error(reader.measure(own, rest), reader.measure(true, rest)),
        "expression": float(np.mean([mesh_distance(a, calm, b, calm) for a, b in zip(own, true, strict=True)])),
        "jitter": landmark_jitter(own, numbers),
        "colour": drift.drift,
        "colour_offset": drift.offset,
    }


def _largest(faces: ClipFaces) -> Callable[[int], TrackedFace | None]:
    from understudy.jobs.measure import PlatePerson

    return PlatePerson(faces).face


def _seen(clip: Clip, person: Callable[[int], TrackedFace | None], number: int, size: int) -> _Seen | None:
    from understudy.faces.parse import face_mask
    from understudy.jobs.evaluate_scale import SIDE

    tracked = person(number)
    if tracked is None:
        return None
    view = clip.frame(number).view()
    crops = {side: np.clip(tracked.transform.to_crop(view, side), 0, 1) for side in {size, SIDE}}
    points = {side: tracked.transform.points_to_crop(tracked.face.landmarks, side) for side in crops}
    return _Seen(
        number=number,
        crop=crops[size],
        mask=face_mask(points[size], size),
        mesh=np.asarray(tracked.face.landmarks),
        landmarks=points[size],
        pose=tracked.face.pose,
        fine=crops[SIDE],
        fine_mask=face_mask(points[SIDE], SIDE),
    )
