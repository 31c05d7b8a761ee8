"""Faces of a single picture: detection, mesh, pose, in one call."""

from __future__ import annotations

import numpy as np

from understudy.errors import FaceError
from understudy.faces.align import fit_mesh
from understudy.faces.detect import FaceDetector
from understudy.faces.face import Face
from understudy.faces.landmarks import LandmarkModel, roi_from_detection, roi_from_landmarks


def make_face(
    landmarks: np.ndarray, score: float, size: tuple[int, int], *, track: int = -1, has_iris: bool = True
) -> Face:
    """A :class:`Face` from its mesh.

    Args:
        landmarks: (478, 3) picture pixels.
        score: presence, 0 to 1.
        size: the picture's (width, height).
    """
    points = np.asarray(landmarks, np.float32)
    inside = ((points[:468, :2] >= 0) & (points[:468, :2] <= np.array(size, np.float32))).all(axis=1)
    box = np.concatenate([points[:468, :2].min(axis=0), points[:468, :2].max(axis=0)])
    return Face(
        box=box,
        landmarks=points,
        score=float(score),
        pose=fit_mesh(points).pose,
        track=track,
        visible=float(inside.mean()),
        has_iris=has_iris,
    )


def measure_faces(
    picture: np.ndarray, detector: FaceDetector, model: LandmarkModel, *, presence: float = 0.5
) -> list[Face]:
    """All faces of a picture, the largest first.

    The mesh is measured twice: in the detector's region, then in the region that the first mesh gives, as it would be
    in a clip's second frame; this is steadier than the detector's box.

    Args:
        picture: (H, W, 3) uint8 RGB, display-encoded.
        presence: the mesh model's least score, 0 to 1.
    """
    detections = detector.detect([picture])[0]
    if not detections:
        return []
    first, scores = model.landmarks(picture, np.array([roi_from_detection(detection) for detection in detections]))
    first = first[scores >= presence]
    if not len(first):
        return []
    meshes, scores = model.landmarks(picture, np.array([roi_from_landmarks(mesh) for mesh in first]))
    size = (picture.shape[1], picture.shape[0])
    faces = [
        make_face(mesh, float(score), size, has_iris=model.has_iris)
        for mesh, score in zip(meshes, scores, strict=True)
        if score >= presence
    ]
    return _without_doubles(sorted(faces, key=lambda face: -_area(face)))


def single_face(
    picture: np.ndarray, detector: FaceDetector, model: LandmarkModel, *, name: str = "The picture"
) -> Face:
    """The face of a picture that should show exactly one.

    Args:
        name: how the error's sentence calls the picture, say its file name.

    Raises:
        FaceError: none is found, or several.
    """
    faces = measure_faces(picture, detector, model)
    if not faces:
        raise FaceError(
            f"{name} shows no face that could be found; use a picture where the face is lit, uncovered and over 32 pixels wide."
        )
    if len(faces) > 1:
        places = ", ".join(f"({face.box[0]:.0f}, {face.box[1]:.0f})" for face in faces)
        raise FaceError(
            f"{name} shows {len(faces)} faces, at {places}, where one is asked for; crop it to one of them."
        )
    return faces[0]


def _area(face: Face) -> float:
    return float((face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))


def _without_doubles(faces: list[Face]) -> list[Face]:
    """Two detections may lead to one mesh: keep the first of those whose middles lie within a third of a face."""
    kept: list[Face] = []
    for face in faces:
        middle = face.landmarks[:468, :2].mean(axis=0)
        if all(
            np.linalg.norm(middle - other.landmarks[:468, :2].mean(axis=0)) > 0.33 * (other.box[2] - other.box[0])
            for other in kept
        ):
            kept.append(face)
    return kept
