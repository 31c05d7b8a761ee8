"""A generated face in a frame: what stays, what changes, and that nothing shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from understudy.composite.colour_match import ColourMap
from understudy.composite.face import composite_face, composite_patch, fit_face_grade
from understudy.composite.grade import Grade
from understudy.composite.matte import outer_matte
from understudy.composite.options import CompositeOptions
from understudy.composite.steady import steady_grade
from understudy.errors import OptionError
from understudy.faces.align import CropTransform

PLAIN = CompositeOptions(contrast="none", colour_match="none")


def smooth_picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(7 * x + 5 * y * k + rng.random() * 6) for k in (1, 2, 3)]
    return (0.5 + 0.2 * np.stack(waves, axis=-1)).astype(np.float32)


def oval_mesh(centre, radius, angle=0.0):
    """478 points within an oval whose rim is the outline."""
    turn = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    points = np.stack([0.8 * np.cos(turn), np.sin(turn)], axis=1) * radius
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]]) + centre


@pytest.fixture
def shot():
    plate = smooth_picture(200, 240)
    transform = CropTransform.from_params(118.3, 96.7, 150.0, 0.15)
    landmarks = oval_mesh((118.3, 100), 50, 0.15)
    crop = np.clip(transform.to_crop(smooth_picture(200, 240, seed=5), 128), 0, 1)
    return plate, crop, transform, landmarks


def test_only_the_matte_changes(shot):
    plate, crop, transform, landmarks = shot
    view, matte = composite_face(plate, crop, None, transform, landmarks)
    assert view.dtype == matte.dtype == np.float32
    assert matte.min() >= 0 and matte.max() == 1
    np.testing.assert_array_equal(view[matte == 0], plate[matte == 0])
    changed = np.abs(view - plate).max(axis=-1)
    assert changed[matte == 1].mean() > 0.02
    assert 0.1 < (matte > 0).mean() < 0.35
    # No step where the matte ends.
    rim = (matte > 0) & (matte < 0.02)
    assert changed[rim].max() < 0.01


def test_the_plate_is_not_written_to(shot):
    plate, crop, transform, landmarks = shot
    before = plate.copy()
    composite_face(plate, crop, None, transform, landmarks)
    np.testing.assert_array_equal(plate, before)


def test_the_plates_own_crop_gives_the_plate(shot):
    plate, _, transform, landmarks = shot
    own = np.clip(transform.to_crop(plate, 256), 0, 1)
    view, _ = composite_face(plate, own, None, transform, landmarks, PLAIN)
    assert np.abs(view - plate).max() < 2e-3  # what the crop's sampling loses of a smooth picture
    kept = dataclasses.replace(PLAIN, plate_detail=1.0)
    view, _ = composite_face(plate, own, None, transform, landmarks, kept)
    assert np.abs(view - plate).max() < 1e-5


def test_the_plate_stays_sharp_outside_and_the_other_face_goes_inside(shot):
    _, crop, transform, landmarks = shot
    plate = np.indices((200, 240)).sum(axis=0)[..., None] % 2 * np.ones(3) * 0.5 + 0.25
    plate = plate.astype(np.float32)
    view, matte = composite_face(plate, crop, None, transform, landmarks, PLAIN)
    np.testing.assert_array_equal(view[matte == 0], plate[matte == 0])
    core = view[85:110, 105:130]
    assert np.abs(np.diff(core, axis=1)).mean() < 0.05  # the checkerboard is gone from the middle of the face


def test_highlights_and_negatives_survive(shot):
    plate, crop, transform, landmarks = shot
    reference, matte = composite_face(plate, crop, None, transform, landmarks, PLAIN)
    for excess, clipped in ((3.0, 1.0), (-0.7, 0.0)):
        spot = plate.copy()
        spot[95:99, 115:119] = clipped
        base, _ = composite_face(spot, crop, None, transform, landmarks, PLAIN)
        spot[95:99, 115:119] = clipped + excess
        bright, _ = composite_face(spot, crop, None, transform, landmarks, PLAIN)
        np.testing.assert_allclose(bright[95:99, 115:119], base[95:99, 115:119] + excess, atol=1e-5)
    assert matte[97, 117] == 1


def test_a_closed_matte_keeps_every_bit(shot):
    plate, crop, transform, landmarks = shot
    view, matte = composite_face(plate, crop, np.zeros((128, 128), np.float32), transform, landmarks)
    np.testing.assert_array_equal(view, plate)
    assert not matte.any()


def test_a_hand_in_front_stays(shot):
    plate, crop, transform, landmarks = shot

    def hand(picture, points):
        assert picture.shape == (128, 128, 3) and points.shape == (478, 2)
        visible = np.ones((128, 128), np.float32)
        visible[:, :64] = 0
        return visible

    view, matte = composite_face(plate, crop, None, transform, landmarks, occlusion=hand)
    left, right = transform.points_to_plate(np.array([[0.4, 0.5], [0.6, 0.5]]), 1)
    assert matte[int(left[1]), int(left[0])] == 0
    assert matte[int(right[1]), int(right[0])] == 1
    np.testing.assert_array_equal(view[matte == 0], plate[matte == 0])
    with pytest.raises(OptionError, match="occlusion hook"):
        composite_face(plate, crop, None, transform, landmarks, occlusion=lambda *_: np.ones((3, 3)))


def test_a_narrower_generated_face_leaves_the_plate_beside_it(shot):
    plate, crop, transform, landmarks = shot
    own = transform.points_to_crop(landmarks, 128)
    narrow = (own - own.mean(axis=0)) * [0.7, 1] + own.mean(axis=0)
    _, whole = composite_face(plate, crop, None, transform, landmarks)
    _, less = composite_face(plate, crop, None, transform, landmarks, generated_landmarks=narrow)
    assert (less > 0.5).sum() < 0.85 * (whole > 0.5).sum()
    assert less[100, 118] == 1


@pytest.mark.parametrize("centre", [(5.0, 96.0), (239.0, 190.0), (118.0, -20.0)])
def test_a_face_at_the_edge(shot, centre):
    plate, crop, _, _ = shot
    transform = CropTransform.from_params(*centre, 150.0, 0.1)
    view, matte = composite_face(plate, crop, None, transform, oval_mesh(centre, 50))
    assert view.shape == plate.shape
    np.testing.assert_array_equal(view[matte == 0], plate[matte == 0])
    assert matte.any() and np.isfinite(view).all()


def test_a_face_outside_the_frame_does_nothing(shot):
    plate, crop, _, _ = shot
    transform = CropTransform.from_params(-500, -500, 150.0, 0.1)
    view, matte = composite_face(plate, crop, None, transform, oval_mesh((-500, -500), 50))
    np.testing.assert_array_equal(view, plate)
    assert not matte.any()


def test_any_sizes(shot):
    plate, crop, _, _ = shot
    for side in (8.0, 40.0, 600.0):
        transform = CropTransform.from_params(118, 96, side, 0.0)
        for size in (16, 100):
            view, matte = composite_face(plate, crop[:size, :size], None, transform, oval_mesh((118, 96), side / 3))
            np.testing.assert_array_equal(view[matte == 0], plate[matte == 0])
            assert np.isfinite(view).all()


def test_one_pixel_plate():
    transform = CropTransform.from_params(0.5, 0.5, 3.0, 0.0)
    plate, crop = np.full((1, 1, 3), 0.5, np.float32), np.full((16, 16, 3), 0.2, np.float32)
    view, _ = composite_face(plate, crop, None, transform, oval_mesh((0.5, 0.5), 1))
    assert view.shape == (1, 1, 3) and np.isfinite(view).all()


def test_a_crop_larger_than_the_plates_face_is_averaged(shot):
    plate, _, transform, landmarks = shot
    noise = np.random.default_rng(0).random((1024, 1024, 3), np.float32)
    view, matte = composite_face(plate, noise, None, transform, landmarks, PLAIN)
    assert view[matte == 1].std() < 0.2  # noise of deviation 0.29 at seven times the resolution


def test_a_moving_face_does_not_flicker():
    # The same face, the same light, half a pixel on: what is added moves along and changes little.
    plate = smooth_picture(200, 240)
    crop = np.clip(smooth_picture(128, 128, seed=5), 0, 1)
    added = []
    for step in range(6):
        centre = (110 + step * 0.5, 100)
        transform = CropTransform.from_params(*centre, 140 + 0.3 * step, 0.0)
        view, matte = composite_face(plate, crop, None, transform, oval_mesh(centre, 50), PLAIN)
        added.append(((view - plate).sum(axis=(0, 1)), matte.sum()))
    sums = np.array([a[0] for a in added])
    areas = np.array([a[1] for a in added])
    assert np.abs(np.diff(areas)).max() < 0.02 * areas.mean()
    second = np.diff(sums, n=2, axis=0)
    assert np.abs(second).max() < 0.02 * np.abs(sums).max() + 5


def test_grades_are_kept_apart_and_given(shot):
    plate, crop, transform, landmarks = shot
    options = CompositeOptions(colour_match="mkl")
    grade = fit_face_grade(plate, crop, None, transform, landmarks, options)
    itself = composite_face(plate, crop, None, transform, landmarks, options)[0]
    given = composite_face(plate, crop, None, transform, landmarks, options, grade=grade)[0]
    np.testing.assert_array_equal(itself, given)
    other = dataclasses.replace(grade, contrast=0.5)
    assert not np.array_equal(composite_face(plate, crop, None, transform, landmarks, options, grade=other)[0], itself)


def test_patch_carries_the_raw_face(shot):
    plate, crop, transform, landmarks = shot
    patch = composite_patch(plate, crop, None, transform, landmarks, PLAIN, raw=True)
    x0, y0, x1, y1 = patch.box
    assert patch.view.shape == patch.raw.shape == (y1 - y0, x1 - x0, 3)
    np.testing.assert_allclose(patch.raw, transform.to_plate(crop, patch.box), atol=0.3)
    assert composite_patch(plate, crop, None, transform, landmarks).raw is None


def test_matte_ends_inside_the_crop():
    whole = np.array([(-50, -50), (150, -50), (150, 150), (-50, 150)], float)
    matte = outer_matte(whole, side=100, reach=0.3)
    assert matte[0].max() == matte[-1].max() == matte[:, 0].max() == matte[:, -1].max() == 0
    assert matte[128, 128] == 1


def test_steady_grades():
    def grade(value):
        colours = ColourMap(method="mkl", parameters=np.full((3, 4), value))
        return Grade(colours=colours, contrast=1 + value, pivot=np.full(3, value))

    grades = {number: grade(number % 2) for number in range(1001, 1030)}
    assert steady_grade(grades, 1010, radius=0) is grades[1010]
    steadied = [steady_grade(grades, number, radius=4) for number in range(1008, 1016)]
    assert np.ptp([g.contrast for g in steadied]) < 0.02
    assert np.ptp([g.colours.parameters[0, 0] for g in steadied]) < 0.02
    near = {number: grades[number] for number in range(1006, 1015)}
    assert steady_grade(near, 1010, radius=4).contrast == steady_grade(grades, 1010, radius=4).contrast
    assert steady_grade({5: grades[1001]}, 5, radius=9).contrast == pytest.approx(grades[1001].contrast)


@pytest.mark.parametrize(
    ("field", "value"),
    [("sigma", -1), ("reach", 0.9), ("erode", (0.5, 0, 0, 0)), ("colour_match", "x"), ("contrast", "y"),
     ("contrast_limits", (1.2, 1.4)), ("levels_from_target", -1), ("plate_detail", 2), ("sigma", float("nan"))],
)  # fmt: skip
def test_options_out_of_range_are_named(field, value):
    with pytest.raises(OptionError, match=field.split("_")[0]):
        CompositeOptions(**{field: value})
