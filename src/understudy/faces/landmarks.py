"""The face mesh: 478 points of every face, measured in batches by MediaPipe's models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from understudy.faces import topology
from understudy.faces.detect import check_picture
from understudy.faces.face import Detection
from understudy.faces.interpreter import Interpreter
from understudy.faces.models import FaceModels
from understudy.faces.warp import invert, transform_points, warp

# MediaPipe enlarges the upright square around a detection or around the last frame's mesh by a half.
_ENLARGED = 1.5


class LandmarkModel:
    """Measures the face mesh in regions of a picture.

    A region of interest is (centre x, centre y, side, angle): a square in picture pixels, turned by ``angle`` radians
    clockwise.

    Args:
        models: from :func:`understudy.faces.models.find_models`; the 478-point mesh and the older 468-point one both
            work.
        num_threads: processor threads of one run.
        batch: faces in one run.
    """

    def __init__(self, models: FaceModels, *, num_threads: int = 1, batch: int = 8) -> None:
        self._mesh = Interpreter(models.mesh, num_threads=num_threads, batch=batch)
        self.side = self._mesh.input_shape[0]
        self._iris = Interpreter(models.iris, num_threads=num_threads) if models.iris and not models.has_iris else None
        self.has_iris = models.has_iris or self._iris is not None
        # The mesh has the most numbers; of the two others the presence comes first in both models.
        lengths = [int(np.prod(shape)) for shape in self._mesh.output_shapes]
        self._points_output = int(np.argmax(lengths))
        self._num_points = lengths[self._points_output] // 3

    def landmarks(self, picture: np.ndarray, rois: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Meshes of one picture's regions.

        Args:
            picture: (H, W, 3) uint8 RGB, display-encoded.
            rois: (N, 4) regions, from :func:`roi_from_detection` or :func:`roi_from_landmarks`.

        Returns:
            Landmarks (N, 478, 3) float32 in picture pixels (z at the same scale), and presence (N,) float32 in 0..1.
        """
        return self.landmarks_of([picture] * len(rois), rois)

    def landmarks_of(self, pictures: Sequence[np.ndarray], rois: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`landmarks`, every region (N, 4) in a picture of its own."""
        rois = np.asarray(rois, np.float64).reshape(-1, 4)
        views = np.empty((len(rois), self.side, self.side, 3), np.float32)
        for view, picture, roi in zip(views, pictures, rois, strict=True):
            check_picture(picture)
            np.divide(warp(picture, roi_matrix(roi, self.side), (self.side, self.side)), 255.0, out=view)
        outputs = self._mesh.run(views)
        points = outputs[self._points_output].reshape(len(rois), self._num_points, 3)
        others = [output for number, output in enumerate(outputs) if number != self._points_output]
        presence = 1.0 / (1.0 + np.exp(-np.clip(others[0].reshape(-1), -80.0, 80.0)))
        result = np.empty((len(rois), topology.NUM_POINTS, 3), np.float32)
        for mesh, measured, picture, roi in zip(result, points, pictures, rois, strict=True):
            mesh[: self._num_points, :2] = transform_points(invert(roi_matrix(roi, self.side)), measured[:, :2])
            mesh[: self._num_points, 2] = measured[:, 2] * (roi[2] / self.side)
            if self._num_points < topology.NUM_POINTS:
                fill_irises(mesh)
                if self._iris is not None:
                    _measure_irises(picture, mesh, self._iris)
        return result, presence.astype(np.float32)


def roi_matrix(roi: np.ndarray, side: int) -> np.ndarray:
    """(2, 3) map from picture pixels to the pixels of the region's view of ``side`` pixels."""
    x, y, length, angle = (float(value) for value in roi)
    scale = side / length
    cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
    return np.array(
        [
            [cosine, sine, side / 2 - cosine * x - sine * y],
            [-sine, cosine, side / 2 + sine * x - cosine * y],
        ]
    )


def roi_from_detection(detection: Detection) -> np.ndarray:
    """The mesh model's region (4,) for a detection: upright by the eyes, 1.5 times the box's longer side."""
    x0, y0, x1, y1 = (float(value) for value in detection.box)
    right, left = detection.keypoints[0], detection.keypoints[1]
    angle = math.atan2(left[1] - right[1], left[0] - right[0])
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, _ENLARGED * max(x1 - x0, y1 - y0), angle])


def roi_from_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """The mesh model's region (4,) for the next frame from this frame's mesh (478, 2 or 3): upright by the outer eye corners."""
    right, left = landmarks[33], landmarks[263]
    angle = math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))
    cosine, sine = math.cos(angle), math.sin(angle)
    upright = landmarks[: topology.NUM_MESH_POINTS, :2] @ np.array([[cosine, -sine], [sine, cosine]])
    low, high = upright.min(axis=0), upright.max(axis=0)
    middle = (low + high) / 2
    centre = (cosine * middle[0] - sine * middle[1], sine * middle[0] + cosine * middle[1])
    return np.array([centre[0], centre[1], _ENLARGED * float((high - low).max()), angle])


def fill_irises(mesh: np.ndarray) -> None:
    """Write the ten iris points of a mesh (478, 3) that has none: amid the eyelids, of usual width. Not a gaze measurement."""
    for lids, iris, inner, outer in (
        (topology.RIGHT_EYE, topology.RIGHT_IRIS, 133, 33),
        (topology.LEFT_EYE, topology.LEFT_IRIS, 362, 263),
    ):
        centre = mesh[lids].mean(axis=0)
        along = (mesh[inner] - mesh[outer]) * (1.0 if mesh[inner, 0] > mesh[outer, 0] else -1.0)
        # An iris is 11.7 mm wide, the distance of an eye's corners about 30 mm.
        radius = 0.195 * along
        upwards = np.array([radius[1], -radius[0], 0.0])
        mesh[iris] = [centre, centre + radius, centre + upwards, centre - radius, centre - upwards]


def _measure_irises(picture: np.ndarray, mesh: np.ndarray, model: Interpreter) -> None:
    """Overwrite the iris points' x and y of a mesh (478, 3) by the separate iris model's."""
    side = model.input_shape[0]
    points_output = int(np.argmin([np.prod(shape) for shape in model.output_shapes]))
    for outer, inner, iris, mirrored in ((33, 133, topology.RIGHT_IRIS, True), (362, 263, topology.LEFT_IRIS, False)):
        first, last = mesh[outer, :2].astype(np.float64), mesh[inner, :2].astype(np.float64)
        along = last - first
        middle = (first + last) / 2
        # The model reads the square around the eye's corners, 2.3 times as wide as they are apart.
        matrix = roi_matrix(np.array([*middle, 2.3 * np.hypot(*along), math.atan2(along[1], along[0])]), side)
        if mirrored:
            # It knows left eyes only: a right one is shown mirrored, which also exchanges the rim's two sides.
            matrix = np.array([[-matrix[0, 0], -matrix[0, 1], side - matrix[0, 2]], matrix[1]])
        view = warp(picture, matrix, (side, side)).astype(np.float32) / 255.0
        points = model.run(view[None])[points_output].reshape(5, 3)[[0, 3, 2, 1, 4] if mirrored else slice(None)]
        mesh[iris, :2] = transform_points(invert(matrix), points[:, :2])


def eight_bit(view: np.ndarray) -> np.ndarray:
    """A display-encoded float picture (H, W, 3) in 0..1 as the uint8 that the face models read; clipped and rounded."""
    return cv2.convertScaleAbs(np.clip(view, 0.0, 1.0), alpha=255.0)
