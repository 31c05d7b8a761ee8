"""A face's own mesh, turned: the target of a rotation."""

from __future__ import annotations

import difflib
import math

import numpy as np

from understudy.errors import OptionError
from understudy.faces.align import fit_mesh
from understudy.faces.face import Pose

FURTHEST = 60.0
"""Degrees of yaw or pitch beyond which half of the face cannot be seen, and of a turn in one go."""

_ANGLES = ("yaw", "pitch", "roll")


def parse_rotation(text: str) -> Pose:
    """A turn such as ``yaw=30,pitch=-10``, in degrees; what is not named stays.

    Raises:
        OptionError: not of that form, an unknown or repeated angle, or beyond 60 degrees to either side.
    """
    angles: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in _ANGLES:
            near = difflib.get_close_matches(name, _ANGLES, n=1, cutoff=0.3)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise OptionError(f"--rotate {text}: there is no angle {name!r}, only yaw, pitch and roll{hint}")
        if name in angles:
            raise OptionError(f"--rotate {text}: {name} is given twice.")
        try:
            angles[name] = float(value) if equals else math.nan
        except ValueError:
            angles[name] = math.nan
        if not math.isfinite(angles[name]):
            raise OptionError(f"--rotate {text}: {name} must be a number of degrees, such as {name}=20.")
        if abs(angles[name]) > FURTHEST:
            raise OptionError(
                f"--rotate {text}: {name} must lie between -{FURTHEST:.0f} and {FURTHEST:.0f} degrees; further round, half "
                "of the face is one that the still does not show."
            )
    return Pose(**{name: angles.get(name, 0.0) for name in _ANGLES})


def rotation_of(pose: Pose) -> np.ndarray:
    """(3, 3) float64 rotation of a pose in picture axes (x right, y down, z away); undoes ``faces.align.pose_of``."""
    yaw, pitch, roll = (math.radians(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
    about_y = [[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]]
    about_x = [[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]]
    about_z = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    return np.array(about_y) @ np.array(about_x) @ np.array(about_z)


def rotate_landmarks(landmarks: np.ndarray, turn: Pose) -> np.ndarray:
    """A face's mesh turned about the head's centre and in the head's own axes, projected again.

    A head that looks to one side is turned on from there, and one that is tilted nods along its own tilt. The centre is the
    middle of the face at the depth about which the outline turns (``faces.align.mean_mesh``); projection is parallel, as
    the mesh's is.

    Args:
        landmarks: (478, 3) pixels, z at the same scale.
        turn: by how much, degrees, signs as :class:`~understudy.faces.face.Pose`.

    Returns:
        (478, 3) float32 pixels.

    Raises:
        FaceError: landmarks that cannot be aligned.
    """
    fit = fit_mesh(landmarks)
    rotation = fit.rotation @ rotation_of(turn) @ fit.rotation.T
    return ((np.asarray(landmarks, np.float64) - fit.shift) @ rotation.T + fit.shift).astype(np.float32)
