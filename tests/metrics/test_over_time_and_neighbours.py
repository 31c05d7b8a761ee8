"""Flicker and the nearest training picture, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import InternalError
from understudy.metrics.flicker import flicker
from understudy.metrics.nearest import distances


def test_flicker_by_hand():
    """The truth brightens by 0.1, the picture by 0.3: the changes differ by 20 % of the range; equal motion gives
    none."""
    base = np.full((4, 4, 3), 0.2)
    assert flicker(base + 0.3, base, base + 0.1, base) == pytest.approx(20.0)
    assert flicker(base + 0.5, base + 0.4, base + 0.1, base) == pytest.approx(0.0, abs=1e-12)


def test_flicker_counts_only_under_the_mask():
    base = np.zeros((4, 4, 3))
    jumping = base.copy()
    jumping[0] = 1.0
    mask = np.ones((4, 4))
    mask[0] = 0
    assert flicker(jumping, base, base, base, mask=mask) == 0
    assert flicker(jumping, base, base, base) == pytest.approx(25.0)


def test_distances_by_hand():
    """Two masked pixels, one with half weight and off by 51/255 in one channel of three."""
    picture = np.zeros((2, 2, 3), np.float32)
    pictures = np.zeros((70, 2, 2, 3), np.uint8)
    pictures[3, 0, 0, 2] = 51
    pictures[69, 1, 1] = 255  # outside the mask
    mask = np.array([[0.5, 1.0], [0.0, 0.0]], np.float32)
    found = distances(picture, pictures, mask)
    assert found.shape == (70,)
    assert found[3] == pytest.approx(np.sqrt(0.5 * 0.2**2 / 3 / 1.5))
    assert not np.delete(found, 3).any()


def test_distances_order_as_brute_force_does():
    random = np.random.default_rng(5)
    pictures = random.integers(0, 256, (100, 6, 5, 3), np.uint8)
    picture, mask = random.random((6, 5, 3)).astype(np.float32), (random.random((6, 5)) > 0.3).astype(np.float32)
    brute = [np.linalg.norm((pictures[k] / 255 - picture)[mask > 0]) for k in range(100)]
    assert np.array_equal(np.argsort(distances(picture, pictures, mask)), np.argsort(brute))


def test_nothing_to_compare_is_our_bug():
    with pytest.raises(InternalError):
        distances(np.zeros((2, 2, 3), np.float32), np.zeros((1, 2, 2, 3), np.uint8), np.zeros((2, 2)))
    with pytest.raises(InternalError):
        distances(np.zeros((2, 2, 3), np.float32), np.zeros((1, 2, 3, 3), np.uint8), np.ones((2, 2)))
