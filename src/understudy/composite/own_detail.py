"""A performer's own fine detail, from their footage, on their generated face; how it is carried, :mod:`carry_detail` says.

Pictures are chosen by the shape of eyes, brows, nose and lips, and carried to the generated face's mesh by a thin-plate
spline. Several are averaged, each weighing by how much nearer it is than the first that no longer counts; so a picture
comes in and goes out with weight nought, and detail changes no faster than the face's mesh does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from understudy.composite.carry_detail import carry_own_detail
from understudy.dataset.face_set import FaceSet
from understudy.errors import DatasetError
from understudy.faces import topology
from understudy.faces.mesh_warp import carry, mesh_maps

_FEATURES = np.unique(
    np.concatenate(
        (
            *(topology.LEFT_EYE, topology.RIGHT_EYE, topology.LEFT_IRIS, topology.RIGHT_IRIS),
            *(topology.LEFT_BROW, topology.RIGHT_BROW, topology.NOSE_OUTLINE),
            *(topology.LIPS_OUTER, topology.LIPS_INNER),
        )
    )
)
_NEAREST = 4
"""Pictures averaged. More are steadier and softer."""
_HELD = 48
"""Pictures kept decoded; neighbouring frames ask for the same ones."""


def enlarged(face: np.ndarray, size: int) -> np.ndarray:
    """A generated face (s, s, 3), float32 in [0, 1], at ``size`` pixels a side, by a cubic kernel."""
    if len(face) == size:
        return face
    return np.clip(cv2.resize(face, (size, size), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)


class NearestPictures:
    """Pictures of one identity, chosen by what the face does and carried to its mesh.

    Args:
        meshes: (N, 478, 2) where the mesh lies in each, in its unit square.
        picture: the picture at a place, (s, s, C).
    """

    def __init__(self, meshes: np.ndarray, picture: Callable[[int], np.ndarray]) -> None:
        self.meshes, self._picture = np.asarray(meshes, np.float32), lru_cache(maxsize=_HELD)(picture)

    def __len__(self) -> int:
        return len(self.meshes)

    def nearest(self, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pictures most like a face, as places in the set, and their weights, both (K,), nearest first.

        Args:
            mesh: (478, 2 or 3) in the crop's unit square.
        """
        apart = self.meshes[:, _FEATURES] - np.asarray(mesh, np.float32)[_FEATURES, :2]
        # Where the face lies in its crop is no matter: the picture is carried there anyhow.
        apart -= apart.mean(axis=1, keepdims=True)
        distances = np.sqrt(np.square(apart).sum(axis=(1, 2)))
        order = np.argsort(distances, kind="stable")[: _NEAREST + 1]
        if len(order) == 1:
            return order, np.ones(1)
        nearness = distances[order[-1]] - distances[order[:-1]]
        if nearness[0] <= 0:
            nearness = np.ones_like(nearness)
        weights = nearness**2
        counts = weights > 0
        return order[:-1][counts], (weights / weights.sum())[counts]

    def footage(self, mesh: np.ndarray, size: int) -> np.ndarray:
        """The identity's footage carried to a mesh (478, 2 or 3) in the unit square: (size, size, C) float32 in [0, 1]."""
        places, weights = self.nearest(mesh)
        total = np.float32(0)
        for place, weight, where in zip(places, weights, mesh_maps(self.meshes[places], mesh, size), strict=True):
            total = total + np.float32(weight) * carry(self._picture(int(place)), where, sharp=True)
        return np.clip(total, 0.0, 1.0)


class OwnDetail(NearestPictures):
    """The detail of one identity, from their face set.

    Args:
        folder: the face set.

    Raises:
        DatasetError: no face set there, or it is empty.
    """

    def __init__(self, folder: Path) -> None:
        self._set = FaceSet.open(folder)
        self.size = self._set.size
        self._entries = self._set.entries()
        if not self._entries:
            self._set.close()
            raise DatasetError(
                f"{folder} holds no pictures to take detail from; gather footage of this identity first."
            )
        meshes = np.stack([entry.landmarks[:, :2] for entry in self._entries]) / np.float32(self.size)
        super().__init__(meshes, self._read)

    def close(self) -> None:
        self._set.close()

    def __enter__(self) -> OwnDetail:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, crop: np.ndarray, mesh: np.ndarray, *, strength: float, detail_size: float) -> np.ndarray:
        """A generated face with its performer's detail, at the face set's size if that is larger.

        Args:
            crop: (s, s, 3) float32 RGB in [0, 1], view space.
            mesh: (478, 2 or 3) the generated face's mesh in the crop's unit square.
            strength: 0 to 1.
            detail_size: what counts as detail: standard deviation in shares of the crop's side.

        Returns:
            (S, S, 3) float32 in [0, 1].
        """
        size = max(self.size, crop.shape[0])
        face = enlarged(np.asarray(crop, np.float32), size)
        return carry_own_detail(face, self.footage(mesh, size), sigma=detail_size * size, strength=strength)

    def _read(self, place: int) -> np.ndarray:
        return self._set.load(self._entries[place])[0]
