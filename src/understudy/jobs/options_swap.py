"""What swapping a shot takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from understudy.composite.options import CompositeOptions
from understudy.errors import OptionError
from understudy.jobs.options_regional import RegionalOptions
from understudy.jobs.options_track import TrackOptions


@dataclass(frozen=True, kw_only=True)
class SwapOptions:
    """What :func:`understudy.jobs.shot.swap_shot` takes.

    Raises:
        OptionError: a value out of its range, or two that exclude each other.
    """

    plate: str
    """The footage to change: a movie, a sequence (plate.####.exr, plate.%04d.exr, a range 1001-1100, a folder) or a
    still."""
    identity: str
    """Whose face is put on: an identity that the model knows; for a method that needs no training, a picture or an identity with
    gathered faces."""
    method: str | None = None
    """The family. Default: the model's own. regional_inversion swaps region by region, and needs no training on the identity."""
    run: str | None = None
    """The model: a run's name, its folder or a checkpoint. Default: the project's newest run that knows the
    identity."""
    output: Path | None = None
    """Where the shot goes, same kind as the plate or a picture pattern. Default: renders/ in the project."""
    project: Path | None = None
    """The project's folder; otherwise the one that holds the current folder."""
    consent: Path | None = None
    """A consent record for work outside a project."""
    person: tuple[int, ...] = ()
    """Which person of the plate gets the face, if there are several: a number from the people sheet, or more than
    one."""
    everyone: bool = False
    """Put the face on everybody in the plate."""
    first: int | None = None
    """First frame to render, by the plate's own numbers."""
    last: int | None = None
    """Last frame to render, included."""
    max_yaw: float = 75.0
    """Leave frames alone in which the head is turned further than this to a side, in degrees."""
    min_visible: float = 0.5
    """Leave frames alone in which less than this share of the face lies inside the picture, 0 to 1."""
    steady: int = 4
    """Average colour and contrast over so many frames before and after, 0 for none."""
    outline: bool = True
    """Stop at the generated face's own outline where it is narrower than the plate's."""
    occlusion: Literal["none", "regions"] = "none"
    """Keep what stands before the face: nothing, or hair, glasses, hats and hands as the face parser finds them (regions)."""
    parser: str | None = None
    """The face parser of a swap by region and of --occlusion regions: a run's name, its folder or a checkpoint; or public, as for
    `understudy regions`. Default: the one that comes with the package."""
    mattes: Path | None = None
    """Also write the mattes, as pictures: a pattern such as mattes/shot.####.png."""
    raw_faces: Path | None = None
    """Also write the graded faces before blending, on black: a pattern such as faces/shot.####.exr."""
    codec: str | None = None
    """FFmpeg's name of a video encoder. Default: the plate's own."""
    quality: int | None = None
    """The encoder's own scale. Default: visually lossless."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda or mps."""
    regional: RegionalOptions = field(default_factory=RegionalOptions)
    composite: CompositeOptions = field(default_factory=CompositeOptions)
    track: TrackOptions = field(default_factory=TrackOptions)

    def __post_init__(self) -> None:
        if self.person and self.everyone:
            raise OptionError("--person and --everyone exclude each other; give one of them.")
        if not 0 <= self.steady <= 25:
            raise OptionError(f"--steady must lie between 0 and 25 frames; it is {self.steady}.")
        if not 0 <= self.min_visible <= 1:
            raise OptionError(f"--min-visible must lie between 0 and 1; it is {self.min_visible}.")
        if not 0 < self.max_yaw <= 180:
            raise OptionError(f"--max-yaw must lie between 0 and 180 degrees; it is {self.max_yaw}.")
