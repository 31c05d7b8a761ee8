"""What gathering tells: pictures written, frames skipped with reasons, shake before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.jobs.clip_faces import Jitter
from understudy.jobs.people import Person


@dataclass(frozen=True, kw_only=True)
class SkippedFrame:
    """A frame that gave no picture, and why."""

    number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class GatheredIdentity:
    """What one identity got from the clip.

    Attributes:
        folder: the face set.
        person: the person's number in the clip.
        written: pictures written by this call.
        kept: pictures that were there from an earlier one.
        gone: pictures that a person had deleted, and that were left so.
        total: pictures in the set now, from all clips.
        skipped: frames without a picture.
        jitter: shake in plate pixels before and after stabilising and smoothing, of the person's longest track.
        sheet, record: the contact sheet and the run record.
    """

    identity: str
    folder: Path
    person: int
    written: int
    kept: int
    gone: int
    total: int
    skipped: tuple[SkippedFrame, ...]
    jitter: Jitter
    sheet: Path
    record: Path


@dataclass(frozen=True, kw_only=True)
class GatherReport:
    """What gathering did.

    Attributes:
        num_frames: frames in the clip, or in the part that was asked for.
        people: everybody in it.
        people_sheet: their pictures, where there are several.
        identities: what each named identity got.
        seconds: by stage ("track", "crop", "all"); a stage found in the cache takes almost none.
    """

    source: str
    num_frames: int
    people: tuple[Person, ...]
    people_sheet: Path | None
    identities: tuple[GatheredIdentity, ...]
    seconds: Mapping[str, float]

    @property
    def found(self) -> int:
        """Pictures that the sets now hold from this clip."""
        return sum(one.written + one.kept for one in self.identities)

    @property
    def skipped(self) -> tuple[SkippedFrame, ...]:
        """Skipped frames of all identities."""
        return tuple(frame for one in self.identities for frame in one.skipped)
