"""How points carry the picture around them: a motion field from the points of a still and of its target. Not the paper's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FINE, COARSE = 0.02, 0.10
"""Reach of a point, as standard deviation in sides of the picture: exact near the points, smooth between and around them."""
FINE_REST, COARSE_REST = 0.05, 1.0
"""Weight of what stands where no point reaches: of the coarse motion, and of stillness. One point's weight is 1 at its place."""


def motion_grid(size: int) -> int:
    """Side of the field for pictures of ``size`` pixels."""
    return size // 2


def coarse_motion(points: Tensor, target_points: Tensor, side: int) -> Tensor:
    """The motion that carries (B, N, 2) ``points`` to ``target_points``, both in the unit square.

    Around every target point the field fetches from the point (F(t) ≈ p - t); with G the Gaussians about the target points
    and d = p - t:

        F_coarse = Σ G_coarse d / (Σ G_coarse + 1)      F = (Σ G_fine d + F_coarse / 20) / (Σ G_fine + 1 / 20)

    Returns:
        (B, 2, side, side) float32, x then y, in sides of the picture; equal points give 0 exactly.
    """
    with torch.autocast(points.device.type, enabled=False):
        points, target_points = points.float(), target_points.float()
        centres = (torch.arange(side, device=points.device, dtype=torch.float32) + 0.5) / side
        shifts = torch.cat(
            [points - target_points, torch.ones_like(points[..., :1])], -1
        ).mT  # (B, 3, N), a weight last

        def gathered(reach: float) -> Tensor:
            # exp(-(x² + y²)) is a product: three matrix products replace a Gaussian at every pixel for every point.
            near = torch.exp((centres - target_points[..., None]).square() * (-0.5 / reach**2))  # (B, N, 2, side)
            return (shifts[:, :, None, :] * near[:, :, 1].mT[:, None]) @ near[:, None, :, 0]

        coarse = gathered(COARSE)
        coarse = coarse[:, :2] / (coarse[:, 2:] + COARSE_REST)
        fine = gathered(FINE)
        return (fine[:, :2] + FINE_REST * coarse) / (fine[:, 2:] + FINE_REST)


def carried(pictures: Tensor, motion: Tensor) -> Tensor:
    """(B, C, s, s) pictures, float32, fetched at every pixel's place plus (B, 2, h, w) ``motion``; the border is repeated."""
    size = pictures.shape[-1]
    if motion.shape[-1] != size:
        motion = functional.interpolate(motion.float(), size=(size, size), mode="bilinear", align_corners=False)
    centres = (torch.arange(size, device=pictures.device, dtype=torch.float32) * 2 + 1) / size - 1
    identity = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)
    grid = identity + 2 * motion.float().permute(0, 2, 3, 1)
    return functional.grid_sample(pictures.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
