"""What is known about one face in one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Head pose in degrees.

    Convention: yaw > 0, the person turns to their own left (towards the picture's right); pitch > 0, they look up; roll
        > 0, the head
    is turned clockwise in the picture. All zero: upright, facing the camera.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, kw_only=True)
class Detection:
    """A face as the detector sees it.

    Attributes:
        box: (4,) float32 x0, y0, x1, y1 in picture pixels; may reach outside the picture.
        keypoints: (6, 2) float32 picture pixels: the person's right eye, left eye, nose tip, mouth, right ear, left
            ear.
        score: 0 to 1.
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face with its mesh.

    Attributes:
        box: (4,) float32 x0, y0, x1, y1 of the landmarks, in picture pixels.
        landmarks: (478, 3) float32 picture pixels, MediaPipe's order; z at the same scale, smaller is nearer to the
            camera.
        score: the mesh model's presence, 0 to 1.
        pose: head pose in degrees.
        track: the person's number within a clip, -1 where the frame stands alone.
        blendshapes: (52,) float32, 0 to 1, MediaPipe's order; None where they were not measured.
        visible: share of the landmarks that lie inside the picture, 0 to 1.
        has_iris: the ten iris points were measured rather than filled in from the eyelids.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    pose: Pose
    track: int = -1
    blendshapes: np.ndarray | None = None
    visible: float = 1.0
    has_iris: bool = True

    @property
    def interocular(self) -> float:
        """Distance of the outer eye corners in pixels, in three dimensions (so that it does not shrink as the head turns)."""
        return float(np.linalg.norm(self.landmarks[33] - self.landmarks[263]))

    @property
    def is_cut(self) -> bool:
        """A noticeable part of the face, over 5 % of the mesh, lies outside the picture."""
        return self.visible < 0.95

    @property
    def is_profile(self) -> bool:
        """The head is turned or tilted so far (over 60 degrees) that half of the face cannot be seen."""
        return abs(self.pose.yaw) > 60.0 or abs(self.pose.pitch) > 60.0
