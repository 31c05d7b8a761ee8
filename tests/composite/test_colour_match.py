"""Colour matching reaches the target's statistics, under the mask only."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.composite.colour_match import COLOUR_MATCHES, apply_colours, fit_colours
from understudy.errors import OptionError


@pytest.fixture
def faces():
    rng = np.random.default_rng(0)
    source = (rng.random((48, 48, 3)) * [0.3, 0.2, 0.25] + [0.2, 0.35, 0.3]).astype(np.float32)
    mix = np.array([[0.5, 0.2, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.5]])
    target = (rng.random((48, 48, 3)) @ mix.T * 0.5 + 0.25).astype(np.float32)
    mask = np.zeros((48, 48), np.float32)
    mask[8:40, 10:38] = 1
    return source, target, mask


def inside(picture, mask):
    return picture[mask > 0].astype(np.float64)


def test_none_changes_nothing(faces):
    source, target, mask = faces
    assert apply_colours(source, fit_colours(source, target, mask, method="none")) is source


def test_mean_std_matches_lab_moments(faces):
    source, target, mask = faces
    matched = apply_colours(source, fit_colours(source, target, mask, method="mean_std"))
    ours, theirs = (inside(cv2.cvtColor(p, cv2.COLOR_RGB2Lab), mask) for p in (matched, target))
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.05)


def test_mkl_matches_mean_and_covariance(faces):
    source, target, mask = faces
    matched = apply_colours(source, fit_colours(source, target, mask, method="mkl"))
    np.testing.assert_allclose(inside(matched, mask).mean(axis=0), inside(target, mask).mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(np.cov(inside(matched, mask).T), np.cov(inside(target, mask).T), atol=3e-4)


def test_mkl_by_hand():
    # Uncorrelated channels: the map is diagonal, the ratio of the deviations (each with its floor of 0.01).
    rng = np.random.default_rng(1)
    base = np.linalg.qr(rng.standard_normal((400, 3)) - 0)[0].reshape(20, 20, 3)
    base = (base - base.mean(axis=(0, 1))) * 2
    source = (0.5 + base / 2).astype(np.float32)
    target = (0.4 + base / 2 * [2.0, 1.0, 0.5]).astype(np.float32)
    parameters = fit_colours(source, target, np.ones((20, 20), np.float32), method="mkl").parameters
    variance = source.var()
    expected = np.sqrt((variance * np.array([4.0, 1.0, 0.25]) + 1e-4) / (variance + 1e-4))
    np.testing.assert_allclose(parameters[:, :3], np.diag(expected), atol=1e-2)


def test_histogram_matches_the_distribution(faces):
    source, target, mask = faces
    matched = apply_colours(source, fit_colours(source, target, mask, method="histogram"))
    for c in range(3):
        ours, theirs = (np.quantile(inside(p, mask)[:, c], np.linspace(0.05, 0.95, 19)) for p in (matched, target))
        np.testing.assert_allclose(ours, theirs, atol=0.01)


@pytest.mark.parametrize("method", COLOUR_MATCHES)
def test_nothing_to_do_and_nothing_to_see(faces, method):
    source, target, mask = faces
    same = apply_colours(source, fit_colours(source, source, mask, method=method))
    np.testing.assert_allclose(same, source, atol=6e-3)
    unmatched = apply_colours(source, fit_colours(source, target, np.zeros_like(mask), method=method))
    np.testing.assert_allclose(unmatched, source, atol=6e-3)
    flat = np.full_like(source, 0.5)
    assert np.isfinite(apply_colours(flat, fit_colours(flat, target, mask, method=method))).all()


@pytest.mark.parametrize("method", COLOUR_MATCHES[1:])
def test_outside_the_mask_does_not_count(faces, method):
    source, target, mask = faces
    other = target.copy()
    other[mask == 0] = 1.0
    np.testing.assert_array_equal(
        fit_colours(source, target, mask, method=method).parameters,
        fit_colours(source, other, mask, method=method).parameters,
    )


def test_unknown_method(faces):
    with pytest.raises(OptionError, match="mean_std, mkl, histogram"):
        fit_colours(*faces, method="magic")
