"""Eyes of a face that was swapped by region: they look where the plate's do."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from understudy.composite.own_detail import NearestPictures
from understudy.faces.gaze import layered_eyes, look
from understudy.faces.mesh_warp import carry, mesh_maps

_HELD = 8
"""Pictures whose eyes are kept apart; a source has five at most."""


class LookingPictures(NearestPictures):
    """Pictures of a face that are carried to a mesh with their irises where that mesh has them.

    Args:
        meshes: (N, 478, 3) where the mesh lies in each, in its unit square.
        picture: the picture at a place, (s, s, C), RGB first.
    """

    def __init__(self, meshes: np.ndarray, picture: Callable[[int], np.ndarray]) -> None:
        super().__init__(np.asarray(meshes)[..., :2], picture)
        self._solid = np.asarray(meshes, np.float32)
        self._eyes = lru_cache(maxsize=_HELD)(lambda place: layered_eyes(self._picture(place), self._solid[place]))

    def footage(self, mesh: np.ndarray, size: int) -> np.ndarray:
        """See the parent; mesh (478, 3)."""
        places, weights = self.nearest(mesh)
        total = np.float32(0)
        for place, weight, where in zip(places, weights, mesh_maps(self.meshes[places], mesh, size), strict=True):
            carried = carry(self._picture(int(place)), where, sharp=True)
            total = total + np.float32(weight) * look(carried, self._eyes(int(place)), where, mesh)
        return np.clip(total, 0.0, 1.0)
