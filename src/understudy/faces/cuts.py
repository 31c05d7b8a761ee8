"""Where a clip cuts from one shot to the next."""

from __future__ import annotations

import cv2
import numpy as np

_SIZE = (32, 18)
_HISTORY = 12
# Mean change of a pixel, of 1: below the first nothing is a cut, above the second everything is.
_LEAST, _CERTAIN = 0.06, 0.35
# Between them a cut changes the picture this many times more than the frames before it did.
_UNUSUAL = 5.0


class CutFinder:
    """Tells for picture after picture whether it begins a new shot. Dissolves and fades are not cuts."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._changes: list[float] = []

    def step(self, picture: np.ndarray) -> bool:
        """Whether (H, W, 3) uint8 begins a new shot; the first picture does not."""
        # One pixel in so many will do: this is asked of every frame.
        stride = max(1, min(picture.shape[:2]) // 200)
        some = np.ascontiguousarray(picture[::stride, ::stride])
        small = cv2.resize(some, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
        last, self._last = self._last, small
        if last is None:
            return False
        change = float(np.abs(small - last).mean())
        usual = float(np.median(self._changes)) if self._changes else 0.0
        is_cut = change > _CERTAIN or (change > _LEAST and change > _UNUSUAL * usual)
        # What happens at a cut says nothing about the motion in the new shot.
        self._changes = [] if is_cut else [*self._changes[-_HISTORY + 1 :], change]
        return is_cut
