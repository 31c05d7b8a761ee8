"""Polygons to masks: pixel centres at +0.5, true coverage, any direction, any place."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.composite.polygon import erode_sides, rasterise


def test_square_by_hand():
    square = np.array([(1, 1), (3, 1), (3, 4), (1, 4)], float)
    expected = np.zeros((5, 6), np.float32)
    expected[1:4, 1:3] = 1
    for edges in ("hard", "area"):
        for polygon in (square, square[::-1]):
            np.testing.assert_array_equal(rasterise(polygon, shape=(5, 6), edges=edges), expected)


def test_half_pixels():
    square = np.array([(1.25, 1.5), (2.5, 1.5), (2.5, 3), (1.25, 3)])
    mask = rasterise(square, shape=(4, 4), edges="area")
    np.testing.assert_allclose(mask, [[0, 0, 0, 0], [0, 0.375, 0.25, 0], [0, 0.75, 0.5, 0], [0, 0, 0, 0]], atol=1e-6)


def test_area_is_the_polygons_area():
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    polygon = np.stack([31.3 + 20 * np.cos(angle), 30.7 + 25 * np.sin(angle)], axis=1)
    area = 0.5 * 40 * 20 * 25 * np.sin(2 * np.pi / 40)
    assert rasterise(polygon, shape=(64, 64), edges="area").sum() == pytest.approx(area, rel=1e-3)


def test_cut_by_the_picture():
    big = np.array([(-50, -50), (50, -50), (50, 50), (-50, 50)], float)
    for edges in ("hard", "area"):
        assert (rasterise(big, shape=(7, 9), edges=edges) == 1).all()
        assert (rasterise(big + 200, shape=(7, 9), edges=edges) == 0).all()
        assert (rasterise(big - 200, shape=(7, 9), edges=edges) == 0).all()
    half = np.array([(-5, -5), (4.5, -5), (4.5, 20), (-5, 20)])
    np.testing.assert_allclose(rasterise(half, shape=(2, 6), edges="area")[0], [1, 1, 1, 1, 0.5, 0])


def test_too_few_points_or_none_finite_is_empty():
    assert rasterise(np.zeros((2, 2)), shape=(4, 4)).sum() == 0
    assert rasterise(np.full((5, 2), np.nan), shape=(4, 4)).sum() == 0
    assert rasterise(np.array([(0, 2.0), (4, 2.0), (2, 2.0)]), shape=(4, 4)).sum() == 0


def test_sides_move_by_themselves():
    square = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)
    moved = erode_sides(square, left=1, top=2, right=-1, bottom=20)
    np.testing.assert_allclose(moved, [(1, 2), (11, 2), (11, 5), (1, 5)])
