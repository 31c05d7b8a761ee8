"""What evaluating a shot measures beyond :class:`~understudy.jobs.measure_scale.Scale`: what a shot supervisor asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.composite.matte import face_polygon, outer_matte
from understudy.composite.options import CompositeOptions
from understudy.errors import MediaError
from understudy.jobs.measure_scale import FrameCrops, Scale

if TYPE_CHECKING:
    from understudy.media.clip import Clip
    from understudy.media.frame import Frame

SIDE = 256
"""Side of the crop in which seams, detail and coverage are measured, pixels."""
REBUILT = "drawn again from the plate's face with default options; give --mattes for the real ones"
_CHANGED = 4.0  # times the change that a codec makes outside: the frame was swapped


class Mattes:
    """The mattes of a shot: those that were written, or drawn again.

    Raises:
        MediaError: the written ones cannot be read.
    """

    def __init__(self, written: Path | None, stack: ExitStack) -> None:
        from understudy.media.clip import open_clip

        self.clip: Clip | None = None if written is None else stack.enter_context(open_clip(written, missing="skip"))
        self.numbers = frozenset() if self.clip is None else frozenset(self.clip.numbers)

    def of_frame(self, frame: FrameCrops) -> np.ndarray | None:
        """(H, W) float32 over the plate's frame; None where none was written."""
        if self.clip is None:
            return None
        plate = frame.frames["plate"]
        if frame.number not in self.numbers:
            return np.zeros(plate.pixels.shape[:2], np.float32)
        matte = self.clip.frame(frame.number).rgb()[..., 0]
        if matte.shape != plate.pixels.shape[:2]:
            raise MediaError(f"{self.clip.source} is not of the plate's size; name the mattes of this shot.")
        return matte

    def of_crop(self, frame: FrameCrops, of_frame: np.ndarray | None) -> np.ndarray:
        """(256, 256) float32 over the canonical crop."""
        if of_frame is not None:
            return np.clip(frame.found.transform.to_crop(of_frame, SIDE), 0, 1)
        options = CompositeOptions()
        left, top, right, bottom = (share * SIDE for share in options.erode)
        matrix = frame.found.transform.for_size(SIDE)
        polygon = face_polygon(frame.found.face.landmarks, matrix, erode=(left, top, right, bottom))
        return outer_matte(polygon, side=SIDE, reach=options.reach)


class ShotScale(Scale):
    """Collects all measures of a shot that single frames and pairs of them give.

    Args:
        every, person, lpips: as for :class:`Scale`.
        mattes: the shot's.
        only: candidates to measure; of the others only what these are held against. None: all.
    """

    def __init__(
        self,
        every: int,
        person: np.ndarray | None,
        mattes: Mattes,
        *,
        lpips: bool,
        only: Collection[str] | None = None,
    ) -> None:
        super().__init__(every, person, lpips=lpips)
        self.mattes, self.only = mattes, only
        self.embeddings: list[np.ndarray] = []
        """Of the swap's faces, for retrieval."""
        self.colours: dict[str, list[np.ndarray]] = {}
        self.compared = True
        """Whether the swap's pixels could be compared with the plate's as they stand."""

    def add(self, frame: FrameCrops) -> None:
        """See :meth:`Scale.add`."""
        from understudy.faces.parse import face_mask
        from understudy.metrics.coverage import coverage

        super().add(frame)
        whole = self.mattes.of_frame(frame)
        matte = self.mattes.of_crop(frame, whole)
        face = face_mask(frame.found.transform.points_to_crop(frame.found.face.landmarks, SIDE), SIDE)
        self._seams(frame, matte, face)
        self._outside(frame, whole)
        if whole is not None:
            self.keep("swap", "coverage", frame.number, coverage(matte, face))

    def _wanted(self, name: str) -> bool:
        return self.only is None or name in self.only

    def _alone(self, name: str, frame: FrameCrops, before: FrameCrops | None) -> None:
        from understudy.metrics.colour_drift import face_colour
        from understudy.metrics.flow_warp import flow_warping_error
        from understudy.metrics.identity import embed, similarity

        crop = frame.crops[name]
        self.colours.setdefault(name, []).append(face_colour(crop, frame.mask))
        if not self._wanted(name):
            return
        if self.person is not None:
            embedding = embed(crop, frame.landmarks)
            self.keep(name, "identity", frame.number, similarity(embedding, self.person))
            if name == "swap":
                self.embeddings.append(embedding)
        if before is not None:
            found = flow_warping_error(before.crops[name], crop, mask=before.mask)
            if found.visible > 0:
                self.keep(name, "flow_warp", frame.number, 1000 * found.error)

    def _against_truth(self, name: str, frame: FrameCrops, before: FrameCrops | None) -> None:
        from understudy.metrics.rmse import rmse

        if not self._wanted(name):
            return
        super()._against_truth(name, frame, before)
        value = rmse(frame.crops[name], frame.crops["truth"], mask=frame.mask)
        self.keep(name, "rmse", frame.number, value)

    def _seams(self, frame: FrameCrops, matte: np.ndarray, face: np.ndarray) -> None:
        """What wants the larger crop: the border's gradients and the face's fine detail."""
        from understudy.metrics.detail import detail
        from understudy.metrics.seam import seam_gradient

        reference = "truth" if frame.has_truth else "plate"
        crops = {
            name: np.clip(frame.found.transform.to_crop(picture.view(), SIDE), 0, 1)
            for name, picture in frame.frames.items()
            if (name != "truth" or frame.has_truth) and (self._wanted(name) or name in ("plate", reference))
        }
        found = {
            name: seam_gradient(crop, matte) for name, crop in crops.items() if name == "plate" or self._wanted(name)
        }
        ratios = {name: seam.ratio for name, seam in found.items() if seam is not None and np.isfinite(seam.ratio)}
        usual = ratios.get("plate", 0.0)
        for name, crop in crops.items():
            if not self._wanted(name):
                continue
            if usual > 0 and name in ratios:
                self.keep(name, "seam", frame.number, ratios[name] / usual)
            if name != reference and np.isfinite(share := detail(crop, crops[reference], mask=face)):
                self.keep(name, "detail", frame.number, share)

    def _outside(self, frame: FrameCrops, matte: np.ndarray | None) -> None:
        """Changes outside the matte, or where it is not known outside the crop, which holds it; and whether there is a swap."""
        from understudy.metrics.out_of_matte import out_of_matte

        swap, plate = (_colour_pixels(frame.frames[name]) for name in ("swap", "plate"))
        if swap.dtype != plate.dtype or swap.shape != plate.shape:
            self.compared = False
            return
        found = out_of_matte(swap, plate, _crop_area(frame) if matte is None else matte)
        self.keep("swap", "outside", frame.number, found.share)
        self.keep("swap", "outside_largest", frame.number, found.largest)
        inside = np.abs(frame.crops["swap"] - frame.crops["plate"]).mean(axis=2)
        face = frame.mask
        change = float((inside * face).sum() / face.sum())
        rest = 1.0 - np.clip(_crop_area(frame), 0, 1)
        noise = 0.0
        if rest.any() and found.share > 0 and plate.dtype.kind != "f":
            apart = np.abs(swap[rest > 0].astype(np.float32) - plate[rest > 0].astype(np.float32)).mean()
            noise = float(apart) / float(np.iinfo(plate.dtype).max)
        self.keep("swap", "swapped", frame.number, float(change > max(_CHANGED * noise, 1e-3)))

    def shot_values(self, has_truth: bool) -> dict[str, dict[str, float]]:
        """Candidate -> measures of the whole shot; the colours' wander by frame is noted on the way."""
        from understudy.metrics.colour_drift import colour_drift

        reference = self.colours["truth" if has_truth else "plate"]
        found: dict[str, dict[str, float]] = {}
        for name, colours in self.colours.items():
            if name == ("truth" if has_truth else "plate") or not self._wanted(name):
                continue
            drift = colour_drift(np.stack(colours), np.stack(reference))
            found[name] = {"colour": drift.drift, "colour_offset": drift.offset}
            for number, value in zip(self.numbers, drift.per_frame, strict=True):
                self.keep(name, "colour", number, float(value))
        return found


def _colour_pixels(frame: Frame) -> np.ndarray:
    return frame.pixels[..., list(frame.colour_channels)]


def _crop_area(frame: FrameCrops) -> np.ndarray:
    """(H, W) uint8: 1 in the crop's square and a pixel around it."""
    import cv2

    area = np.zeros(frame.frames["plate"].pixels.shape[:2], np.uint8)
    corners = np.round((frame.found.transform.corners() - 0.5) * 16).astype(np.int32)
    cv2.fillConvexPoly(area, corners.reshape(-1, 1, 2), 1, shift=4)
    return cv2.dilate(area, np.ones((3, 3), np.uint8))


def aligned(values: Mapping[int, float], numbers: list[int]) -> list[float | None]:
    """One value a frame, None where there is none."""
    return [values.get(number) for number in numbers]
