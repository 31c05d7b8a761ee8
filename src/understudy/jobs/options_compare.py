"""What comparing clips, and asking people about them, takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What :func:`understudy.jobs.compare.compare` takes. Clips alone are laid side by side; with ``vote`` people are asked about
    them; ``votes`` alone counts a file of votes.

    Raises:
        OptionError: a value out of its range, or options that do not go together.
    """

    clips: tuple[str, ...] = ()
    """Movies, sequences or stills, two or more; the first is what the others are compared with."""
    output: Path | None = None
    """Where the comparison goes: a movie, a pattern such as side.####.png, or one picture. Default: beside the first clip's name,
    here."""
    labels: bool = False
    """Write each clip's name above its picture."""
    names: tuple[str, ...] = ()
    """What the clips are called, in their order; repeat it. Default: their file names."""
    difference: bool = False
    """Below each clip, how it differs from the first: the amount of every channel, amplified; equal is black."""
    amplify: float = 4.0
    """How many times differences are amplified, 1 to 1000. The factor, and what white means, is printed above the map."""
    wipe: Literal["none", "vertical", "horizontal"] = "none"
    """Two clips in one picture, parted by a line that stands (vertical) or lies (horizontal) and travels."""
    wipe_at: float | None = None
    """Hold the line there, share of the picture from the left or the top, 0 to 1. Default: it travels, there and back in 4 s."""
    height: int | None = None
    """Height of each picture, pixels. Default: the tallest clip's, less where the whole would be wider than 7680."""
    first: int | None = None
    """First frame, by the first clip's own numbers; the others start as many frames in."""
    last: int | None = None
    """Last frame, included."""
    codec: str | None = None
    """FFmpeg's name of a video encoder. Default: the first clip's own."""
    quality: int | None = None
    """The encoder's own scale. Default: visually lossless."""
    vote: bool = False
    """Ask people: show the clips in pairs on a page of this machine, blind and in random order, and keep their votes."""
    votes: Path | None = None
    """The file of votes, one JSON object a line: added to with --vote (default: votes.jsonl), counted where no clips are given."""
    port: int = 0
    """Port of the page on 127.0.0.1; 0 takes a free one."""
    rounds: int = 1
    """How many times every pair is shown."""
    real: tuple[str, ...] = ()
    """Name of a clip that is real footage; repeat it. People are then asked which one is real, and the fool rate is counted."""
    question: str | None = None
    """What people are asked. Default: which one looks better, or which one is real."""
    voter: str = ""
    """Who votes: a word that is kept with each vote."""

    def __post_init__(self) -> None:
        if not self.clips and self.votes is None:
            raise OptionError("Name two clips or more, or a file of votes to count with --votes.")
        if not self.clips and self.vote:
            raise OptionError("--vote shows clips in pairs: name two or more.")
        if len(self.clips) == 1:
            raise OptionError(f"{self.clips[0]} stands alone: name another clip to compare it with.")
        if self.clips and self.votes is not None and not self.vote:
            raise OptionError("--votes counts votes and takes no clips; to ask people about these clips, add --vote.")
        if self.names and len(self.names) != len(self.clips):
            raise OptionError(
                f"--name was given {len(self.names)} times for {len(self.clips)} clips; give one for each."
            )
        if self.wipe != "none" and len(self.clips) != 2:
            raise OptionError(f"--wipe shows two clips in one picture; {len(self.clips)} were named.")
        if self.wipe_at is not None and (self.wipe == "none" or not 0 <= self.wipe_at <= 1):
            raise OptionError(f"--wipe-at {self.wipe_at:g}: give a share from 0 to 1, together with --wipe.")
        if not 1 <= self.amplify <= 1000:
            raise OptionError(f"--amplify must lie between 1 and 1000; it is {self.amplify:g}.")
        if self.height is not None and not 16 <= self.height <= 8192:
            raise OptionError(f"--height must lie between 16 and 8192 pixels; it is {self.height}.")
        if not 0 <= self.port <= 65535:
            raise OptionError(f"--port must lie between 0 and 65535; it is {self.port}.")
        if not 1 <= self.rounds <= 1000:
            raise OptionError(f"--rounds must lie between 1 and 1000; it is {self.rounds}.")
        if len(set(self.titles)) < len(self.titles):
            raise OptionError(f"Two clips are called alike ({', '.join(self.titles)}); tell them apart with --name.")
        if unknown := sorted(set(self.real) - set(self.titles)) if self.clips else []:
            raise OptionError(f"--real {unknown[0]}: no clip is called that; there are {', '.join(self.titles)}.")

    @property
    def titles(self) -> tuple[str, ...]:
        """What the clips are called."""
        if self.names:
            return self.names
        plain = tuple(_title(clip) for clip in self.clips)
        # Two renders of one shot often bear one name in two folders.
        return (
            plain
            if len(set(plain)) == len(plain)
            else tuple(f"{Path(clip).parent.name}/{_title(clip)}" for clip in self.clips)
        )


def _title(clip: str) -> str:
    return Path(clip.split(" ")[0] if "#" in clip or "%" in clip else clip).name.split(".")[0].rstrip("#%@_-") or clip
