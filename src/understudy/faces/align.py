"""From a face's landmarks to its canonical crop and back.

The mesh is fitted to a neutral mean mesh by rotation, scale and shift, over points that expressions hardly move. The
crop follows that fit and not the outline seen, so neither an open mouth nor a turned head changes its scale.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from importlib import resources

import cv2
import numpy as np

from understudy.errors import FaceError
from understudy.faces import topology
from understudy.faces.face import Face, Pose
from understudy.faces.warp import invert, transform_points, warp

OVAL_SHARE = 0.68
"""Height of a neutral frontal face, chin to forehead, as share of the crop's side."""
OVAL_CENTRE = (0.5, 0.52)
"""Where in the crop the middle of that face lies, as share of its side."""


@dataclass(frozen=True, kw_only=True)
class CropTransform:
    """An affine map from a plate to the unit crop, and its exact inverse.

    Attributes:
        matrix: (2, 3) float64, from plate pixels to [0, 1] squared; (0, 0) is the crop's top-left corner. Points follow
            the house's
            convention: pixel centres at +0.5.
    """

    matrix: np.ndarray

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64).reshape(2, 3)
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-18:
            raise FaceError(
                "The crop's transform has no inverse; the landmarks it was made from lie on one line or are not finite."
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def from_params(cls, x: float, y: float, side: float, angle: float) -> CropTransform:
        """From the crop's centre (x, y) and side in plate pixels, and its angle in radians, clockwise in the picture."""
        cosine, sine = math.cos(angle) / side, math.sin(angle) / side
        return cls(
            matrix=np.array(
                [[cosine, sine, 0.5 - cosine * x - sine * y], [-sine, cosine, 0.5 + sine * x - cosine * y]],
            )
        )

    @property
    def params(self) -> tuple[float, float, float, float]:
        """Centre x, centre y and side in plate pixels, angle in radians clockwise: the inverse of :meth:`from_params`."""
        x, y = self.points_to_plate(np.array([0.5, 0.5]), 1)
        return float(x), float(y), self.side, math.atan2(self.matrix[0, 1], self.matrix[0, 0])

    @property
    def side(self) -> float:
        """The crop's side in plate pixels."""
        return 1.0 / math.sqrt(abs(float(np.linalg.det(self.matrix[:, :2]))))

    def for_size(self, size: int) -> np.ndarray:
        """(2, 3) float64 map from plate pixels to the pixels of a crop of ``size``."""
        return self.matrix * size

    def corners(self) -> np.ndarray:
        """(4, 2) plate pixels of the crop's corners, clockwise from the top left."""
        return self.points_to_plate(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64), 1)

    def to_crop(self, picture: np.ndarray, size: int) -> np.ndarray:
        """The crop of a plate, averaging areas where it shrinks; the plate's edge is repeated where the crop reaches outside.

        Args:
            picture: (H, W) or (H, W, C), uint8, uint16 or float32, any colour space.
            size: the crop's side in pixels.

        Returns:
            (size, size[, C]) of the same type. Cubic sampling: floats may overshoot slightly at hard edges.
        """
        return warp(picture, self.for_size(size), (size, size), cubic=True)

    def to_plate(
        self, crop: np.ndarray, window: tuple[int, int, int, int], *, border: int = cv2.BORDER_REPLICATE
    ) -> np.ndarray:
        """The crop as it lies in a window of the plate.

        Args:
            crop: (size, size) or (size, size, C).
            window: x0, y0, x1, y1 in whole plate pixels.
            border: what lies outside the crop (OpenCV's border mode); ``cv2.BORDER_CONSTANT`` gives zero.

        Returns:
            (y1 - y0, x1 - x0[, C]) of the crop's type.
        """
        x0, y0, x1, y1 = window
        matrix = invert(self.for_size(crop.shape[0]))
        matrix[:, 2] -= (x0, y0)
        return warp(crop, matrix, (x1 - x0, y1 - y0), cubic=True, border=border)

    def points_to_crop(self, points: np.ndarray, size: int) -> np.ndarray:
        """Plate pixels (..., 2 or 3) to pixels of a crop of ``size``; a third coordinate is scaled along, float32 stays."""
        return _map_points(self.for_size(size), points, size / self.side)

    def points_to_plate(self, points: np.ndarray, size: int) -> np.ndarray:
        """Pixels (..., 2 or 3) of a crop of ``size`` to plate pixels."""
        return _map_points(invert(self.for_size(size)), points, self.side / size)


@dataclass(frozen=True, kw_only=True)
class MeshFit:
    """The neutral mean mesh laid onto a face: point = scale * rotation @ mean point + shift.

    Attributes:
        scale: plate pixels per unit of the mean mesh, whose face (chin to forehead) is 1 unit high.
        rotation: (3, 3), picture axes: x right, y down, z away from the camera.
        shift: (3,) plate pixels.
        residual: root mean square distance of the stable points from the fitted ones, in units of the mean mesh.
    """

    scale: float
    rotation: np.ndarray
    shift: np.ndarray
    residual: float

    @property
    def pose(self) -> Pose:
        """Head pose in degrees; rotation = yaw about the vertical, then pitch, then roll about the face's own axis."""
        return pose_of(self.rotation)


@functools.cache
def mean_mesh() -> np.ndarray:
    """The neutral mean mesh (478, 3) float64: upright, symmetric; x right, y down, z away from the camera.

    From chin to forehead it is 1 high. It is the mean of what the mesh model measures on frontal pictures of invented people.

    Its origin is the middle of the face as seen from the front, at the depth about which the outline turns.
    """
    with (
        resources.files("understudy.faces").joinpath("data/mean_mesh.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as arrays,
    ):
        mesh = arrays["mesh"].astype(np.float64)
    mesh.setflags(write=False)
    return mesh


@functools.cache
def mirror_map() -> np.ndarray:
    """(478,) the point that lies at every point's place in a mirrored picture of the face."""
    with (
        resources.files("understudy.faces").joinpath("data/mean_mesh.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as arrays,
    ):
        return arrays["mirror"].astype(np.int64)


def fit_mesh(landmarks: np.ndarray, mesh: np.ndarray | None = None) -> MeshFit:
    """Lay the mean mesh onto a face by least squares over its stable points.

    Args:
        landmarks: (478, 3) plate pixels.
        mesh: (478, 3) another mesh to lay on, such as the same person's at rest; None is the mean mesh.

    Raises:
        FaceError: the landmarks are not finite or all in one place.
    """
    if landmarks.shape != (topology.NUM_POINTS, 3) or not np.isfinite(landmarks).all():
        raise FaceError(f"A face needs 478 finite landmarks with x, y and z; these have shape {landmarks.shape}.")
    source = (mean_mesh() if mesh is None else np.asarray(mesh, np.float64))[topology.STABLE]
    target = np.asarray(landmarks, np.float64)[topology.STABLE]
    source_middle, target_middle = source.mean(axis=0), target.mean(axis=0)
    source_offset, target_offset = source - source_middle, target - target_middle
    left, values, right = np.linalg.svd(target_offset.T @ source_offset)
    # The last axis is turned over where the best orthogonal map would be a mirror.
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * signs) @ right
    scale = float((values * signs).sum() / (source_offset**2).sum())
    if scale <= 1e-6:
        raise FaceError("The landmarks lie all in one place, so the face cannot be aligned.")
    shift = target_middle - scale * rotation @ source_middle
    distance = (scale * source @ rotation.T + shift - target) / scale
    return MeshFit(
        scale=scale, rotation=rotation, shift=shift, residual=float(np.sqrt((distance**2).sum(axis=1).mean()))
    )


def pose_of(rotation: np.ndarray) -> Pose:
    """Yaw, pitch and roll in degrees of a rotation (3, 3) from the mean mesh to the picture (x right, y down, z away)."""
    # The face looks along -z: yaw and pitch are the direction of rotation @ (0, 0, -1), roll is what is left about that
    # direction.
    return Pose(
        yaw=math.degrees(math.atan2(-rotation[0, 2], rotation[2, 2])),
        pitch=math.degrees(math.asin(max(-1.0, min(1.0, rotation[1, 2])))),
        roll=math.degrees(math.atan2(rotation[1, 0], rotation[1, 1])),
    )


def canonical_transform(face: Face | np.ndarray, *, oval_share: float = OVAL_SHARE) -> CropTransform:
    """The canonical crop of a face: a neutral face is 0.68 of its side high and centred at (0.5, 0.52), upright.

    Args:
        face: a face, or its landmarks (478, 3) in plate pixels.
        oval_share: another height of that face as share of the side; smaller shows more of the head.

    Raises:
        FaceError: the landmarks cannot be aligned.
    """
    fit = fit_mesh(face.landmarks if isinstance(face, Face) else face)
    # The in-plane turn that brings the fitted mesh closest to upright.
    turn = fit.rotation
    angle = math.atan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])
    side = fit.scale / oval_share
    offset_x, offset_y = (0.5 - OVAL_CENTRE[0]) * side, (0.5 - OVAL_CENTRE[1]) * side
    cosine, sine = math.cos(angle), math.sin(angle)
    x = float(fit.shift[0]) + cosine * offset_x - sine * offset_y
    y = float(fit.shift[1]) + sine * offset_x + cosine * offset_y
    return CropTransform.from_params(x, y, side, angle)


def _map_points(matrix: np.ndarray, points: np.ndarray, scale: float) -> np.ndarray:
    points = np.asarray(points)
    kind = points.dtype if points.dtype == np.float32 else np.float64
    mapped = transform_points(matrix, points[..., :2])
    if points.shape[-1] == 3:
        mapped = np.concatenate([mapped, points[..., 2:].astype(np.float64) * scale], axis=-1)
    return mapped.astype(kind)
