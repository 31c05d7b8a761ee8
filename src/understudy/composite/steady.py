"""Steady grades over time: frame-by-frame colour and contrast fits flicker, their average over neighbouring frames
does not.

The average of a frame depends on the fits of the frames around it and on nothing else, so it is the same however a
shot is divided, provided that each part also fits ``radius`` frames before and after itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from understudy.composite.colour_match import ColourMap
from understudy.composite.grade import Grade


def steady_grade(grades: Mapping[int, Grade], number: int, *, radius: int) -> Grade:
    """The grade of frame ``number``, averaged over time without lag.

    Args:
        grades: fitted grades by frame number; frames without a face may be missing, ``number`` may not.
        radius: how many frames before and after count, with Gaussian weights of deviation radius / 2; 0 returns the
            frame's own.

    Returns:
        The weighted mean of all parameters.
    """
    if radius <= 0:
        return grades[number]
    near = [other for other in range(number - radius, number + radius + 1) if other in grades]
    weights = np.array([math.exp(-2.0 * ((other - number) / radius) ** 2) for other in near])
    weights /= weights.sum()
    chosen = [grades[other] for other in near]
    parameters = np.stack([grade.colours.parameters for grade in chosen])
    return Grade(
        colours=ColourMap(method=chosen[0].colours.method, parameters=np.tensordot(weights, parameters, axes=1)),
        contrast=float(weights @ [grade.contrast for grade in chosen]),
        pivot=weights @ np.stack([grade.pivot for grade in chosen]),
    )
