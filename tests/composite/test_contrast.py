"""The Global Contrast Factor worked by hand, and gains that are kept within limits."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.composite.contrast import contrast_gain, global_contrast_factor, masked_deviation
from understudy.errors import OptionError


def weight(i):
    return (-0.406385 * i / 9 + 0.334573) * i / 9 + 0.0877526


def test_two_by_two_by_hand():
    # Perceptual luminances 100 * k^1.1: 0 and 100. Each pixel's neighbours: one equal, one 100 away, so C_1 = 50.
    # At superpixel size 2 nothing is left to compare, so only the first term stands.
    picture = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert global_contrast_factor(picture) == pytest.approx(weight(1) * 50)


def test_four_by_four_by_hand():
    # Left half black, right half white. Size 1: of four columns the two middle ones see one other side: rows at the
    # top and bottom have three neighbours, those between have four. Size 2: a 2x2 picture as above, C_2 = 50. Size 4:
    # one pixel.
    picture = np.repeat([[0.0, 0.0, 1.0, 1.0]], 4, axis=0)
    middle = (100 / 3 * 2 + 100 / 4 * 2) / 4
    assert global_contrast_factor(picture) == pytest.approx(weight(1) * middle / 2 + weight(2) * 50)


def test_superpixels_average_light_not_code_values():
    # Black and white in equal parts: mean light 0.5, perceptual 100 * sqrt(0.5); beside a black half.
    picture = np.zeros((2, 4))
    picture[:, 0] = 1.0
    fine = np.array([100 / 2, (100 + 0 + 0) / 3, 0, 0])
    expected = weight(1) * fine.mean() + weight(2) * 100 * np.sqrt(0.5)
    assert global_contrast_factor(picture) == pytest.approx(expected)


def test_weights_are_the_published_ones():
    assert weight(1) == pytest.approx(0.119910, abs=1e-6)
    assert weight(9) == pytest.approx(0.0159406, abs=1e-6)


def test_mask_hides_what_lies_outside():
    rng = np.random.default_rng(0)
    picture = rng.random((64, 64, 3)).astype(np.float32)
    mask = np.zeros((64, 64), np.float32)
    mask[16:48, 16:48] = 1
    changed = picture.copy()
    changed[mask == 0] = rng.random((int((mask == 0).sum()), 3))
    assert global_contrast_factor(picture, mask) == pytest.approx(global_contrast_factor(changed, mask))
    assert global_contrast_factor(picture, mask) != global_contrast_factor(picture)
    assert global_contrast_factor(picture, np.zeros((64, 64))) == 0.0
    assert masked_deviation(picture, mask) == pytest.approx(masked_deviation(changed, mask))


def test_gains():
    rng = np.random.default_rng(0)
    target = (0.5 + 0.2 * rng.standard_normal((64, 64, 3))).clip(0, 1).astype(np.float32)
    flat = (0.5 + (target - 0.5) / 1.25).astype(np.float32)
    mask = np.ones((64, 64), np.float32)
    assert contrast_gain(flat, target, mask, measure="deviation") == pytest.approx(1.25, rel=1e-3)
    assert contrast_gain(flat, target, mask, measure="gcf") == pytest.approx(1.25, rel=0.06)
    assert contrast_gain(flat, target, mask, measure="none") == 1.0
    assert contrast_gain(flat * 0.1, target, mask, measure="gcf", limits=(0.7, 1.4)) == pytest.approx(1.4)
    assert contrast_gain(target, flat * 0.1, mask, measure="gcf", limits=(0.7, 1.4)) == pytest.approx(0.7)
    assert contrast_gain(np.full_like(flat, 0.5), target, mask) == 1.0
    with pytest.raises(OptionError, match="gcf, deviation"):
        contrast_gain(flat, target, mask, measure="loud")
