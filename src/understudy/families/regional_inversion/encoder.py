"""The mask-guided encoder F_φ: a picture's texture, region by region, at three scales (paper 001, section 3.2, eq. 2 and 3).

    input    3x3 3->64, IN, PReLU                         64 x 256²
    stages   3, 4, 14, 3 residual blocks with squeeze and excitation, each stage halving first: 128, 256, 512, 512 channels
    v_ij     mean over region j of the end of stage i = 2, 3, 4; nothing where the region is not there          eq. 2
    s_j      MLP_j([v_1j; v_2j; v_3j]) + w̄: 1280 -> 512 -> K x 512, one for each region                         eq. 3

IN is instance normalisation without parameters of its own. Module names are the published code's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.families.regional_inversion.layers import EqualLinear
from understudy.families.regional_inversion.places import RegionMaps
from understudy.families.regional_inversion.settings import NUM_REGIONS, RegionalSettings

REDUCTION = 16


class SqueezeExcitation(nn.Module):
    """Every channel scaled by what the channels' means say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // REDUCTION, 1)
        self.fc1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.fc2 = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(functional.relu(self.fc1(means))))


class Bottleneck(nn.Module):
    """IR-SE's residual block: norm, 3x3, PReLU, 3x3 with the stride, norm, squeeze and excitation; beside it the input itself."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        if inputs == outputs:
            self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))
        self.res_layer = nn.Sequential(
            norm(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            norm(outputs),
            SqueezeExcitation(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)


def stages(widths: Sequence[int], blocks: Sequence[int], norm: Callable[[int], nn.Module]) -> list[Bottleneck]:
    """All stages' blocks in order, from ``widths[0]`` channels; each stage halves in its first block."""
    body = []
    for inputs, outputs, count in zip(widths[:-1], widths[1:], blocks, strict=True):
        body += [Bottleneck(inputs if k == 0 else outputs, outputs, 2 if k == 0 else 1, norm) for k in range(count)]
    return body


class Encoder(nn.Module):
    """F_φ up to eq. 2."""

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        self.settings = settings
        widths, blocks = settings.encoder_widths, settings.encoder_blocks
        first = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.input_layer = nn.Sequential(first, nn.InstanceNorm2d(widths[0]), nn.PReLU(widths[0]))
        self.body = nn.Sequential(*stages(widths, blocks, nn.InstanceNorm2d))
        self.taps = [sum(blocks[: k + 1]) - 1 for k in (1, 2, 3)]
        self.length = sum(widths[2:])

    def forward(self, pictures: Tensor, regions: RegionMaps) -> Tensor:
        """(B, 3, h, h) RGB in [-1, 1] and their maps -> v: (B, R, length)."""
        side = self.settings.encoder_size
        if pictures.shape[-1] != side:
            pictures = functional.interpolate(pictures, size=(side, side), mode="bilinear", align_corners=False)
        x = self.input_layer(pictures)
        vectors = []
        for index, block in enumerate(self.body):
            x = block(x)
            if index in self.taps:
                vectors.append(self.pooled(x, regions))
        return torch.cat(vectors, 2)

    def pooled(self, feature: Tensor, regions: RegionMaps) -> Tensor:
        """Eq. 2 as the settings have it."""
        return pooled(feature, regions, self.settings.pooling)


def pooled(feature: Tensor, regions: RegionMaps, pooling: str) -> Tensor:
    """Eq. 2: (B, C, h, h) -> (B, R, C), means over the regions' pixels, zeros for regions without one."""
    side = feature.shape[-1]
    if pooling == "area":
        masks = functional.adaptive_avg_pool2d(one_hot(regions.labels), side)
    else:
        masks = one_hot(regions.at(side))
    sums = torch.einsum("bchw,brhw->brc", feature.to(masks.dtype), masks)
    # A mean over less than a thousandth of a pixel would be noise.
    return sums / masks.sum((2, 3)).clamp_min(1e-3)[:, :, None]


def one_hot(labels: Tensor) -> Tensor:
    """(B, h, w) -> (B, R, h, w) float32 of 0 and 1."""
    return (labels[:, None] == torch.arange(NUM_REGIONS, device=labels.device)[None, :, None, None]).float()


class RegionMlp(nn.Module):
    """Eq. 3 for one region, without the mean code: (B, length) -> (B, K · latent)."""

    def __init__(self, length: int, settings: RegionalSettings) -> None:
        super().__init__()
        outputs = settings.learned_layers * settings.latent
        self.mlp = nn.Sequential(
            EqualLinear(length, settings.latent), nn.LeakyReLU(0.01), EqualLinear(settings.latent, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)
