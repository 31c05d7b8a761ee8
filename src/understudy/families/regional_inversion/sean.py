"""SEAN in the place of encoder and generator (Zhu, Abdal, Qin and Wonka 2020; paper 001, section 5, "SEAN vs. RGI").

    (I, M) -> encoder -> mean of every region -> ST (B, R, 512), the style matrix -> generator(ST, M) -> Î

    encoder     3x3 to 32 channels, two that halve (64, 128), one that doubles (256), 3x3 to 512, tanh: half the picture's side
    start       M at s/32, 3x3 to 1024 channels
    blocks      1024 at s/32, 1024 at s/16 twice, 512 at s/8, 256 at s/4, 128 at s/2, 64 at s (this one knows the mask alone)
    end         leaky ReLU, 3x3 to RGB, tanh

Every block normalises by mask and styles before each of its convolutions:

    out = (1 + γ) (x + w noise - mean) / deviation + β
    γ = a γ_style + (1 - a) γ_mask,   β = b β_style + (1 - b) β_mask,   a and b learned
    γ_style, β_style    3x3 of the map that shows ReLU(A_j ST_j) wherever region j is; A_j of each normalisation's own
    γ_mask, β_mask      3x3 of ReLU(3x3 of M), as in SPADE

SEAN was published with a hinge loss, its discriminator's features and VGG's; here it is trained by this family's losses.
Inside are pictures (B, 3, s, s), RGB in [-1, 1], view colour space, and region maps (B, h, w) uint8 of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.families.regional_inversion.encoder import one_hot, pooled
from understudy.families.regional_inversion.layers import SLOPE, in_float32
from understudy.families.regional_inversion.places import RegionMaps
from understudy.families.regional_inversion.settings import NUM_REGIONS, RegionalSettings

WIDTHS = (16, 16, 16, 8, 4, 2, 1)
"""Channels of the blocks, in widths."""
SHRUNK = (32, 16, 16, 8, 4, 2, 1)
"""The picture's side, in sides of the blocks."""
STYLED = 6
"""The first so many blocks have styles."""


class StyleEncoder(nn.Module):
    """The style matrix: (B, 3, h, h) and maps -> (B, R, latent) in (-1, 1), zeros for a region that is not there."""

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.sean_encoder_width
        self.layers = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(3, width, 3), *_normal(width)),
            *(nn.Conv2d(width, 2 * width, 3, 2, 1), *_normal(2 * width)),
            *(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), *_normal(4 * width)),
            *(nn.ConvTranspose2d(4 * width, 8 * width, 3, 2, 1, 1), *_normal(8 * width)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(8 * width, settings.latent, 3), nn.Tanh()),
        )

    def forward(self, pictures: Tensor, regions: RegionMaps) -> Tensor:
        side = self.settings.encoder_size
        if pictures.shape[-1] != side:
            pictures = functional.interpolate(pictures, size=(side, side), mode="bilinear", align_corners=False)
        return pooled(self.layers(pictures), regions, self.settings.pooling)


def _normal(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(channels), nn.LeakyReLU(SLOPE)


class BatchNorm(nn.SyncBatchNorm):
    """Normalisation by the batch's statistics, over all devices, and at work by the running ones; without weights of its own."""

    running_mean: Tensor  # type: ignore[assignment]
    running_var: Tensor  # type: ignore[assignment]

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)
        # Parameters that only data moves: averaged weights (``training.average``) then have averaged statistics.
        for name in ("running_mean", "running_var"):
            value = cast(Tensor, self._buffers.pop(name))
            setattr(self, name, nn.Parameter(value, requires_grad=False))


class SpectralConv(nn.Module):
    """A convolution by W / σ, σ the largest singular value of W seen as (O, I · k · k): one power iteration a step."""

    u: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.register_buffer("u", functional.normalize(torch.randn(outputs), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        with in_float32(x):
            matrix = conv.weight.flatten(1)
            with torch.no_grad():
                v = functional.normalize(self.u @ matrix, dim=0)
                u = functional.normalize(matrix @ v, dim=0)
                if self.training:
                    self.u.copy_(u)
            weight = conv.weight / (u @ (matrix @ v))
        return functional.conv2d(
            x, weight.to(x.dtype), None if conv.bias is None else conv.bias.to(x.dtype), padding=conv.padding
        )


class Shown:
    """A batch's maps as 0 and 1 in the type that is computed in, made once for each side."""

    def __init__(self, regions: RegionMaps, like: Tensor) -> None:
        self.regions, self.like = regions, like
        self._masks: dict[int, Tensor] = {}
        self._near: dict[int, Tensor] = {}

    def mask(self, side: int) -> Tensor:
        """(B, R, side, side)."""
        if side not in self._masks:
            mask = one_hot(self.regions.at(side))
            self._masks[side] = mask.to(self.like.dtype, memory_format=torch.channels_last)
        return self._masks[side]

    def near(self, side: int) -> Tensor:
        """(B, side², 9 R): the masks of the nine pixels about each, row by row."""
        if side not in self._near:
            padded = functional.pad(self.mask(side), (1, 1, 1, 1)).permute(0, 2, 3, 1)
            moved = [padded[:, y : y + side, x : x + side] for y in range(3) for x in range(3)]
            self._near[side] = torch.cat(moved, 3).flatten(1, 2)
        return self._near[side]


class RegionNorm(nn.Module):
    """Normalisation by mask and, with ``styled``, by styles (see the top). Keeps (B, C, h, h)."""

    def __init__(self, channels: int, settings: RegionalSettings, *, styled: bool) -> None:
        super().__init__()
        latent, hidden = settings.latent, settings.sean_hidden
        self.noise = nn.Parameter(torch.zeros(channels))
        self.normal = BatchNorm(channels)
        self.shared = nn.Conv2d(NUM_REGIONS, hidden, 3, padding=1)
        self.mask = nn.Conv2d(hidden, 2 * channels, 3, padding=1)  # γ, then β
        self.styled = styled
        if styled:
            self.blend = nn.Parameter(torch.zeros(2))  # of γ and of β, before the sigmoid
            self.A = nn.Parameter(torch.randn(NUM_REGIONS, latent, latent) / latent**0.5)
            self.A_bias = nn.Parameter(torch.zeros(NUM_REGIONS, latent))
            self.style = nn.Conv2d(latent, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, styles: Tensor, shown: Shown, noise: Tensor) -> Tensor:
        side = x.shape[-1]
        x = self.normal(x + self.noise.to(x.dtype)[:, None, None] * noise.to(x.dtype))
        hidden = functional.relu(self.shared(shown.mask(side)))
        if not self.styled:
            gamma, beta = self.mask(hidden).chunk(2, 1)
            return torch.addcmul(beta, x, 1 + gamma)
        share = torch.sigmoid(self.blend).repeat_interleave(len(self.noise))
        rest = 1 - share
        bias = share * cast(Tensor, self.style.bias) + rest * cast(Tensor, self.mask.bias)
        both = functional.conv2d(hidden, self.mask.weight * rest[:, None, None, None], bias, padding=1)
        gamma, beta = (both + self.worn(styles, shown.near(side), share)).chunk(2, 1)
        return torch.addcmul(beta, x, 1 + gamma)

    def worn(self, styles: Tensor, near: Tensor, share: Tensor) -> Tensor:
        """``share`` of γ_style and β_style without their bias: (B, 2 C, h, h).

        A map shows no more than R rows of numbers. Their products with the kernel are taken first, and every pixel adds up those
        of the nine regions around it; the same as the convolution of all the map's numbers, for a fraction of the work.
        """
        batch, pixels, _ = near.shape
        side = int(pixels**0.5)
        rows = functional.relu(torch.einsum("brs,rts->brt", styles, self.A) + self.A_bias)
        kernel = (self.style.weight * share[:, None, None, None]).permute(1, 2, 3, 0).flatten(1)  # (latent, 9 · 2 C)
        tables = (
            (rows.flatten(0, 1) @ kernel).view(batch, NUM_REGIONS, 9, -1).transpose(1, 2).flatten(1, 2)
        )  # (B, 9 R, 2 C)
        return torch.bmm(near, tables.to(near.dtype)).view(batch, side, side, -1).permute(0, 3, 1, 2)


class Block(nn.Module):
    """SPADE's residual block. (B, I, h, h) -> (B, O, h, h)."""

    def __init__(self, inputs: int, outputs: int, settings: RegionalSettings, *, styled: bool) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.norm_0 = RegionNorm(inputs, settings, styled=styled)
        self.conv_0 = SpectralConv(inputs, middle, 3)
        self.norm_1 = RegionNorm(middle, settings, styled=styled)
        self.conv_1 = SpectralConv(middle, outputs, 3)
        self.learned = inputs != outputs
        if self.learned:
            self.norm_s = RegionNorm(inputs, settings, styled=styled)
            self.conv_s = SpectralConv(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, styles: Tensor, shown: Shown, noises: Iterator[Tensor]) -> Tensor:
        y = self.conv_0(functional.leaky_relu(self.norm_0(x, styles, shown, next(noises)), SLOPE))
        y = self.conv_1(functional.leaky_relu(self.norm_1(y, styles, shown, next(noises)), SLOPE))
        if self.learned:
            x = self.conv_s(self.norm_s(x, styles, shown, next(noises)))
        return x + y


class SeanGenerator(nn.Module):
    """Styles and maps to pictures."""

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = [settings.sean_width * width for width in WIDTHS]
        self.start = nn.Conv2d(NUM_REGIONS, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, settings, styled=index < STYLED)
            for index, (inputs, outputs) in enumerate(zip([widths[0], *widths[:-1]], widths, strict=True))
        )
        self.to_rgb = nn.Conv2d(widths[-1], 3, 3, padding=1)
        self.noises = nn.Module()
        for index, side in enumerate(self.noise_sides()):
            self.noises.register_buffer(f"noise_{index}", torch.randn(1, 1, side, side))

    def noise_sides(self) -> list[int]:
        """Sides of the noise, one for each normalisation."""
        sides = [self.settings.size // shrunk for shrunk in SHRUNK]
        return [side for side, block in zip(sides, self.blocks, strict=True) for _ in range(3 if block.learned else 2)]

    def fixed_noise(self) -> list[Tensor]:
        """The noise that is kept with the weights: the same for every frame."""
        return [getattr(self.noises, f"noise_{index}") for index in range(len(self.noise_sides()))]

    def forward(self, codes: Tensor, regions: RegionMaps, noise: Sequence[Tensor] | None = None) -> Tensor:
        """(B, R, latent) and maps -> (B, 3, size, size) float32 in (-1, 1); ``noise`` (1 or B, 1, r, r), None for the fixed."""
        noises = iter(noise if noise is not None else self.fixed_noise())
        side = self.settings.size // SHRUNK[0]
        x = self.start(one_hot(regions.at(side)).contiguous(memory_format=torch.channels_last))
        shown = Shown(regions, x)
        for block, shrunk in zip(self.blocks, SHRUNK, strict=True):
            if x.shape[-1] * shrunk < self.settings.size:
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, codes, shown, noises)
        with in_float32(x):
            return torch.tanh(self.to_rgb(functional.leaky_relu(x, SLOPE).float()))


class Sean(nn.Module):
    """Encoder and generator behind the methods of :class:`~.network.RegionalInversion`. Codes are the style matrix itself."""

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = StyleEncoder(settings)
        self.G = SeanGenerator(settings)

    def vectors(self, pictures: Tensor, regions: RegionMaps) -> Tensor:
        """ST: (B, R, latent), each region's texture; zeros for a region that is not there."""
        return self.encoder(pictures, regions)

    def codes(self, vectors: Tensor) -> Tensor:
        """ST as it is."""
        return vectors

    def forward(
        self, pictures: Tensor, regions: RegionMaps, noise: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Î and ST of pictures and their maps."""
        codes = self.vectors(pictures, regions)
        return self.G(codes, regions, noise), codes

    def beyond_mean(self, codes: Tensor) -> Tensor:
        """Codes less the mean code, which SEAN does not have."""
        return codes

    def tuned(self) -> list[nn.Parameter]:
        """Everything of the generator that learns."""
        return [parameter for parameter in self.G.parameters() if parameter.requires_grad]

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """What learns, by the names that a recipe's rates go by."""
        return {"encoder": list(self.encoder.parameters()), "generator": self.tuned()}

    def draw_noise(self, batch: int, numbers: torch.Generator, device: torch.device) -> list[Tensor]:
        """Noise for ``batch`` pictures, anew every time."""
        return [torch.randn(batch, 1, side, side, generator=numbers).to(device) for side in self.G.noise_sides()]
