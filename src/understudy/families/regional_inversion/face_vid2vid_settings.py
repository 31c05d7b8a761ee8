"""Shape of face-vid2vid's networks, as published for 256² (``vox-256``); without torch."""

from __future__ import annotations

from dataclasses import dataclass

BINS = 66
"""Classes of an angle."""
BIN_DEGREES, LOWEST_DEGREES = 3, -99
"""A class's width, and the angle of the first."""


@dataclass(frozen=True, kw_only=True)
class Vid2VidSettings:
    """Shape of the three networks.

    Attributes:
        size: side of the pictures, pixels.
        points: key points.
        jacobian: key points have a linear map each; the published weights go without.
        channels, depth: of the volume that a picture becomes.
        width: channels of the generator's first layer.
        residuals: residual blocks of the volume.
        modulator: channels inside the decoder's modulations.
        compressed: channels of the volume that motion is found by.
        motion_width, motion_widest, motion_levels: of the hourglass that finds motion.
        detector_width, detector_widest, detector_levels: of the hourglass that finds key points.
        shrink: how many times smaller the picture is in which key points are found.
        temperature: of their heat maps.
        estimator_width: channels of the first layer of what reads pose and expression.
    """

    size: int = 256
    points: int = 15
    jacobian: bool = False
    channels: int = 32
    depth: int = 16
    width: int = 64
    residuals: int = 6
    modulator: int = 128
    compressed: int = 4
    motion_width: int = 32
    motion_widest: int = 1024
    motion_levels: int = 5
    detector_width: int = 32
    detector_widest: int = 1024
    detector_levels: int = 5
    shrink: int = 4
    temperature: float = 0.1
    estimator_width: int = 64

    def hourglass(self, width: int, widest: int, levels: int) -> list[int]:
        """Channels at each level of an hourglass, the finest first."""
        return [min(widest, width << level) for level in range(levels + 1)]
