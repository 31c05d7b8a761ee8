from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.faces import topology
from understudy.faces.align import mean_mesh
from understudy.faces.parse import GUIDE, depth, face_mask, hull_polygon, polygon_mask, region_guide


def mesh(size: int = 200) -> np.ndarray:
    return (mean_mesh() * (0.68 * size) + (size / 2, 0.52 * size, 0)).astype(np.float32)


def test_polygon_holds_every_point_and_runs_clockwise():
    polygon = hull_polygon(mesh())
    x, y = polygon.T
    assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0
    assert all(cv2.pointPolygonTest(polygon, (float(px), float(py)), True) > -0.01 for px, py, _ in mesh()[:468])


def test_forehead_can_be_left_out_or_raised():
    brows = mesh()[np.concatenate([topology.RIGHT_BROW, topology.LEFT_BROW]), 1].min()
    assert hull_polygon(mesh(), forehead=0.0)[:, 1].min() == pytest.approx(brows, abs=0.5)
    whole, raised = hull_polygon(mesh()), hull_polygon(mesh(), forehead=1.5)
    assert raised[:, 1].min() < whole[:, 1].min() - 5
    assert raised[:, 1].max() == pytest.approx(whole[:, 1].max(), abs=0.01)


def test_mask_covers_the_polygons_area():
    polygon = hull_polygon(mesh())
    x, y = polygon.astype(np.float64).T
    area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
    mask = face_mask(mesh(), 200)
    assert mask.dtype == np.float32 and mask.shape == (200, 200) and mask.min() == 0 and mask.max() == 1
    assert mask.sum() == pytest.approx(area, rel=0.02)
    soft = face_mask(mesh(), 200, feather=4)
    assert soft.sum() == pytest.approx(area, rel=0.03)
    assert ((soft > 0.01) & (soft < 0.99)).sum() > 3 * ((mask > 0.01) & (mask < 0.99)).sum()


def test_coverage_of_a_half_pixel():
    mask = polygon_mask(np.array([[2, 2], [6.5, 2], [6.5, 6], [2, 6]], np.float32), (10, 8))
    assert mask.shape == (8, 10)
    assert mask[4, 4] == 1 and mask[4, 8] == 0
    assert mask[4, 6] == pytest.approx(0.5, abs=0.13)
    np.testing.assert_allclose(mask[2, 3:6], 1.0, atol=0.13)


def test_a_face_outside_the_picture_masks_nothing():
    assert face_mask(mesh() + 1000, 64).max() == 0


def test_guide_shows_each_part_where_the_mesh_has_it():
    points = mesh()
    guide = region_guide(points, (200, 220))
    assert guide.shape == (6, 220, 200) and guide.dtype == np.uint8
    at = {name: guide[GUIDE.index(name)] for name in GUIDE}

    def there(name, where):
        x, y = np.floor(where[:2]).astype(int)
        return at[name][y, x] == 255

    middle = points[topology.RIGHT_EYE].mean(0)
    assert there("eyes", middle) and there("face", middle) and not there("brows", middle)
    assert there("brows", points[[334, 282]].mean(0))
    assert there("nose", points[4]) and not there("lips", points[4])
    lower_lip = points[[14, 17]].mean(0)
    assert there("lips", lower_lip) and not there("mouth", lower_lip)
    assert not (at["lips"].astype(int) + at["mouth"] > 255).any()
    # The area of the face's outline, by the shoelace formula, and half a pixel around it.
    outline = points[topology.FACE_OVAL, :2].astype(np.float64)
    x, y = outline.T
    area = abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2
    around = np.linalg.norm(outline - np.roll(outline, 1, 0), axis=1).sum() / 2
    assert at["face"].sum() / 255 == pytest.approx(area + around, rel=0.01)


def test_guide_of_a_face_far_outside_is_empty():
    assert not region_guide(mesh() + 1000, 64).any()


def test_depth_counts_from_the_nearest_pixel_outside():
    """By hand: 3-4-5, and nothing hangs on where in memory the mask lies."""
    mask = np.ones((9, 12), bool)
    mask[1, 2] = False
    found = depth(mask)
    assert found[1, 2] == 0
    assert found[5, 5] == 5
    assert found[1, 11] == 9
    room = np.ones(9 * 12 + 64, bool)
    for start in range(64):
        moved = room[start : start + 9 * 12].reshape(9, 12)
        moved[...] = mask
        np.testing.assert_array_equal(depth(moved), found)
