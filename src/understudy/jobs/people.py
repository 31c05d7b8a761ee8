"""Who is in a clip: tracks as people that a person can choose from, with a sheet of their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.dataset.contact_sheet import BLANK, Cell, contact_sheet
from understudy.dataset.pictures import encode_png
from understudy.errors import FaceError, OptionError
from understudy.jobs.clip_faces import ClipFaces
from understudy.media.clip import Clip
from understudy.provenance.atomic import write_bytes

_PASSING_SHARE, _PASSING_FRAMES = 0.1, 12


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in a clip.

    Attributes:
        number: 1 for the one who fills most of the footage.
        tracks: the tracks that are this person's.
        num_frames, first, last: in how many frames, and from where to where.
        side: the crop's median side in plate pixels.
        passing: seen for so short a time beside the others that nobody needs to name them.
    """

    number: int
    tracks: tuple[int, ...]
    num_frames: int
    first: int
    last: int
    side: float
    passing: bool

    def describe(self) -> str:
        """Such as ``1 (200 frames, 1001-1200, about 310 px)``."""
        span = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        frames = "frame" if self.num_frames == 1 else "frames"
        return f"{self.number} ({self.num_frames} {frames}, {span}, about {self.side:.0f} px)"


def people_of(faces: ClipFaces) -> list[Person]:
    """The people of a clip, most footage first (frames times area)."""
    tracks = sorted(faces.tracks, key=lambda track: (-track.num_frames * track.side**2, track.track))
    most = max((track.num_frames for track in tracks), default=0)
    return [
        Person(
            number=number,
            tracks=(track.track,),
            num_frames=track.num_frames,
            first=track.first,
            last=track.last,
            side=track.side,
            passing=track.num_frames < min(_PASSING_FRAMES, most * _PASSING_SHARE),
        )
        for number, track in enumerate(tracks, 1)
    ]


def choose_person(
    people: Sequence[Person], numbers: Sequence[int], *, clip: Clip, identity: str, sheet: Path
) -> Person:
    """The person meant by ``--person`` (one who was lost and found again has several numbers), or the only one.

    Raises:
        FaceError: no face in the clip, or several people and no number.
        OptionError: a number that nobody has.
    """
    if not people:
        raise FaceError(
            f"No face was found in the {len(clip)} frames of {clip.source}. Is it the right clip? Faces smaller than a "
            "tenth of the picture need --tiles auto, dim ones a lower --threshold."
        )
    if not numbers:
        staying = [person for person in people if not person.passing]
        if len(staying) == 1:
            return staying[0]
        raise FaceError(
            f"{clip.source} shows {len(staying)} people: {describe_people(staying)}. Say which one is {identity} with "
            f"--person NUMBER, or name several with --people 1={identity} --people 2=NAME; {sheet} shows them."
        )
    by_number = {person.number: person for person in people}
    for number in numbers:
        if number not in by_number:
            raise OptionError(
                f"--person {number} is nobody in {clip.source}; it shows {describe_people(people)}: {sheet} shows them."
            )
    chosen = [by_number[number] for number in dict.fromkeys(numbers)]
    return Person(
        number=chosen[0].number,
        tracks=tuple(track for person in chosen for track in person.tracks),
        num_frames=sum(person.num_frames for person in chosen),
        first=min(person.first for person in chosen),
        last=max(person.last for person in chosen),
        side=chosen[0].side,
        passing=False,
    )


def describe_people(people: Sequence[Person]) -> str:
    """All of them as one phrase."""
    return ", ".join(person.describe() for person in people)


def write_people_sheet(clip: Clip, faces: ClipFaces, people: Sequence[Person], path: Path, *, each: int = 6) -> Path:
    """A sheet with ``each`` pictures of every person, evenly spread over their frames.

    Raises:
        StorageError: full disk or no permission.
    """
    chosen = [(person, number) for person in people for number in _spread(faces, person, each)]
    pictures = {}
    for number in sorted({number for _, number in chosen}):  # each frame is decoded once, however many people it shows
        view = None
        for person, wanted in chosen:
            found = faces.face(number, person.tracks) if wanted == number else None
            if found is not None:
                view = clip.frame(number).view() if view is None else view
                pictures[person.number, number] = found.transform.to_crop(view, 160)

    def cells() -> Iterator[Cell]:
        for person in people:
            numbers = [number for somebody, number in chosen if somebody is person]
            for number in numbers:
                words = (f"person {person.number}", f"frame {number}")
                yield Cell(picture=pictures[person.number, number], lines=words)
            for _ in range(each - len(numbers)):  # one row a person
                yield Cell(picture=BLANK)

    title = f"{clip.source.name}: {len(people)} people" if len(people) != 1 else f"{clip.source.name}: one person"
    sheet = contact_sheet(cells(), each * len(people), title=title, side=160, columns=each)
    write_bytes(path, encode_png(sheet))
    return path


def _spread(faces: ClipFaces, person: Person, each: int) -> list[int]:
    numbers = faces.numbers_of(person.tracks)
    if len(numbers) <= each:
        return numbers
    return [numbers[round(place * (len(numbers) - 1) / (each - 1))] for place in range(each)]
