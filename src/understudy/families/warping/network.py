"""The warping network: a motion field, a picture warped by it, a refined picture; and the two critics (paper 003, section 3.2).

With width n and c signals, at 128² (7x7 s2 reads: kernel 7, stride 2, padding 3; IN is instance normalisation, affine):

    encoding    7x7 s2 (3+c)->n IN ReLU, 4x4 s2 n->2n IN ReLU, 6 x [3x3 IN ReLU 3x3 IN] + skip
    flow_pred   4x4 s2 up 2n->n IN ReLU, 6x6 s2 up n->2, tanh
    refine      7x7 s2 3->n ELU, 4 x [3x3 ELU 3x3] + skip, 6x6 s2 up n->3, clamped to [-1, 1] (``masked``: 5->n, n->4)
    critic      6 x [4x4 s2, LeakyReLU(0.01)] 3->m->2m->4m->4m->4m->4m; heads 3x3 4m->1 (realism, D_r only) and 2x2 4m->c (signals)

The generator has no biases but those of its normalisations. Module names and their order are the published code's, so that its
weights fit without renaming. Inside the family pictures are (B, 3, s, s), RGB in [-1, 1], view colour space.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.errors import OptionError

UNITS = 17
MOTION_BLOCKS, REFINE_BLOCKS = 6, 4  # section 3.2
HALVINGS = 6  # of a critic: 128² to 2²
MASK_START, MASK_REACH = -2.0, 4.0  # logits: an untrained mask lets an eighth of the paint through, a shut one 0.0025
INITIAL = 0.02  # standard deviation of all weights in the published code; the paper names none


@dataclass(frozen=True, kw_only=True)
class WarpingSettings:
    """Shape of a warping network. The defaults are the paper's largest, driven by action units."""

    width: int = 128
    """n: channels of the generator's first level."""
    coefficient: float = 0.3
    """Largest motion, as share of the side (less one pixel): the "factor" on tanh."""
    expressions: tuple[str, ...] = ()
    """The expressions by which it is driven, one-hot; none: it is driven by the 17 action units."""
    unit_scale: float = 5.0
    """Intensity (0 to 5) that the network sees as 1. The published code's is 0.5, so that it sees up to 10."""
    critic_width: int = 64
    """m: channels of a critic's first level."""
    refine_halvings: int = 1
    """How often the refinement halves. The text says 2; the published code and the paper's own parameter counts say 1."""
    quick_start: bool = False
    """Ours: the refinement adds to the warped picture instead of painting it anew, and the last layers of motion and refinement
    begin at 0, so that an untrained network answers with its picture. As published, it begins with noise."""
    modulated: bool = False
    """Ours: the signal also scales and shifts what the motion network's blocks normalise. A tiled signal is the same everywhere,
    and what is the same everywhere the first normalisation takes off: as published, only its trace along the borders gets
    through."""
    masked: bool = False
    """Ours, with ``quick_start``: the refinement sees the motion beside the warped picture, and what it adds goes through a mask
    of its own. From the warped picture alone stretched lips look much like lips, and without a mask it can only keep still
    where nothing is hidden by adding nothing anywhere."""
    leak: float = 0.0
    """Ours: slope below zero of the ReLU before the motion's last layer. At 0, as published, places where none of its channels
    is above zero stand still and learn nothing: a network that has learnt mouths has made all else such a place, lids too."""
    size: int = 128
    """Side of the pictures, pixels."""
    oval_share: float = 0.5
    """Height of a neutral face as share of the side: "the whole headshot is covered" (section 3.3)."""

    def __post_init__(self) -> None:
        if self.width < 2 or self.critic_width < 1:
            raise OptionError(
                f"warping: width {self.width} and critic_width {self.critic_width} must be 2 and 1 or more."
            )
        if self.size < 1 << HALVINGS or self.size % (1 << HALVINGS):
            raise OptionError(f"warping: size {self.size} must be a multiple of {1 << HALVINGS}.")
        if self.refine_halvings not in (1, 2):
            raise OptionError(f"warping: refine_halvings {self.refine_halvings} must be 1 or 2.")
        if not (0 < self.coefficient <= 1 and self.unit_scale > 0 and 0 < self.oval_share < 1):
            raise OptionError(
                f"warping: coefficient {self.coefficient}, unit_scale {self.unit_scale} and oval_share {self.oval_share} "
                f"must be positive, and the first and last at most 1."
            )
        if not 0 <= self.leak < 1:
            raise OptionError(f"warping: leak {self.leak} must be 0 or more and below 1.")
        if self.masked and not self.quick_start:
            raise OptionError(
                "warping: masked needs quick_start; a mask is laid on what is added to the warped picture."
            )
        if len(self.expressions) == 1:
            raise OptionError(
                f"warping: one expression ({self.expressions[0]}) is no choice; name two or more, or none."
            )

    @property
    def signals(self) -> int:
        """c: length of the driving signal."""
        return len(self.expressions) or UNITS

    @property
    def by_units(self) -> bool:
        """Driven by action units rather than by expressions."""
        return not self.expressions


class NormalisedBlock(nn.Module):
    """x + IN(conv(ReLU(IN(conv(x))))); with a modulation of (B, 2 channels), scales and shifts, around the inner IN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        inner = self.conv_block[:2](x)
        if modulation is not None:
            scale, shift = modulation[:, :, None, None].chunk(2, 1)
            inner = inner * (1 + scale) + shift
        return x + self.conv_block[2:](inner)


class PlainBlock(nn.Module):
    """x + conv(ELU(conv(x))): without normalisation, which would change colours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.ELU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def _encoding(signals: int, n: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3 + signals, n, 7, stride=2, padding=3, bias=False),
        nn.InstanceNorm2d(n, affine=True),
        nn.ReLU(),
        nn.Conv2d(n, 2 * n, 4, stride=2, padding=1, bias=False),
        nn.InstanceNorm2d(2 * n, affine=True),
        nn.ReLU(),
        *(NormalisedBlock(2 * n) for _ in range(MOTION_BLOCKS)),
    )


def _flow_pred(n: int, leak: float) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(2 * n, n, 4, stride=2, padding=1, bias=False),
        nn.InstanceNorm2d(n, affine=True),
        nn.LeakyReLU(leak) if leak else nn.ReLU(),
        nn.ConvTranspose2d(n, 2, 6, stride=2, padding=2, bias=False),
        nn.Tanh(),
    )


def _refine(n: int, halvings: int, masked: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3 + 2 * masked, n, 7, stride=2, padding=3, bias=False), nn.ELU()]
    if halvings == 2:
        layers += [nn.Conv2d(n, 2 * n, 4, stride=2, padding=1, bias=False), nn.ELU()]
    layers += [PlainBlock(n * halvings) for _ in range(REFINE_BLOCKS)]
    if halvings == 2:
        layers += [nn.ConvTranspose2d(2 * n, n, 4, stride=2, padding=1, bias=False), nn.ELU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(n, 3 + masked, 6, stride=2, padding=2, bias=False))


def warp(pictures: Tensor, offsets: Tensor) -> Tensor:
    """(B, C, h, w) sampled at every pixel's own place plus (B, 2, h, w) offsets, x then y, in half sides less one pixel.

    align_corners=True: -1 and 1 are the centres of the outermost pixels. What lies outside is 0, mid-grey.
    """
    height, width = pictures.shape[-2:]
    x = torch.linspace(-1, 1, width, device=pictures.device)
    y = torch.linspace(-1, 1, height, device=pictures.device)
    identity = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    grid = identity + offsets.float().permute(0, 2, 3, 1)
    return functional.grid_sample(pictures.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What a generator answers."""

    refined: Tensor
    """O_r: (B, 3, s, s) in [-1, 1]."""
    warped: Tensor
    """O_w: (B, 3, s, s) in [-1, 1]."""
    flow: Tensor
    """F: (B, 2, s, s) in [-1, 1], x then y, before the coefficient."""


class Generator(nn.Module):
    """G: motion network and refinement network."""

    def __init__(self, settings: WarpingSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoding = _encoding(settings.signals, settings.width)
        self.flow_pred = _flow_pred(settings.width, settings.leak)
        self.refine = _refine(settings.width, settings.refine_halvings, settings.masked)
        self.modulation = nn.ModuleList(
            nn.Linear(settings.signals, 4 * settings.width) for _ in range(MOTION_BLOCKS if settings.modulated else 0)
        )

    def motion(self, pictures: Tensor, signals: Tensor) -> Tensor:
        """(B, 3, s, s) and (B, c) as the network sees them -> flow (B, 2, s, s) in [-1, 1]."""
        tiled = signals.to(pictures.dtype)[:, :, None, None].expand(-1, -1, *pictures.shape[-2:])
        x = torch.cat([pictures, tiled], 1)
        modulations = iter(self.modulation)
        for layer in self.encoding:
            heard = self.settings.modulated and isinstance(layer, NormalisedBlock)
            x = layer(x, next(modulations)(signals)) if heard else layer(x)
        return self.flow_pred(x).float()

    def carry(self, pictures: Tensor, flow: Tensor) -> Tensor:
        """(B, C, s, s) warped by (B, 2, s, s) flow."""
        return warp(pictures, 2 * self.settings.coefficient * flow)

    def refined(self, warped: Tensor, flow: Tensor | None = None) -> Tensor:
        """O_r of O_w, and of the flow that made it where the refinement is masked (None: there was none). No tanh: colours that
        are right already should cost nothing."""
        if self.settings.masked:
            # Held: the motion is there to move, not to tell the refinement what to paint.
            flow = torch.zeros_like(warped[:, :2]) if flow is None else flow.detach().to(warped.dtype)
            # A mask that could shut altogether would learn nothing any more, and soon it is shut everywhere.
            painted, mask = self.refine(torch.cat([warped, flow], 1)).float().split((3, 1), 1)
            return (warped + painted * torch.sigmoid(MASK_REACH * torch.tanh(mask / MASK_REACH) + MASK_START)).clamp(
                -1, 1
            )
        painted = self.refine(warped).float()
        return (warped + painted if self.settings.quick_start else painted).clamp(-1, 1)

    def forward(self, pictures: Tensor, signals: Tensor, strength: Tensor | float = 1.0) -> Generated:
        """
        Args:
            pictures: (B, 3, s, s) in [-1, 1].
            signals: (B, c) driving signals as the network sees them.
            strength: factor on the flow, a number or (B, 1, 1, 1); the refinement works on what the scaled flow gives.
        """
        flow = self.motion(pictures, signals) * strength
        warped = self.carry(pictures, flow)
        return Generated(refined=self.refined(warped, flow), warped=warped, flow=flow)


class Critic(nn.Module):
    """D_r with the head of realism, D_w without: pictures to the signal that they show."""

    def __init__(self, settings: WarpingSettings, *, realism: bool) -> None:
        super().__init__()
        m = settings.critic_width
        widths = [3] + [m * min(1 << level, 4) for level in range(HALVINGS)]
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.model = nn.Sequential(*layers)
        self.dis_top = nn.Conv2d(4 * m, 1, 3, padding=1, bias=False) if realism else None
        self.aus_top = nn.Conv2d(4 * m, settings.signals, settings.size >> HALVINGS, bias=False)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Answers of the six levels, 64² to 2² at 128²."""
        answers = []
        for layer in self.model:
            pictures = layer(pictures)
            if isinstance(layer, nn.LeakyReLU):
                answers.append(pictures)
        return answers

    def signals(self, feature: Tensor) -> Tensor:
        """(B, c) from the last level's answer: units, or logits of expressions."""
        return self.aus_top(feature)[:, :, 0, 0].float()

    def realism(self, feature: Tensor) -> Tensor:
        """(B, 1, s/64, s/64) from the last level's answer, larger where it looks real."""
        if self.dis_top is None:
            raise OptionError("warping: this critic has no head of realism.")
        return self.dis_top(feature).float()


class WarpingNetwork(nn.Module):
    """Everything that trains: G, D_r and D_w."""

    draws: Tensor

    def __init__(self, settings: WarpingSettings) -> None:
        super().__init__()
        self.settings = settings
        self.generator = Generator(settings)
        self.critic_refined = Critic(settings, realism=True)
        self.critic_warped = Critic(settings, realism=False)
        # How many losses were drawn so far: kept with the weights, so that a stopped training goes on with the same numbers.
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))
        self.apply(_initialise)
        if settings.quick_start:
            self.apply(_initialise_freely)
            for last in (self.generator.flow_pred[-2], self.generator.refine[-1]):
                nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        for layer in self.generator.modulation:
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=INITIAL)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _initialise_freely(module: nn.Module) -> None:
    """By He: six critic levels at 0.02 leave next to nothing of a picture."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
