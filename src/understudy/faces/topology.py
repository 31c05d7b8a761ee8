"""MediaPipe's mesh: its parts, and its maps to the 68-point and 98-point markups."""

from __future__ import annotations

import numpy as np

NUM_POINTS = 478
NUM_MESH_POINTS = 468

# "Right" and "left" are the person's own, as everywhere in this package: the right eye is on the picture's left.
FACE_OVAL = np.array([10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
                      152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109])  # fmt: skip
"""The face's outline, clockwise in the picture from the top of the forehead; 152 is the chin."""

RIGHT_EYE = np.array([33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7])
"""Right eyelids from the outer corner over the upper lid, clockwise in the picture."""
LEFT_EYE = np.array([362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382])
"""Left eyelids from the inner corner over the upper lid, clockwise in the picture."""
RIGHT_BROW = np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46])
"""Right brow from its outer end along the top, back along the bottom."""
LEFT_BROW = np.array([336, 296, 334, 293, 300, 276, 283, 282, 295, 285])
"""Left brow from its inner end along the top, back along the bottom."""
LIPS_OUTER = np.array([61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146])
"""The lips' outer line from the right corner over the upper lip, clockwise in the picture."""
LIPS_INNER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95])
"""The lips' inner line from the right corner over the upper lip, clockwise in the picture."""
NOSE_BRIDGE = np.array([168, 6, 197, 195, 5, 4, 1])
"""From between the eyes to the tip."""
NOSE_OUTLINE = np.array(
    [168, 417, 465, 412, 399, 420, 429, 358, 327, 326, 2, 97, 98, 129, 209, 198, 174, 188, 245, 193]
)
"""The nose from between the eyes down its left side, under the tip and back: clockwise in the picture."""
RIGHT_IRIS = np.array([468, 469, 470, 471, 472])
"""Right iris: centre, then its rim towards the picture's right, top, left, bottom."""
LEFT_IRIS = np.array([473, 474, 475, 476, 477])
"""Left iris: centre, then its rim towards the picture's right, top, left, bottom."""

# What the jaw, the lips and the lids do not move: brow ridge corners, eye corners, bridge and wings of the nose,
# temples, cheek bones.
STABLE = np.array([33, 133, 362, 263, 130, 359, 243, 463, 168, 6, 197, 195, 5, 4, 1, 19, 2, 94, 122, 351, 196, 419, 3,
248, 51, 281,
                   45, 275, 48, 278, 64, 294, 98, 327, 97, 326, 193, 417, 245, 465, 189, 413, 10, 151, 9, 8, 108, 337,
                   69, 299, 104, 333, 54, 284, 103, 332, 67, 297, 109, 338, 21, 251, 162, 389, 127, 356, 234, 454, 116,
                   345, 143, 372, 139, 368, 34, 264, 227, 447, 111, 340, 117, 346, 118, 347, 119, 348, 35, 265, 226,
                   446, 124, 353])  # fmt: skip
"""Points that expressions hardly move; the alignment and the pose rest on them."""

# fmt: off
TO_68 = np.array([127, 234, 93, 132, 172, 136, 150, 176, 152, 400, 379, 365, 397, 361, 323, 454, 356,
                  70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305,
                  33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
                  61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178])
"""(68,) mesh points nearest to the iBUG markup: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, lips 48-67."""

JAW_LINE = np.array([127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152,
                     377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356])
"""The outline from the right ear's top over the chin (its middle) to the left ear's."""

# What follows the jaw line in the 98-point markup: brows 33-50, nose 51-59, eyes 60-75, lips 76-95, pupils 96-97.
_AFTER_JAW_98 = np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 336, 296, 334, 293, 300, 283, 282, 295, 285,
                          168, 197, 5, 4, 75, 97, 2, 326, 305,
                          33, 160, 159, 158, 133, 153, 145, 144, 362, 385, 386, 387, 263, 373, 374, 380,
                          61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
                          468, 473])
# fmt: on


def to_68(landmarks: np.ndarray) -> np.ndarray:
    """The 68 iBUG points (..., 68, D) of meshes (..., 478, D)."""
    return landmarks[..., TO_68, :]


def to_98(landmarks: np.ndarray) -> np.ndarray:
    """The 98 WFLW points (..., 98, D) of meshes (..., 478, D).

    The 33 of the jaw lie at equal distances along the mesh's outline, 16 is the chin; the others are mesh points.
    """
    meshes = landmarks.reshape(-1, *landmarks.shape[-2:])
    points = np.concatenate([np.stack([_jaw_33(mesh[JAW_LINE]) for mesh in meshes]), meshes[:, _AFTER_JAW_98]], axis=1)
    return points.reshape(*landmarks.shape[:-2], 98, landmarks.shape[-1])


def _jaw_33(line: np.ndarray) -> np.ndarray:
    chin = len(JAW_LINE) // 2
    return np.concatenate([_spread(line[: chin + 1], 17), _spread(line[chin:], 17)[1:]]).astype(line.dtype)


def _spread(line: np.ndarray, count: int) -> np.ndarray:
    """``count`` points at equal distances along a polyline (N, D)."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    wanted = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(wanted, along, coordinate) for coordinate in line.T], axis=1)
