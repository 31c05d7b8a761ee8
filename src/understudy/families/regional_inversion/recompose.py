"""Shape and texture of two faces put together, region by region (paper 001, section 3.1; no torch).

Shape is a region map, texture a row of numbers a region. The paper stitches the target's background and neck, then the driven
face's inner regions, then the target's hair, glasses, ears and earrings on top; what stays empty is skin. The published code lays
the target's hair and ears below the inner face instead, and nothing of the face over the target's background. A third order is
ours: the paper's, but inside the target's head, whose neck and ears stay. A region that is not asked for stays the target's; one
asked for in part has a shape between both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from understudy.errors import OptionError
from understudy.faces.parse import depth
from understudy.faces.regions import Region
from understudy.family import FaceParts, JoinedFace

Order = Literal["paper", "code", "inside"]

TEXTURES = (
    *(Region.BROWS, Region.EYES, Region.NOSE, Region.MOUTH),
    *(Region.LIPS, Region.SKIN, Region.NECK, Region.EARS),
)
"""Regions whose texture a swap takes (section 3.1)."""
SHAPES = (Region.SKIN, Region.NOSE, Region.BROWS, Region.EYES, Region.LIPS, Region.MOUTH)
"""Regions whose shape a swap takes, in the order in which they are laid on."""
ABOVE = (Region.HAIR, Region.GLASSES, Region.EARS, Region.EARRINGS)
"""The target's regions that stay on top of the face."""
KEPT_IN_PICTURE = (Region.BACKGROUND, Region.EARRINGS, Region.HAIR)
"""Regions of a swapped face that the target's own pixels stay in (published code)."""
KEPT_IN_FOOTAGE = (*KEPT_IN_PICTURE, Region.EARS, Region.NECK)
"""The same for footage (the published code for video): necks and ears that are made anew would shimmer. And for our own order:
parsers take collars for necks."""
_EMPTY = 255
_SOFT = 8.0
"""σ of our own order's seam, pixels of 1024; towards the background it is as sharp as the published code's."""


@dataclass(frozen=True, kw_only=True)
class Recomposed:
    """A new region map.

    Attributes:
        regions: (h, w) uint8.
        holes: (h, w) bool, where neither face had anything to lay and skin was filled in.
    """

    regions: np.ndarray
    holes: np.ndarray


def everything(strength: float = 1.0) -> dict[Region, float]:
    """The strengths of a whole swap."""
    return dict.fromkeys(TEXTURES, strength)


def parse_strengths(words: Sequence[str], *, option: str = "--regions") -> dict[Region, float]:
    """``("eyes", "lips=0.5")``, each perhaps several with commas between, to strengths by region.

    Raises:
        OptionError: no such region, or no strength from 0 to 1.
    """
    names = {region.name.lower(): region for region in Region if region is not Region.BACKGROUND}
    found: dict[Region, float] = {}
    for word in (part.strip() for text in words for part in text.split(",")):
        if not word:
            continue
        name, equals, number = word.partition("=")
        if name.strip() not in names:
            raise OptionError(f"{option} {word}: the regions are {', '.join(names)}.")
        try:
            strength = float(number) if equals else 1.0
        except ValueError:
            strength = -1.0
        if not 0 <= strength <= 1:
            raise OptionError(f"{option} {word}: a strength lies between 0 and 1, such as {name.strip()}=0.5.")
        found[names[name.strip()]] = strength
    return found


def swap_regions(
    target: np.ndarray, driven: np.ndarray, strengths: Mapping[Region, float], *, order: Order = "paper"
) -> Recomposed:
    """M_swap: the target's map with the driven face's shapes in it.

    Args:
        target, driven: (h, w) uint8 region maps of the same crop.
        strengths: how much of the driven region's shape, 0 to 1; regions that are not named stay the target's, and so do those
            whose shape no swap takes.
        order: what lies over what, see this module.
    """
    if target.shape != driven.shape:
        raise OptionError(
            f"two region maps to be joined must be of one size; they are {target.shape} and {driven.shape}."
        )
    taken = {region: strengths.get(region, 0.0) for region in SHAPES}
    if not any(taken.values()):
        return Recomposed(regions=target.copy(), holes=np.zeros(target.shape, bool))
    canvas = np.full(target.shape, _EMPTY, np.uint8)
    below = (Region.BACKGROUND, Region.NECK)
    if order == "code":
        below = (Region.BACKGROUND, Region.NECK, Region.EARS, Region.EARRINGS, Region.HAIR)
    for region in below:
        canvas[target == region] = region
    free = np.ones(target.shape, bool) if order == "paper" else target != Region.BACKGROUND
    for region in SHAPES:
        canvas[between(target == region, driven == region, taken[region]) & free] = region
    for region in (Region.GLASSES,) if order == "code" else ABOVE:
        canvas[target == region] = region
    holes = canvas == _EMPTY
    canvas[holes] = Region.SKIN
    return Recomposed(regions=canvas, holes=holes)


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The shape at ``share`` of the way between two, (h, w) bool.

    Both are moved onto the middle that lies so far between theirs; there the distances from their edges are mixed, and the shape
    is where the mixture is inside. Without the move, thin shapes such as brows would not meet. A shape that one of them lacks
    comes or goes at a half.
    """
    if share <= 0 or share >= 1:
        return first if share <= 0 else second
    if not first.any() or not second.any():
        return first if share < 0.5 else second
    way = _middle(second) - _middle(first)
    mixed = (1 - share) * _signed(_moved(first, share * way)) + share * _signed(_moved(second, (share - 1) * way))
    return mixed > 0


def _middle(mask: np.ndarray) -> np.ndarray:
    """The mean x and y of a mask's pixels."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def _moved(mask: np.ndarray, way: np.ndarray) -> np.ndarray:
    """A mask moved by whole pixels, x and y; what leaves the picture is lost."""
    matrix = np.array([[1, 0, round(way[0])], [0, 1, round(way[1])]], np.float64)
    return cv2.warpAffine(mask.astype(np.uint8), matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST) > 0


def _signed(mask: np.ndarray) -> np.ndarray:
    """Distance from the edge in pixels, positive inside."""
    if not mask.any():
        return np.full(mask.shape, -1.0, np.float32)
    return depth(mask) - depth(~mask)


def present(regions: np.ndarray) -> np.ndarray:
    """(12,) bool: which regions a map (h, w) shows."""
    return np.bincount(regions.ravel(), minlength=len(Region))[: len(Region)] > 0


def swap_textures(
    target: np.ndarray,
    driven: np.ndarray,
    strengths: Mapping[Region, float],
    *,
    target_has: np.ndarray,
    driven_has: np.ndarray,
) -> np.ndarray:
    """S_swap: the target's textures with the driven face's in the regions that are named.

    A region that the driven face does not show stays the target's (the published code halves its ears instead); one that the
    target does not show is the driven face's whole.

    Args:
        target, driven: (12, L).
        strengths: how much of the driven region's texture, 0 to 1.
        target_has, driven_has: (12,) bool, from :func:`present`.
    """
    mixed = target.copy()
    for region, strength in strengths.items():
        if strength > 0 and driven_has[region]:
            share = np.float32(strength if target_has[region] else 1.0)
            mixed[region] += share * (driven[region] - target[region])
    return mixed


def foreground(
    recomposed: Recomposed,
    *,
    strengths: Mapping[Region, float] | None = None,
    kept: Sequence[Region] = KEPT_IN_PICTURE,
    radius: float | None = None,
) -> np.ndarray:
    """Where a swapped face is laid into the picture, (h, w) bool: all but background, hair and earrings, and the filled holes.

    Args:
        strengths: of a swap of some regions; then these regions alone, and what their new shapes uncover.
        kept: regions that the picture keeps.
        radius: how far it is dilated, pixels of the map; None for the published code's 5 of 512.
    """
    chosen = ~np.isin(recomposed.regions, kept)
    if strengths is not None:
        named = [region for region, strength in strengths.items() if strength > 0]
        chosen = np.isin(recomposed.regions, named) & ~np.isin(recomposed.regions, (Region.BACKGROUND,))
    chosen = chosen | recomposed.holes
    return dilated(chosen, 5 * chosen.shape[0] / 512 if radius is None else radius)


def with_known_looks(recomposed: Recomposed, known: np.ndarray) -> Recomposed:
    """The map without shapes whose look nobody knows.

    A mouth that opens where both faces' were shut becomes lips, anything else skin.

    Args:
        known: (12,) bool, which regions there is a texture of.
    """
    unknown = [region for region in SHAPES if not known[region] and (recomposed.regions == region).any()]
    if not unknown:
        return recomposed
    regions = recomposed.regions.copy()
    for region in unknown:
        beside = Region.LIPS if region is Region.MOUTH and known[Region.LIPS] else Region.SKIN
        regions[recomposed.regions == region] = beside
    return Recomposed(regions=regions, holes=recomposed.holes)


def dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    """(h, w) bool grown by a disc."""
    if radius < 0.5 or not mask.any():
        return mask.copy()
    # By distance: a disc of any size costs the same.
    return depth(~mask) <= radius


def eroded(mask: np.ndarray, radius: float) -> np.ndarray:
    """(h, w) bool shrunk by a disc; what lies outside the picture counts as inside."""
    return ~dilated(~mask, radius)


def soft_edge(mask: np.ndarray, side: int, *, softness: float = 2.0) -> np.ndarray:
    """α: (side, side) float32 in [0, 1] of a mask: shrunk by 5 pixels of 1024 and blurred with σ = ``softness`` = 2 of 1024, 11
    wide (published code).

    σ is a pixel at least: a small crop is enlarged on the picture, and its pixels would be seen as steps along the edge.
    """
    scale = side / 1024
    large = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    inner = eroded(large >= 0.5, 5 * scale)
    sigma = max(softness * scale, 1.0)
    taps = 2 * int(2.5 * sigma + 0.5) + 1  # 11 at 1024
    alpha = cv2.GaussianBlur(inner.astype(np.float32), (taps, taps), sigma)
    alpha[alpha > 1 - 1e-6] = 1  # the window's weights add up to a hair less
    return alpha


def join_faces(
    target: FaceParts,
    driven: FaceParts,
    *,
    regions: Sequence[str] = (),
    order: str = "paper",
    moving: bool = False,
    side: int,
) -> JoinedFace:
    """M_swap and S_swap (section 3.1), and where the result is laid in.

    Args:
        target, driven: the plate's face, and the source's doing the same.
        regions: those to swap, each perhaps in part (:func:`parse_strengths`); none is all that a swap takes.
        order: ``paper``, ``code`` or ``inside``.
        moving: the picture is a frame of footage.
        side: of the matte, pixels.

    Raises:
        OptionError: an unknown region or order, or maps of unlike size.
    """
    if order not in ("paper", "code", "inside"):
        raise OptionError(f"--order {order}: choose paper, code or inside.")
    named = parse_strengths(regions) if regions else None
    strengths = everything() if named is None else named
    shape = swap_regions(target.regions, driven.regions, strengths, order=order)
    values = swap_textures(target.values, driven.values, strengths, target_has=target.shown, driven_has=driven.shown)
    asked = np.array([strengths.get(region, 0.0) for region in Region], np.float32)
    shape = with_known_looks(shape, target.shown | (driven.shown & (asked > 0)))
    kept = KEPT_IN_FOOTAGE if moving or order == "inside" else KEPT_IN_PICTURE
    mask = foreground(shape, strengths=named, kept=kept)
    if order == "inside":
        # A seam of the made face over hair would be a line along it.
        mask &= ~np.isin(shape.regions, [region for region in kept if named is None or not named.get(region)])
        matte = soft_edge(mask, side, softness=_SOFT) * soft_edge(target.regions != Region.BACKGROUND, side)
    else:
        matte = soft_edge(mask, side)
    return JoinedFace(regions=shape.regions, values=values, strengths=asked, matte=matte)
