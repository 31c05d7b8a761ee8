"""Adaptive discriminator augmentation (Karras and others 2020, "Training GANs with limited data", section 2 and appendix B).

Real and made pictures are changed alike before the discriminator sees them, each kind of change with probability p: pixel moves
(flip, quarter turns, shifts), geometry (scale, rotation, stretch, shift) and colour (brightness, contrast, inversion, hue,
saturation). p follows how far the discriminator is ahead: it rises while it gives more than ``target`` real pictures a positive
score, r_t = E[sign(D(real))]. Pictures are sampled bilinearly with mirrored borders; the publication's wavelet filter is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

INTERVAL = 4
"""Losses between two looks at r_t."""
LUMA = (1 / math.sqrt(3),) * 3


class AdaptiveProbability(nn.Module):
    """p and what it follows, kept with the weights so that a stopped training goes on alike."""

    p: Tensor
    signs: Tensor
    count: Tensor
    looks: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("p", "signs", "count", "looks"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def observe(self, scores: Tensor, *, target: float, pictures: int) -> None:
        """Take in the scores of real pictures; ``pictures`` are needed for p to go from 0 to 1."""
        self.signs += scores.sign().sum()
        self.count += len(scores)
        self.looks += 1
        if int(self.looks) % INTERVAL == 0:
            step = torch.sign(self.signs / self.count - target) * self.count / pictures
            self.p.copy_((self.p + step).clamp(0, 1))
            self.signs.zero_()
            self.count.zero_()


def augmented(pictures: Tensor, p: float, numbers: torch.Generator) -> Tensor:
    """(B, 3, s, s) RGB in [-1, 1], each change with probability ``p``; p = 0 returns the pictures themselves."""
    if p <= 0:
        return pictures
    batch = len(pictures)
    grid = functional.affine_grid(
        draw_geometry(batch, p, numbers)[:, :2].to(pictures.device), list(pictures.shape), align_corners=False
    )
    moved = functional.grid_sample(
        pictures.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    colour = draw_colour(batch, p, numbers).to(pictures.device)
    return torch.einsum("bij,bjhw->bihw", colour[:, :3, :3], moved) + colour[:, :3, 3, None, None]


def draw_geometry(batch: int, p: float, numbers: torch.Generator) -> Tensor:
    """(B, 3, 3) matrices from the answer's to the picture's coordinates, both in [-1, 1]."""
    uniform, normal, chosen = _draws(batch, p, numbers)
    matrix = torch.eye(3).expand(batch, 3, 3)
    matrix = matrix @ _scaled(1 - 2 * torch.floor(chosen(uniform() * 2)), torch.ones(batch))
    matrix = matrix @ _turned(chosen(torch.floor(uniform() * 4)) * (math.pi / 2))
    matrix = matrix @ _shifted(*chosen(torch.stack([uniform(), uniform()]) * 0.5 - 0.25))
    scale = torch.exp2(chosen(normal() * 0.2))
    matrix = matrix @ _scaled(scale, scale)
    # Two rotations, before and after the stretch, of which at least one happens with probability p.
    turn = 1 - math.sqrt(1 - min(p, 1.0))
    matrix = matrix @ _turned(chosen((uniform() * 2 - 1) * math.pi, turn))
    stretch = torch.exp2(chosen(normal() * 0.2))
    matrix = matrix @ _scaled(stretch, 1 / stretch)
    matrix = matrix @ _turned(chosen((uniform() * 2 - 1) * math.pi, turn))
    return matrix @ _shifted(*chosen(torch.stack([normal(), normal()]) * 0.25))


def draw_colour(batch: int, p: float, numbers: torch.Generator) -> Tensor:
    """(B, 4, 4) matrices on RGB in [-1, 1] and 1."""
    uniform, normal, chosen = _draws(batch, p, numbers)
    axis = torch.tensor([*LUMA, 0.0])
    along = torch.outer(axis, axis)
    matrix = torch.eye(4).repeat(batch, 1, 1)
    brightness = chosen(normal() * 0.2)
    matrix[:, :3, 3] += brightness[:, None]
    contrast = torch.exp2(chosen(normal() * 0.5))
    matrix = torch.diag_embed(torch.stack([contrast] * 3 + [torch.ones(batch)], 1)) @ matrix
    inverted = torch.floor(chosen(uniform() * 2))  # grey turned about the middle, colours kept
    matrix = (torch.eye(4) - 2 * along * inverted[:, None, None]) @ matrix
    angle = chosen((uniform() * 2 - 1) * math.pi)
    matrix = _about_grey(angle) @ matrix
    saturation = torch.exp2(chosen(normal()))[:, None, None]
    rest = torch.eye(4) - along
    rest[3, 3] = 0.0
    last = torch.zeros(4, 4)
    last[3, 3] = 1.0
    return (along + rest * saturation + last) @ matrix


Draw = Callable[[], Tensor]


def _draws(batch: int, p: float, numbers: torch.Generator) -> tuple[Draw, Draw, Callable[..., Tensor]]:
    def chosen(values: Tensor, chance: float = p) -> Tensor:
        """The values with probability ``chance``, else 0."""
        return torch.where(torch.rand(batch, generator=numbers) < chance, values, torch.zeros(batch))

    return (
        lambda: torch.rand(batch, generator=numbers),
        lambda: torch.randn(batch, generator=numbers),
        chosen,
    )


def _scaled(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def _turned(angle: Tensor) -> Tensor:
    cosine, sine, zero, one = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], 1).view(-1, 3, 3)


def _shifted(x: Tensor, y: Tensor) -> Tensor:
    matrix = torch.eye(3).repeat(len(x), 1, 1)
    matrix[:, 0, 2], matrix[:, 1, 2] = x, y
    return matrix


def _about_grey(angle: Tensor) -> Tensor:
    """Rodrigues' rotation of RGB about the grey axis."""
    axis = torch.tensor(LUMA)
    across = torch.tensor([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    cosine, sine = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    matrix = torch.eye(4).repeat(len(angle), 1, 1)
    matrix[:, :3, :3] = cosine * torch.eye(3) + sine * across + (1 - cosine) * torch.outer(axis, axis)
    return matrix
