"""A plate and a model to a finished shot.

Faces are followed through the whole plate first (the tracks are kept, and shared with gathering). Then frames are
made in order, each written whole; a stopped run goes on with the frames that are missing. Frames without a usable
face pass through untouched and are listed with their reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy import __version__
from understudy.composite.matte import OcclusionHook
from understudy.composite.own_detail import OwnDetail
from understudy.errors import CheckpointError, DatasetError, FaceError, OptionError
from understudy.jobs.clip_faces import ClipFaces, Jitter, TrackedFace
from understudy.jobs.options_swap import SwapOptions
from understudy.jobs.parsers import named_parser
from understudy.jobs.people import Person, choose_person, describe_people, people_of, write_people_sheet
from understudy.jobs.project import Project, find_project, require_consent
from understudy.jobs.regional_drive import find_reenactor
from understudy.jobs.regional_shot import RegionalShot, open_regional
from understudy.jobs.regional_source import source_consent
from understudy.jobs.shot_frames import MeshMeasure, Recipe, Seconds, ShotFrame, mesh_measure, swap_frames
from understudy.jobs.shot_layers import matte_layer, raw_layer, sheet_numbers, write_shot_sheet
from understudy.jobs.track import FaceFinder, MediaPipeFinder, track_clip
from understudy.media.clip import Clip, ClipWriter, create_clip, open_clip
from understudy.media.pattern import Pattern
from understudy.perform.region_faces import find_editor
from understudy.perform.regions import RegionOcclusion
from understudy.perform.swap import check_identity, open_performer
from understudy.provenance.record import DIGITAL_SOURCE_TYPE, RunRecord
from understudy.provenance.stamp import Stamp

if TYPE_CHECKING:
    from understudy.family import Family, Parser, Performer

__all__ = ["PassedFrame", "SwapOptions", "SwapReport", "swap_shot"]

Progress = Callable[[str, int, int | None], None]

# What does not change a frame's pixels stays out of the record's digest, which tells one job's frames from another's.
_INDIFFERENT = ("output", "first", "last", "mattes", "raw_faces", "device", "project", "consent", "run")


@dataclass(frozen=True, kw_only=True)
class PassedFrame:
    """A frame that passed through untouched, and why."""

    number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class SwapReport:
    """What swapping a shot did.

    Attributes:
        output: the shot; a pattern for sequences.
        model: the checkpoint.
        num_frames: frames of the shot.
        swapped: how many got the face, in this run or an earlier one of the same job.
        made: how many frames this run wrote.
        passed_through: frames that were left as they are.
        seconds: by stage: "track", "perform", "composite", "write", "all".
        jitter: shake in plate pixels before and after stabilising, of the longest track.
        sheet: a picture of some of the frames, None where no face was swapped.
        people_sheet: everybody in the plate, where there are several.
        record: the run record.
    """

    output: Path
    model: Path
    identity: str
    num_frames: int
    swapped: int
    made: int
    passed_through: tuple[PassedFrame, ...]
    seconds: Mapping[str, float]
    jitter: Jitter | None
    sheet: Path | None
    people_sheet: Path | None
    mattes: Path | None
    raw_faces: Path | None
    record: Path

    @property
    def frames_per_second(self) -> float:
        """Frames made per second of this run, tracking included."""
        return self.made / max(self.seconds["all"], 1e-9)


def swap_shot(
    options: SwapOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    performer: Performer | None = None,
    finder: FaceFinder | None = None,
    measure: MeshMeasure | None = None,
    occlusion: OcclusionHook | None = None,
    parser: Parser | None = None,
) -> SwapReport:
    """Swap a face in a shot. The same call goes on where a stopped one was.

    Args:
        options: what and how.
        progress: called with (stage, done, total); stages are "track", "smooth" and "swap".
        performer: a model already open, instead of the one that ``options.run`` names.
        finder: what finds the plate's faces; None for MediaPipe's models on this machine.
        measure: what finds the mesh of generated faces, for ``options.outline`` and own detail; None for MediaPipe's
            models, or nothing where another finder is given.
        occlusion: says what stands in front of the face, see :class:`~understudy.composite.matte.OcclusionHook`.
        parser: what tells regions apart, for methods that go by them; None for the one that the options name.

    Raises:
        OptionError: options that do not fit together, an unknown run or identity.
        ConsentError: the identity may not be rendered.
        CheckpointError: the model cannot be read, or does not swap.
        MediaError: the plate cannot be read, or the output cannot be of that kind.
        FaceError: no face, several people and none chosen, or no usable face.
        WeightsError: the face models are not on this machine.
        StorageError: full disk or no permission; finished frames stay.
    """
    started = perf_counter()
    project = find_project(options.project, required=False)
    if options.project is not None and project is None:
        raise OptionError(f"--project {options.project} is no project: it has no cast.toml.")
    regional = _regional(options, project)
    if regional is not None:
        model = regional[1]
        find_reenactor(options.regional.reenact)  # said before the plate is read
        name, consent = source_consent(options.identity, project, options.consent)
    else:
        model = _model(options, project)
        name = options.identity
        consent = require_consent(name, "render", project=project, consent=options.consent)
    if options.parser is not None and regional is None and options.occlusion != "regions":
        raise OptionError("--parser: this swap goes by no regions; add --occlusion regions, or leave --parser out.")
    if parser is None and (regional is not None or (options.occlusion == "regions" and occlusion is None)):
        parser = named_parser(options.parser, project, device=options.device)
    with ExitStack() as stack:
        # Faces are followed through all of the plate, whichever part is rendered, so that every part gets the same
        # crops.
        plate = stack.enter_context(open_clip(options.plate))
        part = plate
        if options.first is not None or options.last is not None:
            part = stack.enter_context(open_clip(options.plate, first=options.first, last=options.last))
        destination = options.output or _default_output(plate, options.identity, project)
        if regional is None:
            performer = performer or open_performer(model, device=options.device)
            check_identity(performer.identities, options.identity)
        own_detail = _own_detail(options, project, stack) if regional is None else None
        wants_mesh = options.outline or own_detail is not None
        if wants_mesh and regional is None and measure is None and isinstance(finder, MediaPipeFinder | None):
            from understudy.faces.landmarks import LandmarkModel
            from understudy.faces.models import find_models

            measure = mesh_measure(LandmarkModel(find_models()))
        finder = finder or MediaPipeFinder(options.track)
        cache = project.tracks if project else None
        faces = stack.enter_context(
            track_clip(plate, options=options.track, finder=finder, cache=cache, progress=progress)
        )
        tracked = perf_counter()

        record = RunRecord.begin("swap", options, digital_source_type=DIGITAL_SOURCE_TYPE)
        record.options = {name: value for name, value in record.options.items() if name not in _INDIFFERENT}
        record.options["own_detail_pictures"] = len(own_detail) if own_detail is not None and measure is not None else 0
        record.inputs[str(options.plate)] = faces.sha256
        record.add_weights(model)
        record.weights.update(finder.weights)
        record.add_consent(name, consent)
        if options.occlusion == "regions" and occlusion is None:
            assert parser is not None
            if parser.source is not None:
                record.add_weights(parser.source)
            occlusion = RegionOcclusion(parser)
        by_region: RegionalShot | None = None
        if regional is not None:
            assert parser is not None
            by_region = open_regional(
                options,
                regional[0],
                model,
                project=project,
                finder=finder,
                parser=parser,
                record=record,
                progress=progress,
            )
        writers = stack.enter_context(_Writers(options, destination, part, record))
        beside = writers.shot.destination
        people = people_of(faces)
        several = sum(not person.passing for person in people) > 1
        people_sheet = _beside(beside, "people.png")
        if several:
            write_people_sheet(plate, faces, people, people_sheet)
        tracks = _tracks(options, people, plate, people_sheet)
        plan = ShotPlan(faces, tracks, options)
        if not any(number in plan for number in part.numbers):
            raise FaceError(f"No frame of {options.plate} has a usable face: {_tally(plan, part.numbers)}.")

        composite = options.composite
        if by_region is not None:
            needed = {*part.numbers} - {*writers.done} | {*sheet_numbers(plan, part.numbers)}
            about = range(-options.steady, options.steady + 1)  # whose colours are averaged
            by_region.prepare(plate, plan, progress, needed={number + shift for number in needed for shift in about})
            if options.regional.light != "plate":
                composite = replace(composite, colour_match="none", contrast="none")
        used = by_region or performer
        assert used is not None
        seconds = Seconds()
        recipe = Recipe(
            performer=used,
            identity=options.identity,
            composite=composite,
            steady=options.steady,
            measure=measure if wants_mesh else None,
            outline=options.outline,
            own_detail=own_detail,
            occlusion=occlusion,
            raw=options.raw_faces is not None,
        )
        todo = [number for number in part.numbers if number not in writers.done]
        done = len(part) - len(todo)
        progress("swap", done, len(part))
        for place, shot in enumerate(swap_frames(plate, plan, todo, recipe, seconds), done + 1):
            writers.write(shot)
            progress("swap", place, len(part))
        writers.finish()
        written = perf_counter()

        sheet = _sheet(options, plate, part, writers.shot, plan, used)
        passed = tuple(
            PassedFrame(number=number, reason=plan.reasons[number]) for number in part.numbers if number not in plan
        )
        jitter = _jitter(faces, tracks)
        timing = {
            "track": tracked - started,
            "perform": seconds.perform,
            "composite": seconds.composite,
            "write": writers.seconds,
            "all": written - started,
        }
        record.figures = {
            "output": str(beside),
            "frames": [int(part.numbers[0]), int(part.numbers[-1])],
            "swapped": len(part) - len(passed),
            "passed_through": [[frame.number, frame.reason] for frame in passed],
            "seconds": {name: round(value, 3) for name, value in timing.items()},
        }
        return SwapReport(
            output=beside,
            model=model,
            identity=options.identity,
            num_frames=len(part),
            swapped=len(part) - len(passed),
            made=len(todo),
            passed_through=passed,
            seconds=timing,
            jitter=jitter,
            sheet=sheet,
            people_sheet=people_sheet if several else None,
            mattes=writers.mattes.destination if writers.mattes else None,
            raw_faces=writers.raw.destination if writers.raw else None,
            record=record.write(beside),
        )


class ShotPlan:
    """Which faces of which frames are swapped, and why the others are not. Holds numbers only; meshes stay on disk.

    Attributes:
        reasons: by number, for the frames that pass through.
    """

    def __init__(self, faces: ClipFaces, tracks: Sequence[int] | None, options: SwapOptions) -> None:
        self._faces = faces
        self._usable: dict[int, tuple[int, ...]] = {}
        self.reasons: dict[int, str] = {}
        for number, found in faces:
            chosen = [one for one in found if tracks is None or one.face.track in tracks]
            refusals = [_refusal(one, options) for one in chosen]
            usable = tuple(one.face.track for one, refusal in zip(chosen, refusals, strict=True) if refusal is None)
            if usable:
                # One person is one face a frame, even where two of their tracks overlap.
                self._usable[number] = usable if tracks is None else usable[:1]
            else:
                self.reasons[number] = refusals[0] if refusals and refusals[0] else _absent(bool(found))

    def __contains__(self, number: int) -> bool:
        return number in self._usable

    def __getitem__(self, number: int) -> list[TrackedFace]:
        tracks = self._usable[number]
        return [found for found in self._faces.faces(number) if found.face.track in tracks]


class _Writers:
    """The shot and its layers, written frame by frame."""

    def __init__(self, options: SwapOptions, destination: Path, part: Clip, record: RunRecord) -> None:
        job = record.digest()
        stamp = Stamp(software=f"Understudy {__version__}", record_sha256=job)
        # The shot comes first: what is wrong with its name is said before the layers' folders are made.
        self._stack = ExitStack()
        with ExitStack() as opening:
            self.shot = opening.enter_context(
                create_clip(destination, like=part, stamp=stamp, codec=options.codec, quality=options.quality, job=job)
            )
            layers = [
                opening.enter_context(_layer(path, part, stamp, job)) if path is not None else None
                for path in (options.mattes, options.raw_faces)
            ]
            self._stack = opening.pop_all()
        self.mattes, self.raw = layers
        self.seconds = 0.0

    @property
    def _all(self) -> list[ClipWriter]:
        return [writer for writer in (self.mattes, self.raw, self.shot) if writer is not None]

    @property
    def done(self) -> set[int]:
        return set.intersection(*(set(writer.done) for writer in self._all))

    def write(self, shot: ShotFrame) -> None:
        started = perf_counter()
        number = shot.plate.number
        if self.mattes is not None and number not in self.mattes.done:
            self.mattes.write(matte_layer(shot.plate, shot.patches, like=self.mattes.destination))
        if self.raw is not None and number not in self.raw.done:
            self.raw.write(raw_layer(shot.plate, shot.patches, like=self.raw.destination))
        if number not in self.shot.done:
            self.shot.write(shot.result)
        self.seconds += perf_counter() - started

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *error: Any) -> None:
        # In good order every writer finishes its clip; after an exception each keeps its whole frames for the next run.
        self.finish(*error)

    def finish(self, kind: Any = None, error: Any = None, trace: Any = None) -> None:
        """Close all writers; once only, however often it is called."""
        started = perf_counter()
        stack, self._stack = self._stack, ExitStack()
        stack.__exit__(kind, error, trace)
        self.seconds += perf_counter() - started


def _layer(destination: Path, part: Clip, stamp: Stamp, job: str) -> ClipWriter:
    if Pattern.of(destination) is None and len(part) > 1:
        raise OptionError(
            f"{destination} is one name for {len(part)} pictures; name a pattern such as "
            f"{destination.with_name(f'{destination.stem or destination.name}.####.png')}."
        )
    return create_clip(destination, like=part, stamp=stamp, job=job)


def _regional(options: SwapOptions, project: Project | None) -> tuple[Family, Path] | None:
    """The family and checkpoint of a swap region by region; None where the options mean another kind of swap."""
    from understudy import families
    from understudy.checkpoint import read_card
    from understudy.family import Task
    from understudy.jobs.train import resolve_checkpoint

    checkpoint = resolve_checkpoint(options.run, project) if options.run is not None else None
    name = options.method if options.method is not None or checkpoint is None else read_card(checkpoint).family
    if name is None or name not in families.names():
        if options.method is not None:
            raise OptionError(f"--method {options.method}: the families are {', '.join(families.names())}.")
        return None
    tasks = families.get(name).tasks
    if Task.EDIT in tasks and Task.SWAP not in tasks:
        return find_editor(checkpoint, name)
    if options.method is not None and Task.SWAP not in tasks:
        raise OptionError(
            f"--method {options.method} does {', '.join(sorted(tasks)) or 'nothing'} but no swap; choose another."
        )
    return None


def _model(options: SwapOptions, project: Project | None) -> Path:
    """The checkpoint that the options mean."""
    from understudy.checkpoint import read_card
    from understudy.jobs.train import resolve_checkpoint

    if options.run is not None:
        return resolve_checkpoint(options.run, project)
    if project is None:
        raise OptionError("Outside a project, name the model with --run CHECKPOINT.")
    models = sorted(project.runs.glob("*/model.safetensors"), key=lambda path: -path.stat().st_mtime)
    known: set[str] = set()
    for model in models:
        try:
            identities = read_card(model).network.get("identities", ())
        except CheckpointError:
            continue  # a damaged older run is no reason to refuse a good one; naming it with --run says what is wrong
        if options.identity in identities:
            return model
        known.update(identities)
    if not models:
        raise OptionError(f"{project.runs} holds no trained model yet; run 'understudy train' first, or give --run.")
    raise OptionError(
        f"--identity {options.identity}: no model in {project.runs} knows this name; "
        f"they know {', '.join(sorted(known)) or 'nobody'}."
    )


def _own_detail(options: SwapOptions, project: Project | None, stack: ExitStack) -> OwnDetail | None:
    """The identity's own footage, for its fine detail; None where it is not wanted or not gathered."""
    if project is None or options.composite.own_detail == 0 or options.identity not in project.gathered():
        return None
    try:
        return stack.enter_context(OwnDetail(project.faces(options.identity)))
    except DatasetError:
        return None  # every picture was dropped since training: the model still swaps


def _default_output(plate: Clip, identity: str, project: Project | None) -> Path:
    if project is None:
        raise OptionError("Outside a project, say where the shot goes with --output.")
    stem = plate.source.name.split(".")[0].rstrip("#%@_-") or "shot"
    name = f"{stem}_as_{Path(identity).stem}"
    if plate.kind == "sequence":
        return project.renders / name / plate.source.name
    return project.renders / f"{name}{plate.source.suffix}"


def _tracks(options: SwapOptions, people: Sequence[Person], plate: Clip, sheet: Path) -> tuple[int, ...] | None:
    """The tracks that get the face; None for all."""
    if options.everyone and people:
        return None
    try:
        return choose_person(people, options.person, clip=plate, identity=options.identity, sheet=sheet).tracks
    except FaceError as error:
        staying = [person for person in people if not person.passing]
        if len(staying) < 2 or options.person:
            raise
        # Gathering's sentence speaks of naming several; a swap puts one face on.
        raise FaceError(
            f"{options.plate} shows {len(staying)} people: {describe_people(staying)}. Say who gets the face with "
            f"--person NUMBER, or --everyone; {sheet} shows them."
        ) from error


def _refusal(found: TrackedFace, options: SwapOptions) -> str | None:
    """Why a face cannot be swapped, or None."""
    face = found.face
    if face.visible < options.min_visible:
        return f"half out of frame: {face.visible:.0%} of the face is inside"
    if abs(face.pose.yaw) > options.max_yaw:
        return f"profile: turned by {abs(face.pose.yaw):.0f}°, over {options.max_yaw:.0f}°"
    if not np.isfinite(face.landmarks).all():
        return "the face's mesh is not finite"
    return None


def _absent(anybody: bool) -> str:
    return "somebody else's face only" if anybody else "no face found"


def _tally(plan: ShotPlan, numbers: Sequence[int]) -> str:
    counts: dict[str, int] = {}
    for number in numbers:
        kind = plan.reasons.get(number, "not looked at").split(":")[0]
        counts[kind] = counts.get(kind, 0) + 1
    return ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items(), key=lambda item: -item[1]))


def _beside(output: Path, ending: str) -> Path:
    """A file beside the output: ``shot.mp4`` -> ``shot.people.png``, ``shot.####.exr`` -> ``shot.people.png``."""
    stem = output.name.split(".")[0].rstrip("#%@_-") or "shot"
    return output.with_name(f"{stem}.{ending}")


def _sheet(
    options: SwapOptions,
    plate: Clip,
    part: Clip,
    writer: ClipWriter,
    plan: ShotPlan,
    performer: Performer | RegionalShot,
) -> Path:
    output = writer.destination
    pictures = Pattern.of(output) is not None
    # A movie counts its frames from 1, whatever the plate's numbers.
    places = {number: place for place, number in enumerate(part.numbers, 1)}
    with open_clip(output, missing="skip") as result:
        single = result.kind == "still"
        return write_shot_sheet(
            _beside(output, "sheet.png"),
            plate=plate,
            result=result,
            result_number=lambda number: number if pictures else result.numbers[0] if single else places[number],
            plan=plan,
            numbers=sheet_numbers(plan, part.numbers),
            performer=performer,
            identity=options.identity,
        )


def _jitter(faces: ClipFaces, tracks: Sequence[int] | None) -> Jitter | None:
    chosen = [track for track in faces.tracks if tracks is None or track.track in tracks]
    return max(chosen, key=lambda track: track.num_frames).jitter if chosen else None
