"""Where each region of a map lies at each level's size, and work that is done only there (paper 001, eq. 4).

Convention: boxes are (top, bottom, left, right) in pixels of the level, bottom and right not included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from understudy.families.regional_inversion.settings import NUM_REGIONS

Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one region lies, over the pictures of a batch."""

    region: int
    rows: tuple[int, ...]
    """The pictures that show it."""
    box: Box
    """The smallest box that holds it on all of those pictures."""
    mask: Tensor
    """(rows, 1, height, width) of the box: 1 where the pixel is the region's."""


class RegionMaps:
    """A batch's region maps at every size."""

    def __init__(self, labels: Tensor, *, everywhere: bool = False, by_pixel: bool = False) -> None:
        """
        Args:
            labels: (B, h, w) integers, each pixel's region.
            everywhere: every region's place is the whole map, as eq. 4 is written; also where there are no values to look at
                (the meta device).
            by_pixel: not eq. 4, but nearly: every pixel is modulated as its own region says (``generator.by_pixel``).
        """
        self.labels, self.by_pixel = labels, by_pixel
        self.everywhere = everywhere or labels.is_meta
        self._places: dict[int, list[Place]] = {}

    def at(self, side: int) -> Tensor:
        """[M]_l: (B, side, side) labels, each pixel that of the nearest one (towards the top left)."""
        if self.labels.shape[-1] == side:
            return self.labels
        return functional.interpolate(self.labels[:, None].float(), size=(side, side), mode="nearest")[:, 0].to(
            torch.uint8
        )

    def spread(self, values: Tensor, side: int) -> Tensor:
        """Regions' values (B, R, C) laid on the map of this size: (B, C, side, side)."""
        labels = self.at(side).long()
        rows = labels + values.shape[1] * torch.arange(len(labels), device=labels.device)[:, None, None]
        return functional.embedding(rows, values.flatten(0, 1)).permute(0, 3, 1, 2)

    def places(self, side: int) -> list[Place]:
        """The regions that are there at this size."""
        if side not in self._places:
            labels = self.at(side)
            self._places[side] = self._whole(labels) if self.everywhere else self._found(labels)
        return self._places[side]

    def _whole(self, labels: Tensor) -> list[Place]:
        batch, height, width = labels.shape
        box = (0, height, 0, width)
        return [
            Place(region=j, rows=tuple(range(batch)), box=box, mask=(labels == j)[:, None].float())
            for j in range(NUM_REGIONS)
        ]

    def _found(self, labels: Tensor) -> list[Place]:
        there = labels[:, None] == torch.arange(NUM_REGIONS, device=labels.device)[None, :, None, None]
        # One transfer for all regions: (B, R), (R, h) and (R, w).
        shown, down, across = (x.cpu() for x in (there.flatten(2).any(2), there.any(3).any(0), there.any(2).any(0)))
        places = []
        for j in range(NUM_REGIONS):
            rows = tuple(torch.nonzero(shown[:, j])[:, 0].tolist())
            if rows:
                top, bottom = _ends(down[j])
                left, right = _ends(across[j])
                mask = there[list(rows), j : j + 1, top:bottom, left:right].float()
                places.append(Place(region=j, rows=rows, box=(top, bottom, left, right), mask=mask))
        return places


def _ends(there: Tensor) -> tuple[int, int]:
    where = torch.nonzero(there)[:, 0]
    return int(where[0]), int(where[-1]) + 1


def cut(x: Tensor, places: Sequence[tuple[tuple[int, ...], Box]]) -> list[Tensor]:
    """(B, C, h, w) -> the boxes' pieces (rows, C, height, width)."""
    return list(_Cut.apply(tuple(places), x))  # type: ignore[arg-type]


def lay(pieces: Sequence[Tensor], places: Sequence[tuple[tuple[int, ...], Box]], shape: Sequence[int]) -> Tensor:
    """The sum of pieces, each in its box, over a zero (B, C, h, w)."""
    return _Lay.apply(tuple(places), tuple(shape), *pieces)  # type: ignore[return-value]


# Autograd's own slices would make a whole picture of every piece on the way back; these add up in place, and each is the
# other's way back, so that also second derivatives exist.


class _Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, places: Any, x: Tensor) -> Any:
        ctx.places, ctx.shape = places, x.shape
        return tuple(_piece(x, rows, box) for rows, box in places)

    @staticmethod
    def backward(ctx: Any, *pieces: Tensor) -> Any:
        return None, lay(pieces, ctx.places, ctx.shape)


class _Lay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, places: Any, shape: Any, *pieces: Tensor) -> Any:
        ctx.places = places
        whole = pieces[0].new_zeros(shape).contiguous(memory_format=torch.channels_last)
        for piece, (rows, (top, bottom, left, right)) in zip(pieces, places, strict=True):
            if len(rows) == len(whole):
                whole[:, :, top:bottom, left:right] += piece
            else:
                whole[list(rows), :, top:bottom, left:right] += piece
        return whole

    @staticmethod
    def backward(ctx: Any, whole: Tensor) -> Any:
        return None, None, *cut(whole, ctx.places)


def _piece(x: Tensor, rows: tuple[int, ...], box: Box) -> Tensor:
    top, bottom, left, right = box
    piece = x[:, :, top:bottom, left:right]
    return piece.clone() if len(rows) == len(x) else piece[list(rows)]
