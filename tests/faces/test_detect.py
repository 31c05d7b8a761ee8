from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.errors import FaceError, OptionError
from understudy.faces.detect import (
    FaceDetector,
    anchors,
    box_overlap,
    check_picture,
    decode,
    tile_windows,
    weighted_suppression,
)


def test_anchors_are_centres_of_cells():
    centres = anchors(128)
    assert centres.shape == (896, 2)
    np.testing.assert_allclose(centres[0], [4 / 128, 4 / 128])
    np.testing.assert_allclose(centres[1], centres[0])
    np.testing.assert_allclose(centres[2], [12 / 128, 4 / 128])
    np.testing.assert_allclose(centres[512], [8 / 128, 8 / 128])
    np.testing.assert_allclose(centres[-1], [120 / 128, 120 / 128])


def test_decoding_adds_anchors_and_drops_the_unsure():
    regressors = np.zeros((896, 16), np.float32)
    regressors[:, 2:4] = (20, 30)
    regressors[:, 4:6] = (-5, -6)
    logits = np.full(896, -200.0, np.float32)
    logits[0] = 2.0
    rows = decode(regressors, logits, anchors(128), 128, 0.5)
    assert rows.shape == (1, 17)
    np.testing.assert_allclose(rows[0, :6], [4 - 10, 4 - 15, 4 + 10, 4 + 15, -1, -2], atol=1e-4)
    np.testing.assert_allclose(rows[0, 16], 1 / (1 + np.exp(-2.0)), atol=1e-6)


def test_suppression_merges_by_score_and_keeps_apart():
    rows = np.zeros((3, 17), np.float32)
    rows[0, :4], rows[0, 16] = (0, 0, 10, 10), 0.6
    rows[1, :4], rows[1, 16] = (1, 0, 11, 10), 0.9
    rows[2, :4], rows[2, 16] = (50, 50, 60, 60), 0.7
    merged = weighted_suppression(rows)
    assert len(merged) == 2
    np.testing.assert_allclose(merged[0, :4], [0.6, 0, 10.6, 10], atol=1e-5)
    assert merged[0, 16] == pytest.approx(0.9)
    np.testing.assert_allclose(merged[1, :4], [50, 50, 60, 60])
    assert weighted_suppression(np.zeros((0, 17), np.float32)).shape == (0, 17)


def test_overlap():
    assert box_overlap(np.array([0, 0, 2, 2]), np.array([[1, 1, 3, 3], [5, 5, 6, 6]])).tolist() == [
        pytest.approx(1 / 7),
        0,
    ]


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (512, 512), (4096, 1716)])
def test_every_small_face_is_whole_in_some_tile(size):
    width, height = size
    windows = tile_windows(width, height, divisors=(1, 2))
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in windows)
    face = min(width, height) // 2 // 2 - 2
    for x in np.linspace(0, width - face, 23):
        for y in np.linspace(0, height - face, 23):
            assert any(x0 <= x and x + face <= x1 and y0 <= y and y + face <= y1 for x0, y0, x1, y1 in windows)


def test_small_pictures_have_no_tiles():
    assert tile_windows(128, 96, divisors=(1, 2, 4)) == []


@pytest.mark.parametrize(
    "picture", [np.zeros((1, 1, 3), np.uint8), np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.uint16)]
)
def test_refuses_what_holds_no_face(picture):
    with pytest.raises(FaceError, match=r"too small|8-bit RGB"):
        check_picture(picture)


def test_one_pixel_picture_is_refused(detector: FaceDetector):
    with pytest.raises(FaceError, match="1x1 pixels is too small"):
        detector.detect([np.zeros((1, 1, 3), np.uint8)])


def test_options_are_checked(models):
    with pytest.raises(OptionError, match="tiles='many'"):
        FaceDetector(models, tiles="many")
    with pytest.raises(OptionError, match="threshold=2"):
        FaceDetector(models, threshold=2)


def test_finds_the_face_where_it_is(detector, pictures, truth):
    for name, found in zip(pictures, detector.detect(list(pictures.values())), strict=True):
        assert len(found) == 1, name
        right, left = (
            np.array(truth[name]["landmarks"])[list(corners)].mean(axis=0) for corners in ((36, 39), (42, 45))
        )
        distance = np.linalg.norm(left - right)
        assert np.linalg.norm(found[0].keypoints[0] - right) < 0.2 * distance, name
        assert np.linalg.norm(found[0].keypoints[1] - left) < 0.2 * distance, name


def test_tiles_find_small_faces(models, pictures):
    plate = np.full((1080, 1920, 3), 90, np.uint8)
    small = cv2.resize(pictures["frontal.jpg"], (150, 150), interpolation=cv2.INTER_AREA)
    plate[700:850, 1500:1650] = small
    assert FaceDetector(models, tiles="none").detect([plate]) == [[]]
    found = FaceDetector(models, tiles="auto").detect([plate])[0]
    assert len(found) == 1
    middle = (found[0].box[:2] + found[0].box[2:]) / 2
    assert np.abs(middle - (1575, 780)).max() < 30


def test_finds_nothing_in_noise_and_black(detector: FaceDetector):
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    assert detector.detect([noise, np.zeros((240, 320, 3), np.uint8)]) == [[], []]
