"""The one face of a still that is meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from understudy.errors import FaceError, OptionError
from understudy.faces.face import Face
from understudy.jobs.clip_faces import ClipFaces
from understudy.jobs.people import Person, people_of, write_people_sheet
from understudy.media.clip import Clip


def face_of_still(
    still: Clip,
    faces: ClipFaces,
    *,
    source: str,
    sheet: Path,
    person: int | None = None,
    min_visible: float = 0.5,
    max_yaw: float = 60.0,
    alone: bool = False,
) -> tuple[Face, Path | None]:
    """The face with stabilised landmarks, and the sheet of the still's people where there are several.

    Args:
        still: an open clip of one picture.
        faces: found in it.
        source: what the user calls the still.
        sheet: where people are shown.
        person: a number from that sheet.
        min_visible, max_yaw: what is refused, see the options of ``animate``.
        alone: the still should show one face: no option of the command chooses among several.

    Raises:
        FaceError: no face, several and none chosen, or an unusable one.
        OptionError: a number that nobody has.
    """
    people = people_of(faces)
    if not people:
        raise FaceError(
            f"No face was found in {source}. Faces smaller than a tenth of the picture need --tiles auto, "
            "dim ones a lower --threshold."
        )
    if len(people) > 1:
        write_people_sheet(still, faces, people, sheet, each=1)
    found = faces.face(still.numbers[0], _chosen(people, person, source, sheet, alone=alone).tracks)
    assert found is not None
    face = found.face
    if face.visible < min_visible:
        raise FaceError(
            f"Only {face.visible:.0%} of the face in {source} lies inside the picture, less than --min-visible "
            f"{min_visible:g}: choose another picture, or lower it."
        )
    if abs(face.pose.yaw) > max_yaw:
        raise FaceError(
            f"The head in {source} is turned by {abs(face.pose.yaw):.0f}°, over --max-yaw {max_yaw:g}: "
            "half of its face cannot be seen. Choose another picture, or raise it."
        )
    return face, sheet if len(people) > 1 else None


def _chosen(people: Sequence[Person], number: int | None, source: str, sheet: Path, *, alone: bool = False) -> Person:
    described = ", ".join(f"{person.number} (about {person.side:.0f} px)" for person in people)
    if alone and len(people) > 1:
        raise FaceError(
            f"{source} shows {len(people)} faces: {described}. Cut it so that only the one that is meant is left; {sheet} "
            "shows them."
        )
    if number is None and len(people) > 1:
        raise FaceError(
            f"{source} shows {len(people)} faces: {described}. Say which one is meant with --person NUMBER; {sheet} shows "
            "them."
        )
    for person in people:
        if number in (None, person.number):
            return person
    raise OptionError(f"--person {number} is nobody in {source}; it shows {described}.")
