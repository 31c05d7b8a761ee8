from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.faces.align import CropTransform
from understudy.faces.stabilise import jitter
from understudy.faces.steady import smooth_alignment, smooth_transforms

FRAMES = np.arange(240.0)


def track(move: np.ndarray, shake: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """A crop of 300 pixels whose centre makes ``move`` in x, as it is and as it is measured."""
    true = np.tile([500.0, 400.0, 300.0, 0.1], (len(FRAMES), 1))
    true[:, 0] += move
    shakes = np.random.default_rng(0).normal(0, 1, true.shape) * (shake, shake, shake, shake / 150)
    return true, true + shakes


def error(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(((found - true)[:, :2] ** 2).mean()))


@pytest.mark.parametrize("move", [0 * FRAMES, 5 * FRAMES, 60 * np.sin(FRAMES / 15)], ids=["rest", "pan", "nod"])
def test_smooth_motion_loses_its_shake(move):
    true, measured = track(move)
    smooth = smooth_alignment(FRAMES, measured)
    assert error(smooth, true) < 0.5 * error(measured, true)
    assert jitter(smooth[:, None, :2]) < 0.1 * jitter(measured[:, None, :2])


@pytest.mark.parametrize(
    "move",
    [
        60 * np.sin(FRAMES / 4),
        40.0 * (FRAMES >= 120),
        15.0 * np.clip(FRAMES - 120, 0, 6),
        20.0 * (np.abs(FRAMES - 120) < 2),
    ],
    ids=["shaking the head", "jump", "dash", "twitch"],
)
def test_fast_motion_is_followed_without_lag(move):
    true, measured = track(move)
    smooth = smooth_alignment(FRAMES, measured)
    assert error(smooth, true) < error(measured, true)
    assert np.abs(smooth - true)[:, 0].max() < 2.0
    lags = [np.abs(np.roll(smooth[:, 0], -lag) - true[:, 0])[10:-10].mean() for lag in (-2, -1, 0, 1, 2)]
    assert np.argmin(lags) == 2


def test_time_may_run_either_way():
    true, measured = track(15.0 * np.clip(FRAMES - 120, 0, 6))
    forwards = smooth_alignment(FRAMES, measured)
    backwards = smooth_alignment(FRAMES, measured[::-1])[::-1]
    np.testing.assert_allclose(backwards, forwards, atol=1e-6)


def test_angles_know_no_turn_of_a_whole_circle():
    _, measured = track(0 * FRAMES)
    measured[:, 3] = np.pi + np.random.default_rng(1).normal(0, 0.004, len(FRAMES))
    wrapped = measured.copy()
    wrapped[:, 3] = (wrapped[:, 3] + np.pi) % (2 * np.pi) - np.pi
    smooth = smooth_alignment(FRAMES, wrapped)
    difference = np.angle(np.exp(1j * (smooth[:, 3] - np.pi)))
    assert np.abs(difference).max() < 0.005
    np.testing.assert_allclose(smooth[:, 2], 300, atol=2)


def test_gaps_short_tracks_and_no_smoothing():
    true, measured = track(0 * FRAMES)
    some = np.r_[0:50, 120:200, 239]
    assert error(smooth_alignment(FRAMES[some] / 25, measured[some]), true[some]) < 0.3
    for length in (1, 2, 3, 6):
        smooth = smooth_alignment(FRAMES[:length], measured[:length])
        assert smooth.shape == (length, 4) and np.abs(smooth - true[:length])[:, :2].max() < 2
    np.testing.assert_array_equal(smooth_alignment(FRAMES, measured, strength=0), measured)
    assert smooth_transforms([], []) == []


def test_transforms_stay_similarities():
    _, measured = track(5 * FRAMES)
    crops = [CropTransform.from_params(*row) for row in measured]
    smooth = smooth_transforms(FRAMES, crops)
    assert len(smooth) == len(crops)
    linear = smooth[5].matrix[:, :2]
    np.testing.assert_allclose(linear @ linear.T, np.eye(2) / smooth[5].side ** 2, atol=1e-12)


def test_wrong_times_are_refused():
    with pytest.raises(OptionError, match="rising times"):
        smooth_alignment([0, 1, 1], np.ones((3, 4)))
    with pytest.raises(OptionError, match="strength=-1"):
        smooth_alignment([0, 1, 2], np.ones((3, 4)), strength=-1)
