"""A picture's regions from a parser's crops: joined, brought to the plate, averaged, told apart between faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.faces.align import canonical_transform, mean_mesh
from understudy.faces.parse import GUIDE, face_mask
from understudy.faces.regions import Region
from understudy.perform import regions
from understudy.perform.regions import CANVAS, RegionOcclusion, plate_shares, read_face, scaled, settled, surer

SKIN, HAIR, BROWN = (0.9, 0.7, 0.6), (0.2, 0.1, 0.05), 0.35


class ByColour:
    """Tells dark from light, and takes eyes from the mesh."""

    size, oval_share, source = 64, 0.42, None

    def __init__(self):
        self.asked = 0

    def parse(self, crops, guides=None):
        self.asked += len(crops)
        shares = np.zeros((*crops.shape[:3], len(Region)), np.float32)
        light = crops.mean(-1)
        shares[..., Region.SKIN] = light > 0.55
        shares[..., Region.HAIR] = light < BROWN
        if guides is not None:
            eyes = guides[:, GUIDE.index("eyes")] > 127
            shares[eyes] = 0
            shares[eyes, Region.EYES] = 1
        shares[..., Region.BACKGROUND] = 1 - shares.sum(-1)
        return shares


def mesh(x: float, y: float, height: float) -> np.ndarray:
    return (mean_mesh() * height + (x, y, 0)).astype(np.float32)


def plate(points: np.ndarray, size: tuple[int, int] = (300, 320)) -> np.ndarray:
    """(h, w, 3): gray, a dark disc of hair, and the face before it."""
    height, width = size
    view = np.full((height, width, 3), 0.45, np.float32)
    middle = points[:, :2].mean(0)
    tall = float(np.linalg.norm(points[10] - points[152]))
    y, x = np.mgrid[:height, :width] + 0.5
    view[np.hypot(x - middle[0], y - middle[1] + 0.15 * tall) < 0.7 * tall] = HAIR
    view[face_mask(points, (width, height)) > 0.5] = SKIN
    return view


def regions_of(view: np.ndarray, readings, chosen) -> np.ndarray:
    shares = np.empty((*view.shape[:2], len(Region)), np.float32)
    for rows, part in plate_shares(view, readings, chosen):
        shares[rows] = part
    return shares


def test_a_crop_of_another_height_keeps_the_faces_middle():
    transform = canonical_transform(mesh(100, 120, 80))
    wide = scaled(transform, 0.34)
    point = transform.points_to_plate(np.array([[0.5, 0.52]]), 1)
    np.testing.assert_allclose(wide.points_to_crop(point, 1), [[0.5, 0.52]], atol=1e-9)
    assert wide.side == pytest.approx(2 * transform.side)


def test_regions_lie_where_the_plate_has_them():
    points = mesh(160, 160, 120)
    view = plate(points)
    reading = read_face(view, points, canonical_transform(points), ByColour())
    assert reading.shares.shape == (CANVAS, CANVAS, 12)
    np.testing.assert_allclose(reading.shares.sum(-1), 1, atol=1e-3)
    shares = regions_of(view, [reading], [0])
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-4)
    labels = shares.argmax(-1)
    for region, colour in ((Region.SKIN, SKIN), (Region.HAIR, HAIR)):
        truth = np.isclose(view, colour).all(-1)
        found = np.isin(labels, (region, Region.EYES)) if region == Region.SKIN else labels == region
        assert (truth & found).sum() / (truth | found).sum() > 0.96
    x, y = points[[33, 133], :2].mean(0).astype(int)
    assert labels[y, x] == Region.EYES
    # The edge of the hair lies on the plate's own pixel edge, finer than the parser's.
    row = 60
    truth = np.flatnonzero(np.isclose(view[row], HAIR).all(-1))
    found = np.flatnonzero(labels[row] == Region.HAIR)
    assert abs(truth[0] - found[0]) <= 1 and abs(truth[-1] - found[-1]) <= 1


def test_mirrored_pictures_have_mirrored_regions():
    points = mesh(150, 150, 110)
    view = plate(points, (300, 300))
    view[100:140, 40:60] = SKIN  # not the same on both sides
    mirrored = points.copy()
    mirrored[:, 0] = 300 - mirrored[:, 0]
    from understudy.faces.align import mirror_map

    mirrored = mirrored[mirror_map()]
    parser = ByColour()
    first = regions_of(view, [read_face(view, points, canonical_transform(points), parser)], [0])
    other = np.ascontiguousarray(view[:, ::-1])
    second = regions_of(other, [read_face(other, mirrored, canonical_transform(mirrored), parser)], [0])
    assert (first.argmax(-1) != second[:, ::-1].argmax(-1)).mean() < 0.005


def test_bands_change_nothing(monkeypatch):
    points = mesh(160, 160, 120)
    view = plate(points)
    reading = read_face(view, points, canonical_transform(points), ByColour())
    whole = regions_of(view, [reading], [0])
    monkeypatch.setattr(regions, "BAND", 37)
    np.testing.assert_allclose(regions_of(view, [reading], [0]), whole, atol=2e-3)


def test_every_pixel_is_the_nearest_faces():
    left, right = mesh(90, 150, 90), mesh(250, 150, 90)
    view = np.minimum(plate(left, (300, 340)), plate(right, (300, 340)))
    view[face_mask(left, (340, 300)) > 0.5] = SKIN
    view[face_mask(right, (340, 300)) > 0.5] = SKIN
    readings = [read_face(view, points, canonical_transform(points), ByColour()) for points in (left, right)]
    one = regions_of(view, readings, [0])
    both = regions_of(view, readings, [0, 1])
    assert (one[:, 175:].argmax(-1) == Region.BACKGROUND).all()
    assert (one[:, :165].argmax(-1) == both[:, :165].argmax(-1)).all()
    assert (both[140:170, 240:260].argmax(-1) != Region.BACKGROUND).all()


def test_beyond_the_canvas_there_is_background():
    points = mesh(60, 60, 20)
    view = np.full((120, 400, 3), 0.1, np.float32)  # dark everywhere: "hair"
    reading = read_face(view, points, canonical_transform(points), ByColour())
    labels = regions_of(view, [reading], [0]).argmax(-1)
    assert (labels[:, 120:] == Region.BACKGROUND).all() and labels[60, 60] != Region.BACKGROUND


def test_mattes_do_not_fade_at_the_plates_edge():
    points = mesh(60, 60, 60)
    view = plate(points, (150, 120))
    view[75:, 45:75] = SKIN  # a neck down to the last row
    view[60:, 98:] = HAIR
    shares = regions_of(view, [read_face(view, points, canonical_transform(points), ByColour())], [0])
    assert shares[-1, 50:70, Region.SKIN].min() > 0.95
    assert shares[80:, -1, Region.HAIR].min() > 0.95 and shares[-1, 105:, Region.HAIR].min() > 0.95


def test_what_hangs_together_beyond_the_plate_alone_is_apart():
    shares = np.zeros((200, 200, 12), np.float32)
    labels = np.zeros((200, 200), int)
    labels[80:160, 85:115] = Region.SKIN
    labels[150:160] = Region.HAIR  # a streak below the plate joins face and island
    labels[100:160, 150:180] = Region.HAIR
    np.put_along_axis(shares, labels[..., None], 1.0, -1)
    on_plate = np.ones((200, 200), bool)
    assert (regions.without_islands(shares, on_plate).argmax(-1)[100:140, 155:175] == Region.HAIR).all()
    on_plate[148:] = False
    kept = regions.without_islands(shares, on_plate).argmax(-1)
    assert (kept[100:140, 155:175] == Region.BACKGROUND).all() and (kept[155] == Region.HAIR).mean() > 0.7


def test_islands_go_and_what_touches_the_head_stays():
    shares = np.zeros((200, 200, 12), np.float32)
    labels = np.zeros((200, 200), int)
    labels[80:130, 85:115] = Region.SKIN
    labels[60:170, 70:85] = Region.HAIR  # touches the face
    labels[10:30, 10:40] = Region.HAIR  # does not
    np.put_along_axis(shares, labels[..., None], 1.0, -1)
    kept = regions.without_islands(shares, np.ones((200, 200), bool)).argmax(-1)
    assert (kept[60:170, 70:85] == Region.HAIR).all() and (kept[80:130, 85:115] == Region.SKIN).all()
    assert (kept[10:30, 10:40] == Region.BACKGROUND).all()


def test_surer_shares_by_hand():
    shares = np.zeros((1, 12), np.float32)
    shares[0, [4, 6]] = (0.75, 0.25)
    np.testing.assert_allclose(surer(shares)[0, [4, 6]], (0.9, 0.1), rtol=1e-5)


def test_settled_shares_have_no_traces():
    shares = np.zeros((1, 3, 12), np.float32)
    shares[0, 0, [4, 6, 7]] = (0.6, 0.38, 0.02)
    shares[0, 1, 6] = 0.4
    result = settled(shares)
    assert result[0, 0, 7] == 0
    np.testing.assert_allclose(result[0, 0, [4, 6]], np.array([0.6, 0.38]) / 0.98, rtol=1e-5)
    assert result[0, 1, 6] == 1
    assert result[0, 2, Region.BACKGROUND] == 1


def test_what_covers_the_face_is_seen_as_covering():
    points = mesh(64, 66, 87)
    crop = np.full((128, 128, 3), 0.45, np.float32)
    inside = face_mask(points, 128) > 0.5
    crop[inside] = SKIN
    crop[10:50, 50:60] = HAIR  # a lock over the forehead
    crop[80:90, 40:90] = 0.45  # something before the mouth, of no region
    parser = ByColour()
    occlusion = RegionOcclusion(parser)
    visible = occlusion(crop, points[:, :2])
    asked = parser.asked
    np.testing.assert_array_equal(occlusion(crop, points[:, :2]), visible)
    assert parser.asked == asked  # the second answer is the first, kept
    assert visible.shape == (128, 128) and visible.dtype == np.float32
    assert visible[40, 55] < 0.1 and visible[85, 64] < 0.1
    assert visible[60, 75] > 0.9 and visible[100, 64] > 0.9
    # Beside the face lies background, which covers nothing.
    assert visible[64, 5] > 0.95 and visible[5, 5] > 0.95
    assert cv2.minMaxLoc(visible)[0] >= 0


def test_what_reaches_over_the_outline_covers_there_too():
    points = mesh(64, 66, 87)
    crop = np.full((128, 128, 3), 0.45, np.float32)
    inside = face_mask(points, 128) > 0.5
    crop[inside] = SKIN
    edge = np.flatnonzero(inside[80])[-1]
    crop[72:88, edge - 25 :] = 0.45  # from the right over the cheek
    visible = RegionOcclusion(ByColour())(crop, points[:, :2])
    assert visible[80, edge - 20 : edge + 3].max() < 0.2
    assert visible[60, edge + 3 :].min() > 0.8
