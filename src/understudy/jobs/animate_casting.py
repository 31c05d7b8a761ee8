"""Who is in the still, and what they are to do: faces found, chosen and measured, for animating."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import FaceError, OptionError
from understudy.faces.curves import read_curves
from understudy.faces.face import Face
from understudy.jobs.clip_faces import ClipFaces
from understudy.jobs.options_animate import AnimateOptions
from understudy.jobs.people import Person, choose_person, people_of, write_people_sheet
from understudy.jobs.performance import MeshUnits, Performance, UnitReader, by_curves, by_expression, units_of_clip
from understudy.jobs.project import Project
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
            people = people_of(faces)
            if not people:
                raise FaceError(
                    f"No face was found in {options.still}. Faces smaller than a tenth of the picture need --tiles auto, "
                    "dim ones a lower --threshold."
                )
            if len(people) > 1:
                write_people_sheet(still, faces, people, sheet, each=1)
            person = self._choose(people, sheet)
            found = faces.face(still.numbers[0], person.tracks)
        assert found is not None
        face = found.face
        if face.visible < options.min_visible:
            raise FaceError(
                f"Only {face.visible:.0%} of the face in {options.still} lies inside the picture, less than --min-visible "
                f"{options.min_visible:g}: choose another picture, or lower it."
            )
        if abs(face.pose.yaw) > options.max_yaw:
            raise FaceError(
                f"The head in {options.still} is turned by {abs(face.pose.yaw):.0f}°, over --max-yaw {options.max_yaw:g}: "
                "half of its face cannot be seen. Choose another picture, or raise it."
            )
        return face, sheet if len(people) > 1 else None

    def performance(self, animator: Animator, face: Face, sheet: Path) -> tuple[Performance, Path | None]:
        """What is asked, and the sheet of the driving clip's people where there are several."""
        options = self.options
        if options.expression is not None and options.expression in animator.expressions:
            return by_expression(options, animator, None), None
        still_units = np.asarray(self._reader.measure(face.landmarks[None]), np.float32)[0]
        if options.expression is not None:
            return by_expression(options, animator, still_units), None
        if options.curves is not None:
            curves = read_curves(options.curves)
            self._record.add_input(options.curves)
            return by_curves(options, curves, still_units), None
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
            curves, reasons = units_of_clip(options, faces, who.tracks, self._reader)
        return by_curves(options, curves, still_units, reasons), sheet if several else None

    @property
    def _reader(self) -> UnitReader:
        if self._given_reader is None:
            self._given_reader = MeshUnits()
        return self._given_reader

    def _track(self, clip: Clip) -> ClipFaces:
        cache = self._project.tracks if self._project else None
        return track_clip(clip, options=self.options.track, finder=self.finder, cache=cache, progress=self._progress)

    def _choose(self, people: Sequence[Person], sheet: Path) -> Person:
        chosen = self.options.person
        described = ", ".join(f"{person.number} (about {person.side:.0f} px)" for person in people)
        if chosen is None and len(people) > 1:
            raise FaceError(
                f"{self.options.still} shows {len(people)} faces: {described}. Say which one is to move with "
                f"--person NUMBER; {sheet} shows them."
            )
        for person in people:
            if chosen in (None, person.number):
                return person
        raise OptionError(f"--person {chosen} is nobody in {self.options.still}; it shows {described}.")
