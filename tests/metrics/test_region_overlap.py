from __future__ import annotations

import math

import numpy as np
import pytest

from understudy.errors import InternalError
from understudy.faces.regions import Region
from understudy.metrics.region_overlap import RegionOverlap


def test_overlap_by_hand():
    truth = np.array([[6, 6, 6, 4], [6, 6, 6, 4], [0, 0, 0, 0]])
    found = np.array([[6, 6, 4, 4], [6, 6, 6, 6], [0, 0, 0, 11]])
    measure = RegionOverlap()
    measure.add(found, truth)
    # Skin: 5 in both, 6 in the truth, 6 found: 5 / 7. Hair: 1 in both of 3. Background 3 of 4. An earring found where none is: 0.
    assert measure.overlap() == pytest.approx(
        {Region.BACKGROUND: 3 / 4, Region.HAIR: 1 / 3, Region.SKIN: 5 / 7, Region.EARRINGS: 0.0}
    )
    assert measure.mean() == pytest.approx((3 / 4 + 1 / 3 + 5 / 7) / 4)
    assert measure.right() == pytest.approx(9 / 12)


def test_pictures_are_added_before_they_are_divided():
    measure = RegionOverlap()
    measure.add(np.full((1, 1), 6), np.full((1, 1), 4))
    measure.add(np.full((1, 9), 4), np.full((1, 9), 4))
    assert measure.overlap()[Region.HAIR] == pytest.approx(9 / 10)


def test_what_nobody_knows_does_not_count():
    measure = RegionOverlap()
    measure.add(np.array([[6, 0]]), np.array([[6, 6]]), known=np.array([[True, False]]))
    assert measure.overlap() == {Region.SKIN: 1.0}
    assert math.isnan(RegionOverlap().mean())


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(InternalError, match="cannot be compared"):
        RegionOverlap().add(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(InternalError, match="outside of 0 to 11"):
        RegionOverlap().add(np.full((2, 2), 12), np.zeros((2, 2), int))
