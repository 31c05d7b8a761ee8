"""How well a swap keeps the plate's performance: head pose, expression and action units of the faces as they are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import WeightsError
from understudy.metrics import expression, head_pose

if TYPE_CHECKING:
    from understudy.faces.blendshapes import BlendshapeModel
    from understudy.faces.face import Face

UNITS = "Understudy's regressor on the mesh, not OpenFace"


class PerformanceReader:
    """Compares what two faces do over a clip."""

    def __init__(self) -> None:
        from understudy.faces.action_units import ActionUnitModel

        self.units = ActionUnitModel.packaged()
        self.shapes = _blendshape_model()
        self.networks = {
            "pose": head_pose.SOURCE,
            "expression": expression.MESH,
            "units": UNITS,
        }
        if self.shapes is not None:
            self.networks["blendshapes"] = expression.BLENDSHAPES
        """Measure -> where it comes from."""

    def compare(self, faces: Mapping[int, Face], plate: Mapping[int, Face]) -> dict[str, dict[int, float]]:
        """Measure -> frame number -> distance; frames in which either face was not found have none.

        What faces do is read against their own face at rest, so that it does not count who they are. ``blendshapes`` are
        there where this machine's face models have them.
        """
        numbers = sorted(set(faces) & set(plate))
        if not numbers:
            return {}
        first, second = (np.stack([found[number].landmarks for number in numbers]) for found in (faces, plate))
        first_units, first_shapes, first_rest = self._read(first)
        second_units, second_shapes, second_rest = self._read(second)
        found = {
            "pose": [head_pose.pose_distance(faces[number].pose, plate[number].pose) for number in numbers],
            "expression": [
                expression.mesh_distance(one, first[first_rest], other, second[second_rest])
                for one, other in zip(first, second, strict=True)
            ],
            "units": np.square(first_units.astype(np.float64) - second_units).sum(axis=1),
        }
        if first_shapes is not None and second_shapes is not None:
            found["blendshapes"] = expression.blendshape_distance(first_shapes, second_shapes)
        return {
            name: {number: float(value) for number, value in zip(numbers, values, strict=True)}
            for name, values in found.items()
        }

    def _read(self, meshes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, int]:
        """Units (N, 17), changes of blendshapes from rest (N, 52) or None, and the place of the calmest face."""
        shapes = None if self.shapes is None else self.shapes.blendshapes(meshes)
        units = self.units.measure(meshes, shapes, rest=self.units.rest_of(meshes, shapes))
        calm = np.argsort(units.sum(axis=1), kind="stable")
        if shapes is not None:
            shapes = shapes - shapes[calm[: max(1, len(calm) // 10)]].mean(axis=0)
        return units, shapes, int(calm[0])


def _blendshape_model() -> BlendshapeModel | None:
    from understudy.faces.blendshapes import BlendshapeModel
    from understudy.faces.models import find_models

    try:
        return BlendshapeModel(find_models())
    except WeightsError:  # not at hand, or the older models, which have none
        return None


def face_of_mesh(mesh: np.ndarray) -> Face:
    """A face of which the mesh (478, 3) in pixels is all that is known."""
    from understudy.faces.align import fit_mesh
    from understudy.faces.face import Face

    box = np.concatenate([mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)])
    return Face(box=box, landmarks=mesh, score=1.0, pose=fit_mesh(mesh).pose)
