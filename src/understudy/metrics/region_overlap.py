"""How well two region maps agree: the intersection over the union, region by region."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from understudy.errors import InternalError
from understudy.faces.regions import Region


class RegionOverlap:
    """Counts the pixels of pictures' region maps, and gives the overlap over all of them.

    The counts of all pictures are added before they are divided, so that a picture with three pixels of an earring weighs no
    more than those three pixels.
    """

    def __init__(self) -> None:
        self.counts = np.zeros((len(Region), len(Region)), np.int64)
        """(12, 12) pixels by the true region (row) and the found one (column)."""

    def add(self, found: np.ndarray, truth: np.ndarray, *, known: np.ndarray | None = None) -> None:
        """Take in a picture.

        Args:
            found, truth: (H, W) region ids, 0 to 11.
            known: (H, W) bool, where the truth is known; None: everywhere.

        Raises:
            InternalError: shapes differ, or ids that are no regions.
        """
        if found.shape != truth.shape or (known is not None and known.shape != truth.shape):
            raise InternalError(f"region maps of shapes {found.shape} and {truth.shape} cannot be compared.")
        if found.size and (min(found.min(), truth.min()) < 0 or max(found.max(), truth.max()) >= len(Region)):
            raise InternalError(f"a region map holds an id outside of 0 to {len(Region) - 1}.")
        pairs = truth.astype(np.int64) * len(Region) + found
        pairs = pairs.ravel() if known is None else pairs[known]
        self.counts += np.bincount(pairs, minlength=self.counts.size).reshape(self.counts.shape)

    def overlap(self) -> Mapping[Region, float]:
        """Intersection over union, 0 to 1, of every region that was in the truth or was found."""
        both = np.diag(self.counts)
        either = self.counts.sum(0) + self.counts.sum(1) - both
        return {region: float(both[region] / either[region]) for region in Region if either[region]}

    def mean(self) -> float:
        """The mean of :meth:`overlap` over its regions ("mIoU"); not a number where there is none."""
        overlaps = list(self.overlap().values())
        return float(np.mean(overlaps)) if overlaps else float("nan")

    def right(self) -> float:
        """Share of pixels whose region was found."""
        return float(np.trace(self.counts) / max(1, self.counts.sum()))
