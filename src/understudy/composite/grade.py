"""The grade: one frame's colour match and contrast correction, as numbers that can be looked at, kept and averaged."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from understudy.composite.colour_match import ColourMap, apply_colours, fit_colours
from understudy.composite.contrast import contrast_gain

STATISTICS_SIDE = 256
"""Grades are measured on crops of at most this side, so that they cost little and do not change with the crop's
resolution."""


@dataclass(frozen=True, kw_only=True)
class Grade:
    """What is done to a generated face before blending.

    Attributes:
        colours: the colour match.
        contrast: gain about ``pivot``.
        pivot: (3,) float64 RGB mean of the colour-matched face under the mask, view space.
    """

    colours: ColourMap
    contrast: float
    pivot: np.ndarray


def fit_grade(
    source: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray,
    *,
    colour_match: str,
    contrast: str,
    contrast_limits: tuple[float, float],
) -> Grade:
    """Fit colours, then contrast, of the generated face to the plate's, both (H, W, 3) in view space, under the mask
    (H, W)."""
    if max(mask.shape) > STATISTICS_SIDE:
        scale = STATISTICS_SIDE / max(mask.shape)
        size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
        arrays = (source, target, mask)
        source, target, mask = (cv2.resize(array, size, interpolation=cv2.INTER_AREA) for array in arrays)
    colours = fit_colours(source, target, mask, method=colour_match)
    if contrast == "none":
        return Grade(colours=colours, contrast=1.0, pivot=np.zeros(3))
    matched = apply_colours(source, colours)
    area = float(mask.sum())
    pivot = np.einsum("hwc,hw->c", matched, mask, dtype=np.float64) / area if area > 0 else np.zeros(3)
    gain = contrast_gain(matched, target, mask, measure=contrast, limits=contrast_limits)
    return Grade(colours=colours, contrast=gain, pivot=pivot)


def apply_grade(picture: np.ndarray, grade: Grade) -> np.ndarray:
    """The generated face (H, W, 3) float32 after its grade."""
    matched = apply_colours(picture, grade.colours)
    if grade.contrast == 1.0:
        return matched
    pivot = grade.pivot.astype(np.float32)
    return (matched - pivot) * np.float32(grade.contrast) + pivot
