"""Head-pose distance (E4S, Table 2): length of the difference of two heads' yaw, pitch and roll, degrees.

The paper measures angles with HopeNet. Here they come from the mesh (:func:`understudy.faces.align.fit_mesh`), so figures do
not compare with published ones.
"""

from __future__ import annotations

import numpy as np

from understudy.faces.face import Pose

SOURCE = "mesh fitted to MediaPipe's landmarks, not HopeNet"


def pose_distance(pose: Pose, truth: Pose) -> float:
    """``sqrt(Δyaw² + Δpitch² + Δroll²)`` in degrees, every difference taken the short way round; 0 is equal."""
    differences = [getattr(pose, name) - getattr(truth, name) for name in ("yaw", "pitch", "roll")]
    return float(np.linalg.norm([(difference + 180.0) % 360.0 - 180.0 for difference in differences]))
