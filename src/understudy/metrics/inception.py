"""Inception v3 as the Fréchet distance takes it: Szegedy et al. 2016, in the form of the weights of December 2015.

Those differ from the textbook's in three places: means next to the border count the pixels inside only, the last block takes
the largest of its neighbours instead of their mean, and there are 1008 classes. Names of parameters are the published ones (those
of torchvision, and of pytorch-fid's file), so the file is read as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from understudy.errors import WeightsError

WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"
NAME = "Inception v3, weights of 2015-12-05, last pool; pictures enlarged to 299 bilinearly"

_CLASSES, _SIDE, _BATCH = 1008, 299, 16

Place = str | tuple[str, ...]
"""A step of a branch: a layer's name, a way of pooling, or layers side by side whose results are joined."""


class Layer(nn.Module):
    """Convolution without bias, batch normalisation, ReLU; ``side`` keeps the picture's size where it is odd and ``stride`` 1."""

    def __init__(
        self, source: int, target: int, side: int | tuple[int, int] = 1, *, stride: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        rows, columns = (side, side) if isinstance(side, int) else side
        padding = (rows // 2, columns // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(source, target, (rows, columns), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(target, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches over one input, joined by channel. ``layers`` are by name, ``branches`` say in which order they follow."""

    def __init__(self, layers: dict[str, Layer], branches: Sequence[Sequence[Place]]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.branches = branches

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined = []
        for branch in self.branches:
            y = x
            for place in branch:
                y = self._step(place, y)
            joined.append(y)
        return torch.cat(joined, 1)

    def _step(self, place: Place, x: torch.Tensor) -> torch.Tensor:
        if not isinstance(place, str):
            return torch.cat([self._step(part, x) for part in place], 1)
        if place == "mean":
            return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        if place == "largest":
            return functional.max_pool2d(x, 3, stride=1, padding=1)
        if place == "halve":
            return functional.max_pool2d(x, 3, stride=2)
        return self.get_submodule(place)(x)


class InceptionV3(nn.Module):
    """(B, 3, 299, 299) in [-1, 1] -> the last pool (B, 2048); ``fc`` makes classes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Layer(3, 32, 3, stride=2, padded=False)
        self.Conv2d_2a_3x3 = Layer(32, 32, 3, padded=False)
        self.Conv2d_2b_3x3 = Layer(32, 64, 3)
        self.Conv2d_3b_1x1 = Layer(64, 80)
        self.Conv2d_4a_3x3 = Layer(80, 192, 3, padded=False)
        self.Mixed_5b = _small(192, 32)
        self.Mixed_5c = _small(256, 64)
        self.Mixed_5d = _small(288, 64)
        self.Mixed_6a = _halving_small(288)
        self.Mixed_6b = _long(768, 128)
        self.Mixed_6c = _long(768, 160)
        self.Mixed_6d = _long(768, 160)
        self.Mixed_6e = _long(768, 192)
        self.Mixed_7a = _halving_long(768)
        self.Mixed_7b = _wide(1280, "mean")
        self.Mixed_7c = _wide(2048, "largest")
        self.fc = nn.Linear(2048, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, stride=2)
        x = functional.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean(dim=(2, 3))


class Inception:
    """Features and classes of pictures by the published weights.

    Raises:
        WeightsError: the file is not at hand, is damaged, or is not this network's.
    """

    name = NAME

    def __init__(self) -> None:
        from understudy.provenance.weights import find

        path = find(WEIGHTS)
        self.network = InceptionV3().eval()
        try:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            self.network.load_state_dict(tensors)
        except Exception as error:  # torch has no common class for what a damaged file raises
            raise WeightsError(
                f"{path} cannot be read as Inception's weights ({str(error).splitlines()[0]})."
            ) from error

    def features(self, pictures: np.ndarray, landmarks: np.ndarray | None = None) -> np.ndarray:
        """(N, 2048) float32 of pictures (N, H, W, 3), float RGB in view space, range [0, 1]; ``landmarks`` are not needed."""
        parts = [self.network(part).numpy() for part in self._parts(pictures)]
        return np.concatenate(parts)

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """(N, 1008) float32 of pictures as for :meth:`features`; the classes' bias is left out, as the published score does."""
        weight = self.network.fc.weight.detach()
        parts = [functional.softmax(self.network(part) @ weight.T, dim=1).numpy() for part in self._parts(pictures)]
        return np.concatenate(parts)

    def _parts(self, pictures: np.ndarray):
        with torch.inference_mode():
            for start in range(0, len(pictures), _BATCH):
                part = np.clip(pictures[start : start + _BATCH], 0, 1).astype(np.float32)
                tensor = torch.from_numpy(part).permute(0, 3, 1, 2)
                yield 2 * functional.interpolate(tensor, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False) - 1


def _small(source: int, pooled: int) -> Mixed:
    layers = {
        "branch1x1": Layer(source, 64),
        "branch5x5_1": Layer(source, 48),
        "branch5x5_2": Layer(48, 64, 5),
        "branch3x3dbl_1": Layer(source, 64),
        "branch3x3dbl_2": Layer(64, 96, 3),
        "branch3x3dbl_3": Layer(96, 96, 3),
        "branch_pool": Layer(source, pooled),
    }
    doubled = ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
    return Mixed(layers, [("branch1x1",), ("branch5x5_1", "branch5x5_2"), doubled, ("mean", "branch_pool")])


def _halving_small(source: int) -> Mixed:
    layers = {
        "branch3x3": Layer(source, 384, 3, stride=2, padded=False),
        "branch3x3dbl_1": Layer(source, 64),
        "branch3x3dbl_2": Layer(64, 96, 3),
        "branch3x3dbl_3": Layer(96, 96, 3, stride=2, padded=False),
    }
    return Mixed(layers, [("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"), ("halve",)])


def _long(source: int, width: int) -> Mixed:
    across, down = (1, 7), (7, 1)
    layers = {
        "branch1x1": Layer(source, 192),
        "branch7x7_1": Layer(source, width),
        "branch7x7_2": Layer(width, width, across),
        "branch7x7_3": Layer(width, 192, down),
        "branch7x7dbl_1": Layer(source, width),
        "branch7x7dbl_2": Layer(width, width, down),
        "branch7x7dbl_3": Layer(width, width, across),
        "branch7x7dbl_4": Layer(width, width, down),
        "branch7x7dbl_5": Layer(width, 192, across),
        "branch_pool": Layer(source, 192),
    }
    once = [f"branch7x7_{number}" for number in range(1, 4)]
    doubled = [f"branch7x7dbl_{number}" for number in range(1, 6)]
    return Mixed(layers, [("branch1x1",), once, doubled, ("mean", "branch_pool")])


def _halving_long(source: int) -> Mixed:
    layers = {
        "branch3x3_1": Layer(source, 192),
        "branch3x3_2": Layer(192, 320, 3, stride=2, padded=False),
        "branch7x7x3_1": Layer(source, 192),
        "branch7x7x3_2": Layer(192, 192, (1, 7)),
        "branch7x7x3_3": Layer(192, 192, (7, 1)),
        "branch7x7x3_4": Layer(192, 192, 3, stride=2, padded=False),
    }
    threes = [f"branch7x7x3_{number}" for number in range(1, 5)]
    return Mixed(layers, [("branch3x3_1", "branch3x3_2"), threes, ("halve",)])


def _wide(source: int, pooling: str) -> Mixed:
    layers = {
        "branch1x1": Layer(source, 320),
        "branch3x3_1": Layer(source, 384),
        "branch3x3_2a": Layer(384, 384, (1, 3)),
        "branch3x3_2b": Layer(384, 384, (3, 1)),
        "branch3x3dbl_1": Layer(source, 448),
        "branch3x3dbl_2": Layer(448, 384, 3),
        "branch3x3dbl_3a": Layer(384, 384, (1, 3)),
        "branch3x3dbl_3b": Layer(384, 384, (3, 1)),
        "branch_pool": Layer(source, 192),
    }
    once = ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b"))
    doubled = ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b"))
    return Mixed(layers, [("branch1x1",), once, doubled, (pooling, "branch_pool")])
