"""face-vid2vid's motion: every key point proposes one, and a network chooses among them cell by cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.families.regional_inversion.face_vid2vid_layers import Block, places, sampled
from understudy.families.regional_inversion.face_vid2vid_points import KeyPoints
from understudy.families.regional_inversion.face_vid2vid_settings import Vid2VidSettings

_VARIANCE = 0.01
"""Of the bells about key points."""


def proposed_motions(grid: Tensor, driving: KeyPoints, source: KeyPoints) -> Tensor:
    """Where each cell of the driven volume would come from in the source's.

    Args:
        grid: (d, h, w, 3) from ``face_vid2vid_layers.places``.

    Returns:
        (B, 1 + K, d, h, w, 3): the first is no motion; that of a key point is p - x_d + x_s, or J_s J_d^-1 (p - x_d) + x_s.
    """
    moved = grid - driving.values[:, :, None, None, None]
    if driving.jacobians is not None and source.jacobians is not None:
        slopes = source.jacobians @ torch.linalg.inv(driving.jacobians)
        moved = torch.einsum("bkij,bkdhwj->bkdhwi", slopes, moved)
    moved = moved + source.values[:, :, None, None, None]
    return torch.cat([grid.expand(len(moved), 1, *grid.shape), moved], 1)


def bells(grid: Tensor, points: KeyPoints) -> Tensor:
    """(B, K, d, h, w) in (0, 1]: how near each cell is to each key point."""
    away = (grid - points.values[:, :, None, None, None]).square().sum(-1)
    return torch.exp(-0.5 * away / _VARIANCE)


class _Encoder(nn.Module):
    def __init__(self, given: int, widths: list[int]) -> None:
        super().__init__()
        wide = [given, *widths[1:]]
        self.down_blocks = nn.ModuleList(
            Block(before, after, dimensions=3, change="half") for before, after in zip(wide, wide[1:], strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        seen = [x]
        for block in self.down_blocks:
            seen.append(block(seen[-1]))
        return seen


class _Decoder(nn.Module):
    def __init__(self, given: int, widths: list[int]) -> None:
        super().__init__()
        levels = range(len(widths) - 1, 0, -1)
        # What comes from below is joined by what the encoder saw at that level; at the deepest there is nothing to join.
        self.up_blocks = nn.ModuleList(
            Block(widths[level] * (1 if level == levels[0] else 2), widths[level - 1], dimensions=3, change="double")
            for level in levels
        )
        self.width = widths[0] + given
        self.conv = nn.Conv3d(self.width, self.width, 3, padding=1)
        self.norm = nn.BatchNorm3d(self.width)

    def forward(self, seen: list[Tensor]) -> Tensor:
        x = seen[-1]
        for block, beside in zip(self.up_blocks, reversed(seen[:-1]), strict=True):
            x = torch.cat([block(x), beside], 1)
        return functional.relu(self.norm(self.conv(x)))


class _Hourglass(nn.Module):
    def __init__(self, given: int, settings: Vid2VidSettings) -> None:
        super().__init__()
        widths = settings.hourglass(settings.motion_width, settings.motion_widest, settings.motion_levels)
        self.encoder, self.decoder = _Encoder(given, widths), _Decoder(given, widths)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class DenseMotion(nn.Module):
    """Where every cell of the driven volume comes from, and what of it the source shows (``dense_motion_network``)."""

    def __init__(self, settings: Vid2VidSettings) -> None:
        super().__init__()
        proposals = settings.points + 1
        self.hourglass = _Hourglass(proposals * (settings.compressed + 1), settings)
        width = self.hourglass.decoder.width
        self.mask = nn.Conv3d(width, proposals, 7, padding=3)
        self.compress = nn.Conv3d(settings.channels, settings.compressed, 1)
        self.norm = nn.BatchNorm3d(settings.compressed)
        self.occlusion = nn.Conv2d(width * settings.depth, 1, 7, padding=3)

    def forward(self, volumes: Tensor, driving: KeyPoints, source: KeyPoints) -> tuple[Tensor, Tensor]:
        """(B, channels, d, h, w) the source's -> (B, d, h, w, 3) for ``sampled``, and (B, 1, h, w) in [0, 1]."""
        seen = functional.relu(self.norm(self.compress(volumes)))
        grid = places(*volumes.shape[2:], like=volumes)
        motions = proposed_motions(grid, driving, source)
        count = motions.shape[1]
        moved = sampled(seen.repeat_interleave(count, 0), motions.flatten(0, 1)).unflatten(0, (-1, count))
        heat = bells(grid, driving) - bells(grid, source)
        heat = functional.pad(heat, (0, 0) * 3 + (1, 0))  # no motion has no key point
        found = self.hourglass(torch.cat([heat[:, :, None], moved], 2).flatten(1, 2))
        chosen = self.mask(found).softmax(1)
        motion = torch.einsum("bkdhw,bkdhwc->bdhwc", chosen, motions)
        return motion, torch.sigmoid(self.occlusion(found.flatten(1, 2)))
