"""Who is in the still, and what they are to do: faces found, chosen and measured, for animating."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import FaceError, MediaError, OptionError
from understudy.faces.align import canonical_transform
from understudy.faces.curves import read_curves
from understudy.faces.face import Face
from understudy.jobs.animate_landmarks import Sitter, by_performer, by_target
from understudy.jobs.clip_faces import ClipFaces
from understudy.jobs.options_animate import AnimateOptions
from understudy.jobs.people import Person, choose_person, people_of, write_people_sheet
from understudy.jobs.performance import MeshUnits, Performance, UnitReader, by_curves, by_expression, units_of_clip
from understudy.jobs.project import Project
from understudy.jobs.still_face import face_of_still
from understudy.jobs.track import FaceFinder, track_clip
from understudy.media.clip import Clip, open_clip
from understudy.provenance.record import RunRecord

if TYPE_CHECKING:
    from understudy.family import Animator

Progress = Callable[[str, int, int | None], None]


class Casting:
    """Who is in the still, and what they are to do."""

    def __init__(
        self,
        options: AnimateOptions,
        project: Project | None,
        finder: FaceFinder,
        reader: UnitReader | None,
        progress: Progress,
        record: RunRecord,
    ) -> None:
        self.options, self.finder = options, finder
        self._project, self._given_reader, self._progress, self._record = project, reader, progress, record

    def face_of(self, still: Clip, sheet: Path) -> tuple[Face, Path | None]:
        """The still's face with stabilised landmarks, and the sheet of its people where there are several."""
        options = self.options
        with self._track(still) as faces:
            self._record.inputs[str(options.still)] = faces.sha256
            return face_of_still(
                still,
                faces,
                source=str(options.still),
                sheet=sheet,
                person=options.person,
                min_visible=options.min_visible,
                max_yaw=options.max_yaw,
            )

    def performance(self, animator: Animator, face: Face, sheet: Path) -> tuple[Performance, Path | None]:
        """What is asked, and the sheet of the driving clip's (or target picture's) people where there are several."""
        options = self.options
        if options.expression is not None and options.expression in animator.expressions:
            return by_expression(options, animator, None), None
        sitter = Sitter(landmarks=face.landmarks, transform=canonical_transform(face, oval_share=animator.oval_share))
        if options.boundary is not None:
            return self._by_boundary(sitter, sheet)
        if options.by_landmarks:
            return by_target(options, sitter), None
        if options.drive is not None and "units" not in animator.signals:
            with self._performer(sheet) as (faces, tracks, several):
                performance = by_performer(options, faces, tracks, self._reader, sitter)
            return performance, sheet if several else None
        still_units = np.asarray(self._reader.measure(face.landmarks[None]), np.float32)[0]
        if options.expression is not None:
            return by_expression(options, animator, still_units), None
        if options.curves is not None:
            curves = read_curves(options.curves)
            self._record.add_input(options.curves)
            return by_curves(options, curves, still_units), None
        with self._performer(sheet) as (faces, tracks, several):
            curves, reasons = units_of_clip(faces, tracks, self._reader, neutral=options.neutral)
        return by_curves(options, curves, still_units, reasons), sheet if several else None

    @contextmanager
    def _performer(self, sheet: Path) -> Iterator[tuple[ClipFaces, tuple[int, ...], bool]]:
        """The driving clip's faces, the tracks of the one who drives, and whether there are several people."""
        options = self.options
        with open_clip(str(options.drive), missing="skip") as clip, self._track(clip) as faces:
            self._record.inputs[str(options.drive)] = faces.sha256
            people = people_of(faces)
            several = sum(not person.passing for person in people) > 1
            if several:
                write_people_sheet(clip, faces, people, sheet)
            try:
                who = choose_person(people, options.performer, clip=clip, identity="the performer", sheet=sheet)
            except FaceError as error:
                if not several or options.performer:
                    raise
                raise FaceError(
                    f"{options.drive} shows several people: say who drives the still with --performer NUMBER; "
                    f"{sheet} shows them."
                ) from error
            except OptionError as error:
                raise OptionError(str(error).replace("--person", "--performer")) from error
            yield faces, who.tracks, several

    def _by_boundary(self, sitter: Sitter, sheet: Path) -> tuple[Performance, Path | None]:
        source = str(self.options.boundary)
        with open_clip(source) as other:
            if other.kind != "still":
                raise MediaError(
                    f"{source} is a {other.kind}; --boundary takes one picture, and --drive takes footage."
                )
            with self._track(other) as faces:
                self._record.inputs[source] = faces.sha256
                people = people_of(faces)
                if len(people) > 1:
                    write_people_sheet(other, faces, people, sheet, each=1)
                tracks = self._target_of(people, source, sheet).tracks
                found = faces.face(other.numbers[0], tracks)
        assert found is not None
        performance = by_target(self.options, sitter, found.face.landmarks)
        return performance, sheet if len(people) > 1 else None

    def _target_of(self, people: Sequence[Person], source: str, sheet: Path) -> Person:
        chosen = self.options.performer
        if not people:
            raise FaceError(f"No face was found in {source}, so there is no boundary map to take from it.")
        if len(people) == 1 and not chosen:
            return people[0]
        described = ", ".join(f"{person.number} (about {person.side:.0f} px)" for person in people)
        if len(chosen) != 1:
            raise FaceError(
                f"{source} shows {len(people)} faces: {described}. Say whose is the target with --performer NUMBER; {sheet} "
                "shows them."
            )
        for person in people:
            if person.number == chosen[0]:
                return person
        raise OptionError(f"--performer {chosen[0]} is nobody in {source}; it shows {described}.")

    @property
    def _reader(self) -> UnitReader:
        if self._given_reader is None:
            self._given_reader = MeshUnits()
        return self._given_reader

    def _track(self, clip: Clip) -> ClipFaces:
        cache = self._project.tracks if self._project else None
        return track_clip(clip, options=self.options.track, finder=self.finder, cache=cache, progress=self._progress)
