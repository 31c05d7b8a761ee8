"""Footage to action-unit curves: who is followed, what their face does, frame by frame, and a plot to check it by.

The performer's own face at rest is found first, among the frames in which it does least; units are counted from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np

from understudy.errors import FaceError, OptionError
from understudy.faces import action_units
from understudy.faces.action_units import ActionUnit
from understudy.faces.curves import Curves, read_curves, write_curves
from understudy.jobs.curves_plot import draw_curves, face_strip
from understudy.jobs.options_curves import CurvesOptions
from understudy.jobs.people import Person, choose_person, describe_people, people_of, write_people_sheet
from understudy.jobs.performance import FilledFrame, MeshUnits, UnitReader, units_of_clip
from understudy.jobs.project import find_project
from understudy.jobs.sheet import write_picture
from understudy.jobs.track import FaceFinder, MediaPipeFinder, track_clip
from understudy.media.clip import Clip, open_clip
from understudy.provenance.record import RunRecord

__all__ = ["CurvesOptions", "CurvesReport", "measure_curves"]

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class CurvesReport:
    """What measuring curves did.

    Attributes:
        output: the file of curves.
        num_frames: rows in it; ``rate``: frames a second.
        filled: frames without a measurement, and why; they lie between their neighbours.
        peaks: unit -> its highest intensity, 0 to 5, and the frame of that.
        neutral: what counted as the face at rest, in words.
        plot: the curves' picture, or None.
        people_sheet: everybody in the clip, where there are several.
        record: the run record.
        seconds: all of it.
    """

    output: Path
    num_frames: int
    rate: Fraction
    filled: tuple[FilledFrame, ...]
    peaks: dict[str, tuple[float, int]]
    neutral: str
    plot: Path | None
    people_sheet: Path | None
    record: Path
    seconds: float


def measure_curves(
    options: CurvesOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    finder: FaceFinder | None = None,
    reader: UnitReader | None = None,
) -> CurvesReport:
    """Measure the action units of a performer in a clip, or write a file of curves anew.

    Args:
        options: what and how.
        progress: called with ("track" or "smooth", done, total).
        finder: what finds faces; None for MediaPipe's models on this machine.
        reader: what reads units off faces; None for the packaged model.

    Raises:
        OptionError: a person or neutral frame that is not there, or an output that is the source.
        MediaError: the source cannot be read.
        FaceError: no face, several people and none chosen, or no frame shows the face well enough.
        WeightsError: the face models are not on this machine.
        StorageError: full disk or no permission.
    """
    started = perf_counter()
    output = options.output or Path(f"{Path(options.source).name.split('.')[0].rstrip('#%@_-') or 'curves'}.csv")
    if output.absolute() == Path(options.source).absolute():
        raise OptionError(f"--output {output} is the source itself; name another file.")
    record = RunRecord.begin("curves", options)
    if Path(options.source).suffix.lower() in (".csv", ".json"):
        record.add_input(options.source)
        found = _from_file(options)
    else:
        found = _from_clip(options, output, record, finder, reader, progress)
    curves = found.curves
    if options.steady and found.measured:
        curves = replace(curves, units=action_units.smooth(curves.units, curves.rate, missing=curves.missing))
    write_curves(output, curves)
    plot = None
    if options.plot:
        title = f"{Path(options.source).name}: action units, 0 to 5"
        plot = write_picture(output.with_suffix(".png"), draw_curves(curves, title=title, strip=found.strip))
    filled = tuple(
        FilledFrame(number=int(number), reason=found.reasons.get(int(number), "a gap in the curves"))
        for number in curves.numbers[curves.missing]
    )
    highest = curves.units.argmax(axis=0)
    record.figures = {"rows": len(curves), "rate": str(curves.rate), "neutral": found.neutral}
    return CurvesReport(
        output=output,
        num_frames=len(curves),
        rate=curves.rate,
        filled=filled,
        peaks={
            unit.name: (round(float(curves.units[highest[unit], unit]), 3), int(curves.numbers[highest[unit]]))
            for unit in ActionUnit
        },
        neutral=found.neutral,
        plot=plot,
        people_sheet=found.people_sheet,
        record=record.write(output),
        seconds=perf_counter() - started,
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    curves: Curves
    reasons: dict[int, str]
    neutral: str
    measured: bool
    strip: np.ndarray | None = None
    people_sheet: Path | None = None


def _from_clip(
    options: CurvesOptions,
    output: Path,
    record: RunRecord,
    finder: FaceFinder | None,
    reader: UnitReader | None,
    progress: Progress,
) -> _Found:
    project = find_project(options.project, required=False)
    finder = finder or MediaPipeFinder(options.track)
    record.weights.update(finder.weights)
    cache = project.tracks if project else None
    with (
        open_clip(options.source, first=options.first, last=options.last, missing="skip") as clip,
        track_clip(clip, options=options.track, finder=finder, cache=cache, progress=progress) as faces,
    ):
        record.inputs[options.source] = faces.sha256
        people = people_of(faces)
        several = sum(not person.passing for person in people) > 1
        sheet = output.with_suffix(".people.png")
        if several:
            write_people_sheet(clip, faces, people, sheet)
        person = _choose(options, people, clip, sheet)
        # A still has no other frames to be compared with.
        neutral = "none" if options.neutral == "auto" and len(clip) == 1 else options.neutral
        curves, reasons = units_of_clip(faces, person.tracks, reader or MeshUnits(), neutral=neutral)
        strip = face_strip(clip, faces, person.tracks, curves) if options.plot else None
    return _Found(
        curves=replace(curves, source=Path(options.source).name),
        reasons=reasons,
        neutral={
            "auto": "where the clip is quietest",
            "none": "nobody's own, every frame is read as anybody's",
            "first": f"frame {curves.numbers[0]}",
        }.get(neutral, f"frame {neutral}"),
        measured=True,
        strip=strip,
        people_sheet=sheet if several else None,
    )


def _choose(options: CurvesOptions, people: Sequence[Person], clip: Clip, sheet: Path) -> Person:
    staying = [person for person in people if not person.passing]
    if len(staying) > 1 and not options.person:
        raise FaceError(
            f"{options.source} shows {len(staying)} people: {describe_people(staying)}. Say whose curves are wanted with "
            f"--person NUMBER; {sheet} shows them."
        )
    return choose_person(people, options.person, clip=clip, identity="the performer", sheet=sheet)


def _from_file(options: CurvesOptions) -> _Found:
    if options.person:
        raise OptionError("--person is for footage; a file of curves is of one person.")
    curves = read_curves(options.source)
    numbers = curves.numbers
    kept = np.ones(len(curves), bool)
    if options.first is not None:
        kept &= numbers >= options.first
    if options.last is not None:
        kept &= numbers <= options.last
    if not kept.any():
        raise OptionError(
            f"{options.source} has frames {numbers[0]} to {numbers[-1]}; none lies in the range asked for."
        )
    units, words = curves.units, "as in the file"
    if options.neutral not in ("auto", "none"):
        number = int(numbers[0]) if options.neutral == "first" else int(options.neutral)
        if number not in numbers[~curves.missing]:
            raise OptionError(f"--neutral {options.neutral}: {options.source} has no values for frame {number}.")
        units, words = action_units.relative(units, units[number - int(numbers[0])]), f"frame {number}"
    cut = replace(curves, numbers=numbers[kept], units=units[kept], missing=curves.missing[kept])
    return _Found(curves=cut, reasons={}, neutral=words, measured=False)
