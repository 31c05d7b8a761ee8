"""face-vid2vid's generator: a picture as a volume, carried by the motion, painted by a decoder that the volume guides."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.families.regional_inversion.face_vid2vid_layers import Block, Residual3d, SpadeBlock, sampled
from understudy.families.regional_inversion.face_vid2vid_motion import DenseMotion
from understudy.families.regional_inversion.face_vid2vid_points import KeyPoints
from understudy.families.regional_inversion.face_vid2vid_settings import Vid2VidSettings

_MIDDLES = 6
"""Blocks of the decoder at its smallest size."""


class Decoder(nn.Module):
    """(B, 4 width, s, s) -> (B, 3, 4 s, 4 s) RGB in [0, 1]; what it is given also guides each of its blocks."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        given = 4 * width
        self.fc = nn.Conv2d(given, 2 * given, 3, padding=1)
        self._blocks = [f"G_middle_{place}" for place in range(_MIDDLES)]
        for name in self._blocks:
            self.add_module(name, SpadeBlock(2 * given, 2 * given, given, hidden))
        self.up_0 = SpadeBlock(2 * given, given, given, hidden)
        self.up_1 = SpadeBlock(given, width, given, hidden)
        self.conv_img = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, guide: Tensor) -> Tensor:
        x = self.fc(guide)
        for name in self._blocks:
            x = self.get_submodule(name)(x, guide)
        for block in (self.up_0, self.up_1):
            x = block(functional.interpolate(x, scale_factor=2, mode="nearest"), guide)
        return torch.sigmoid(self.conv_img(functional.leaky_relu(x, 0.2)))


class Generator(nn.Module):
    """A source's picture doing what driving key points say (``generator``)."""

    def __init__(self, settings: Vid2VidSettings) -> None:
        super().__init__()
        width, flat = settings.width, settings.channels * settings.depth
        self.dense_motion_network = DenseMotion(settings)
        self.first = Block(3, width)
        self.down_blocks = nn.ModuleList(Block(width << k, width << (k + 1), change="half") for k in range(2))
        self.second = nn.Conv2d(4 * width, flat, 1)
        self.resblocks_3d = nn.Sequential()
        for place in range(settings.residuals):
            self.resblocks_3d.add_module(f"3dr{place}", Residual3d(settings.channels))
        self.third = Block(flat, 4 * width, slope=0.01)
        self.fourth = nn.Conv2d(4 * width, 4 * width, 1)
        self.decoder = Decoder(width, settings.modulator)
        self._depth = settings.depth

    def volumes(self, pictures: Tensor) -> Tensor:
        """(B, 3, s, s) RGB in [0, 1] -> (B, channels, depth, s / 4, s / 4)."""
        x = self.first(pictures)
        for block in self.down_blocks:
            x = block(x)
        return self.resblocks_3d(self.second(x).unflatten(1, (-1, self._depth)))

    def forward(self, volumes: Tensor, *, driving: KeyPoints, source: KeyPoints) -> Tensor:
        """The source's volumes -> (B, 3, s, s) RGB in [0, 1]."""
        motion, shown = self.dense_motion_network(volumes, driving, source)
        carried = sampled(volumes, motion).flatten(1, 2)
        return self.decoder(self.fourth(self.third(carried)) * shown)
