"""Algorithm 1 against itself written out slowly, and against cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.composite.blend import blend_multiband, collapse, laplacian_pyramid, num_pyramid_levels, smooth_mask
from understudy.errors import OptionError

# ---- the algorithm, line by line, in plain numpy ----------------------------------------------------------------


def slow_reduce_line(line):
    padded = np.concatenate([line[2:0:-1], line, line[-2:-4:-1]]) if len(line) > 2 else None
    if padded is None:
        near = [line[0], line[-1]]
        pick = lambda i: near[abs(i) % 2] if len(line) == 2 else line[0]  # noqa: E731
        padded = np.stack([pick(i) for i in range(-2, len(line) + 2)])
    weights = np.array([1, 4, 6, 4, 1]) / 16
    smoothed = [sum(w * padded[i + k] for k, w in enumerate(weights)) for i in range(len(line))]
    return np.stack(smoothed[::2])


def slow_expand_line(line, length):
    n = len(line)
    at = lambda i: line[1 if i == -1 and n > 1 else min(max(i, 0), n - 1)]  # noqa: E731
    out = []
    for i in range(n):
        out.append((at(i - 1) + 6 * at(i) + at(i + 1)) / 8)
        out.append((at(i) + at(i + 1)) / 2)
    return np.stack(out[:length])


def along(function, picture, axis, *args):
    return np.moveaxis(function(np.moveaxis(picture, axis, 0), *args), 0, axis)


def slow_reduce(picture):
    return along(slow_reduce_line, along(slow_reduce_line, picture, 0), 1)


def slow_expand(picture, shape):
    return along(slow_expand_line, along(slow_expand_line, picture, 0, shape[0]), 1, shape[1])


def slow_inside(x, y, polygon):
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y) and x >= x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside


def slow_gaussian(mask, sigma, outside):
    if sigma == 0:
        return mask
    radius = math.ceil(4 * sigma)
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        pad = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(mask, pad, constant_values=outside)
        mask = sum(w * np.take(padded, np.arange(k, k + mask.shape[axis]), axis=axis) for k, w in enumerate(kernel))
    return mask


def slow_algorithm_1(S, T, L, sigma, from_target=2):
    n = math.ceil(math.log2(max(T.shape[:2])))

    def pyramid(picture):  # i = 1 is the coarsest
        bands = []
        for _ in range(n - 1):
            small = slow_reduce(picture)
            bands.insert(0, picture - slow_expand(small, picture.shape))
            picture = small
        return [picture, *bands]

    P_S, P_T = pyramid(S.astype(np.float64)), pyramid(T.astype(np.float64))
    P_O = [np.zeros_like(band) for band in P_T]
    for i in range(1, n + 1):
        k = i - 1
        height, width = P_T[k].shape[:2]
        level = (L - 0.5) / 2 ** (n - i) + 0.5
        background = np.array(
            [[0.0 if slow_inside(x + 0.5, y + 0.5, level) else 1.0 for x in range(width)] for y in range(height)]
        )
        background = slow_gaussian(background, sigma, outside=1.0)[..., None]
        face = 1 - background
        P_O[k] = P_O[k] + background * P_T[k]
        P_O[k] = P_O[k] + face * (P_T[k] if i <= from_target else P_S[k])
    out = P_O[0]
    for band in P_O[1:]:
        out = slow_expand(out, band.shape) + band
    return out


# ---------------------------------------------------------------------------------------------------------------


def oval(width, height, share=0.6, count=24):
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([width * (0.5 + share / 2 * np.cos(angle)), height * (0.52 + share / 2 * np.sin(angle))], axis=1)


def pictures(height, width, seed=0):
    return np.random.default_rng(seed).random((2, height, width, 3), np.float32)


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (33, 20), (3, 5), (2, 2)])
@pytest.mark.parametrize(("sigma", "from_target"), [(1.0, 2), (2.5, 0), (0.0, 3)])
def test_is_algorithm_1(size, sigma, from_target):
    source, target = pictures(*size)
    polygon = oval(size[1], size[0])
    fast = blend_multiband(source, target, polygon=polygon, sigma=sigma, levels_from_target=from_target)
    slow = slow_algorithm_1(source, target, polygon, sigma, from_target)
    np.testing.assert_allclose(fast, slow, atol=3e-6)


def test_levels_follow_the_paper():
    assert num_pyramid_levels((1024, 1024, 3)) == 10
    pyramid = laplacian_pyramid(np.zeros((1024, 1024, 3), np.float32))
    assert [band.shape[0] for band in pyramid] == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert [band.shape[:2] for band in laplacian_pyramid(np.zeros((20, 33), np.float32))] == [
        (1, 2), (2, 3), (3, 5), (5, 9), (10, 17), (20, 33),
    ]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 9))
def test_collapse_undoes_the_pyramid(height, width, seed):
    picture = np.random.default_rng(seed).normal(0, 3, (height, width, 3)).astype(np.float32)
    np.testing.assert_allclose(collapse(laplacian_pyramid(picture)), picture, atol=1e-5)


def test_same_source_and_target_keep_every_bit():
    target = pictures(61, 47)[1] * 5 - 2
    assert (blend_multiband(target.copy(), target, polygon=oval(47, 61)) == target).all()


def test_empty_mask_keeps_every_bit():
    source, target = pictures(50, 60)
    assert (blend_multiband(source, target, mask=np.zeros((50, 60), np.float32)) == target).all()
    outside = oval(60, 50) + 500
    assert (blend_multiband(source, target, polygon=outside) == target).all()


def test_full_mask_takes_all_levels_but_the_targets():
    source, target = pictures(64, 64)
    whole = np.ones((64, 64), np.float32)
    np.testing.assert_allclose(
        blend_multiband(source, target, mask=whole, sigma=0, levels_from_target=0), source, atol=1e-6
    )
    blended = laplacian_pyramid(blend_multiband(source, target, mask=whole, sigma=0, levels_from_target=0))
    np.testing.assert_allclose(blended[0], laplacian_pyramid(source)[0], atol=1e-5)
    expected = [*laplacian_pyramid(target)[:2], *laplacian_pyramid(source)[2:]]
    np.testing.assert_allclose(
        blend_multiband(source, target, mask=whole, sigma=0, levels_from_target=2), collapse(expected), atol=1e-6
    )


def test_all_levels_from_target_is_the_target():
    source, target = pictures(64, 64)
    assert (blend_multiband(source, target, polygon=oval(64, 64), levels_from_target=6) == target).all()


def test_a_constant_offset_stays_out():
    # An offset lives in the coarsest level alone, so the paper's two levels from the target take it away completely.
    target = pictures(64, 64)[1]
    np.testing.assert_allclose(blend_multiband(target + 0.25, target, polygon=oval(64, 64)), target, atol=1e-6)


def test_two_pixels_by_hand():
    # n = 1: one level, no smoothing; the left pixel lies inside.
    source = np.full((1, 2, 3), 0.8, np.float32)
    target = np.full((1, 2, 3), 0.2, np.float32)
    left = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    out = blend_multiband(source, target, polygon=left, sigma=0, levels_from_target=0)
    np.testing.assert_allclose(out[0, :, 0], [0.8, 0.2], atol=1e-7)
    # Smoothed: the kernel (deviation 1, cut at 4) has 0.39894 in its middle.
    out = blend_multiband(source, target, polygon=left, sigma=1, levels_from_target=0)
    middle, beside = 0.3989469, 0.2419828
    np.testing.assert_allclose(out[0, :, 0], [0.2 + 0.6 * middle**2, 0.2 + 0.6 * beside * middle], atol=1e-5)


def test_highlights_and_negatives_pass():
    source, target = pictures(64, 64)
    target = target * 20 - 4
    shifted = blend_multiband(source + target, target, polygon=oval(64, 64))
    np.testing.assert_allclose(
        shifted - target, blend_multiband(source, np.zeros_like(source), polygon=oval(64, 64)), atol=1e-5
    )


def test_mask_and_polygon_multiply():
    source, target = pictures(64, 64)
    both = blend_multiband(source, target, polygon=oval(64, 64), mask=np.ones((64, 64), np.float32))
    np.testing.assert_array_equal(both, blend_multiband(source, target, polygon=oval(64, 64)))


def test_area_edges_do_not_flicker():
    source, target = np.ones((64, 64, 3), np.float32), pictures(64, 64)[1]
    source = source * np.linspace(0, 1, 64, dtype=np.float32)[:, None]

    def jump(edges):
        blends = [
            blend_multiband(source, target, polygon=oval(64, 64) + step / 10, levels_from_target=0, edges=edges)
            for step in range(11)
        ]
        return max(np.abs(b - a).max() for a, b in zip(blends, blends[1:], strict=False))

    assert jump("area") < 0.5 * jump("hard")


def test_smoothing_the_face_is_smoothing_the_background():
    mask = (np.random.default_rng(1).random((20, 30)) > 0.5).astype(np.float32)
    np.testing.assert_allclose(smooth_mask(mask, 1.7), 1 - slow_gaussian(1 - mask, 1.7, outside=1.0), atol=1e-6)


def test_wrong_options_are_sentences():
    source, target = pictures(8, 8)
    with pytest.raises(OptionError, match="equal sizes"):
        blend_multiband(source[:4], target, polygon=oval(8, 8))
    with pytest.raises(OptionError, match="polygon or a mask"):
        blend_multiband(source, target)
    with pytest.raises(OptionError, match="sigma"):
        blend_multiband(source, target, polygon=oval(8, 8), sigma=-1)
    with pytest.raises(OptionError, match="sigma"):
        blend_multiband(source, target, polygon=oval(8, 8), sigma=float("nan"))
    with pytest.raises(OptionError, match="levels_from_target"):
        blend_multiband(source, target, polygon=oval(8, 8), levels_from_target=-1)
    with pytest.raises(OptionError, match="mask"):
        blend_multiband(source, target, mask=np.ones((4, 4), np.float32))
