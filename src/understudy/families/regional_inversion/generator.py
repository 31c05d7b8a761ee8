"""StyleGAN2's generator, and its mask-guided form (Karras and others 2020; paper 001, section 3.2, eq. 4 and 5).

With L levels 4², 8² ... size² and layer l = 0, 1, 2 ... 2 L - 1 of the style codes:

    4²          constant, convolution (l = 0), to RGB (l = 1)
    level k     convolution up (l = 2 k - 1), convolution (l = 2 k), to RGB (l = 2 k + 1); k = 1 ... L - 1

In the first K layers every region has a code of its own; what is convolved by it counts where the region is:

    F_l = Σ_j (F_{l-1} * W'_jl) ⊙ ([M]_l == j),   W'_jl = Demod(Mod(W_l, s_jl))           eq. 4 and 5

before noise, bias and activation. Layers from K on take the background's code, which is the same for all pictures. Module names
are the public PyTorch port's. Pictures are RGB, view colour space, about [-1, 1], not clipped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.families.regional_inversion.layers import (
    STEADY,
    Activation,
    EqualLinear,
    ModulatedConv,
    Upsample,
    in_float32,
)
from understudy.families.regional_inversion.places import Box, RegionMaps, cut, lay
from understudy.families.regional_inversion.settings import RegionalSettings


class PixelNorm(nn.Module):
    """(B, C) at unit mean square."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(1, keepdim=True) + STEADY).rsqrt()


class ConstantInput(nn.Module):
    """The learned 4² start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Noise(nn.Module):
    """x + weight · noise."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight.to(x.dtype) * noise.to(x.dtype)


def regional(conv: ModulatedConv, x: Tensor, codes: Tensor, regions: RegionMaps) -> Tensor:
    """Eq. 4: (B, I, h, w) by (B, R, latent) codes -> (B, O, h, w), or twice that with ``conv.up``.

    Each region is convolved only in its box and the kernel's reach around it.
    """
    if regions.by_pixel:
        return by_pixel(conv, x, codes, regions)
    factor = 2 if conv.up else 1
    side = x.shape[-1] * factor
    places = regions.places(side)
    needed = [(place.rows, reach(conv, place.box, x.shape[-1])) for place in places]
    # All regions share the plain weights; each scales what goes in and comes out, which is cheap for many small boxes.
    weight = conv.scale * conv.weight
    styles, norms = conv.factors(weight, codes)
    pieces = []
    for place, (rows, box), piece in zip(places, needed, cut(x, needed), strict=True):
        of = lambda factors: factors[list(rows), place.region]  # noqa: B023, E731
        made = conv.convolved(piece, weight, of(styles), None if norms is None else of(norms))
        top, left = place.box[0] - factor * box[0], place.box[2] - factor * box[2]
        height, width = place.mask.shape[2:]
        pieces.append(made[:, :, top : top + height, left : left + width] * place.mask.to(made.dtype))
    outputs = conv.weight.shape[0]
    return lay(pieces, [(place.rows, place.box) for place in places], (len(x), outputs, side, side))


def by_pixel(conv: ModulatedConv, x: Tensor, codes: Tensor, regions: RegionMaps) -> Tensor:
    """Eq. 4 but for a kernel's width along the regions' edges, in one convolution instead of one for each region.

    Eq. 4 modulates everything under the kernel by the style of the region in its middle; here every pixel that goes in is
    modulated by its own region's style, and every one that comes out is normalised by its own region's.
    """
    weight = conv.scale * conv.weight
    style, norm = conv.factors(weight, codes)
    side = x.shape[-1]
    return conv.convolved_by(
        x,
        weight,
        regions.spread(style.to(x.dtype), side),
        None if norm is None else regions.spread(norm.to(x.dtype), 2 * side if conv.up else side),
    )


def reach(conv: ModulatedConv, box: Box, side: int) -> Box:
    """The box of the input that the box of the output depends on, inside the picture of ``side`` pixels."""
    if conv.up:
        # Pixel o of the answer blurs pixels o - 1 to o + 2 of the transposed convolution, whose pixel u takes the inputs
        # (u - 2) / 2 to u / 2; at a cut edge the outermost u lacks an input and must not be used.
        low, high = (lambda o: (o - 2) // 2), (lambda o: (o + 1) // 2 + 1)
    else:
        low, high = (lambda o: o - conv.padding), (lambda o: o + conv.padding)
    top, bottom, left, right = box
    return max(low(top), 0), min(high(bottom), side), max(low(left), 0), min(high(right), side)


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, activation."""

    def __init__(self, inputs: int, outputs: int, latent: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, latent, up=up)
        self.noise = Noise()
        self.activate = Activation(outputs)

    def forward(self, x: Tensor, codes: Tensor, noise: Tensor, regions: RegionMaps | None) -> Tensor:
        x = self.conv(x, codes) if regions is None else regional(self.conv, x, codes, regions)
        return self.activate(self.noise(x, noise))


class ToRgb(nn.Module):
    """A level's share of the picture, added to the smaller levels' one."""

    def __init__(self, inputs: int, latent: int, *, up: bool = True) -> None:
        super().__init__()
        if up:
            self.upsample = Upsample()
        self.conv = ModulatedConv(inputs, 3, 1, latent, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, codes: Tensor, before: Tensor | None, regions: RegionMaps | None) -> Tensor:
        x = self.conv(x, codes) if regions is None else regional(self.conv, x, codes, regions)
        # The picture is a sum of all levels: kept in float32 whatever they compute in.
        x = x.to(self.bias.dtype) + self.bias
        return x if before is None else x + self.upsample(before)


class Generator(nn.Module):
    """G: mapping network and synthesis."""

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        self.settings = settings
        latent, levels, channels = settings.latent, settings.levels, settings.channels
        mapping = [EqualLinear(latent, latent, lr_mul=0.01, active=True) for _ in range(settings.mapping_layers)]
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = ConstantInput(channels(4))
        self.conv1 = StyledConv(channels(4), channels(4), latent)
        self.to_rgb1 = ToRgb(channels(4), latent, up=False)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for side in levels[1:]:
            self.convs.append(StyledConv(channels(side // 2), channels(side), latent, up=True))
            self.convs.append(StyledConv(channels(side), channels(side), latent))
            self.to_rgbs.append(ToRgb(channels(side), latent))
        self.noises = nn.Module()
        for index, side in enumerate(noise_sides(settings)):
            self.noises.register_buffer(f"noise_{index}", torch.randn(1, 1, side, side))

    def fixed_noise(self) -> list[Tensor]:
        """The noise that is kept with the weights: (1, 1, r, r) for every convolution. The same for every frame."""
        return [getattr(self.noises, f"noise_{index}") for index in range(len(noise_sides(self.settings)))]

    def layer_of(self, name: str) -> int:
        """The style layer that a parameter below ``convs``, ``to_rgbs``, ``conv1`` or ``to_rgb1`` answers to; -1 for others."""
        part, index = (name.split(".") + ["", ""])[:2]
        if part in ("conv1", "to_rgb1"):
            return 0 if part == "conv1" else 1
        if part in ("convs", "to_rgbs"):
            return int(index) + 1 if part == "convs" else 2 * int(index) + 3
        return -1

    def map(self, z: Tensor) -> Tensor:
        """z (B, latent) -> w (B, latent)."""
        with in_float32(z):
            return self.style(z.to(self.input.input.dtype))

    def forward(
        self, codes: Tensor, regions: RegionMaps | None = None, noise: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Codes to pictures.

        Args:
            codes: (B, layers, latent); with ``regions`` (B, R, layers, latent), W^{r+}.
            regions: the pictures' region maps M.
            noise: a (1 or B, 1, r, r) for every convolution; None for the fixed noise.

        Returns:
            (B, 3, size, size) float32.
        """
        K = self.settings.regional_layers
        noises = iter(noise if noise is not None else self.fixed_noise())

        def of(layer: int) -> tuple[Tensor, RegionMaps | None]:
            if regions is None:
                return codes[:, layer], None
            return (codes[:, :, layer], regions) if layer < K else (codes[:, 0, layer], None)

        def styled(module: nn.Module, x: Tensor, layer: int) -> Tensor:
            code, where = of(layer)
            return module(x, code, next(noises), where)

        x = self.input.input.expand(len(codes), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = styled(self.conv1, x, 0)
        code, where = of(1)
        picture = self.to_rgb1(x, code, None, where)
        for level, to_rgb in enumerate(self.to_rgbs):
            x = styled(self.convs[2 * level], x, 2 * level + 1)
            x = styled(self.convs[2 * level + 1], x, 2 * level + 2)
            code, where = of(2 * level + 3)
            picture = to_rgb(x, code, picture, where)
        return picture


def noise_sides(settings: RegionalSettings) -> list[int]:
    """Sides of the convolutions' noise: 4, 8, 8, 16, 16 ..."""
    return [4, *(side for side in settings.levels[1:] for _ in range(2))]


def draw_noise(settings: RegionalSettings, batch: int, numbers: torch.Generator, device: torch.device) -> list[Tensor]:
    """Noise for ``batch`` pictures, anew every time."""
    return [torch.randn(batch, 1, side, side, generator=numbers).to(device) for side in noise_sides(settings)]
