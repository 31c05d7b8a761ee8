"""What telling the regions of faces apart takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError
from understudy.jobs.options_track import TrackOptions

Form = Literal["auto", "indexed", "mattes", "layers"]


@dataclass(frozen=True, kw_only=True)
class RegionsOptions:
    """What :func:`understudy.jobs.regions.find_regions` takes.

    Raises:
        OptionError: a value out of its range, or options that exclude each other.
    """

    source: str
    """A picture, a movie, or a sequence (plate.####.exr, a folder)."""
    output: Path | None = None
    """Where the regions go: a .png (or a pattern such as regions.####.png) for numbers with a palette, an .exr for soft layers, a
    folder for one picture with alpha a region. Default: the source's name with .regions.png."""
    form: Form = "auto"
    """indexed (a PNG whose values are the regions' numbers), mattes (one RGBA picture a region), layers (EXR: a soft layer a
    region, and Cryptomatte), or auto: by what --output is."""
    only: tuple[str, ...] = ()
    """With mattes or layers, write this region only; give it several times for more."""
    person: tuple[int, ...] = ()
    """Whose regions, if several people are seen: a number from the people sheet, 1 fills most of the footage; or more than one."""
    everyone: bool = False
    """Everybody's regions, on one map."""
    parser: str | None = None
    """The face parser: a run's name, its folder or a checkpoint; or public, the 19-class one (79999_iter.pth) where `understudy
    weights list` finds it. Default: the one that comes with the package."""
    steady: int = 1
    """Average over so many frames before and after, 0 for none, up to 8; the crops follow the head."""
    truth: Path | None = None
    """A region map to compare with, of the source's size: a .png with a palette or gray, whose values are the regions' numbers; a
    pattern for clips. The report then tells every region's overlap."""
    sheet: bool = True
    """Also draw a sheet to look at."""
    first: int | None = None
    """First frame, by the source's own numbers."""
    last: int | None = None
    """Last frame, included."""
    project: Path | None = None
    """The project's folder, whose tracks are used and kept; otherwise the one that holds the current folder, if any."""
    device: str = "auto"
    """Where the parser runs: auto, cpu, cuda or mps."""
    track: TrackOptions = field(default_factory=TrackOptions)

    def __post_init__(self) -> None:
        if self.person and self.everyone:
            raise OptionError("--person and --everyone exclude each other; give one of them.")
        if not 0 <= self.steady <= 8:
            raise OptionError(f"--steady must lie between 0 and 8 frames; it is {self.steady}.")
        if self.only and self.form == "indexed":
            raise OptionError("--only is for mattes and layers; an indexed picture holds every region by its number.")
