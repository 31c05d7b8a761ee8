"""What moving points of a face takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError
from understudy.jobs.options_track import TrackOptions


@dataclass(frozen=True, kw_only=True)
class EditLandmarksOptions:
    """What :func:`understudy.jobs.edit_landmarks.edit_landmarks` takes.

    Raises:
        OptionError: neither a still and moves nor ``list_``, or a move that cannot be read.
    """

    still: str | None = None
    """The picture to edit: any size, 8 or 16 bit, float, with or without alpha."""
    move: tuple[str, ...] = ()
    """Move a named point of the face by pixels of the picture to the right and down: mouth_left=+6,-3. May be given several
    times. Left is the person's own."""
    list_: bool = False
    """Say which points have names, and do nothing else."""
    reach: float = 1.0
    """How far the skin follows, 0.2 to 5; 1 is usual, less bends more sharply."""
    method: str | None = None
    """The animating family. Default: the model's own, or the first that comes with weights and is driven by landmarks."""
    run: str | None = None
    """The model: a run's name, its folder or a checkpoint. Default: the weights that come with the package."""
    warp: Literal["multiscale", "vanilla", "bilinear", "bicubic", "nearest"] = "multiscale"
    """How the small network's answer is carried to the still's size, where the model says how pixels move."""
    margin: float = 0.12
    """Width over which the change fades out inside the head's window, share of its side, 0.02 to 0.4."""
    output: Path | None = None
    """One picture. Default: renders/ in the project."""
    identity: str | None = None
    """Who is seen in the still: an identity of the cast. Not needed where the cast has one alone, or with --consent."""
    project: Path | None = None
    """The project's folder; otherwise the one that holds the current folder."""
    consent: Path | None = None
    """A consent record for work outside a project. A file portrait.consent.toml beside portrait.jpg is found by itself."""
    person: int | None = None
    """Which face of the still, if there are several: a number from the people sheet, 1 is the largest."""
    max_yaw: float = 60.0
    """Refuse stills in which the head is turned further than this to a side, in degrees."""
    min_visible: float = 0.5
    """Refuse stills in which less than this share of the face lies inside the picture, 0 to 1."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda or mps."""
    track: TrackOptions = field(default_factory=TrackOptions)

    def __post_init__(self) -> None:
        if self.list_:
            return
        if self.still is None:
            raise OptionError("Name the picture to edit, or ask for the names of the points with --list.")
        if not self.move:
            raise OptionError(
                f"Say what is to move in {self.still}, such as --move mouth_left=+6,-3; --list shows the names."
            )
        from understudy.faces.handles import parse_moves

        parse_moves(self.move)
