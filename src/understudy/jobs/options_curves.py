"""What measuring action-unit curves takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from understudy.errors import OptionError
from understudy.jobs.options_track import TrackOptions


@dataclass(frozen=True, kw_only=True)
class CurvesOptions:
    """What :func:`understudy.jobs.curves.measure_curves` takes.

    Raises:
        OptionError: a value out of its range.
    """

    source: str
    """Footage of a performer, a still, or a file of curves (.csv or .json, OpenFace's too) to be written anew."""
    output: Path | None = None
    """The curves, .csv or .json. Default: the source's name with .csv, in the current folder."""
    neutral: str = "auto"
    """The performer's face at rest, from which units are counted: auto (where the clip is quietest; in a file of curves
    nothing changes), first (the first frame), a frame's number, or none: read every frame as anybody's."""
    steady: bool = True
    """Steady the units over time, without lag."""
    person: tuple[int, ...] = ()
    """Which person of the clip, if there are several: a number from the people sheet, or more than one."""
    first: int | None = None
    """First frame, by the source's own numbers."""
    last: int | None = None
    """Last frame, included."""
    plot: bool = True
    """Draw the curves, with pictures of the face above them, into a .png beside the file."""
    project: Path | None = None
    """The project's folder, whose tracks are used and kept; otherwise the one that holds the current folder, if any."""
    track: TrackOptions = field(default_factory=TrackOptions)

    def __post_init__(self) -> None:
        if self.neutral not in ("auto", "first", "none") and not self.neutral.lstrip("-").isdigit():
            raise OptionError(f"--neutral must be auto, first, none or a frame's number; it is {self.neutral!r}.")
        if self.output is not None and self.output.suffix.lower() not in (".csv", ".json"):
            raise OptionError(f"--output {self.output} must end in .csv or .json.")
