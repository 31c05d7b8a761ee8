"""StyleGAN2's discriminator: residual blocks, minibatch standard deviation, one number a picture (Karras and others 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.families.regional_inversion.layers import STEADY, Activation, Blur, EqualConv, EqualLinear, in_float32
from understudy.families.regional_inversion.settings import RegionalSettings

GROUP = 4
"""Pictures over which the standard deviation is taken."""


def _conv(inputs: int, outputs: int, kernel: int, *, down: bool = False, active: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    if down:
        # Two rows more around than the convolution takes off at stride 2.
        layers.append(Blur(*((2, 2) if kernel == 3 else (1, 1))))
    padding = 0 if down else kernel // 2
    layers.append(EqualConv(inputs, outputs, kernel, stride=2 if down else 1, padding=padding))
    if active:
        layers.append(Activation(outputs))
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """(B, I, h, w) -> (B, O, h / 2, w / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, inputs, 3)
        self.conv2 = _conv(inputs, outputs, 3, down=True)
        self.skip = _conv(inputs, outputs, 1, down=True, active=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2)


def with_deviation(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C + 1, h, w): how much the pictures of a group differ, the same at every pixel.

    Groups have 4 pictures, or all of them where there are fewer; 3 or 1 where B can be shared out by no larger number.
    """
    batch, channels, height, width = x.shape
    group = next(size for size in range(min(GROUP, batch), 0, -1) if batch % size == 0)
    with in_float32(x):
        grouped = x.float().view(group, -1, channels, height, width)
        deviation = (grouped.var(0, unbiased=False) + STEADY).sqrt().mean((1, 2, 3))  # (B / group,)
    plane = deviation.repeat(group)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, plane.to(x.dtype)], 1)


class Discriminator(nn.Module):
    """D: (B, 3, size, size) about [-1, 1] -> (B, 1), larger where a picture looks real."""

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        levels, channels = settings.levels[::-1], settings.channels
        blocks = [ResidualBlock(channels(side), channels(side // 2)) for side in levels[:-1]]
        self.convs = nn.Sequential(_conv(3, channels(levels[0]), 1), *blocks)
        self.final_conv = _conv(channels(4) + 1, channels(4), 3)
        self.final_linear = nn.Sequential(
            EqualLinear(channels(4) * 16, channels(4), active=True), EqualLinear(channels(4), 1)
        )

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Answers of the residual blocks, size/2 to 4²."""
        answers, x = [], self.convs[0](pictures)
        for block in list(self.convs)[1:]:
            x = block(x)
            answers.append(x)
        return answers

    def score(self, features: Sequence[Tensor]) -> Tensor:
        """(B, 1) from :meth:`features`."""
        x = self.final_conv(with_deviation(features[-1]))
        return self.final_linear(x.flatten(1)).float()

    def forward(self, pictures: Tensor) -> Tensor:
        return self.score(self.features(pictures))
