"""What editing a face by region takes. Imports nothing heavy."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError
from understudy.jobs.options_track import TrackOptions


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """What :func:`understudy.jobs.edit.edit_regions` takes. One of ``style``, ``mask`` and ``optimise`` says what is to be done.

    Raises:
        OptionError: nothing to do, or a value out of its range.
    """

    still: str
    """The picture to edit: any size, 8 or 16 bit, float, with or without alpha."""
    style: tuple[str, ...] = ()
    """A region's texture from another picture's face: lips=other.jpg, or hair=other.jpg:0.6 for a part of it. May be given several
    times."""
    mask: Path | None = None
    """A repainted region map of the picture: as `understudy regions` writes it, every pixel a region's number."""
    optimise: bool = False
    """Fit the textures to this picture first: slower, and nearer to it."""
    steps: int = 200
    """Steps of that fitting, 1 to 5000."""
    detail: Literal["keep", "replace"] = "keep"
    """What becomes of detail that the model cannot make: kept where the shape stays as it was, or replaced wherever something
    changes."""
    blend: Literal["gaussian", "laplacian"] = "gaussian"
    """How the change is laid into the picture: by a soft mask, or band by band."""
    method: str | None = None
    """The editing family. Default: the model's own, or the first that comes with weights."""
    run: str | None = None
    """The model: a run's name, its folder or a checkpoint. Default: the weights that come with the package."""
    parser: str | None = None
    """The face parser that reads the pictures' regions: a run's name, its folder or a checkpoint; or public, as for `understudy
    regions`. Default: the one that comes with the package."""
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
    max_yaw: float = 75.0
    """Refuse stills in which the head is turned further than this to a side, in degrees."""
    min_visible: float = 0.5
    """Refuse stills in which less than this share of the face lies inside the picture, 0 to 1."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda or mps."""
    track: TrackOptions = field(default_factory=TrackOptions)

    def __post_init__(self) -> None:
        if not (self.style or self.mask is not None or self.optimise):
            raise OptionError(
                f"Say what is to change in {self.still}: --style REGION=PICTURE, --mask MAP, or --optimise to see how "
                "well the model knows it."
            )
        for name, low, high in (("steps", 1, 5000), ("min_visible", 0, 1), ("max_yaw", 1, 180)):
            if not low <= (value := getattr(self, name)) <= high:
                raise OptionError(f"--{name.replace('_', '-')} must lie between {low} and {high}; it is {value}.")
        _ = self.styles  # said now rather than after the tracking

    @property
    def styles(self) -> tuple[Style, ...]:
        """``style``, read.

        Raises:
            OptionError: it cannot be.
        """
        return tuple(parse_style(text) for text in self.style)


@dataclass(frozen=True, kw_only=True)
class Style:
    """A region whose texture comes from another picture."""

    region: str
    picture: str
    strength: float = 1.0


def parse_style(text: str) -> Style:
    """``lips=other.jpg`` or ``hair=other.jpg:0.6``.

    Raises:
        OptionError: neither.
    """
    region, equals, picture = text.partition("=")
    name, colon, number = picture.rpartition(":")
    strength = 1.0
    if colon and name:
        with suppress(ValueError):  # a colon of the path's own
            strength, picture = float(number), name
    if not equals or not region.strip() or not picture:
        raise OptionError(f"--style {text}: say REGION=PICTURE, such as lips=other.jpg or hair=other.jpg:0.6.")
    if not 0 <= strength <= 1:
        raise OptionError(f"--style {text}: the strength behind the picture lies between 0 and 1.")
    return Style(region=region.strip(), picture=picture, strength=strength)
