"""How much a face shakes in a clip, plate pixels: the residual of a parabola through every five frames, root mean square.

Defined by :func:`understudy.faces.stabilise.jitter`; here it is taken over the points that expressions hardly move, so that
speech does not count as shake. A swap should shake no more than its plate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from understudy.faces.stabilise import jitter
from understudy.faces.topology import STABLE


def landmark_jitter(landmarks: np.ndarray, numbers: Sequence[int] | None = None) -> float:
    """Shake of a face over time.

    Args:
        landmarks: (T, 478, 2 or 3) plate pixels.
        numbers: (T,) frame numbers, rising; only unbroken runs of five frames count. None: all frames are successive.

    Returns:
        Pixels; an independent shake of every frame by r pixels in two dimensions reads r. Not-a-number for less than five frames.
    """
    return jitter(np.asarray(landmarks)[:, STABLE, :2], numbers=numbers)
