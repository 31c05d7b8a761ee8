"""Clips side by side: one movie, sequence or picture to look at, with difference maps or a wipe.

Frames are taken in step, the first of each clip together, whatever their numbers; a still stands for as long as the others last.
One frame of each clip is held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy import __version__
from understudy.errors import MediaError
from understudy.jobs.compare_layout import Difference, Layout
from understudy.jobs.options_compare import CompareOptions
from understudy.jobs.track import clip_files
from understudy.media.clip import Clip, create_clip, open_clip
from understudy.media.colour import ColourSpace, from_view
from understudy.media.frame import Frame, quantise
from understudy.provenance.record import DIGITAL_SOURCE_TYPE, RunRecord
from understudy.provenance.stamp import Stamp, read_stamp

if TYPE_CHECKING:
    from understudy.jobs.votes import VotesReport
    from understudy.jobs.votes_ask import AskReport

__all__ = ["CompareOptions", "CompareReport", "compare"]

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class CompareReport:
    """What laying clips side by side did."""

    output: Path
    num_frames: int
    size: tuple[int, int]
    """Width and height of the comparison, pixels."""
    names: tuple[str, ...]
    differences: Mapping[str, Difference]
    """Of every clip but the first; shares of the range. Empty without ``difference``."""
    notes: tuple[str, ...]
    """What a person should know: lengths, rates or sizes that differ, values that could not be shown."""
    record: Path


def compare(
    options: CompareOptions, progress: Progress = lambda stage, done, total: None
) -> CompareReport | AskReport | VotesReport:
    """Lay clips side by side, ask people about them, or count their votes; see :class:`CompareOptions`.

    Raises:
        OptionError: options that do not fit the clips.
        MediaError: a clip cannot be read, or the output cannot be of that kind; a file of votes that cannot be understood.
        StorageError: full disk or no permission; finished frames stay.
    """
    if options.vote:
        from understudy.jobs.votes_ask import ask

        return ask(options, progress)
    if options.votes is not None:
        from understudy.jobs.votes import count_votes

        return count_votes(options.votes)
    with ExitStack() as stack:
        clips = open_side_by_side(options, stack)
        return _side_by_side(options, clips, progress)


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """Clips in step: ``like`` gives numbers, rate and sound; of each of ``clips`` the first ``num_frames`` are shown."""

    like: Clip
    clips: Sequence[Clip]
    num_frames: int
    notes: list[str] = field(default_factory=list)

    def frames(self) -> Iterator[tuple[Frame, list[Frame]]]:
        """A frame of ``like`` and the frames that are shown with it, in order."""
        streams = [repeat(clip.frame(clip.numbers[0])) if clip.kind == "still" else iter(clip) for clip in self.clips]
        for leading, *shown in islice(zip(self.like, *streams, strict=False), self.num_frames):
            yield leading, shown


def open_side_by_side(options: CompareOptions, stack: ExitStack) -> SideBySide:
    """Open the clips and see how they go together.

    Raises:
        MediaError: one cannot be read, or has no frame in the range.
    """
    opened = [stack.enter_context(_opened(source, options, place)) for place, source in enumerate(options.clips)]
    moving = [clip for clip in opened if clip.kind != "still"]
    num_frames = min((len(clip) for clip in moving), default=1)
    like = moving[0] if moving else opened[0]
    notes = []
    names = dict(zip(map(id, opened), options.titles, strict=True))
    if len({len(clip) for clip in moving}) > 1:
        lengths = ", ".join(f"{names[id(clip)]} {len(clip)}" for clip in moving)
        notes.append(f"The clips are of different lengths ({lengths} frames); the comparison ends with the shortest.")
    if len({clip.rate for clip in moving}) > 1:
        rates = ", ".join(f"{names[id(clip)]} {float(clip.rate):g}" for clip in moving)
        notes.append(f"The clips run at different rates ({rates} frames a second); frames are compared by their count.")
    if len({clip.size for clip in opened}) > 1:
        sizes = ", ".join(f"{names[id(clip)]} {clip.size[0]} x {clip.size[1]}" for clip in opened)
        notes.append(f"The clips are of different sizes ({sizes}); they were brought to one height.")
    if like.kind != "still" and len(like) > num_frames:
        like = stack.enter_context(
            open_clip(like.source, first=like.numbers[0], last=like.numbers[num_frames - 1], missing="skip")
        )
    return SideBySide(like=like, clips=opened, num_frames=num_frames, notes=notes)


def _opened(source: str, options: CompareOptions, place: int) -> Clip:
    clip = open_clip(source, missing="skip")
    if clip.kind == "still" or (options.first is None and options.last is None):
        return clip
    # The range is meant by the first clip's numbers; the others start as many frames in.
    lead = open_clip(options.clips[0], missing="skip") if place else clip
    low = options.first if options.first is not None else lead.numbers[0]
    high = options.last if options.last is not None else lead.numbers[-1]
    shift = clip.numbers[0] - lead.numbers[0] if lead.kind != "still" else 0
    clip.close()
    return open_clip(source, first=low + shift, last=high + shift, missing="skip")


def _side_by_side(options: CompareOptions, clips: SideBySide, progress: Progress) -> CompareReport:
    layout = Layout(options, [clip.size for clip in clips.clips])
    destination = options.output or _default_output(clips.like)
    altered = any(_is_altered(clip) for clip in clips.clips)
    record = RunRecord.begin("compare", options, digital_source_type=DIGITAL_SOURCE_TYPE if altered else None)
    record.options.pop("output", None)
    for source, clip in zip(options.clips, clips.clips, strict=True):
        record.add_input(source, clip_files(clip) if clip.kind == "sequence" else None)
    job = record.digest()
    # A comparison of altered pictures is one itself.
    stamp = Stamp(software=f"Understudy {__version__}", record_sha256=job) if altered else None
    total, outside = clips.num_frames, [0.0] * len(clips.clips)
    deep = any(clip.dtype != np.uint8 for clip in clips.clips)
    with create_clip(
        destination,
        like=clips.like,
        stamp=stamp,
        codec=options.codec,
        quality=options.quality,
        job=job,
        size=layout.size,
        progress=progress,
    ) as writer:
        for place, (leading, frames) in enumerate(clips.frames()):
            progress("compare", place, total)
            views = [frame.view() for frame in frames]
            for number, (frame, view) in enumerate(zip(frames, views, strict=True)):
                if frame.pixels.dtype.kind == "f":
                    outside[number] += float(((view < 0) | (view > 1)).any(axis=2).mean()) / total
            picture = layout.draw(views, float(leading.time))
            if leading.number not in writer.done:
                writer.write(_frame(picture, leading, writer.destination.suffix.lower(), deep=deep))
        progress("compare", total, total)
    keeps = writer.destination.suffix.lower() in (".exr", ".hdr")
    notes = list(clips.notes)
    for name, share in zip(options.titles, outside, strict=True):
        if share > 0 and not keeps:
            notes.append(
                f"{share:.2%} of the pixels of {name} lie outside black to white and were shown cut off there."
            )
    record.figures = {"output": str(writer.destination), "frames": total, "notes": notes}
    return CompareReport(
        output=writer.destination,
        num_frames=total,
        size=layout.size,
        names=options.titles,
        differences=layout.differences,
        notes=tuple(notes),
        record=record.write(writer.destination),
    )


def _frame(picture: np.ndarray, leading: Frame, suffix: str, *, deep: bool) -> Frame:
    """The comparison as a frame: float where the format holds it, else as deep as the deepest clip."""
    if suffix in (".exr", ".hdr"):
        pixels, colour = from_view(picture, ColourSpace.LINEAR), ColourSpace.LINEAR
    else:
        pixels, colour = quantise(picture, np.dtype(np.uint16 if deep else np.uint8)), ColourSpace.DISPLAY
    return Frame(pixels=pixels, channels=("R", "G", "B"), number=leading.number, time=leading.time, colour=colour)


def _default_output(like: Clip) -> Path:
    stem = like.source.name.split(".")[0].rstrip("#%@_-") or "clip"
    if like.kind == "movie":
        suffix = like.source.suffix.lower()
        return Path(f"{stem}_compared{suffix if suffix in ('.mp4', '.mov', '.mkv', '.webm') else '.mov'}")
    middle = ".####" if like.kind == "sequence" else ""
    return Path(f"{stem}_compared{middle}.png")


def _is_altered(clip: Clip) -> bool:
    """Whether a clip says of itself that it is made or altered by a model."""
    try:
        stamp = read_stamp(clip.frame_file(clip.numbers[0]))
    except OSError as error:
        raise MediaError(f"{clip.source} cannot be read: {error.strerror or error}.") from error
    return stamp is not None and stamp.digital_source_type.lower().endswith("trainedalgorithmicmedia")
