"""What gathering takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from understudy.jobs.options_track import TrackOptions


@dataclass(frozen=True, kw_only=True)
class GatherOptions:
    """What :func:`understudy.jobs.gather.gather` takes."""

    source: str
    """Footage: a movie, a sequence (plate.####.exr, plate.%04d.exr, a range 1001-1100, a folder) or a still."""
    identity: str | None = None
    """Who is seen: an identity of the cast."""
    person: tuple[int, ...] = ()
    """Which person of the clip that is, if there are several: a number from the people sheet, or more than one."""
    people: tuple[str, ...] = ()
    """Several identities at once, each as NUMBER=IDENTITY, instead of an identity and a person."""
    project: Path | None = None
    """The project's folder; otherwise the one that holds the current folder."""
    faces: Path | None = None
    """The face set's folder; otherwise faces/IDENTITY in the project."""
    consent: Path | None = None
    """A consent record for work outside a project."""
    first: int | None = None
    """First frame, by the plate's own numbers."""
    last: int | None = None
    """Last frame, included."""
    every: int = 1
    """Take every so manieth frame."""
    size: int = 256
    """The crops' side in pixels, 16 to 4096."""
    max_yaw: float = 75.0
    """Skip faces turned to the side further than this, in degrees."""
    max_pitch: float = 60.0
    """Skip faces turned up or down further than this, in degrees."""
    min_face: float = 48.0
    """Skip faces lower than this from chin to forehead, in plate pixels."""
    min_visible: float = 0.95
    """Skip faces of which less than this share lies inside the frame, 0 to 1."""
    min_sharpness: float = 0.0
    """Skip crops less sharp than this, as the review shows it; 0 keeps all."""
    again: bool = False
    """Gather this clip anew, bringing back pictures that were deleted by hand."""
    track: TrackOptions = field(default_factory=TrackOptions)
