"""What a review takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Act(StrEnum):
    """What is done with the pictures that a review finds."""

    SHOW = "show"
    DROP = "drop"
    RESTORE = "restore"


@dataclass(frozen=True, kw_only=True)
class ReviewOptions:
    """What :func:`understudy.jobs.review.review` takes."""

    identity: str | None = None
    """Whose faces."""
    names: tuple[str, ...] = ()
    """Only these pictures, by file name."""
    sort: str = "name"
    """Order by name, blur, yaw, pitch, roll, size, duplicates or likeness."""
    worst: int | None = None
    """Only so many, the most doubtful ones by the sort."""
    where: tuple[str, ...] = ()
    """Only pictures with such a figure: blur<0.05, |yaw|>60, size<200, likeness<0.4, duplicates."""
    act: Act = Act.SHOW
    """Show them, drop them from the set, or restore dropped ones."""
    reason: str = ""
    """Why they are dropped; kept with them."""
    dropped: bool = False
    """Look at dropped pictures instead of those in the set."""
    sheet: Path | None = None
    """Where the contact sheet goes; otherwise review.png beside the pictures."""
    most: int = 96
    """At most so many pictures on the sheet, evenly picked."""
    project: Path | None = None
    """The project's folder; otherwise the one that holds the current folder."""
    faces: Path | None = None
    """The face set's folder; otherwise faces/IDENTITY in the project."""
