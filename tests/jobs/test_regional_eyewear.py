"""A swap by region keeps the plate's glasses pixel for pixel."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.faces.regions import Region
from understudy.faces.topology import LEFT_EYE, RIGHT_EYE
from understudy.jobs import regional_shot
from understudy.jobs.options_regional import RegionalOptions
from understudy.jobs.regional_eyewear import ShotEyewear, behind_glasses, with_glasses
from understudy.jobs.regional_maps import FINE_SIDE

from ..faces.test_eyewear import bare, face, frames
from .test_regional_shot import SOURCE_SKIN, read, swap  # noqa: F401 (a fixture)


def shares(glasses: np.ndarray, brows: np.ndarray) -> np.ndarray:
    """Shares (256, 256, 12) of a face that is skin elsewhere."""
    found = np.zeros((FINE_SIDE, FINE_SIDE, len(Region)), np.float32)
    found[..., Region.GLASSES], found[..., Region.BROWS] = glasses, brows * (1 - glasses)
    found[..., Region.SKIN] = 1 - found.sum(-1)
    return found[::2, ::2]


def test_one_frame_of_many_is_no_pair_of_glasses_and_a_weak_frame_of_a_shot_is() -> None:
    picture, brows = bare()
    truth = frames(3, 2.5)
    worn = picture + truth[..., None] * (np.float32(0.15) - picture)
    seen, mesh = cv2.GaussianBlur(truth, (0, 0), 3), face() / FINE_SIDE
    nothing = np.zeros_like(seen)
    shot = ShotEyewear()
    assert shot.matte(worn, shares(seen, brows), mesh) is None, "nobody looked"
    shot.look(worn, shares(seen, brows), mesh)
    assert shot.worn
    matte = shot.matte(worn, shares(seen, brows), mesh)
    assert matte is not None and (matte[truth > 0.5] > 0.5).mean() > 0.95
    assert shot.matte(picture, shares(nothing, brows), mesh) is None, "a frame without them"
    for _ in range(4):
        shot.look(picture, shares(nothing, brows), mesh)
    assert not shot.worn and shot.matte(worn, shares(seen, brows), mesh) is None


def test_dark_glass_is_kept_whole_whatever_it_mirrors() -> None:
    picture, brows = bare()
    glass = np.zeros((FINE_SIDE, FINE_SIDE), np.float32)
    for eye in (RIGHT_EYE, LEFT_EYE):
        x, y = face()[eye, :2].mean(0)
        cv2.ellipse(glass, (round(x), round(y) + 8), (38, 28), 0, 0, 360, 1, -1)
    picture = picture + glass[..., None] * (np.float32(0.1) - picture)
    picture[250:256] = 0.7
    shot, mesh = ShotEyewear(), face() / FINE_SIDE
    shot.look(picture, shares(glass, brows), mesh)
    matte = shot.matte(picture, shares(glass, brows), mesh)
    assert matte is not None
    assert matte[cv2.erode(glass, np.ones((7, 7), np.uint8)) > 0].min() > 0.9
    assert matte[cv2.dilate(glass, np.ones((21, 21), np.uint8)) == 0].max() < 0.1


def test_a_map_shows_the_mattes_glasses_and_the_face_behind() -> None:
    regions = np.full((64, 64), int(Region.SKIN), np.uint8)
    regions[:20] = Region.BROWS
    regions[18:24, 10:20] = Region.GLASSES
    matte = np.zeros((64, 64), np.float32)
    matte[40:44] = 1
    whole, behind = with_glasses(regions, matte), behind_glasses(regions)
    assert (whole[40:44] == Region.GLASSES).all() and (whole == Region.GLASSES).sum() == 4 * 64
    assert not (behind == Region.GLASSES).any()
    assert behind[18, 15] == Region.BROWS and behind[23, 15] == Region.SKIN
    everything = np.full((8, 8), int(Region.GLASSES), np.uint8)
    assert behind_glasses(everything) is everything


def test_pixels_under_glasses_stay_the_plates(
    swap,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Bar(ShotEyewear):
        def look(self, crop, shares, mesh) -> None: ...

        def matte(self, crop, shares, mesh):
            found = np.zeros((FINE_SIDE, FINE_SIDE), np.float32)
            found[FINE_SIDE // 2 - 24 : FINE_SIDE // 2 + 24] = 1
            return found

    one = {"first": 2, "last": 2, "steady": 0, "regional": RegionalOptions(light="source")}
    plain = read(swap(**one, output=tmp_path / "plain" / "shot.####.png"))
    monkeypatch.setattr(regional_shot, "ShotEyewear", Bar)
    after = read(swap(**one))
    plate = cv2.imread(str(tmp_path / "plate" / "shot.0002.png"))
    assert plate is not None
    before = plate[..., ::-1]
    column = slice(112, 128)
    kept = [row for row in range(70, 118) if (after[row, column] == before[row, column]).all()]
    assert 14 <= len(kept) <= 20 and not any((plain[row, column] == before[row, column]).all() for row in kept)
    beside = kept[0] - 4
    np.testing.assert_allclose(after[beside, column], np.broadcast_to(SOURCE_SKIN, (16, 3)), atol=14)
