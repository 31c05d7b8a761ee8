"""What animating a still takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError
from understudy.jobs.options_track import TrackOptions

_SAYING = ("expression", "drive", "curves", "boundary", "rotate", "move")
_RANGES = (("strength", 0, 2), ("margin", 0.02, 0.4), ("min_visible", 0, 1), ("max_yaw", 1, 180), ("reach", 0.2, 5))


@dataclass(frozen=True, kw_only=True)
class AnimateOptions:
    """What :func:`understudy.jobs.animate.animate_still` takes. One of ``expression``, ``drive``, ``curves``, ``boundary``,
    ``rotate`` and ``move`` says what the still is to do.

    Raises:
        OptionError: a value out of its range, or options that exclude each other.
    """

    still: str
    """The picture to bring to life: any size, 8 or 16 bit, float, with or without alpha."""
    expression: str | None = None
    """A named expression, such as smile, sad, surprised or blink."""
    drive: str | None = None
    """Footage of a performer who is followed frame by frame: a movie or a sequence. Models driven by action units take the
    expression over, models driven by landmarks also the head's turning."""
    curves: Path | None = None
    """Action units from a file, .csv or .json, as `understudy curves` and OpenFace write them."""
    boundary: str | None = None
    """A picture of another face whose expression and head pose are the target."""
    rotate: str | None = None
    """Turn the head by so many degrees, each up to 60: yaw=30,pitch=-10,roll=5. Yaw goes to the person's own left, pitch up,
    roll clockwise in the picture."""
    move: tuple[str, ...] = ()
    """Move a named point of the face by pixels to the right and down: mouth_left=+6,-3. May be given several times;
    `understudy edit landmarks --list` shows the names."""
    reach: float = 1.0
    """How far the skin follows a moved point, 0.2 to 5; 1 is usual."""
    retarget: bool = True
    """Keep the shape of the still's face and take over only what the other face does; without it the other's features come
    along."""
    head: Literal["turn", "follow", "still"] = "turn"
    """What of another head's movement is taken over by models driven by landmarks: its turning, also its place and size
    (follow), or nothing."""
    strength: float = 1.0
    """How much of it, 0 to 2; 1 is the expression or performance as it is."""
    rise: float = 0.8
    """Seconds from the still to the full expression."""
    hold: float = 0.8
    """Seconds at the full expression."""
    fall: float = 0.8
    """Seconds back to the still; 0 ends at the full expression."""
    ease: float = 0.25
    """Seconds over which a driven still takes the performance up, so that it begins as it is; 0 begins at once."""
    neutral: str = "auto"
    """What counts as the performer at rest: auto (the clip's quietest frames; 0 in a file of curves), first (the first frame),
    a frame's number, or none: the still takes units as they are, whatever its own expression, and the head looks where the
    performer's looks."""
    steady: bool = True
    """Steady the units or landmarks of a driving clip over time, without lag."""
    fps: str | float | None = None
    """Frames a second, such as 25 or 24000/1001. Default: the drive's own, 24 for an expression."""
    frames: int | None = None
    """How many frames. An expression's timing is stretched to fill them; a performance is cut, or held at its end."""
    start: int | None = None
    """Number of the first frame. Default: the drive's own, 1 for an expression."""
    method: str | None = None
    """The animating family. Default: the model's own, or the first that comes with weights."""
    run: str | None = None
    """The model: a run's name, its folder or a checkpoint. Default: the weights that come with the package."""
    warp: Literal["multiscale", "vanilla", "bilinear", "bicubic", "nearest"] = "multiscale"
    """How the small network's answer is carried to the still's size; the last three only enlarge it, for comparison."""
    margin: float = 0.12
    """Width over which motion fades out inside the head's window, share of its side, 0.02 to 0.4."""
    output: Path | None = None
    """Where it goes: a movie, a pattern such as out.####.exr, or one picture. Default: renders/ in the project."""
    identity: str | None = None
    """Who is seen in the still: an identity of the cast. Not needed where the cast has one alone, or with --consent."""
    project: Path | None = None
    """The project's folder; otherwise the one that holds the current folder."""
    consent: Path | None = None
    """A consent record for work outside a project. A file portrait.consent.toml beside portrait.jpg is found by itself."""
    person: int | None = None
    """Which face of the still, if there are several: a number from the people sheet, 1 is the largest."""
    performer: tuple[int, ...] = ()
    """Which person of the driving clip, if there are several: a number from its people sheet, or more than one."""
    max_yaw: float = 60.0
    """Refuse stills in which the head is turned further than this to a side, in degrees."""
    min_visible: float = 0.5
    """Refuse stills in which less than this share of the face lies inside the picture, 0 to 1."""
    codec: str | None = None
    """FFmpeg's name of a video encoder. Default: what suits the container."""
    quality: int | None = None
    """The encoder's own scale. Default: visually lossless."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda or mps."""
    track: TrackOptions = field(default_factory=TrackOptions)

    def __post_init__(self) -> None:
        given = [name for name in _SAYING if getattr(self, name) not in (None, ())]
        if len(given) != 1:
            found = f"{' and '.join(f'--{name}' for name in given)} exclude each other" if given else "none was given"
            asked = ", ".join(f"--{name}" for name in _SAYING[:-1])
            raise OptionError(f"Say what the still is to do by one of {asked} and --{_SAYING[-1]}; {found}.")
        self._check_landmarks()
        for name, low, high in _RANGES:
            if not low <= (value := getattr(self, name)) <= high:
                raise OptionError(f"{_flag(name)} must lie between {low} and {high}; it is {value}.")
        for name in ("rise", "hold", "fall", "ease"):
            if not 0 <= (value := getattr(self, name)) <= 3600:
                raise OptionError(f"{_flag(name)} must lie between 0 and 3600 seconds; it is {value}.")
        if self.frames is not None and not 1 <= self.frames <= 1_000_000:
            raise OptionError(f"--frames must lie between 1 and 1000000; it is {self.frames}.")
        if self.neutral not in ("auto", "first", "none") and not self.neutral.lstrip("-").isdigit():
            raise OptionError(f"--neutral must be auto, first, none or a frame's number; it is {self.neutral!r}.")
        _ = self.rate  # said now rather than after the tracking

    @property
    def by_landmarks(self) -> bool:
        """Asked for something that only landmarks can say."""
        return self.boundary is not None or self.rotate is not None or bool(self.move)

    def _check_landmarks(self) -> None:
        # What reads these imports more than numbers: only where it is needed.
        if self.rotate is not None:
            from understudy.faces.rotate import parse_rotation

            parse_rotation(self.rotate)
        if self.move:
            from understudy.faces.handles import parse_moves

            parse_moves(self.move)

    @property
    def rate(self) -> Fraction | None:
        """``fps`` as a fraction.

        Raises:
            OptionError: it is no rate.
        """
        if self.fps is None:
            return None
        try:
            rate = Fraction(str(self.fps)).limit_denominator(100_000)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not 0 < rate <= 1000:
            raise OptionError(f"--fps must be a rate up to 1000, such as 25 or 24000/1001; it is {self.fps!r}.")
        return rate


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
