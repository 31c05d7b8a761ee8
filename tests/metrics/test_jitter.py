"""Landmark jitter: it reads the shake that was put in, and neither motion nor speech."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.faces.align import mean_mesh
from understudy.faces.topology import STABLE
from understudy.metrics.jitter import landmark_jitter


def test_it_reads_the_shake_and_not_the_motion():
    random = np.random.default_rng(0)
    times = np.arange(400)[:, None, None]
    moving = 300 * mean_mesh()[None, :, :2] + np.array([3.0, 0.5]) * times + 0.01 * times**2
    assert landmark_jitter(moving) == pytest.approx(0, abs=1e-6)
    # A shake of standard deviation s in x and in y is sqrt(2) s in two dimensions.
    shaken = moving + random.normal(0, 0.7, (400, 1, 2))
    assert landmark_jitter(shaken) == pytest.approx(0.7 * np.sqrt(2), rel=0.05)


def test_what_expressions_move_does_not_count():
    random = np.random.default_rng(0)
    speaking = np.repeat(300 * mean_mesh()[None], 50, axis=0)
    others = np.setdiff1d(np.arange(478), STABLE)
    speaking[:, others] += random.normal(0, 5, (50, len(others), 3))
    assert landmark_jitter(speaking) == pytest.approx(0, abs=1e-6)


def test_gaps_and_short_clips():
    random = np.random.default_rng(0)
    points = random.normal(0, 1, (8, 478, 3))
    assert np.isnan(landmark_jitter(points[:4]))
    assert np.isnan(landmark_jitter(points, [1, 2, 3, 4, 6, 7, 8, 9]))
