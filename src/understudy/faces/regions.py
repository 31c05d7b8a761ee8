"""The twelve regions of a face picture, and how the published label maps lead to them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Region(IntEnum):
    """E4S's twelve regions; the value is the label in a region map."""

    BACKGROUND = 0
    LIPS = 1
    BROWS = 2
    EYES = 3
    HAIR = 4
    NOSE = 5
    SKIN = 6
    EARS = 7
    NECK = 8
    MOUTH = 9
    """The mouth's inside: teeth and tongue."""
    GLASSES = 10
    EARRINGS = 11


PALETTE = np.array(
    [[0, 0, 0], [220, 60, 90], [150, 90, 40], [60, 140, 255], [130, 70, 170], [255, 170, 90], [240, 205, 170], [255, 120, 180],
     [200, 150, 110], [255, 255, 255], [0, 220, 220], [255, 225, 0]], np.uint8
)  # fmt: skip
"""(12, 3) RGB, display-encoded: how each region is shown."""

# Hat, necklace and clothes count as background.
FROM_CELEBAMASK = np.array([0, 6, 5, 10, 3, 3, 2, 2, 7, 7, 9, 1, 1, 4, 0, 11, 0, 8, 0], np.uint8)
"""(19,) region of every CelebAMask-HQ label.

1 to 18 are skin, nose, eye_g, l_eye, r_eye, l_brow, r_brow, l_ear, r_ear, mouth, u_lip, l_lip, hair, hat, ear_r, neck_l,
neck, cloth."""

FROM_BISENET = np.array([0, 6, 2, 2, 3, 3, 10, 7, 7, 11, 5, 9, 1, 1, 8, 0, 0, 4, 0], np.uint8)
"""(19,) region of every label of the BiSeNet face parser.

1 to 18 are skin, l_brow, r_brow, l_eye, r_eye, eye_g, l_ear, r_ear, ear_r, nose, mouth, u_lip, l_lip, neck, neck_l, cloth,
hair, hat."""


def to_regions(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A label map of any shape as uint8 region map, by one of this module's tables (labels beyond the table are background)."""
    full = np.zeros(256, np.uint8)
    full[: len(table)] = table
    return full[np.asarray(labels, np.uint8)]
