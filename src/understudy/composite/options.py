"""How a generated face is laid into the plate. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from understudy.errors import OptionError

ColourMatch = Literal["none", "mean_shrink", "mean_std", "mkl", "histogram"]
Contrast = Literal["none", "gcf", "deviation"]
OWN_DETAIL_SIZE = 0.016
"""What counts as own detail where nothing else is said: two pixels of 128."""


@dataclass(frozen=True, kw_only=True)
class CompositeOptions:
    """How a generated face is laid into the plate.

    Raises:
        OptionError: a value out of its range.
    """

    sigma: float = 1.0
    """Softness of the seam: smoothing of the mask at every level, in pixels of that level, 0 to 16."""
    levels_from_target: int = 2
    """How many of the coarsest levels (2, 4, 8... pixels a face) keep the plate's light and colour; the paper's is
    2."""
    colour_match: ColourMatch = "mean_shrink"
    """How the face gets the plate's colours: not at all, by mean and deviation without ever stretching them
    (mean_shrink), by mean and deviation, by covariance (mkl), or by histogram. Stretching tints brows and teeth."""
    contrast: Contrast = "gcf"
    """How the face gets the plate's contrast: not at all, by Global Contrast Factor, or by deviation of luma."""
    contrast_limits: tuple[float, float] = (0.85, 1.15)
    """Smallest and largest gain in contrast; a soft face measures as flat, and more gain would only blacken its eyes."""
    erode: tuple[float, float, float, float] = (0.02, 0.01, 0.02, 0.02)
    """How far the outline is pulled in at left, top, right, bottom, in shares of the crop's side, -0.2 to 0.3."""
    reach: float = 0.05
    """How far beyond the outline the blend may flow, in shares of the crop's side, 0 to 0.3."""
    plate_detail: float = 0.0
    """How much of the plate's detail finer than the generated face stays (grain, but also lashes), 0 to 1."""
    own_detail: float = 1.0
    """How much of the face's fine detail (brows, lashes, lips' edges, stubble) comes from the performer's own footage, 0 to 1;
    only where their gathered faces are at hand."""
    own_detail_size: float | None = None
    """What counts as fine there: standard deviation, in shares of the crop's side, 0.001 to 0.05. Default: 0.016, or what the
    method's network blurs, where it says so."""
    skin_detail: float | None = None
    """How much of the finest detail on skin, not at eyes, brows and lips, is the plate's (pores, grain), 0 to 1. Default: 1,
    or 0 where the performer's own footage gives it."""
    detail_size: float = 0.008
    """What counts as finest: standard deviation, in shares of the crop's side, 0.001 to 0.05; one pixel of 128 is 0.008."""
    detail_limit: float = 0.04
    """How strong skin detail may be, in view units, 0.001 to 1; stronger edges are features and would ghost."""

    def __post_init__(self) -> None:
        _within("sigma", self.sigma, 0, 16)
        _within("levels_from_target", self.levels_from_target, 0, 16)
        _within("reach", self.reach, 0, 0.3)
        _within("plate_detail", self.plate_detail, 0, 1)
        _within("own_detail", self.own_detail, 0, 1)
        if self.own_detail_size is not None:
            _within("own_detail_size", self.own_detail_size, 0.001, 0.05)
        if self.skin_detail is not None:
            _within("skin_detail", self.skin_detail, 0, 1)
        _within("detail_size", self.detail_size, 0.001, 0.05)
        _within("detail_limit", self.detail_limit, 0.001, 1)
        for side, value in zip(("left", "top", "right", "bottom"), self.erode, strict=True):
            _within(f"erode {side}", value, -0.2, 0.3)
        low, high = self.contrast_limits
        if not 0 < low <= 1 <= high < float("inf"):
            raise OptionError(f"contrast_limits must be a gain up to 1 and one from 1 on; they are {low} and {high}.")
        _one_of("colour_match", self.colour_match, get_args(ColourMatch))
        _one_of("contrast", self.contrast, get_args(Contrast))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise OptionError(f"{name} must lie between {low:g} and {high:g}; it is {value}.")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise OptionError(f"{name} must be one of {', '.join(known)}; it is {value!r}.")
