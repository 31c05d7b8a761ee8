"""The plate's glasses in a swap by region: whole frames before the new face, and the face going on behind them."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.dataset.pictures import resized
from understudy.faces.eyewear import SURE, eyewear_matte, find_eyewear
from understudy.faces.regions import Region
from understudy.jobs.regional_maps import FINE_SIDE

_OFTEN = 0.25
"""Share of a shot's frames that must show glasses, for one frame's weaker signs to be believed."""
_WEAK = 0.5
"""Those weaker signs, share of what is needed without the shot's word."""
_TOUCHES = 4
"""How near to the frames other parts of glasses come, pixels."""
_BESIDE = 2
"""How far beside the frames, as they were drawn, their colour counts alone, pixels."""
_LIKE = (0.35, 0.65)
"""From where on the way from the face's colour to the frames' a colour is the frames'."""
_WEAK_COLOUR = 0.08
"""Square of the way from one to the other, view units, below which it tells little."""
_UNLIKE = (0.22, 0.35)
"""By how much other parts differ from the face about them, view units."""
_GLASS, _LENS = 9, 0.004
"""Radius beyond which what a parser calls glasses is no frame but dark glass, pixels; the least of it, share of the crop."""
_AROUND = (4.0, 10.0)
"""Standard deviations of the means of frames and of the face, pixels."""


class ShotEyewear:
    """The glasses of one face of a shot: first its frames are looked at, then each is asked for its matte."""

    def __init__(self) -> None:
        self._scores: list[float] = []
        self._rims: list[np.ndarray] = []

    def look(self, crop: np.ndarray, shares: np.ndarray, mesh: np.ndarray) -> None:
        """Look at a frame; arguments as for :meth:`matte`."""
        found = find_eyewear(_fine(crop), *_shares(shares), mesh * np.float32(FINE_SIDE))
        self._scores.append(found.score)
        if found.score > SURE:
            self._rims.append(found.rims)

    @property
    def worn(self) -> bool:
        """Whether the shot's frames say so."""
        return len(self._rims) > 0 and len(self._rims) >= _OFTEN * len(self._scores)

    def matte(self, crop: np.ndarray, shares: np.ndarray, mesh: np.ndarray) -> np.ndarray | None:
        """Where glasses cover the face, (FINE_SIDE, FINE_SIDE) float32 in [0, 1]; None where none are worn.

        Args:
            crop: (s, s, 3) float32 RGB in [0, 1], view space.
            shares: (h, h, 12) of the regions in it.
            mesh: (478, 2 or 3) in the crop's unit square.
        """
        labels = _labels(shares)
        dark = _dark_glass(labels)
        if not self.worn:
            return dark
        picture, glasses = _fine(crop), _shares(shares)
        usual = np.mean(self._rims, 0) if len(self._rims) > 1 else None
        found = find_eyewear(picture, *glasses, mesh * np.float32(FINE_SIDE), usual=usual)
        if found.score <= (SURE if usual is None else _WEAK * SURE):
            return dark
        frames = eyewear_matte(picture, found)
        whole = np.maximum(frames, _other_parts(picture, labels, frames))
        return whole if dark is None else np.maximum(whole, dark)


def with_glasses(regions: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """A region map (h, h) whose glasses are those of a matte, and nothing else is."""
    whole = resized(matte, len(regions)) > 0.5
    return np.where(whole, np.uint8(Region.GLASSES), behind_glasses(regions))


def behind_glasses(regions: np.ndarray) -> np.ndarray:
    """A region map (h, h) with whatever is nearest in the place of glasses."""
    glasses = regions == Region.GLASSES
    if not glasses.any() or glasses.all():
        return regions
    _, nearest = cv2.distanceTransformWithLabels(
        glasses.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label_of = np.zeros(int(nearest.max()) + 1, np.uint8)
    label_of[nearest[~glasses]] = regions[~glasses]
    return np.where(glasses, label_of[nearest], regions)


def _dark_glass(regions: np.ndarray) -> np.ndarray | None:
    """The dark glass of a map (s, s), as (s, s) float32 in [0, 1]; None where there is none."""
    glasses = (regions == Region.GLASSES).astype(np.uint8)
    inner = cv2.erode(glasses, _disc(_GLASS))
    if not inner.any():
        return None
    whole = cv2.dilate(inner, _disc(_GLASS + 2)) & glasses
    if whole.sum() < _LENS * whole.size:
        return None
    return cv2.GaussianBlur(whole.astype(np.float32), (0, 0), 1)


def _other_parts(picture: np.ndarray, regions: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """What belongs to glasses beside the lines of their frames, corners, pads: (s, s) float32 in [0, 1].

    The parser has to call it glasses, and it has to hang together with the frames; right beside them their colour does.
    """
    found = (regions == Region.GLASSES).astype(np.uint8)
    drawn = (frames > 0.5).astype(np.uint8)
    count, parts = cv2.connectedComponents(found)
    kept = np.zeros(count, bool)
    kept[np.unique(parts[cv2.dilate(drawn, _disc(_TOUCHES)) > 0])] = True
    kept[0] = False
    there, beside = kept[parts], cv2.dilate(drawn, _disc(_BESIDE)) > 0
    frame = _mean_about(picture, frames > 0.9, _AROUND[0])
    face = _mean_about(picture, ~((found > 0) | beside), _AROUND[1])
    way = frame - face
    along = ((picture - face) * way).sum(-1) / np.maximum(np.square(way).sum(-1), _WEAK_COLOUR)
    alike = _ramp(along, _LIKE) * (there | beside)
    unlike = _ramp(np.abs(cv2.GaussianBlur(picture, (0, 0), 1) - face).max(-1), _UNLIKE) * there
    # Single pixels are the face's.
    return cv2.GaussianBlur(cv2.morphologyEx(np.maximum(alike, unlike), cv2.MORPH_OPEN, _disc(1)), (0, 0), 0.6)


def _mean_about(picture: np.ndarray, where: np.ndarray, sigma: float) -> np.ndarray:
    """A picture (s, s, 3) smoothed with the pixels (s, s) alone that count."""
    counts = where.astype(np.float32) + np.float32(1e-4)
    mean = cv2.GaussianBlur(picture * counts[..., None], (0, 0), sigma)
    return mean / np.maximum(cv2.GaussianBlur(counts, (0, 0), sigma), 1e-6)[..., None]


def _ramp(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1).astype(np.float32)


def _fine(crop: np.ndarray) -> np.ndarray:
    return np.clip(resized(np.asarray(crop, np.float32), FINE_SIDE), 0, 1)


def _shares(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return resized(shares[..., Region.GLASSES], FINE_SIDE), resized(shares[..., Region.BROWS], FINE_SIDE)


def _labels(shares: np.ndarray) -> np.ndarray:
    return cv2.resize(shares.argmax(-1).astype(np.uint8), (FINE_SIDE, FINE_SIDE), interpolation=cv2.INTER_NEAREST)


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
