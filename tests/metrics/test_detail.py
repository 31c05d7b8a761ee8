"""Fine detail against waves whose loss under a Gaussian is known."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import InternalError
from understudy.metrics.detail import detail


def wave(height: float, pixels: float) -> np.ndarray:
    """A wave across the picture: ``height`` to either side of gray, ``pixels`` long."""
    line = 0.5 + height * np.sin(2 * np.pi * np.arange(96) / pixels)
    return np.repeat(np.repeat(line[None, :, None], 96, 0), 3, 2)


def inside() -> np.ndarray:
    mask = np.zeros((96, 96))
    mask[16:-16, 16:-16] = 1
    return mask


def test_half_the_amplitude_is_half_the_detail():
    assert detail(wave(0.1, 4), wave(0.2, 4), mask=inside()) == pytest.approx(0.5, rel=1e-6)
    assert detail(wave(0.2, 4), wave(0.2, 4)) == pytest.approx(1)


def test_long_waves_are_hardly_detail():
    # A Gaussian of one pixel leaves exp(-(2 pi / length)^2 / 2) of a wave; what it takes away is the detail.
    taken = {length: 1 - np.exp(-((2 * np.pi / length) ** 2) / 2) for length in (4, 16)}
    assert detail(wave(0.2, 16), wave(0.2, 4), mask=inside()) == pytest.approx(taken[16] / taken[4], rel=0.02)


def test_without_a_reference_there_is_no_share():
    assert np.isnan(detail(wave(0.1, 4), np.full((96, 96, 3), 0.5)))
    with pytest.raises(InternalError):
        detail(wave(0.1, 4), np.zeros((8, 8, 3)))
