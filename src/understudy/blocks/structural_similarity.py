"""How alike two pictures are inside a face: MS-SSIM (Wang, Simoncelli and Bovik 2003), a weighted L1, and how crisp they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

WINDOW, SIGMA = 11, 1.5
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
C1, C2 = 0.01**2, 0.03**2  # (K1 L)² and (K2 L)² with L = 1


def gaussian_window(size: int = WINDOW, sigma: float = SIGMA) -> Tensor:
    """(size,) weights that sum to 1."""
    at = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    window = torch.exp(-(at**2) / (2 * sigma**2))
    return window / window.sum()


def blur(x: Tensor, window: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, h - n + 1, w - n + 1) by an (n,) window, only where the whole window lies inside."""
    channels = x.shape[1]
    kernel = window.to(x).expand(channels, 1, -1)
    x = functional.conv2d(x, kernel[:, :, None, :], groups=channels)
    return functional.conv2d(x, kernel[:, :, :, None], groups=channels)


def similarity(a: Tensor, b: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance-and-structure map (SSIM) and contrast-structure map of two (B, C, h, w) pictures in [0, 1]."""
    channels = a.shape[1]
    moments = blur(torch.cat([a, b, a * a, b * b, a * b], 1), window)
    mean_a, mean_b, aa, bb, ab = moments.split(channels, 1)
    variance_a, variance_b, covariance = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    contrast = (2 * covariance + C2) / (variance_a + variance_b + C2)
    return (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1) * contrast, contrast


def masked_ms_ssim(a: Tensor, b: Tensor, weights: Tensor, scale_weights: Sequence[float] = SCALE_WEIGHTS) -> Tensor:
    """Mean over the batch of MS-SSIM inside the face; 1 for equal pictures.

    As many of the scales are used as the window fits into, their weights scaled to sum to 1. What lies outside the
    face is set to 0 in both pictures, so that it cannot count.

    Args:
        a, b: (B, 3, s, s) in [0, 1], s >= 11.
        weights: (B, 1, s, s) >= 0, 0 outside the face.
    """
    window = gaussian_window().to(a.device)
    scales = 0
    while scales < len(scale_weights) and a.shape[-1] >> scales >= WINDOW:
        scales += 1
    exponents = torch.tensor(scale_weights[:scales])
    exponents = exponents / exponents.sum()
    inside = (weights > 0.25).to(a.dtype)
    a, b = a * inside, b * inside
    margin = WINDOW // 2
    result = a.new_ones(len(a))
    for scale in range(scales):
        whole, contrast = similarity(a, b, window)
        chosen = (whole if scale == scales - 1 else contrast).mean(1, keepdim=True)
        weight = weights[:, :, margin:-margin, margin:-margin]
        mean = (chosen * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1e-6)
        # A negative mean would have no real power; early in training it happens.
        result = result * mean.clamp_min(1e-4) ** exponents[scale].to(a)
        if scale < scales - 1:
            a, b, weights = (functional.avg_pool2d(x, 2) for x in (a, b, weights))
    return result.mean()


def weighted_l1(a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute difference over (B, 3, s, s), each pixel by its (B, 1, s, s) weight."""
    return ((a - b).abs() * weights).sum() / (weights.sum() * a.shape[1]).clamp_min(1e-6)


FINE, FINE_SIGMA = 7, 1.0
PLACE, PLACE_SIGMA = 13, 2.0
CRISP = 2e-5  # deviations well below 0.005 count as none: that is the noise of eight bits
SMALLEST = FINE + PLACE - 1
"""Side of the smallest pictures that :func:`crispness` can tell anything about."""


def crispness(a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
    """How much finest detail two pictures have in the same places, wherever exactly it lies; 1 for equal amounts.

    What cannot be foretold to the pixel (stubble, lashes) costs a blurred answer nothing in L1 and little in SSIM, which
    ask for the same detail. This asks for as much of it: SSIM's contrast term c = (2 s_a s_b + C) / (s_a² + s_b² + C) of
    the deviations s of the band above a Gaussian of one pixel, taken over a Gaussian of two.

    Args:
        a, b: (B, 3, s, s) in [0, 1], s >= 19.
        weights: (B, 1, s, s) >= 0.
    """
    window, place = gaussian_window(FINE, FINE_SIGMA).to(a.device), gaussian_window(PLACE, PLACE_SIGMA).to(a.device)
    grey = torch.cat([a, b]).mean(1, keepdim=True)
    margin = FINE // 2
    band = grey[:, :, margin:-margin, margin:-margin] - blur(grey, window)
    # Of a deviation of exactly nothing the root has no derivative.
    first, second = (blur(band * band, place) + 1e-6).sqrt().chunk(2)
    alike = (2 * first * second + CRISP) / (first**2 + second**2 + CRISP)
    margin += PLACE // 2
    weights = weights[:, :, margin:-margin, margin:-margin]
    return (alike * weights).sum() / weights.sum().clamp_min(1e-6)
