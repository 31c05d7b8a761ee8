"""What stands before a face includes rims of glasses that a parser all but misses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.faces.regions import Region
from understudy.perform.regions import RegionOcclusion

from ..faces.test_eyewear import SIDE, bare, face, frames


class Doubting:
    """Sees skin everywhere, and faint glasses where they are."""

    size, oval_share, source = 128, 0.42, None

    def __init__(self, glasses: np.ndarray) -> None:
        self.glasses = cv2.resize(glasses, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def parse(self, crops: np.ndarray, guides: np.ndarray | None = None) -> np.ndarray:
        shares = np.zeros((2, self.size, self.size, len(Region)), np.float32)
        shares[0, ..., Region.GLASSES], shares[1, ..., Region.GLASSES] = self.glasses, self.glasses[:, ::-1]
        shares[..., Region.SKIN] = 1 - shares[..., Region.GLASSES]
        return shares


@pytest.mark.parametrize("side", [SIDE, 256])
def test_thin_rims_stand_before_the_face(side: int) -> None:
    picture, _ = bare()
    truth = frames(3, 2.5)
    worn = picture + truth[..., None] * (np.float32(0.15) - picture)
    faint = np.minimum(0.4, cv2.GaussianBlur(truth, (0, 0), 4))
    crop = cv2.resize(worn, (side, side), interpolation=cv2.INTER_AREA)
    points = face()[:, :2] * (side / SIDE)
    visible = cv2.resize(RegionOcclusion(Doubting(faint))(crop, points), (SIDE, SIDE))
    assert (visible[truth > 0.5] < 0.5).mean() > 0.95
    away = cv2.dilate(truth, np.ones((15, 15), np.uint8)) == 0
    assert visible[away & (np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) < 130)].min() > 0.8
    plain = RegionOcclusion(Doubting(np.minimum(faint, 0.15)))(crop, points)
    assert plain.min() > 0.8, "no glasses without a hint of the parser's"
