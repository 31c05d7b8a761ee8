"""Random moves and light, the same for a training input and its target.

What happens to both teaches the network to carry it across: a decoder that has seen one light only still follows the plate's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How far pictures are moved and relit; each value is the largest change, uniformly drawn unless said otherwise."""

    shift: float = 0.02
    """Share of the picture's side."""
    scale: float = 0.04
    """Share of the size."""
    rotation: float = 3.0
    """Degrees."""
    exposure: float = 0.35
    """Gain of all channels, as a power of e."""
    colour: float = 0.12
    """Gain of each channel, as a power of e."""
    gamma: float = 0.15
    """Exponent, as a power of e."""
    shading: float = 0.25
    """Gain of a ramp of random direction across the picture, as a power of e from its middle to its edge."""
    noise: float = 0.01
    """Standard deviation of noise on the input only."""
    contrast: float = 0.0
    """Share by which the distance from the picture's mean grey grows or shrinks."""
    saturation: float = 0.0
    """Share by which the distance from grey grows or shrinks."""
    hue: float = 0.0
    """Share of the colour circle."""


def uniform(generator: torch.Generator, batch: int, largest: float) -> torch.Tensor:
    """(B,) numbers between ``-largest`` and ``largest``."""
    import torch

    return (torch.rand(batch, generator=generator) * 2 - 1) * largest


def draw_moves(batch: int, settings: AugmentSettings, generator: torch.Generator) -> torch.Tensor:
    """(B, 2, 3) matrices for ``torch.nn.functional.affine_grid`` (align_corners=False), output to input."""
    import torch

    angle = uniform(generator, batch, math.radians(settings.rotation))
    scale = torch.exp(uniform(generator, batch, settings.scale))
    move_x, move_y = uniform(generator, batch, 2 * settings.shift), uniform(generator, batch, 2 * settings.shift)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    return torch.stack([torch.stack([cosine, -sine, move_x], 1), torch.stack([sine, cosine, move_y], 1)], 1)


def move(pictures: torch.Tensor, moves: torch.Tensor, size: int, *, border: str = "border") -> torch.Tensor:
    """(B, C, h, w) sampled at (B, 2, 3) ``moves`` to (B, C, size, size). align_corners=False.

    Outside lies the last row repeated (``border``) or the picture mirrored (``reflection``).
    """
    from torch.nn import functional

    # Bilinear sampling averages areas up to a halving; beyond that more samples are taken and averaged.
    factor = max(1, pictures.shape[-1] // (2 * size))
    shape = [len(pictures), pictures.shape[1], size * factor, size * factor]
    grid = functional.affine_grid(moves, shape, align_corners=False)
    moved = functional.grid_sample(pictures, grid, mode="bilinear", padding_mode=border, align_corners=False)
    return functional.avg_pool2d(moved, factor) if factor > 1 else moved


@dataclass(frozen=True, kw_only=True)
class Light:
    """A drawn change of light: (B, 3, 1, 1) gains, (B, 1, 1, 1) exponents, (B, 2) ramp slopes."""

    gains: torch.Tensor
    exponents: torch.Tensor
    ramp: torch.Tensor


def draw_light(batch: int, settings: AugmentSettings, generator: torch.Generator) -> Light:
    """A change of light for each of ``batch`` pictures."""
    import torch

    exposure = uniform(generator, batch, settings.exposure)[:, None]
    tint = torch.stack([uniform(generator, batch, settings.colour) for _ in range(3)], 1)
    gamma = torch.exp(uniform(generator, batch, settings.gamma))
    slope = uniform(generator, batch, settings.shading)
    direction = torch.rand(batch, generator=generator) * (2 * math.pi)
    ramp = torch.stack([slope * torch.cos(direction), slope * torch.sin(direction)], 1)
    return Light(gains=torch.exp(exposure + tint)[:, :, None, None], exponents=gamma[:, None, None, None], ramp=ramp)


def relight(pictures: torch.Tensor, light: Light) -> torch.Tensor:
    """(B, 3, s, s) in [0, 1] -> the same, relit and clipped to [0, 1]."""
    import torch

    size = pictures.shape[-1]
    axis = torch.linspace(-1, 1, size)
    ramp = light.ramp[:, 0, None, None] * axis[None, None, :] + light.ramp[:, 1, None, None] * axis[None, :, None]
    lit = pictures.clamp(1e-4, 1.0).pow(light.exponents) * light.gains * torch.exp(ramp)[:, None]
    return lit.clamp(0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """A drawn change of colours: factors (B, 1, 1, 1) on contrast and saturation, (B,) turns of the colour circle."""

    contrast: torch.Tensor
    saturation: torch.Tensor
    hue: torch.Tensor


def draw_jitter(batch: int, settings: AugmentSettings, generator: torch.Generator) -> Jitter:
    """A change of colours for each of ``batch`` pictures."""
    contrast, saturation = (1 + uniform(generator, batch, most) for most in (settings.contrast, settings.saturation))
    return Jitter(
        contrast=contrast[:, None, None, None],
        saturation=saturation[:, None, None, None],
        hue=uniform(generator, batch, settings.hue),
    )


def jitter(pictures: torch.Tensor, change: Jitter) -> torch.Tensor:
    """(B, 3, s, s) in [0, 1] -> the same with other contrast, saturation and hue, clipped to [0, 1].

    The hue turns about the grey axis of RGB, which leaves the sum of the channels; greys are the channels' mean.
    """
    import torch

    grey = pictures.mean(1, keepdim=True)
    middle = grey.mean((2, 3), keepdim=True)
    coloured = (grey - middle) * change.contrast + middle + (pictures - grey) * change.contrast * change.saturation
    angle = change.hue * (2 * math.pi)
    along, across = torch.cos(angle), torch.sin(angle) / math.sqrt(3)
    rest = (1 - along) / 3
    # Rodrigues' turn about (1, 1, 1): every row is the one before, moved on by a channel.
    row = torch.stack([along + rest, rest - across, rest + across], 1)
    turn = torch.stack([row, row.roll(1, 1), row.roll(2, 1)], 1)
    return torch.einsum("bij,bjhw->bihw", turn, coloured).clamp(0.0, 1.0)
