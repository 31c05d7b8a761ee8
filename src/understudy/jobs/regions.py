"""Footage to the twelve regions of its faces, at its own size: what a compositor keys, grades or protects by.

Faces are followed first, then every frame is read in order and written whole; a stopped run goes on with the frames that are
missing. Frames without the face asked for are background all over, and are listed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import FaceError
from understudy.faces.align import OVAL_SHARE
from understudy.faces.regions import PALETTE, Region
from understudy.jobs.clip_faces import ClipFaces
from understudy.jobs.options_regions import RegionsOptions
from understudy.jobs.parsers import named_parser
from understudy.jobs.people import Person, choose_person, describe_people, people_of, write_people_sheet
from understudy.jobs.project import find_project
from understudy.jobs.region_files import RegionFiles, name_of, plan_output, read_regions
from understudy.jobs.sheet import Sheet, write_sheet
from understudy.jobs.shot_frames import read_frames
from understudy.jobs.track import FaceFinder, MediaPipeFinder, track_clip
from understudy.media.clip import Clip, open_clip
from understudy.media.frame import Frame
from understudy.media.pattern import Pattern
from understudy.metrics.region_overlap import RegionOverlap
from understudy.perform.regions import WIDE, Reading, plate_shares, read_face, scaled
from understudy.provenance.record import RunRecord

if TYPE_CHECKING:
    from understudy.family import Parser

__all__ = ["RegionsOptions", "RegionsReport", "find_regions"]

Progress = Callable[[str, int, int | None], None]
_SHEET_ROWS, _SIDE, _SHEET_SHARE = 6, 320, 0.38
# What does not change a frame's regions stays out of the digest that tells one job's frames from another's.
_INDIFFERENT = ("output", "first", "last", "sheet", "truth", "device", "project")


@dataclass(frozen=True, kw_only=True)
class RegionsReport:
    """What telling regions apart did.

    Attributes:
        output: the picture, the pattern, or the folder of mattes.
        form: "indexed", "mattes" or "layers".
        files: how many files a frame has.
        num_frames: frames of the source; ``made``: those that this run wrote.
        empty: frames without the face, which are background all over.
        shares: region -> its mean share of the pictures that this run made, 0 to 1.
        overlap: region -> intersection over union with the truth, 0 to 1, over the pictures that this run made; empty without one.
        mean_overlap: their mean ("mIoU"); None without a truth.
        sheet: a picture to look at; None where this run made no frame.
        people_sheet: everybody in the source, where there are several.
        record: the run record.
        seconds: all of it.
    """

    output: Path
    form: str
    files: int
    num_frames: int
    made: int
    empty: tuple[int, ...]
    shares: Mapping[str, float]
    overlap: Mapping[str, float]
    mean_overlap: float | None
    sheet: Path | None
    people_sheet: Path | None
    record: Path
    seconds: float


def find_regions(
    options: RegionsOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    finder: FaceFinder | None = None,
    parser: Parser | None = None,
) -> RegionsReport:
    """Tell the regions of the faces in a picture or clip apart. The same call goes on where a stopped one was.

    Args:
        options: what and how.
        progress: called with ("track", "smooth" or "regions", done, total).
        finder: what finds faces; None for MediaPipe's models on this machine.
        parser: what tells regions apart; None for the one that the options name.

    Raises:
        OptionError: an output that fits neither form nor source, a person or region that is not there.
        MediaError: the source cannot be read.
        FaceError: no face, or several people and none chosen.
        CheckpointError: the parser cannot be read.
        WeightsError: the face models are not on this machine.
        StorageError: full disk or no permission; finished frames stay.
    """
    started = perf_counter()
    project = find_project(options.project, required=False)
    record = RunRecord.begin("regions", options)
    record.options = {name: value for name, value in record.options.items() if name not in _INDIFFERENT}
    with ExitStack() as stack:
        clip = stack.enter_context(open_clip(options.source, first=options.first, last=options.last, missing="skip"))
        output = plan_output(options, clip)
        if parser is None:
            parser = named_parser(options.parser, project, device=options.device)
        if parser.source is not None:
            record.add_weights(parser.source)
        finder = finder or MediaPipeFinder(options.track)
        record.weights.update(finder.weights)
        cache = project.tracks if project else None
        faces = stack.enter_context(
            track_clip(clip, options=options.track, finder=finder, cache=cache, progress=progress)
        )
        record.inputs[options.source] = faces.sha256
        files = RegionFiles(output, clip, job=record.digest())
        beside = _beside(files.destination)
        people = people_of(faces)
        several = sum(not person.passing for person in people) > 1
        people_sheet = beside.with_name(f"{beside.name}.people.png")
        if several:
            write_people_sheet(clip, faces, people, people_sheet)
        chosen = None if options.everyone and people else _chosen(options, people, clip, people_sheet)

        todo = [number for number in clip.numbers if number not in files.done]
        shown = _sheet_numbers(todo, faces, chosen)
        rows, totals, empty = [], np.zeros(len(Region)), []
        against = RegionOverlap()
        progress("regions", len(clip) - len(todo), len(clip))
        for place, (frame, readings, wanted) in enumerate(_read(clip, faces, todo, chosen, parser, options.steady), 1):
            view = frame.view()
            shares = np.empty((*view.shape[:2], len(Region)), np.float16 if files.form != "indexed" else np.float32)
            for band, part in plate_shares(view, readings, wanted):
                shares[band] = part
            if not wanted:
                empty.append(frame.number)
            totals += shares.mean((0, 1), dtype=np.float64)
            if frame.number in shown:
                rows += [_row(frame.number, view, shares, readings[one]) for one in wanted]
            if options.truth is not None:
                against.add(shares.argmax(-1), read_regions(_truth_file(options.truth, frame.number), frame.size))
            files.write(frame, shares)
            progress("regions", len(clip) - len(todo) + place, len(clip))
        files.close()
        sheet = beside.with_name(f"{beside.name}.sheet.png") if options.sheet and rows else None
        if sheet is not None:
            columns = ("picture", "regions", "over it")
            title = f"{clip.source.name}: " + ", ".join(name_of(region) for region in Region)
            write_sheet(sheet, Sheet(title=title, columns=columns, rows=rows), side=_SIDE)
        means = totals / max(1, len(todo))
        overlap = {name_of(region): round(value, 5) for region, value in against.overlap().items()}
        mean = round(against.mean(), 5) if overlap else None
        record.figures = {
            "frames": len(clip), "empty": empty, "shares": _named(means), "overlap": overlap, "mean_overlap": mean
        }  # fmt: skip
        target = files.destination if files.form != "mattes" or files.destination.suffix else beside
        return RegionsReport(
            output=files.destination,
            form=files.form,
            files=len(files.files(clip.numbers[0])),
            num_frames=len(clip),
            made=len(todo),
            empty=tuple(empty),
            shares=_named(means),
            overlap=overlap,
            mean_overlap=mean,
            sheet=sheet,
            people_sheet=people_sheet if several else None,
            record=record.write(target),
            seconds=perf_counter() - started,
        )


def _read(
    clip: Clip, faces: ClipFaces, todo: Sequence[int], chosen: Sequence[int] | None, parser: Parser, steady: int
) -> Iterator[tuple[Frame, list[Reading], list[int]]]:
    """Every frame of ``todo`` with the readings of its faces, averaged over time, and the places of those that are wanted."""
    numbers = list(clip.numbers)
    places = {number: place for place, number in enumerate(numbers)}
    wanted = {place + shift for place in map(places.__getitem__, todo) for shift in range(-steady, steady + 1)}
    needed = [number for place, number in enumerate(numbers) if place in wanted]
    asked = set(todo)
    window: deque[tuple[Frame, dict[int, Reading]]] = deque()

    def finished(until: float) -> Iterator[tuple[Frame, list[Reading], list[int]]]:
        for frame, own in list(window):
            place = places[frame.number]
            if frame.number in asked and place + steady < until:
                asked.discard(frame.number)
                readings = [_averaged(track, place, places, window, steady) for track in own]
                yield frame, readings, [at for at, track in enumerate(own) if chosen is None or track in chosen]
        while window and places[window[0][0].number] + 2 * steady < until:
            window.popleft()

    for frame in read_frames(clip, needed):
        view = frame.view()
        own = {
            found.face.track: read_face(view, found.face.landmarks, found.transform, parser)
            for found in faces.faces(frame.number)
            if np.isfinite(found.face.landmarks).all()
        }
        yield from finished(places[frame.number])
        window.append((frame, own))
        yield from finished(places[frame.number] + 1)
    yield from finished(float("inf"))


def _averaged(
    track: int,
    place: int,
    places: Mapping[int, int],
    window: Sequence[tuple[Frame, Mapping[int, Reading]]],
    steady: int,
) -> Reading:
    """A track's reading at a place in the clip: the mean of its own and its neighbours', in its own place."""
    own, total, count = None, 0.0, 0
    for frame, readings in window:
        apart = abs(places[frame.number] - place)
        if apart > steady or track not in readings:
            continue
        total = total + readings[track].shares
        count += 1
        own = readings[track].transform if apart == 0 else own
    assert own is not None
    return Reading(shares=np.asarray(total / count, np.float32), transform=own)


def _chosen(options: RegionsOptions, people: Sequence[Person], clip: Clip, sheet: Path) -> tuple[int, ...]:
    """The tracks whose regions are wanted."""
    staying = [person for person in people if not person.passing]
    if len(staying) > 1 and not options.person:
        raise FaceError(
            f"{options.source} shows {len(staying)} people: {describe_people(staying)}. Say whose regions are wanted with "
            f"--person NUMBER, or --everyone; {sheet} shows them."
        )
    return choose_person(people, options.person, clip=clip, identity="meant", sheet=sheet).tracks


def _truth_file(truth: Path, number: int) -> Path:
    pattern = Pattern.of(truth)
    return pattern.file(number) if pattern else truth


def _sheet_numbers(todo: Sequence[int], faces: ClipFaces, chosen: Sequence[int] | None) -> set[int]:
    tracks = tuple(track.track for track in faces.tracks) if chosen is None else tuple(chosen)
    seen = set(faces.numbers_of(tracks)) if tracks else set()
    there = [number for number in todo if number in seen]
    count = min(_SHEET_ROWS, len(there))
    return {there[round(place * (len(there) - 1) / max(1, count - 1))] for place in range(count)}


def _row(number: int, view: np.ndarray, shares: np.ndarray, reading: Reading) -> tuple[str, list[np.ndarray]]:
    crop = scaled(reading.transform, OVAL_SHARE * _SHEET_SHARE / WIDE)
    picture = np.clip(crop.to_crop(view, _SIDE), 0, 1)
    colours = (shares.astype(np.float32) @ PALETTE.astype(np.float32)) / 255
    regions = np.clip(crop.to_crop(np.ascontiguousarray(colours, np.float32), _SIDE), 0, 1)
    return f"frame {number}", [picture, regions, 0.5 * picture + 0.5 * regions]


def _beside(output: Path) -> Path:
    """What files beside the output begin with: ``out.####.exr`` -> ``out``."""
    return output.with_name(output.name.split(".")[0].rstrip("#%@_-") or "regions")


def _named(shares: np.ndarray) -> dict[str, float]:
    return {name_of(region): round(float(shares[region]), 5) for region in Region}
