"""The guided filter against its definition, window by window."""

from __future__ import annotations

import numpy as np

from understudy.faces.soft_edges import apply_edges, fit_edges


def by_definition(picture: np.ndarray, mask: np.ndarray, radius: int, softness: float) -> np.ndarray:
    """Equations 14 to 16 of He, Sun and Tang, each window solved on its own; only pixels far from the border are right."""
    height, width = mask.shape
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(radius, height - radius):
        for x in range(radius, width - radius):
            window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            colours, values = picture[window].reshape(-1, 3).astype(np.float64), mask[window].ravel().astype(np.float64)
            mean = colours.mean(0)
            covariance = (colours - mean).T @ (colours - mean) / len(colours) + softness * np.eye(3)
            together = (colours * values[:, None]).mean(0) - mean * values.mean()
            slopes[y, x] = np.linalg.solve(covariance, together)
            offsets[y, x] = values.mean() - slopes[y, x] @ mean
    result = np.zeros((height, width))
    for y in range(2 * radius, height - 2 * radius):
        for x in range(2 * radius, width - 2 * radius):
            window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            result[y, x] = slopes[window].reshape(-1, 3).mean(0) @ picture[y, x] + offsets[window].mean()
    return result


def test_against_the_definition():
    numbers = np.random.default_rng(0)
    picture = numbers.random((24, 26, 3)).astype(np.float32)
    masks = numbers.random((24, 26, 2)).astype(np.float32)
    factors = fit_edges(picture, masks, radius=2, softness=1e-2)
    inner = np.s_[4:-4, 4:-4]
    for place in range(2):
        found = (picture * factors[place, ..., :3]).sum(-1) + factors[place, ..., 3]
        expected = by_definition(picture, masks[..., place], 2, 1e-2)
        np.testing.assert_allclose(found[inner], expected[inner], atol=2e-4)


def test_a_blurred_mask_takes_the_pictures_edge_again():
    import cv2

    picture = np.zeros((60, 60, 3), np.float32) + 0.2
    picture[:, 30:] = (0.8, 0.5, 0.3)
    truth = np.zeros((60, 60), np.float32)
    truth[:, 30:] = 1
    blurred = cv2.GaussianBlur(truth, (0, 0), 3)
    factors = fit_edges(picture, blurred[..., None], radius=6, softness=1e-4)
    found = apply_edges(picture, factors[0])
    # Where the colour jumps, between columns 29 and 30, so does the mask.
    np.testing.assert_allclose(blurred[20, [29, 30]], [0.43, 0.57], atol=0.02)
    assert found[20, 29] < 0.22 and found[20, 30] > 0.78
    assert (np.diff(found[20, 26:34]).argmax() == 3) and abs(found[20, 33] - found[20, 30]) < 0.1


def test_shares_still_sum_to_one():
    numbers = np.random.default_rng(1)
    picture = numbers.random((30, 30, 3)).astype(np.float32)
    shares = numbers.random((30, 30, 4)).astype(np.float32)
    shares /= shares.sum(-1, keepdims=True)
    total = fit_edges(picture, shares, radius=3).sum(0)
    np.testing.assert_allclose(total[..., :3], 0, atol=2e-3)
    np.testing.assert_allclose((picture * total[..., :3]).sum(-1) + total[..., 3], 1, atol=1e-3)
