"""LPIPS 0.1 as a loss (Zhang and others 2018, eq. 1): with AlexNet, the paper's, or SqueezeNet 1.1.

Layouts are the published ones (torchvision's, LPIPS'). Pictures are (B, 3, s, s) RGB in [-1, 1]. It is computed in float32 whatever
the training's precision: it is made of small differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

MEAN, DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
ALEX_CHANNELS = (64, 192, 384, 256, 256)
SQUEEZE_CHANNELS = (64, 128, 256, 384, 384, 512, 512)
_SQUEEZE_TAPS = (1, 4, 7, 9, 10, 11, 12)
_SHORTEST = 1e-20
"""Least square of a length: where every channel is 0, the root's slope is not infinite."""


class AlexFeatures(nn.Module):
    """AlexNet's convolutions, their answers after each ReLU."""

    channels: Sequence[int] = ALEX_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d, e = ALEX_CHANNELS
        self.features = nn.Sequential(
            nn.Conv2d(3, a, 11, 4, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(a, b, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(b, c, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c, d, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(d, e, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x = _standardised(pictures)
        answers = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                answers.append(x)
        return answers


class _Fire(nn.Module):
    """SqueezeNet's block: few channels, then many of kernels 1 and 3 side by side."""

    def __init__(self, inputs: int, few: int, each: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, few, 1)
        self.expand1x1 = nn.Conv2d(few, each, 1)
        self.expand3x3 = nn.Conv2d(few, each, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeFeatures(nn.Module):
    """SqueezeNet 1.1, its answers at seven depths."""

    channels: Sequence[int] = SQUEEZE_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(64, 16, 64),
            _Fire(128, 16, 64),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(128, 32, 128),
            _Fire(256, 32, 128),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(256, 48, 192),
            _Fire(384, 48, 192),
            _Fire(384, 64, 256),
            _Fire(512, 64, 256),
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x = _standardised(pictures)
        answers = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _SQUEEZE_TAPS:
                answers.append(x)
        return answers


class _Line(nn.Module):
    """One LPIPS head: a weight for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))


class Lpips(nn.Module):
    """The distance of pictures by the features of ``net``, AlexNet's without one."""

    def __init__(self, net: AlexFeatures | SqueezeFeatures | None = None) -> None:
        super().__init__()
        self.net = net if net is not None else AlexFeatures()
        self.lins = nn.ModuleList(_Line(channels) for channels in self.net.channels)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean distance of two batches."""
        with torch.autocast(a.device.type, enabled=False):
            total = a.new_zeros((), dtype=torch.float32)
            for ours, theirs, line in zip(self.net(a.float()), self.net(b.float()), self.lins, strict=True):
                difference = _unit(ours) - _unit(theirs)
                total = total + line.model[1](difference.square()).mean()  # type: ignore[operator]
        return total


def load_lpips(features: Path, heads: Path, *, squeeze: bool = False) -> Lpips:
    """From torchvision's AlexNet or SqueezeNet 1.1 (its classifier is left aside) and LPIPS' ``alex.pth`` or ``squeeze.pth``.

    Raises:
        CheckpointError: unreadable, or not these networks.
    """
    from understudy.blocks.foreign import filled, read_tensors

    judge = Lpips(SqueezeFeatures() if squeeze else AlexFeatures())
    prefix = "features."
    found = read_tensors(features)
    if not any(name.startswith(prefix) for name in found):  # some keep the convolutions alone, by their numbers
        found = {prefix + name: x for name, x in found.items()}
    filled(judge.net, {name: x for name, x in found.items() if name.startswith(prefix)}, features)
    lines = {name.replace("lin", "", 1): x for name, x in read_tensors(heads).items() if name.startswith("lin")}
    filled(judge.lins, lines, heads)
    # A third less time on a processor.
    judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return judge.eval().requires_grad_(False)


def _standardised(pictures: Tensor) -> Tensor:
    mean, deviation = (pictures.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (pictures - mean) / deviation


def _unit(feature: Tensor) -> Tensor:
    """Every place's channels at length 1."""
    return feature / (feature.square().sum(1, keepdim=True).clamp_min(_SHORTEST).sqrt() + 1e-10)
