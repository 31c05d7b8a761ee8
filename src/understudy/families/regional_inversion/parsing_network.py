"""The face parser: BiSeNet on a ResNet-18, at the published size and narrow (Yu and others 2018, section 3).

With widths w0..w3, context channels c and k classes (7x7 s2 reads: kernel 7, stride 2; every convolution but the last of a head
and those of an attention is followed by batch normalisation and ReLU):

    resnet      7x7 s2 3->w0, max-pool 3x3 s2, four layers of two basic blocks: w0 at 1/4, w1 at 1/8, w2 at 1/16, w3 at 1/32
    arm32/16    3x3 w3->c (w2->c), times sigmoid(BN(1x1 of its mean))                   attention refinement
    context     mean of w3, 1x1 -> c, added to arm32; doubled, 3x3; added to arm16; doubled, 3x3: c at 1/8
    ffm         1x1 (w1 + c)->2c, times 1 + sigmoid(1x1 ReLU 1x1 of its mean)           feature fusion
    heads       3x3 2c->2c, 1x1 -> k at 1/8; in training also from the context at 1/8 and 1/16, 3x3 c->c/2, 1x1 -> k

Module names and their order are the public 19-class checkpoint's, so that its weights fit without renaming.

Ours, where the settings ask for it: a *guide*, more input channels that are drawn from the face's mesh
(``faces.parse.region_guide``); and a *detail* path, two doublings of the fused features with what the first layers saw, so that
the labels come at 1/2 instead of 1/8 of the picture's side: a brow at 256² is two pixels thick at 1/8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.errors import OptionError

STRIDE = 32
"""Sides of the pictures are multiples of this."""


@dataclass(frozen=True, kw_only=True)
class ParserSettings:
    """Shape of a parser. The defaults are the public checkpoint's."""

    classes: int = 19
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    """Channels of the four layers."""
    context: int = 128
    """c: channels of the context path."""
    guide: int = 0
    """Input channels beside RGB."""
    detail: int = 0
    """Channels of the detail path; 0: none, as published."""
    size: int = 512
    """Side of the pictures that it learnt from, pixels."""
    oval_share: float = 0.42
    """Height of a neutral face, chin to forehead, as share of the side."""

    def __post_init__(self) -> None:
        if self.size < STRIDE or self.size % STRIDE:
            raise OptionError(f"parsing: size {self.size} must be a multiple of {STRIDE}.")
        if len(self.widths) != 4 or min(*self.widths, self.context) < 4 or self.context % 2:
            raise OptionError(
                f"parsing: widths {self.widths} and context {self.context} must be four numbers and an even one, all at least 4."
            )
        if self.classes < 2 or self.guide < 0 or self.detail < 0 or not 0 < self.oval_share < 1:
            raise OptionError(
                f"parsing: classes {self.classes}, guide {self.guide}, detail {self.detail}, oval_share {self.oval_share} must be "
                "2 or more, 0 or more, 0 or more, and between 0 and 1."
            )


class ConvBNReLU(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class BasicBlock(nn.Module):
    """ReLU(BN(3x3(ReLU(BN(3x3(x))))) + x); where size or channels change, x goes through a 1x1 convolution and BN."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs or stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(inner + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """The backbone without its classifier."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.conv1 = nn.Conv2d(inputs, first, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.layer1 = nn.Sequential(BasicBlock(first, first), BasicBlock(first, first))
        self.layer2 = nn.Sequential(BasicBlock(first, second, 2), BasicBlock(second, second))
        self.layer3 = nn.Sequential(BasicBlock(second, third, 2), BasicBlock(third, third))
        self.layer4 = nn.Sequential(BasicBlock(third, fourth, 2), BasicBlock(fourth, fourth))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side."""
        at2 = functional.relu(self.bn1(self.conv1(x)))
        at4 = self.layer1(functional.max_pool2d(at2, 3, 2, 1))
        at8 = self.layer2(at4)
        at16 = self.layer3(at8)
        return at2, at4, at8, at16, self.layer4(at16)


class AttentionRefinement(nn.Module):
    """A 3x3 convolution whose channels are weighted by what the whole picture holds."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(_mean(x))))


class ContextPath(nn.Module):
    """The backbone and the way back up from 1/32 to 1/8."""

    def __init__(self, settings: ParserSettings) -> None:
        super().__init__()
        widths, context = settings.widths, settings.context
        self.resnet = ResNet18(3 + settings.guide, widths)
        self.arm16 = AttentionRefinement(widths[2], context)
        self.arm32 = AttentionRefinement(widths[3], context)
        self.conv_head32 = ConvBNReLU(context, context)
        self.conv_head16 = ConvBNReLU(context, context)
        self.conv_avg = ConvBNReLU(widths[3], context, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Backbone features at 1/2, 1/4 and 1/8, context at 1/8 and at 1/16."""
        at2, at4, at8, at16, at32 = self.resnet(x)
        deep = self.arm32(at32) + self.conv_avg(_mean(at32))
        deep = self.conv_head32(_nearest(deep, at16))
        wide = self.arm16(at16) + deep
        return at2, at4, at8, self.conv_head16(_nearest(wide, at8)), deep


class FeatureFusion(nn.Module):
    """Backbone and context at 1/8, joined, and weighted by channel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convblk = ConvBNReLU(inputs, outputs, 1)
        self.conv1 = nn.Conv2d(outputs, outputs // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs // 4, outputs, 1, bias=False)

    def forward(self, near: Tensor, context: Tensor) -> Tensor:
        x = self.convblk(torch.cat([near, context], 1))
        return x + x * torch.sigmoid(self.conv2(functional.relu(self.conv1(_mean(x)))))


class Head(nn.Module):
    """Features to class scores."""

    def __init__(self, inputs: int, middle: int, classes: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(inputs, middle)
        self.conv_out = nn.Conv2d(middle, classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class Detail(nn.Module):
    """Ours: fused features at 1/8 to class scores at 1/2, with what the first layers saw at 1/4 and 1/2."""

    def __init__(self, settings: ParserSettings) -> None:
        super().__init__()
        width, channels = settings.widths[0], settings.detail
        self.reduce = ConvBNReLU(2 * settings.context, channels, 1)
        self.at4 = ConvBNReLU(channels + width, channels)
        self.at2 = ConvBNReLU(channels + width + settings.guide, channels)
        self.conv_out = nn.Conv2d(channels, settings.classes, 1)

    def forward(self, fused: Tensor, at4: Tensor, at2: Tensor, guide: Tensor) -> Tensor:
        x = self.at4(torch.cat([_linear(self.reduce(fused), at4), at4], 1))
        parts = [_linear(x, at2), at2]
        if guide.shape[1]:
            parts.append(functional.avg_pool2d(guide, 2).to(at2.dtype))
        return self.conv_out(self.at2(torch.cat(parts, 1)))


class BiSeNet(nn.Module):
    """The parser.

    Args:
        settings: its shape; the defaults fit the public checkpoint strictly.
    """

    def __init__(self, settings: ParserSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or ParserSettings()
        context, classes = settings.context, settings.classes
        self.cp = ContextPath(settings)
        self.ffm = FeatureFusion(settings.widths[1] + context, 2 * context)
        self.conv_out = Head(2 * context, 2 * context, classes)
        self.conv_out16 = Head(context, context // 2, classes)
        self.conv_out32 = Head(context, context // 2, classes)
        self.detail = Detail(settings) if settings.detail else None

    def scores(self, x: Tensor) -> list[Tensor]:
        """(B, 3 + guide, s, s) -> class scores (B, k, ., .) at each head's own size, the one that counts first.

        The first three channels are RGB with ImageNet's mean and deviation taken off (:func:`standardised`).
        """
        at2, at4, at8, context8, context16 = self.cp(x)
        fused = self.ffm(at8, context8)
        heads = [self.conv_out(fused), self.conv_out16(context8), self.conv_out32(context16)]
        if self.detail is None:
            return heads
        return [self.detail(fused, at4, at2, x[:, 3:]), *heads]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3 + guide, s, s) -> class scores (B, k, s, s)."""
        at2, at4, at8, context8, _ = self.cp(x)
        fused = self.ffm(at8, context8)
        first = self.conv_out(fused) if self.detail is None else self.detail(fused, at4, at2, x[:, 3:])
        return self.stretched(first, x.shape[-2:])

    def stretched(self, scores: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
        """Scores (B, k, ., .) at another (height, width).

        The published network stretches with align_corners=True; the detail path with align_corners=False, which leaves every score
        where its pixel is.
        """
        if self.detail is None:
            return functional.interpolate(scores, size, mode="bilinear", align_corners=True)
        return functional.interpolate(scores, size, mode="bilinear", align_corners=False)


MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of RGB in [0, 1]."""


def standardised(pictures: Tensor) -> Tensor:
    """RGB (B, 3, h, w) in [0, 1], view colour space, less ImageNet's mean over its deviation."""
    mean, deviation = (
        torch.tensor(values, dtype=pictures.dtype, device=pictures.device)[:, None, None]
        for values in (MEAN, DEVIATION)
    )
    return (pictures - mean) / deviation


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def _nearest(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[2:], mode="nearest")


def _linear(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
