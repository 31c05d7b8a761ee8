from __future__ import annotations

import math

import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.faces.landmarks import roi_from_landmarks
from understudy.faces.measure import measure_faces
from understudy.faces.stabilise import apply_changes, jitter, perturbed_regions, stabilise_all, stabilise_landmarks


def test_perturbations_come_in_opposite_pairs():
    changes = perturbed_regions(9, shift=0.05, scale=0.02, seed=3)
    assert changes.shape == (9, 3)
    np.testing.assert_array_equal(changes[0], 0)
    np.testing.assert_allclose(changes.sum(axis=0), 0, atol=1e-12)
    assert np.abs(changes[:, :2]).max() <= 0.05 and np.abs(changes[:, 2]).max() <= 0.02
    np.testing.assert_array_equal(changes, perturbed_regions(9, shift=0.05, scale=0.02, seed=3))
    assert perturbed_regions(4, shift=0.05, scale=0.02, seed=0).shape == (4, 3)
    moved = apply_changes(np.array([10.0, 20.0, 100.0, 0.1]), np.array([[0.01, -0.02, 0.5]]))
    np.testing.assert_allclose(moved, [[11, 18, 150, 0.1]])


@pytest.mark.parametrize("wrong", [{"perturbations": 0}, {"shift": 0.5}, {"scale": -0.1}])
def test_options_are_checked(wrong):
    options = {"perturbations": 9, "shift": 0.05, "scale": 0.02, **wrong}
    with pytest.raises(OptionError, match="perturbations=0|shift=0.5|scale=-0.1"):
        perturbed_regions(options["perturbations"], shift=options["shift"], scale=options["scale"], seed=0)


def test_the_mean_is_steadier_than_one_measurement(detector, model, pictures):
    """The same picture, its region found a little differently each time: what is left of that is shake."""
    picture = pictures["frontal.jpg"]
    (face,) = measure_faces(picture, detector, model)
    random = np.random.default_rng(0)
    single, steady = [], []
    for _ in range(8):
        moved = face.landmarks + np.append(random.normal(0, 3, 2), 0).astype(np.float32)
        measured = stabilise_all(picture, [moved], model, perturbations=9)[0]
        single.append(measured[0])
        steady.append(measured.mean(axis=0))
    assert np.std(steady, axis=0).mean() < 0.6 * np.std(single, axis=0).mean()
    again = stabilise_landmarks(picture, moved, model)
    np.testing.assert_array_equal(again, steady[-1])
    assert np.array_equal(model.landmarks(picture, roi_from_landmarks(moved)[None])[0][0], single[-1])


def test_jitter_reads_the_shake_and_not_the_motion():
    random = np.random.default_rng(0)
    time = np.arange(4000.0)
    motion = np.stack([3 * time, 0.001 * time**2], axis=-1)[:, None] + np.zeros((1, 5, 1))
    assert jitter(motion) == pytest.approx(0, abs=1e-6)
    # 0.3 pixels in each of two directions.
    shake = random.normal(0, 0.3, motion.shape)
    assert jitter(motion + shake) == pytest.approx(0.3 * math.sqrt(2), rel=0.03)
    wave = np.stack([20 * np.sin(time / 10), np.zeros_like(time)], axis=-1)[:, None]
    assert jitter(wave) < 0.001 * 20


def test_jitter_counts_unbroken_runs_only():
    time = np.arange(20)
    points = np.zeros((20, 1, 2))
    points[10:] = 100
    numbers = np.where(time < 10, time, time + 50).tolist()
    assert jitter(points) > 10
    assert jitter(points, numbers=numbers) == 0
    assert math.isnan(jitter(points[:4]))
    assert math.isnan(jitter(points[:6], numbers=[1, 2, 3, 7, 8, 9]))
