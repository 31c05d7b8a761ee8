"""A still and a performance to a moving picture, at the still's own resolution.

The still's head is found once. What it is to do is worked out for all frames first; then frames are made in order, each
written whole; a stopped run goes on with the frames that are missing. Only pixels of the head's window that move are
written; all others, and the whole of a frame without strength, are the still's own bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from understudy import __version__
from understudy.composite.head import HeadPatch, HeadWindow, head_box
from understudy.errors import MediaError, OptionError
from understudy.faces.align import CropTransform, canonical_transform
from understudy.faces.face import Face
from understudy.jobs.animate_casting import Casting
from understudy.jobs.animate_landmarks import landmark_notes
from understudy.jobs.animate_sheet import write_animation_sheet
from understudy.jobs.options_animate import AnimateOptions
from understudy.jobs.performance import FilledFrame, UnitReader, check_signals
from understudy.jobs.picture_consent import picture_consent
from understudy.jobs.project import CAST_FILE, Project, find_project
from understudy.jobs.still_clip import StillClip, moving_channels, with_head
from understudy.jobs.track import FaceFinder, MediaPipeFinder
from understudy.media.clip import Clip, create_clip, open_clip
from understudy.media.frame import Frame
from understudy.perform.animate import animate_crops, find_animators, rest_of, rows_of
from understudy.provenance.cast import Consent
from understudy.provenance.record import DIGITAL_SOURCE_TYPE, RunRecord
from understudy.provenance.stamp import Stamp

if TYPE_CHECKING:
    from understudy.family import Animator, Drive

__all__ = ["AnimateOptions", "AnimateReport", "animate_still"]

Progress = Callable[[str, int, int | None], None]

# What does not change a frame's pixels stays out of the record's digest, which tells one job's frames from another's.
_INDIFFERENT = ("output", "device", "project", "consent", "run")


@dataclass(frozen=True, kw_only=True)
class AnimateReport:
    """What animating a still did.

    Attributes:
        output: the moving picture; a pattern for sequences.
        model: the checkpoint; ``family`` is whose.
        num_frames: frames of the output; ``made`` of them were written by this run, the others by an earlier one.
        rate: frames a second.
        window: x0, y0, x1, y1 in pixels of the still; nothing outside it changed.
        head_side: side of the head's crop in pixels of the still; the model sees it at ``model_side`` pixels.
        filled: frames of the driving clip or curves that had no measurement, and why.
        notes: what a person should know about this still, in sentences.
        seconds: by stage: "track", "perform", "composite", "write", "all".
        sheet: a picture of some of the frames.
        people_sheet, performer_sheet: everybody in the still, or in the driving clip, where there are several.
        record: the run record.
    """

    output: Path
    model: Path | None
    family: str
    num_frames: int
    made: int
    rate: Fraction
    window: tuple[int, int, int, int]
    head_side: float
    model_side: int
    filled: tuple[FilledFrame, ...]
    notes: tuple[str, ...]
    seconds: Mapping[str, float]
    sheet: Path
    people_sheet: Path | None
    performer_sheet: Path | None
    record: Path

    @property
    def frames_per_second(self) -> float:
        """Frames made per second of this run, tracking included."""
        return self.made / max(self.seconds["all"], 1e-9)


def animate_still(
    options: AnimateOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    animator: Animator | None = None,
    finder: FaceFinder | None = None,
    reader: UnitReader | None = None,
) -> AnimateReport:
    """Bring a still to life. The same call goes on where a stopped one was.

    Args:
        options: what and how.
        progress: called with (stage, done, total); stages are "track", "smooth", "animate" and "encode".
        animator: a model already open, instead of the one that the options name.
        finder: what finds faces; None for MediaPipe's models on this machine.
        reader: what reads action units off faces; None for the packaged model.

    Raises:
        OptionError: options that do not fit together, an unknown run, or an expression that the model does not know.
        ConsentError: whoever is in the still may not be rendered.
        CheckpointError: the model cannot be read, or does not animate.
        MediaError: still, clip or curves cannot be read, or the output cannot be of that kind.
        FaceError: no face, several and none chosen, or an unusable one.
        WeightsError: the face models are not on this machine.
        StorageError: full disk or no permission; finished frames stay.
    """
    started = perf_counter()
    project = find_project(options.project, required=False)
    if options.project is not None and project is None:
        raise OptionError(f"--project {options.project} is no project: it has no {CAST_FILE}.")
    name, consent = _consent(options, project)
    with ExitStack() as stack:
        still = stack.enter_context(_open_still(options.still))
        destination = options.output or _default_output(options, still, project)
        model, family = None, "given"
        if animator is None:
            animator, family, model = _open_animator(options, project)
        else:
            check_signals(options, animator)
        record = RunRecord.begin("animate", options, digital_source_type=DIGITAL_SOURCE_TYPE)
        record.options = {key: value for key, value in record.options.items() if key not in _INDIFFERENT}
        record.add_consent(name, consent)
        if model is not None:
            record.add_weights(model)
        casting = Casting(options, project, finder or MediaPipeFinder(options.track), reader, progress, record)
        face, people_sheet = casting.face_of(still, _beside(destination, "people.png"))
        performance, performer_sheet = casting.performance(animator, face, _beside(destination, "performers.png"))
        record.weights.update(casting.finder.weights)
        tracked = perf_counter()

        clip = StillClip(still, numbers=performance.numbers, rate=performance.rate)
        transform = canonical_transform(face, oval_share=animator.oval_share)
        box = head_box(transform, clip.size)
        window = HeadWindow(
            moving_channels(clip.picture, box),
            box,
            transform,
            animator.size,
            method=options.warp,
            margin=options.margin,
            replace=performance.drive.landmarks is not None,
        )
        seconds = {"track": tracked - started, "perform": 0.0, "composite": 0.0, "write": 0.0}
        job = record.digest()
        with create_clip(
            destination,
            like=clip,
            stamp=Stamp(software=f"Understudy {__version__}", record_sha256=job),
            codec=options.codec,
            quality=options.quality,
            job=job,
            progress=progress,
        ) as writer:
            todo = [number for number in clip.numbers if number not in writer.done]
            done = len(clip) - len(todo)
            progress("animate", done, len(clip))
            frames = animated_frames(clip, todo, window, performance.drive, animator, seconds)
            for place, frame in enumerate(frames, done + 1):
                began = perf_counter()
                writer.write(frame)
                seconds["write"] += perf_counter() - began
                progress("animate", place, len(clip))
            closing = perf_counter()
        seconds["write"] += perf_counter() - closing

        output = writer.destination
        sheet = write_animation_sheet(
            _beside(output, "sheet.png"),
            output=output,
            clip=clip,
            transform=transform,
            window=window,
            drive=performance.drive,
            animator=animator,
        )
        seconds["all"] = perf_counter() - started
        notes = (*_notes(face, transform, clip, animator, window), *landmark_notes(performance))
        record.figures = {
            "output": str(output),
            "frames": [clip.numbers[0], clip.numbers[-1]],
            "rate": str(clip.rate),
            "window": list(box),
            "filled": [[frame.number, frame.reason] for frame in performance.filled],
            "notes": list(notes),
            "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        }
        return AnimateReport(
            output=output,
            model=model,
            family=family,
            num_frames=len(clip),
            made=len(todo),
            rate=clip.rate,
            window=box,
            head_side=round(transform.side, 1),
            model_side=animator.size,
            filled=performance.filled,
            notes=notes,
            seconds=seconds,
            sheet=sheet,
            people_sheet=people_sheet,
            performer_sheet=performer_sheet,
            record=record.write(output),
        )


def animated_frames(
    clip: StillClip,
    numbers: Sequence[int],
    window: HeadWindow,
    drive: Drive,
    animator: Animator,
    seconds: dict[str, float],
) -> Iterator[Frame]:
    """The frames ``numbers`` of a still that does what ``drive`` asks, in order.

    A frame depends on its own row alone; rows that repeat the one before are made once, and rows without strength are the
    still itself.

    Args:
        clip: the still, a frame for every row.
        numbers: rising numbers of the frames to make.
        window: the still's head; its rest is measured here.
        drive: one row a frame of ``clip``.
        animator: whose crop size is the window's.
        seconds: "perform" and "composite" are added to.
    """
    rows = [number - clip.numbers[0] for number in numbers]
    moving = [row for row in rows if not _is_still(drive, row)]
    fresh = [
        row for row, last in zip(moving, [None, *moving], strict=False) if last is None or _differ(drive, row, last)
    ]
    if fresh:
        began = perf_counter()
        window.set_rest(*animate_crops(window.crop, rest_of(drive), animator=animator))
        seconds["perform"] += perf_counter() - began
    answers = animate_crops(window.crop, rows_of(drive, fresh), animator=animator) if fresh else iter(())
    patch: HeadPatch | None = None
    waiting = iter(fresh)
    following = next(waiting, None)
    for number, row in zip(numbers, rows, strict=True):
        frame = clip.frame(number)
        if _is_still(drive, row):
            yield frame
            continue
        if row == following:
            began = perf_counter()
            answer = next(answers)
            answered = perf_counter()
            patch = window.lay_in(answer, float(drive.strength[row]))
            seconds["perform"] += answered - began
            seconds["composite"] += perf_counter() - answered
            following = next(waiting, None)
        assert patch is not None
        began = perf_counter()
        result = with_head(frame, patch)
        seconds["composite"] += perf_counter() - began
        yield result


def _open_animator(options: AnimateOptions, project: Project | None) -> tuple[Animator, str, Path]:
    """The model that the options name, or the first packaged one that can do what is asked; its family, and its file.

    A driving clip goes to a model that knows action units if there is one.
    """
    refused: OptionError | None = None
    able: list[tuple[Animator, str, Path]] = []
    for family, model in find_animators(_checkpoint(options, project), options.method):
        animator = family.animator(model, device=options.device)
        try:
            check_signals(options, animator)
        except OptionError as error:
            refused = refused or error
            continue
        able.append((animator, family.name, model))
        if "units" in animator.signals or options.drive is None:
            break
    if not able:
        assert refused is not None
        raise refused
    return next((one for one in able if "units" in one[0].signals), able[0])


def _consent(options: AnimateOptions, project: Project | None) -> tuple[str, Consent]:
    """The name that consent is given for, and the consent."""
    return picture_consent(options.still, identity=options.identity, project=project, consent=options.consent)


def _checkpoint(options: AnimateOptions, project: Project | None) -> Path | None:
    if options.run is None:
        return None
    from understudy.jobs.train import resolve_checkpoint

    return resolve_checkpoint(options.run, project)


def _open_still(source: str) -> Clip:
    clip = open_clip(source)
    if clip.kind == "still":
        return clip
    clip.close()
    raise MediaError(
        f"{source} is a {clip.kind}; a still to animate is one picture. What drives it is given with --drive."
    )


def _default_output(options: AnimateOptions, still: Clip, project: Project | None) -> Path:
    if project is None:
        raise OptionError("Outside a project, say where the result goes with --output.")
    source = options.drive or options.curves or options.boundary
    what = options.expression or ("turned" if options.rotate else "moved" if options.move else "")
    what = what or Path(str(source)).name.split(".")[0].rstrip("#%@_-")
    return project.renders / f"{still.source.stem}_{what or 'driven'}.mp4"


def _beside(output: Path, ending: str) -> Path:
    """A file beside the output: ``smile.mp4`` -> ``smile.sheet.png``, ``out.####.exr`` -> ``out.sheet.png``."""
    stem = output.name.split(".")[0].rstrip("#%@_-") or "animated"
    return output.with_name(f"{stem}.{ending}")


def _notes(
    face: Face, transform: CropTransform, clip: StillClip, animator: Animator, window: HeadWindow
) -> tuple[str, ...]:
    notes = []
    corners, (width, height) = transform.corners(), clip.size
    if (corners < -0.5).any() or (corners > np.array([width, height]) + 0.5).any():
        notes.append(
            "The head's window reaches beyond the picture: its edge was repeated for the model, and what moves in from there "
            "is that edge."
        )
    if face.visible < 1:
        notes.append(f"{1 - face.visible:.0%} of the face lies outside the picture.")
    if clip.picture.nonfinite:
        notes.append(f"{clip.picture.nonfinite} pixels of the still are NaN or infinite; moved, they count as black.")
    share = transform.side / animator.size
    seen = f"The model sees the head at {animator.size} pixels, the still has {transform.side:.0f}: "
    if window.laid_over and share > 1.5:
        notes.append(
            f"{seen}it has painted all of the head and what is around it, which is that much softer than the rest."
        )
    elif share >= 6:
        notes.append(f"{seen}what the model adds, such as teeth of an opened mouth, is that much softer than the rest.")
    return tuple(notes)


def _is_still(drive: Drive, row: int) -> bool:
    return float(drive.strength[row]) == 0.0


def _differ(drive: Drive, row: int, other: int) -> bool:
    parts = [part for part in (drive.strength, drive.units, drive.landmarks) if part is not None]
    return any((part[row] != part[other]).any() for part in parts)
