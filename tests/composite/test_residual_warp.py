"""Residual warping against itself written out slowly, against torch's sampling with the published arithmetic, and cases by hand."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from understudy.composite.motion import warp_by_motion
from understudy.composite.residual_warp import ResidualPyramid, level_sizes, residual_warp
from understudy.errors import InternalError, OptionError

# ---- the paper's definition in plain numpy, float64, whole pictures -----------------------------------------------


def slow_area(picture, size):
    """Every new pixel is the mean of what it covers, pixels at its edge by the share covered."""

    def weights(source, target):
        edges = np.arange(target + 1) * source / target
        low, high = edges[:-1, None], edges[1:, None]
        cells = np.arange(source)
        return np.clip(np.minimum(high, cells + 1) - np.maximum(low, cells), 0, None) * target / source

    return np.einsum("ij,jkc,lk->ilc", weights(picture.shape[0], size[0]), picture, weights(picture.shape[1], size[1]))


def slow_up(picture, size):
    def weights(source, target):
        found = np.zeros((target, source))
        for row in range(target):
            position = np.clip((row + 0.5) * source / target - 0.5, 0, source - 1)
            base = min(int(position), source - 2)
            found[row, base : base + 2] = 1 - (position - base), position - base
        return found

    return np.einsum("ij,jkc,lk->ilc", weights(picture.shape[0], size[0]), picture, weights(picture.shape[1], size[1]))


def slow_move(picture, motion):
    height, width = picture.shape[:2]
    moved = slow_up(motion, (height, width)) * (width, height)
    rows, columns = np.mgrid[:height, :width]
    x, y = np.clip(columns + moved[..., 0], 0, width - 1), np.clip(rows + moved[..., 1], 0, height - 1)
    x0, y0 = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    u, v = (x - x0)[..., None], (y - y0)[..., None]
    top = (1 - u) * picture[y0, x0] + u * picture[y0, x0 + 1]
    bottom = (1 - u) * picture[y0 + 1, x0] + u * picture[y0 + 1, x0 + 1]
    return (1 - v) * top + v * bottom


def slow_residual_warp(still, low, motion, sizes):
    still, low, motion = (value.astype(np.float64) for value in (still, low, motion))
    pictures = [still]
    for size in sizes[1:]:
        pictures.append(slow_area(pictures[-1], size))
    residuals = [fine - slow_up(coarse, fine.shape[:2]) for fine, coarse in pairwise(pictures)]
    out = low
    for residual in reversed(residuals):
        out = slow_up(out, residual.shape[:2]) + slow_move(residual, motion)
    return out


# --------------------------------------------------------------------------------------------------------------------


def smooth(height, width, channels, seed, *, scale=1.0, sigma=3.0):
    noise = np.random.default_rng(seed).standard_normal((height, width, channels)).astype(np.float32)
    field = cv2.GaussianBlur(noise, (0, 0), sigma).reshape(noise.shape)
    return scale * field / np.abs(field).max()


def material(height, width, size=32, channels=3, seed=0):
    """A still with edges and noise in [0, 1], a result of the network that differs from it, and a motion of up to 4%."""
    still = 0.5 + smooth(height, width, channels, seed, scale=0.4, sigma=max(height, width) / 20)
    still += 0.1 * np.random.default_rng(seed).random((height, width, channels), np.float32)
    low = cv2.resize(still[..., :3], (size, size), interpolation=cv2.INTER_AREA) + smooth(size, size, 3, 1, scale=0.2)
    return still, low, smooth(size, size, 2, 2, scale=0.04)


SIZES = [(64, 64), (128, 128), (96, 64), (75, 131), (32, 90), (33, 32), (255, 257), (32, 32)]


@pytest.mark.parametrize("method", ["multiscale", "vanilla"])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_is_the_papers_definition(shape, method):
    still, low, motion = material(*shape)
    slow = slow_residual_warp(still, low, motion, level_sizes(*shape, 32, method))
    np.testing.assert_allclose(residual_warp(still, low, motion, method=method), slow, atol=3e-5)


@pytest.mark.parametrize("method", ["multiscale", "vanilla"])
def test_is_the_published_arithmetic(method):
    """torch's ``grid_sample`` on (-1, 1) grids with aligned corners and repeated borders, residuals and flow enlarged as
    OpenCV does. The published flow is in shares of the distance between the outer pixels' centres, ours of the side: at
    every size it is converted, and taking it unconverted moves a pixel by less than a hundredth of its way."""
    size, side = 32, 256
    still, low, motion = material(side, side, size)

    def published(flow_of):
        def grid_sampled(picture):
            n = picture.shape[0]
            flow = torch.from_numpy(cv2.resize(flow_of(n), (n, n), interpolation=cv2.INTER_LINEAR))
            axis = torch.linspace(-1, 1, n)
            grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1) + 2 * flow
            planes = torch.from_numpy(picture).permute(2, 0, 1)[None]
            found = functional.grid_sample(planes, grid[None], padding_mode="border", align_corners=True)
            return found[0].permute(1, 2, 0).numpy()

        step = 2 if method == "multiscale" else side // size
        levels = [still]
        while levels[-1].shape[0] > size:
            n = levels[-1].shape[0] // step
            levels.append(levels[-1].reshape(n, step, n, step, 3).mean(axis=(1, 3)))
        out = low
        for fine, coarse in zip(levels[-2::-1], levels[:0:-1], strict=True):
            n = fine.shape[0]
            enlarged = cv2.resize(coarse, (n, n), interpolation=cv2.INTER_LINEAR)
            out = cv2.resize(out, (n, n), interpolation=cv2.INTER_LINEAR) + grid_sampled(fine - enlarged)
        return out

    ours = residual_warp(still, low, motion, method=method)
    np.testing.assert_allclose(ours, published(lambda n: motion * np.float32(n / (n - 1))), atol=2e-4)
    assert np.abs(ours - published(lambda n: motion * np.float32(size / (size - 1)))).mean() < 5e-3


@pytest.mark.parametrize("method", ["multiscale", "vanilla"])
@pytest.mark.parametrize("shape", [(64, 64, 3), (75, 131, 4), (33, 40, 6), (32, 32, 4)], ids=str)
def test_nothing_asked_for_keeps_every_bit(shape, method):
    """Also of values that no sum of residuals gives back, because the sum needs more digits than float32 has."""
    random = np.random.default_rng(3)
    still = (random.standard_normal(shape) * 10.0 ** random.integers(-6, 4, shape)).astype(np.float32)
    pyramid = ResidualPyramid(still, 32, method)
    kept = pyramid.apply(pyramid.low_still, np.zeros((32, 32, 2), np.float32))
    assert (kept.view(np.int32) == still.view(np.int32)).all()


def test_where_nothing_moves_every_bit_stays():
    """The lower half moves, the upper half does not."""
    still, _, motion = material(200, 200)
    motion[:17] = 0
    pyramid = ResidualPyramid(still, 32)
    low = pyramid.low_still.copy()
    low[20:] += 0.2
    out = pyramid.apply(low, motion)
    assert (out[:100] == still[:100]).all()
    assert not (out[120:] == still[120:]).any(axis=2).all()


@pytest.mark.parametrize("method", ["multiscale", "vanilla"])
def test_a_constant_shift(method):
    """Motion by one cell of the network: whatever is a whole number of cells away from the border is the still, shifted."""
    still, _, _ = material(128, 128)
    pyramid = ResidualPyramid(still, 32, method)
    motion = np.zeros((32, 32, 2), np.float32)
    motion[..., 0], motion[..., 1] = 1 / 32, -2 / 32
    low = warp_by_motion(pyramid.low_still, motion)
    out = pyramid.apply(low, motion)
    np.testing.assert_allclose(out[16:-8, 8:-16], still[8:-16, 12:-12], atol=1e-6)


def test_one_halving_is_vanilla():
    still, low, motion = material(64, 64)
    one, other = (residual_warp(still, low, motion, method=name) for name in ("multiscale", "vanilla"))
    assert (one == other).all()
    assert not (residual_warp(*material(128, 128)) == residual_warp(*material(128, 128), method="vanilla")).all()


def test_sizes_of_the_pyramid():
    assert level_sizes(1024, 1024, 128) == [(1024, 1024), (512, 512), (256, 256), (128, 128)]
    assert level_sizes(1023, 300, 128) == [(1023, 300), (511, 150), (255, 128), (128, 128)]
    assert level_sizes(1023, 300, 128, "vanilla") == [(1023, 300), (128, 128)]
    assert level_sizes(128, 128, 128) == [(128, 128)]
    assert level_sizes(129, 128, 128) == [(129, 128), (128, 128)]


def test_bands_leave_no_trace():
    still, low, motion = material(150, 90)
    whole = residual_warp(still, low, motion, band_rows=1000)
    for rows in (1, 7, 64):
        assert (residual_warp(still, low, motion, band_rows=rows) == whole).all()
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        assert (residual_warp(still, low, motion, band_rows=7) == whole).all()
    finally:
        cv2.setNumThreads(before)


def test_highlights_move_with_the_face():
    """A lamp of 12 in the still: the network sees 1, the result has the lamp, moved by four pixels."""
    still = np.full((128, 128, 3), 0.25, np.float32)
    still[40:72, 40:72] = 12
    pyramid = ResidualPyramid(still, 32)
    assert pyramid.low_still.max() == 1
    motion = np.zeros((32, 32, 2), np.float32)
    motion[..., 0] = -4 / 128
    out = pyramid.apply(warp_by_motion(pyramid.low_still, motion), motion)
    np.testing.assert_allclose(out[:, 16:-16], np.roll(still, 4, axis=1)[:, 16:-16], atol=1e-5)


def test_what_the_network_was_shown_can_be_given():
    """A network that was shown a darker picture, and returned just that, changes nothing."""
    still, low, motion = material(100, 120)
    shown = low * 0.7
    out = residual_warp(still, shown, np.zeros_like(motion), low_still=shown)
    assert (out == still).all()


@pytest.mark.parametrize("method", ["multiscale", "vanilla", "bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("side", [32, 80])
@pytest.mark.parametrize("channels", [4, 5, 7])
def test_further_channels_are_moved_and_nothing_else(side, channels, method):
    still, low, motion = material(side, side, channels=channels)
    out = residual_warp(still, low, motion, method=method)
    assert out.shape == still.shape
    np.testing.assert_allclose(out[..., 3:], slow_move(still[..., 3:], motion), atol=3e-5)
    alone = residual_warp(np.ascontiguousarray(still[..., :3]), low, motion, method=method)
    np.testing.assert_allclose(out[..., :3], alone, atol=1e-6)


@pytest.mark.parametrize("method", ["multiscale", "nearest"])
def test_alpha_keeps_its_range(method):
    still, low, motion = material(90, 90, channels=4)
    still[..., 3] = still[..., 3] > 0.5
    alpha = residual_warp(still, low, motion * 5, method=method)[..., 3]
    assert alpha.min() >= -1e-6 and alpha.max() <= 1 + 1e-6


def test_enlarging_alone():
    still, low, motion = material(96, 160)
    for method, flag in [("bilinear", cv2.INTER_LINEAR), ("bicubic", cv2.INTER_CUBIC)]:
        np.testing.assert_array_equal(
            residual_warp(still, low, motion, method=method), cv2.resize(low, (160, 96), interpolation=flag)
        )
    nearest = residual_warp(still, low, motion, method="nearest")
    np.testing.assert_array_equal(nearest, low.repeat(3, axis=0).repeat(5, axis=1))


def test_results_go_where_they_are_wanted():
    still, low, motion = material(80, 64)
    pyramid = ResidualPyramid(still, 32)
    expected = pyramid.apply(low, motion)
    plate = np.zeros((100, 100, 3), np.float32)
    window = plate[10:90, 20:84]
    assert pyramid.apply(low, motion, out=window) is window
    assert (window == expected).all() and not plate[:10].any() and not plate[:, 84:].any()
    # A window of a larger picture serves as the still, too.
    large = np.zeros((100, 100, 3), np.float32)
    large[10:90, 20:84] = still
    assert (residual_warp(large[10:90, 20:84], low, motion) == expected).all()
    # And the buffers kept from the frame before do not matter.
    pyramid.apply(low * 0.1, -motion)
    assert (pyramid.apply(low, motion) == expected).all()


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 5])
def test_moving_any_number_of_channels(channels):
    picture = smooth(70, 50, channels or 1, 4)
    motion = smooth(8, 8, 2, 5, scale=0.2)
    expected = slow_move(picture, motion)
    picture, expected = (picture[..., 0], expected[..., 0]) if channels is None else (picture, expected)
    moved = warp_by_motion(picture, motion)
    assert moved.shape == picture.shape
    np.testing.assert_allclose(moved, expected, atol=3e-5)
    assert (warp_by_motion(picture, np.zeros_like(motion)) == picture).all()


def test_slow_motion_has_no_steps():
    """Coordinates are not rounded: a hundredth of a pixel moves a ramp by a hundredth."""
    ramp = np.repeat(np.arange(64, dtype=np.float32)[None, :, None], 64, axis=0).repeat(3, axis=2)
    motion = np.zeros((8, 8, 2), np.float32)
    motion[..., 0] = 0.01 / 64
    np.testing.assert_allclose((warp_by_motion(ramp, motion) - ramp)[:, :-1], 0.01, atol=1e-4)


def test_memory_grows_with_the_picture_alone():
    """Residuals a third more than the still, differences a third, the result, and bands; measured from outside numpy."""
    code = (
        "import numpy as np, re\n"
        "from understudy.composite.residual_warp import ResidualPyramid\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024\n"
        "small = ResidualPyramid(np.zeros((130, 130, 3), np.float32), 128)\n"
        "small.apply(small.low_still, np.zeros((128, 128, 2), np.float32))\n"
        "still = np.ones((2048, 2048, 3), np.float32)\n"
        "before = peak()\n"
        "pyramid = ResidualPyramid(still, 128)\n"
        "out = np.empty_like(still)\n"
        "for _ in range(3): pyramid.apply(pyramid.low_still, np.full((128, 128, 2), 0.01, np.float32), out=out)\n"
        "print((peak() - before) / still.nbytes)"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("a process's peak memory is read from /proc, which only Linux has")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # 4/3 residuals + 1/3 differences + 1 result, and some for bands and the parts being taken away.
    assert float(found.stdout) < 3.3


def test_what_does_not_fit_is_a_sentence():
    still, low, motion = material(64, 64)
    with pytest.raises(OptionError, match="lanczos"):
        residual_warp(still, low, motion, method="lanczos")
    with pytest.raises(OptionError, match="at least 32 x 32"):
        residual_warp(still[:20], low, motion)
    with pytest.raises(OptionError, match="32766"):
        ResidualPyramid(np.zeros((32767, 1, 3), np.float32), 1)
    with pytest.raises(OptionError, match="band_rows"):
        residual_warp(still, low, motion, band_rows=0)
    with pytest.raises(InternalError, match="3 channels or more"):
        residual_warp(still[..., :2], low, motion)
    with pytest.raises(InternalError, match="share memory"):
        residual_warp(still, low, motion, out=still)
    with pytest.raises(InternalError, match="float64"):
        residual_warp(still, low, motion, out=np.zeros(still.shape))
    with pytest.raises(InternalError, match="motion field"):
        residual_warp(still, low, motion[..., 0])
    with pytest.raises(InternalError, match="low must be"):
        ResidualPyramid(still, 32).apply(low[:16], motion)
    with pytest.raises(InternalError, match="low_still"):
        residual_warp(still, low, motion, low_still=low[:16])
