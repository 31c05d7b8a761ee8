"""SSIM, PSNR and the out-of-matte count, each against an independent implementation or a value worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from understudy.errors import InternalError
from understudy.metrics.out_of_matte import out_of_matte
from understudy.metrics.psnr import psnr
from understudy.metrics.ssim import ssim, ssim_map


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[0:64, 0:48]
    truth = np.stack([0.5 + 0.4 * np.sin(rows / (3 + k)) * np.cos(columns / 5) for k in range(3)], axis=2)
    return np.clip(truth + random.normal(0, 0.08, truth.shape), 0, 1).astype(np.float32), truth.astype(np.float32)


def test_ssim_is_scikit_images(pair):
    picture, truth = pair
    independent = structural_similarity(
        picture.astype(np.float64),
        truth.astype(np.float64),
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(picture, truth) == pytest.approx(independent, abs=1e-12)


def test_ssim_map_is_scikit_images_inside_and_one_where_equal(pair):
    picture, truth = pair
    _, independent = structural_similarity(
        picture.astype(np.float64),
        truth.astype(np.float64),
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    np.testing.assert_allclose(ssim_map(picture, truth), independent, atol=1e-12)
    np.testing.assert_allclose(ssim_map(truth, truth), 1.0, atol=1e-12)


def test_ssim_of_two_flat_pictures_by_hand():
    """Without variance, equation 13 leaves (2ab + C1) / (a² + b² + C1)."""
    a, b = np.full((16, 16, 3), 0.25), np.full((16, 16, 3), 0.75)
    assert ssim(a, b) == pytest.approx((2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4), abs=1e-12)


def test_masked_ssim_is_the_mean_of_the_map_under_the_mask(pair):
    picture, truth = pair
    mask = np.zeros(truth.shape[:2], np.float32)
    mask[20:30, 10:25], mask[30:40, 10:25] = 1.0, 0.5
    values = ssim_map(picture, truth).mean(axis=2)
    assert ssim(picture, truth, mask=mask) == pytest.approx(np.average(values, weights=mask), abs=1e-12)


def test_what_lies_outside_the_mask_and_its_windows_does_not_count(pair):
    picture, truth = pair
    mask = np.zeros(truth.shape[:2], np.float32)
    mask[25:35, 20:30] = 1
    spoilt = picture.copy()
    spoilt[:15] = 0
    assert ssim(spoilt, truth, mask=mask) == ssim(picture, truth, mask=mask)
    assert psnr(spoilt, truth, mask=mask) == psnr(picture, truth, mask=mask)


def test_psnr_is_scikit_images(pair):
    picture, truth = pair
    independent = peak_signal_noise_ratio(truth.astype(np.float64), picture.astype(np.float64), data_range=1.0)
    assert psnr(picture, truth) == pytest.approx(independent, abs=1e-9)


def test_masked_psnr_by_hand():
    """One of four masked pixels is off by 0.2 in one of three channels: MSE = 0.04 / 12."""
    truth = np.zeros((4, 4, 3))
    picture = truth.copy()
    picture[0, 0, 1] = 0.2
    picture[3, 3] = 1.0  # outside the mask
    mask = np.zeros((4, 4))
    mask[0] = 1
    assert psnr(picture, truth, mask=mask) == pytest.approx(10 * math.log10(12 / 0.04), abs=1e-9)
    assert psnr(truth, truth) == math.inf


@pytest.mark.parametrize("measure", [ssim, psnr])
def test_pictures_that_cannot_be_compared_are_our_bug(measure):
    good = np.zeros((16, 16, 3), np.float32)
    for bad in (np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.float32), np.zeros((12, 16, 3), np.float32)):
        with pytest.raises(InternalError):
            measure(good, bad)
    with pytest.raises(InternalError, match="mask"):
        measure(good, good, mask=np.zeros((16, 16)))
    with pytest.raises(InternalError, match="mask"):
        measure(good, good, mask=np.ones((8, 8)))


def test_a_picture_smaller_than_the_window_has_no_ssim():
    with pytest.raises(InternalError, match="11"):
        ssim(np.zeros((8, 8, 3)), np.zeros((8, 8, 3)))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float16, np.float32])
def test_out_of_matte_counts_pixels_and_the_largest_change(kind):
    plate = np.full((6, 8, 3), 7, kind)
    picture, matte = plate.copy(), np.zeros((6, 8), np.float32)
    matte[:2] = 0.01
    picture[0, 0] = 9  # inside: allowed
    assert out_of_matte(picture, plate, matte).pixels == 0
    picture[4, 3, 1], picture[5, 5] = 3, 8
    found = out_of_matte(picture, plate, matte)
    assert (found.pixels, found.largest) == (2, 4.0)
    assert found.share == pytest.approx(2 / 32)


def test_nan_that_stays_nan_has_not_changed():
    plate = np.zeros((2, 2, 3), np.float32)
    plate[0, 0] = np.nan
    matte = np.zeros((2, 2))
    assert out_of_matte(plate.copy(), plate, matte).pixels == 0
    picture = plate.copy()
    picture[1, 1] = np.nan
    assert out_of_matte(picture, plate, matte).pixels == 1
    with pytest.raises(InternalError):
        out_of_matte(plate[:1], plate, matte)
