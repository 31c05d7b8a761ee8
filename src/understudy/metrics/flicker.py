"""Motion that is not the truth's: how much frame-to-frame changes differ, per cent of the range. Our own definition.

The paper reports that replacing every frame by its nearest training picture makes the video jump. A measure of single
frames cannot see that; this one compares the change from one frame to the next with the change that the true frames
show.
"""

from __future__ import annotations

import numpy as np

from understudy.metrics.picture import check_mask, check_pictures


def flicker(
    picture: np.ndarray,
    previous: np.ndarray,
    truth: np.ndarray,
    previous_truth: np.ndarray,
    *,
    mask: np.ndarray | None = None,
) -> float:
    """``100 * mean |(picture - previous) - (truth - previous truth)|``; 0: moves as the truth does; lower is steadier.

    Args:
        picture, previous, truth, previous_truth: float (H, W, 3), RGB in view space, range [0, 1], one alignment each
            pair.
        mask: float (H, W) weights in [0, 1] for the mean.

    Raises:
        InternalError: shapes differ, or the mask is empty.
    """
    now, now_true = check_pictures(picture, truth)
    before, before_true = check_pictures(previous, previous_truth)
    weights = check_mask(mask, picture)
    difference = np.abs((now - before) - (now_true - before_true)).mean(axis=2)
    return 100.0 * float((difference * weights).sum() / weights.sum())
