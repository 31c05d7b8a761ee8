"""Flow-warping error and RMSE: the published rule written out pixel by pixel, and cases by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.errors import InternalError
from understudy.metrics.flow_warp import (
    clip_flow_warping_error,
    flow_warping_error,
    mean_flow_warp,
    optical_flow,
    visible,
)
from understudy.metrics.rmse import rmse


def textured(height=96, width=128, seed=0):
    noise = np.random.default_rng(seed).standard_normal((height, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(0.5 + 0.25 * blurred / blurred.std(), 0, 1)


def constant(shape, x, y):
    return np.broadcast_to(np.float32((x, y)), (*shape[:2], 2)).copy()


def slow_at(values, x, y):
    height, width = values.shape[:2]
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    x0, y0 = min(int(x), width - 2), min(int(y), height - 2)
    u, v = x - x0, y - y0
    return (1 - v) * ((1 - u) * values[y0, x0] + u * values[y0, x0 + 1]) + v * (
        (1 - u) * values[y0 + 1, x0] + u * values[y0 + 1, x0 + 1]
    )


def slow_rule(now, then, forward, backward):
    height, width = now.shape[:2]
    seen, total = np.zeros((height, width), bool), 0.0
    for y in range(height):
        for x in range(width):
            f = forward[y, x].astype(np.float64)
            b = slow_at(backward.astype(np.float64), x + f[0], y + f[1])
            hidden = ((f + b) ** 2).sum() > 0.01 * ((f**2).sum() + (b**2).sum()) + 0.5
            along_x = forward[y, x + 1] - f if x + 1 < width else np.zeros(2)
            along_y = forward[y + 1, x] - f if y + 1 < height else np.zeros(2)
            border = (along_x**2).sum() + (along_y**2).sum() > 0.01 * (f**2).sum() + 0.002
            if not hidden and not border:
                seen[y, x] = True
                total += ((slow_at(then.astype(np.float64), x + f[0], y + f[1]) - now[y, x]) ** 2).mean()
    return total / seen.sum(), seen


def test_is_the_published_rule():
    random = np.random.default_rng(1)
    now, then = textured(24, 20), textured(24, 20, seed=1)
    forward, change = (
        cv2.GaussianBlur(random.standard_normal((24, 20, 2)).astype(np.float32), (0, 0), 5) for _ in range(2)
    )
    forward = 2 + 12 * forward
    backward = 8 * change - forward
    error, seen = slow_rule(now, then, forward, backward)
    assert 0.1 < seen.mean() < 0.9
    assert (visible(forward, backward) == seen).all()
    found = flow_warping_error(now, then, flows=(forward, backward))
    assert found.error == pytest.approx(error, rel=1e-4)
    assert found.visible == pytest.approx(seen.mean())


def test_known_motion_is_no_error_and_brightness_is():
    """Seven pixels to the left: along the true flow nothing is left but what comes in at the border; 0.1 brighter is 0.01."""
    wide = textured(96, 140)
    now, then = wide[:, :128], wide[:, 7:135]
    flows = constant(now.shape, -7, 0), constant(now.shape, 7, 0)
    inside = np.zeros(now.shape[:2], np.float32)
    inside[:, 7:] = 1
    assert flow_warping_error(now, then, flows=flows, mask=inside).error == pytest.approx(0, abs=1e-12)
    found = flow_warping_error(now, then + 0.1, flows=flows, mask=inside)
    assert found.error == pytest.approx(0.01, rel=1e-4)
    assert found.visible == 1


def test_the_flow_is_found():
    wide = textured(96, 140)
    flow = optical_flow(wide[:, :128], wide[:, 7:135])
    assert np.abs(flow[16:-16, 16:-16] - (-7, 0)).mean() < 0.25
    assert (optical_flow(wide, wide) == 0).all()


def test_motion_costs_less_than_flicker():
    """What a viewer takes for flicker costs more than a smooth shift of the whole picture; the substitute is named."""
    wide = textured(96, 140)
    moving = clip_flow_warping_error(wide[:, k : 128 + k] for k in range(4))
    still = wide[:, :128]
    flickering = clip_flow_warping_error(np.clip(still + 0.1 * (k % 2), 0, 1) for k in range(4))
    assert moving.error < 0.3 * flickering.error
    assert clip_flow_warping_error([still, still]).error == 0
    assert "DIS" in moving.flow and "FlowNet2" in moving.flow


def test_what_is_uncovered_does_not_count():
    """A square slides over a ground that stands still; what it uncovers has nothing to be compared with."""
    ground, square = textured(), textured(seed=5)[:40, :40]
    frames = []
    for k in (0, 6):
        frame = ground.copy()
        frame[30:70, 40 + k : 80 + k] = square
        frames.append(frame)
    forward = constant(ground.shape, 0, 0)
    backward = forward.copy()
    forward[30:70, 40:80] = (6, 0)
    backward[30:70, 46:86] = (-6, 0)
    found = flow_warping_error(*frames, flows=(forward, backward))
    assert found.error == pytest.approx(0, abs=1e-12)
    assert 0.9 < found.visible < 1
    assert not visible(forward, backward)[40:60, 80:86].any()  # about to be covered


def test_nothing_to_see_is_no_number():
    picture = textured(32, 32)
    none = flow_warping_error(picture, picture, flows=(constant(picture.shape, 9, 0), constant(picture.shape, 9, 0)))
    assert np.isnan(none.error) and none.visible == 0
    some = flow_warping_error(picture, picture + 0.1, flows=(constant(picture.shape, 0, 0),) * 2)
    assert mean_flow_warp([none, some]).error == pytest.approx(0.01, rel=1e-4)
    assert mean_flow_warp([none, some]).visible == pytest.approx(0.5)
    assert np.isnan(mean_flow_warp([none]).error)


def test_masks_belong_to_the_frames():
    picture = textured(32, 32)
    other = picture.copy()
    other[:16] += 0.2
    lower = np.zeros((32, 32), np.float32)
    lower[20:] = 1
    assert clip_flow_warping_error([picture, picture, picture], masks=[lower] * 3).error == 0
    still = (constant(picture.shape, 0, 0),) * 2
    assert flow_warping_error(picture, other, mask=lower, flows=still).error == 0
    assert flow_warping_error(picture, other, flows=still).error == pytest.approx(0.02, rel=1e-3)


def test_what_does_not_fit_is_our_bug():
    picture = textured(32, 32)
    with pytest.raises(InternalError, match="two frames"):
        clip_flow_warping_error([picture])
    with pytest.raises(InternalError, match="16 x 16"):
        flow_warping_error(picture[:10], picture[:10])
    with pytest.raises(InternalError, match="compared"):
        flow_warping_error(picture, picture[:20])
    with pytest.raises(InternalError, match="does not fit"):
        flow_warping_error(picture, picture, flows=(np.zeros((8, 8, 2), np.float32),) * 2)


def test_rmse_by_hand():
    """A quarter of the pixels off by 0.2 in one channel of three; under a mask, half of them."""
    truth = np.zeros((4, 4, 3))
    picture = truth.copy()
    picture[0, :, 1] = 0.2
    assert rmse(picture, truth) == pytest.approx(np.sqrt(0.04 / 3 / 4))
    mask = np.zeros((4, 4))
    mask[:2] = 1
    assert rmse(picture, truth, mask=mask) == pytest.approx(np.sqrt(0.04 / 3 / 2))
    assert rmse(truth, truth) == 0
