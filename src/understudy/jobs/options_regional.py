"""How faces are swapped region by region. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from understudy.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class RegionalOptions:
    """How a method that swaps region by region does it; other methods leave these aside.

    Raises:
        OptionError: a value out of its range.
    """

    regions: tuple[str, ...] = ()
    """Swap these regions alone, each perhaps in part: eyes,lips=0.5. Default: the whole face."""
    reenact: str = "mesh"
    """What gives the source the plate's expression and pose: mesh (its picture bent by its own landmarks), none, a family that
    animates, or face-vid2vid, whose published weights you bring."""
    order: Literal["inside", "paper", "code"] = "inside"
    """What lies over what: the plate's hair over the face, which keeps inside the plate's head (inside) or may leave it (paper), or
    the face over the plate's hair, and inside the head (code)."""
    textures: Literal["shot", "frame"] = "shot"
    """Whether the look of regions is averaged over the shot, which does not flicker, or read anew in every frame."""
    light: Literal["plate", "shading", "source"] = "plate"
    """Whose light and complexion the face has: both the plate's, matched by --colour-match and --contrast (plate); the source's
    complexion, with light and shadow falling as on the plate's face (shading); or both the source's (source)."""
    gaze: Literal["plate", "source"] = "plate"
    """Where the eyes look: as the plate's do, or as in the source's pictures."""
    seam: Literal["gaussian", "laplacian"] = "gaussian"
    """How the face is laid into the plate: by a soft mask, or band by band."""
    calm: int = 2
    """Average region maps over so many frames before and after, 0 to 12."""
    fit: int = 0
    """Fit the source's textures to its pictures first, in so many steps, 0 to 5000; 0 does not."""

    def __post_init__(self) -> None:
        for name, high in (("calm", 12), ("fit", 5000)):
            if not 0 <= (value := getattr(self, name)) <= high:
                raise OptionError(f"--{name} must lie between 0 and {high}; it is {value}.")
        for part in (part.strip() for words in self.regions for part in words.split(",")):
            name, equals, number = part.partition("=")
            if equals and not _share(number):
                raise OptionError(
                    f"--regions {part}: a strength lies between 0 and 1, such as {name.strip() or 'lips'}=0.5."
                )


def _share(number: str) -> bool:
    try:
        return 0 <= float(number) <= 1
    except ValueError:
        return False
