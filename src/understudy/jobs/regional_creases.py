"""Creases of a swap by region: a source's whose expression the face does not have stay behind, the plate's that it has come.

A source that smiles brings the folds of its smile with its detail, a calm one none for a plate that laughs. What the source does in
its pictures is compared with what it does when it is driven, so a picture of like expression gives all of its detail.
"""

from __future__ import annotations

import numpy as np

from understudy.faces import creases
from understudy.jobs.regional_source import Source


class SourceCreases:
    """The creases that a source's pictures show, and lack."""

    def __init__(self, source: Source) -> None:
        self._rest = [creases.at_rest(face.landmarks) for face in source.faces]
        self._pulls = [creases.pulls(face.landmarks, rest) for face, rest in zip(source.faces, self._rest, strict=True)]

    def zones(
        self, driven: np.ndarray, laid: np.ndarray, places: np.ndarray, weights: np.ndarray, size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where creases of the pictures are to go, and where others are to come: (size, size) float32 each, 0 to 1.

        Args:
            driven: (478, 3) the mesh of the driven source.
            laid: (478, 2) where the pictures lie, in the crop's unit square.
            places, weights: (K,) the pictures.
        """
        go, come = np.zeros((2, creases.NUM_CREASES), np.float32)
        for place, weight in zip(places, weights, strict=True):
            now = creases.pulls(driven, self._rest[place])
            go += np.float32(weight) * creases.gone(self._pulls[place], now)
            come += np.float32(weight) * creases.come(self._pulls[place], now)
        return creases.zones(go, laid, size), creases.zones(come, laid, size)
