"""The measures of a shot's candidates, gathered frame by frame inside the face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from understudy.jobs.clip_faces import TrackedFace
    from understudy.media.frame import Frame


@dataclass(frozen=True, kw_only=True)
class FrameCrops:
    """One frame of every candidate, where the plate's face is.

    Attributes:
        number: the plate's.
        frames: candidate -> the frame itself.
        crops: candidate -> (size, size, 3) in [0, 1], the canonical crop.
        mask: (size, size) the plate's face.
        landmarks: (478, 3) pixels of the crop.
        found: the face in the plate's own pixels.
        has_truth: whether the candidate "truth" is one, or the plate again.
    """

    number: int
    frames: Mapping[str, Frame]
    crops: Mapping[str, np.ndarray]
    mask: np.ndarray
    landmarks: np.ndarray
    found: TrackedFace
    has_truth: bool

    @classmethod
    def cut(
        cls, number: int, frames: Mapping[str, Frame], found: TrackedFace, size: int, *, has_truth: bool
    ) -> FrameCrops:
        """Cut every candidate where the plate's face is."""
        from understudy.faces.parse import face_mask

        landmarks = found.transform.points_to_crop(found.face.landmarks, size)
        return cls(
            number=number,
            frames=frames,
            crops={name: np.clip(found.transform.to_crop(frame.view(), size), 0, 1) for name, frame in frames.items()},
            mask=face_mask(landmarks, size),
            landmarks=landmarks,
            found=found,
            has_truth=has_truth,
        )


class Scale:
    """Collects the measures.

    Args:
        every: how many frames one measured frame lies after the other.
        person: what the identity looks like to the identity network; None leaves identity out.
        lpips: whether LPIPS is taken.
    """

    def __init__(self, every: int, person: np.ndarray | None, *, lpips: bool) -> None:
        self.every, self.person, self.lpips = every, person, lpips
        self.numbers: list[int] = []
        self.values: dict[str, dict[str, dict[int, float]]] = {}
        """Candidate -> measure -> frame number -> value."""
        self.previous: FrameCrops | None = None

    def add(self, frame: FrameCrops) -> None:
        """Measure every candidate of a frame."""
        before = self.previous
        if before is not None and frame.number - before.number != self.every:
            before = None  # frames without a face lie between: that is no step of the shot
        self.numbers.append(frame.number)
        for name in frame.crops:
            if name != "truth" or frame.has_truth:
                self._alone(name, frame, before)
            if name != "truth" and frame.has_truth:
                self._against_truth(name, frame, before)
        self.previous = frame

    def _alone(self, name: str, frame: FrameCrops, before: FrameCrops | None) -> None:
        """What needs no truth."""
        from understudy.metrics.identity import embed, similarity

        if self.person is not None:
            # At the crop's size, so that every candidate is seen at the same resolution.
            self.keep(
                name, "identity", frame.number, similarity(embed(frame.crops[name], frame.landmarks), self.person)
            )

    def _against_truth(self, name: str, frame: FrameCrops, before: FrameCrops | None) -> None:
        from understudy.metrics.flicker import flicker
        from understudy.metrics.lpips import lpips
        from understudy.metrics.psnr import psnr
        from understudy.metrics.ssim import ssim

        crop, truth = frame.crops[name], frame.crops["truth"]
        self.keep(name, "ssim", frame.number, ssim(crop, truth, mask=frame.mask))
        self.keep(name, "psnr", frame.number, psnr(crop, truth, mask=frame.mask))
        if self.lpips:
            self.keep(name, "lpips", frame.number, lpips(crop, truth, mask=frame.mask))
        if before is not None and name in before.crops:
            value = flicker(crop, before.crops[name], truth, before.crops["truth"], mask=frame.mask * before.mask)
            self.keep(name, "flicker", frame.number, value)

    def means(self) -> dict[str, dict[str, float]]:
        """Candidate -> measure -> mean over the frames that have it."""
        return {
            name: {measure: float(np.mean(list(values.values()))) for measure, values in measures.items()}
            for name, measures in self.values.items()
        }

    def per_frame(self) -> dict[str, dict[str, list[float]]]:
        """Candidate -> measure -> the values there are, in the frames' order."""
        return {
            name: {measure: list(values.values()) for measure, values in measures.items()}
            for name, measures in self.values.items()
        }

    def keep(self, name: str, measure: str, number: int, value: float) -> None:
        """Note a value."""
        self.values.setdefault(name, {}).setdefault(measure, {})[number] = value
