"""Layers of face-vid2vid's networks, their parts called as in the published weights.

Volumes are (B, C, depth, height, width).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.2
"""Of the decoder's leaky ReLUs."""


def places(depth: int, height: int, width: int, like: Tensor) -> Tensor:
    """(depth, height, width, 3) the places x, y, z of a volume's cells, whose outermost centres lie at -1 and 1."""
    axes = [torch.linspace(-1, 1, count, dtype=like.dtype, device=like.device) for count in (depth, height, width)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y, z], -1)


def sampled(volumes: Tensor, where: Tensor) -> Tensor:
    """Volumes (B, C, d, h, w) read at ``where`` (B, d, h, w, 3), x, y, z; beyond their edge is nothing.

    The published weights were trained with places whose outermost centres are -1 and 1, read as if the outermost edges were
    (``align_corners=False``); they know no other way.
    """
    return functional.grid_sample(volumes, where, mode="bilinear", padding_mode="zeros", align_corners=False)


class Block(nn.Module):
    """Convolution, normalisation, ReLU, in two or three dimensions.

    Args:
        change: of height and width; ``half`` afterwards, by means of four, ``double`` before, each cell four times.
        slope: of the ReLU below zero.
    """

    def __init__(
        self,
        given: int,
        made: int,
        *,
        dimensions: Literal[2, 3] = 2,
        change: Literal["none", "half", "double"] = "none",
        slope: float = 0.0,
    ) -> None:
        super().__init__()
        flat = dimensions == 2
        self.conv = (nn.Conv2d if flat else nn.Conv3d)(given, made, 3, padding=1)
        self.norm = (nn.BatchNorm2d if flat else nn.BatchNorm3d)(made)
        self._change, self._slope = change, slope
        self._factor = (2, 2) if flat else (1, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        if self._change == "double":
            x = functional.interpolate(x, scale_factor=self._factor, mode="nearest")
        x = functional.leaky_relu(self.norm(self.conv(x)), self._slope)
        if self._change == "half":
            pool = functional.avg_pool2d if len(self._factor) == 2 else functional.avg_pool3d
            x = pool(x, self._factor)  # type: ignore[arg-type]
        return x


class Residual3d(nn.Module):
    """Twice normalisation, ReLU, convolution, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(functional.relu(self.norm1(x)))
        return x + self.conv2(functional.relu(self.norm2(inner)))


class Bottleneck(nn.Module):
    """A residual block of three convolutions, the middle one a quarter as wide; ``stride`` 2 halves the picture."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1 = nn.Conv2d(channels, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, stride=stride)
        self.conv3 = nn.Conv2d(inner, channels, 1)
        self.norm1, self.norm2, self.norm3 = nn.BatchNorm2d(inner), nn.BatchNorm2d(inner), nn.BatchNorm2d(channels)
        self._halves = stride != 1
        if self._halves:
            self.skip = nn.Conv2d(channels, channels, 1, stride=stride)
            self.norm4 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        inner = functional.relu(self.norm2(self.conv2(inner)))
        short = self.norm4(self.skip(x)) if self._halves else x
        return functional.relu(short + self.norm3(self.conv3(inner)))


class SpectralConvolution(nn.Module):
    """A convolution whose weight is divided by its largest singular value, as the published weights keep it.

    ``weight_u`` and ``weight_v`` are the singular vectors that training arrived at; they are not bettered here.
    """

    def __init__(self, given: int, made: int, side: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight_orig = nn.Parameter(torch.empty(made, given, side, side))
        self.bias = nn.Parameter(torch.zeros(made)) if bias else None
        nn.init.kaiming_uniform_(self.weight_orig, a=5**0.5)
        self.weight_u, self.weight_v = nn.Buffer(torch.empty(made)), nn.Buffer(torch.empty(given * side**2))
        for vector in (self.weight_u, self.weight_v):
            nn.init.constant_(vector, len(vector) ** -0.5)
        self._padding = side // 2

    def forward(self, x: Tensor) -> Tensor:
        largest = self.weight_u @ (self.weight_orig.flatten(1) @ self.weight_v)
        return functional.conv2d(x, self.weight_orig / largest, self.bias, padding=self._padding)


class Spade(nn.Module):
    """Normalises each channel of each picture, then scales and shifts it, place by place, by what a guide says."""

    def __init__(self, channels: int, guide: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(guide, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        said = self.mlp_shared(functional.interpolate(guide, size=x.shape[2:], mode="nearest"))
        return functional.instance_norm(x) * (1 + self.mlp_gamma(said)) + self.mlp_beta(said)


class SpadeBlock(nn.Module):
    """A residual block of the decoder: twice modulation, leaky ReLU, convolution."""

    def __init__(self, given: int, made: int, guide: int, hidden: int) -> None:
        super().__init__()
        inner = min(given, made)
        self.conv_0 = SpectralConvolution(given, inner, 3)
        self.conv_1 = SpectralConvolution(inner, made, 3)
        self.norm_0, self.norm_1 = Spade(given, guide, hidden), Spade(inner, guide, hidden)
        self._widens = given != made
        if self._widens:
            self.conv_s = SpectralConvolution(given, made, 1, bias=False)
            self.norm_s = Spade(given, guide, hidden)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        inner = self.conv_0(functional.leaky_relu(self.norm_0(x, guide), _SLOPE))
        inner = self.conv_1(functional.leaky_relu(self.norm_1(inner, guide), _SLOPE))
        return inner + (self.conv_s(self.norm_s(x, guide)) if self._widens else x)


class Shrunk(nn.Module):
    """A picture made smaller by a whole factor: blurred, and every so-many-th pixel taken."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        deviation = (factor - 1) / 2
        self._reach = round(4 * deviation)
        steps = torch.arange(-self._reach, self._reach + 1, dtype=torch.float32)
        bell = torch.exp(-(steps**2) / (2 * deviation**2))
        bell = bell[:, None] * bell[None]
        # The published files hold the blur too.
        self.weight = nn.Buffer((bell / bell.sum()).expand(channels, 1, -1, -1).clone())
        self._factor = factor

    def forward(self, pictures: Tensor) -> Tensor:
        return functional.conv2d(
            pictures, self.weight, padding=self._reach, stride=self._factor, groups=len(self.weight)
        )
