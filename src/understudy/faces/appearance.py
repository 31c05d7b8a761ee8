"""What a face looks like, briefly: enough to tell the few people of one clip apart, not to recognise anybody."""

from __future__ import annotations

import numpy as np

from understudy.faces.align import canonical_transform
from understudy.faces.parse import face_mask

_SIDE = 24
# Luma, and two colour differences, which tell skin and hair apart whatever the light's strength.
_TO_OPPONENT = np.array([[0.299, 0.587, 0.114], [0.5, -0.5, 0.0], [-0.25, -0.25, 0.5]])


def describe(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A face's look as a vector of length 1.

    Args:
        picture: (H, W, 3) uint8 RGB, display-encoded.
        landmarks: (478, 3) picture pixels.
    """
    transform = canonical_transform(landmarks)
    crop = transform.to_crop(picture, _SIDE).astype(np.float64) / 255.0
    mask = face_mask(transform.points_to_crop(landmarks, _SIDE), _SIDE, feather=1.0, forehead=1.2)[..., None]
    opponent = crop @ _TO_OPPONENT.T
    mean = (opponent * mask).sum(axis=(0, 1)) / max(float(mask.sum()), 1e-6)
    pattern = ((opponent - mean) * mask).ravel()
    pattern /= max(float(np.linalg.norm(pattern)), 1e-6)
    # The mean colour relative to the mean brightness, weighed so that usual skins differ about as much as patterns do.
    colour = 4.0 * mean[1:] / max(float(mean[0]), 0.05)
    vector = np.concatenate([pattern, colour])
    return vector / np.linalg.norm(vector)


NO_LOOK = np.zeros(_SIDE * _SIDE * 3 + 2)
"""Stands for a look that was not taken; it is like nothing."""


class Gallery:
    """The looks of one person so far: a few that differ from each other.

    Args:
        capacity: how many are kept.
    """

    def __init__(self, capacity: int = 12) -> None:
        self._capacity = capacity
        self._looks: list[np.ndarray] = []

    def add(self, look: np.ndarray) -> None:
        """Keep a look if it is news; the two most alike of too many become one."""
        if self._looks and self.likeness(look) > 0.97:
            return
        self._looks.append(look)
        if len(self._looks) > self._capacity:
            alike = np.array(self._looks) @ np.array(self._looks).T - 2.0 * np.eye(len(self._looks))
            first, second = np.unravel_index(int(alike.argmax()), alike.shape)
            merged = self._looks[first] + self._looks[second]
            self._looks[min(first, second)] = merged / np.linalg.norm(merged)
            del self._looks[max(first, second)]

    def likeness(self, look: np.ndarray) -> float:
        """Cosine of a look with the most similar one kept, -1 to 1; -1 for an empty gallery."""
        return max((float(kept @ look) for kept in self._looks), default=-1.0)
