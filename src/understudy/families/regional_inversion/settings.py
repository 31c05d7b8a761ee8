"""Shape of the networks of regional inversion, known without loading torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.errors import OptionError

NUM_REGIONS = 12


@dataclass(frozen=True, kw_only=True)
class RegionalSettings:
    """Shape of generator, discriminator and encoder. The defaults are the paper's, at 1024²."""

    size: int = 1024
    """Side of the pictures, pixels: a power of two from 8."""
    widest: int = 512
    """Most channels of a level of the generator."""
    channel_base: int = 32_768
    """Channels of a level, times its side, where that is less than ``widest``: StyleGAN2's rule (32 channels at 1024²)."""
    latent: int = 512
    """Length of z, w and of a style code."""
    mapping_layers: int = 8
    regional_layers: int = 13
    """K: how many of the generator's layers have codes and masks of their own for each region (13 of 18 at 1024²)."""
    encoder_size: int = 256
    """Side at which the encoder sees a picture."""
    encoder_widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels of the encoder's first layer and of its four stages."""
    encoder_blocks: tuple[int, ...] = (3, 4, 14, 3)
    """Blocks of the four stages; the last three stages' ends are the N = 3 scales of eq. 2."""
    pooling: str = "nearest"
    """How a region map reaches a feature map's size in eq. 2: ``nearest``, the published code's, by which a small region can have
    no pixel left; or ``area``, by which every pixel of the map counts where it lies."""
    oval_share: float = 0.5
    """Height of a neutral face as share of the crop's side."""
    architecture: str = "rgi"
    """``rgi``, the paper's own, or ``sean``, which its section 5 puts in its place; ``latent`` is then the length of a style, and
    ``widest`` and ``channel_base`` are the discriminator's alone."""
    sean_width: int = 64
    """Channels of SEAN's last block; its first has 16 times as many."""
    sean_hidden: int = 128
    """Channels between the mask and what it says of a normalisation."""
    sean_encoder_width: int = 32
    """Channels of the first layer of SEAN's encoder."""

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1):
            raise OptionError(f"regional_inversion: size {self.size} must be a power of two, 8 or more.")
        if self.encoder_size % 16 or self.encoder_size < 32:
            raise OptionError(
                f"regional_inversion: encoder_size {self.encoder_size} must be a multiple of 16, 32 or more."
            )
        if len(self.encoder_widths) != 5 or len(self.encoder_blocks) != 4 or min(self.encoder_blocks) < 1:
            raise OptionError(
                f"regional_inversion: encoder_widths {self.encoder_widths} and encoder_blocks {self.encoder_blocks} must be five "
                f"and four numbers."
            )
        if min(self.widest, self.channel_base // self.size, self.latent, self.mapping_layers) < 1:
            raise OptionError(
                f"regional_inversion: widest {self.widest}, latent {self.latent} and mapping_layers {self.mapping_layers} must be "
                f"1 or more, and channel_base {self.channel_base} at least the size."
            )
        if self.regional_layers < 1:
            raise OptionError(f"regional_inversion: regional_layers {self.regional_layers} must be 1 or more.")
        if self.pooling not in ("nearest", "area"):
            raise OptionError(f"regional_inversion: pooling {self.pooling!r} must be nearest or area.")
        if self.architecture not in ("rgi", "sean"):
            raise OptionError(f"regional_inversion: architecture {self.architecture!r} must be rgi or sean.")
        if self.architecture == "sean" and self.size < 64:
            raise OptionError(
                f"regional_inversion: size {self.size} must be 64 or more for sean, whose first block has 1/32 of it."
            )
        if min(self.sean_width, self.sean_hidden, self.sean_encoder_width) < 1:
            raise OptionError(
                f"regional_inversion: sean_width {self.sean_width}, sean_hidden {self.sean_hidden} and sean_encoder_width "
                f"{self.sean_encoder_width} must be 1 or more."
            )
        if not 0 < self.oval_share < 1:
            raise OptionError(f"regional_inversion: oval_share {self.oval_share} must lie between 0 and 1.")

    @property
    def levels(self) -> tuple[int, ...]:
        """Sides of the generator's levels, 4 to ``size``."""
        return tuple(1 << k for k in range(2, self.size.bit_length()))

    @property
    def layers(self) -> int:
        """Style layers: 18 at 1024². Layer 0 is the first convolution; layer l of a level's RGB is also that of the next
        level's first convolution."""
        return 2 * len(self.levels)

    @property
    def learned_layers(self) -> int:
        """K, or all layers where there are fewer: the layers that the encoder gives codes for."""
        return min(self.regional_layers, self.layers)

    def channels(self, side: int) -> int:
        """Channels of the level of this side."""
        return min(self.widest, self.channel_base // side)


def settings_of(network: Mapping[str, Any]) -> RegionalSettings:
    """Settings from a recipe or a card, where lists stand for tuples; what is no setting of the networks is left aside.

    Raises:
        OptionError: a setting is out of its range.
    """
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in network.items()
        if name in RegionalSettings.__dataclass_fields__
    }
    return RegionalSettings(**known)
