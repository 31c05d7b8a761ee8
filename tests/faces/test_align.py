from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import FaceError
from understudy.faces import topology
from understudy.faces.align import (
    OVAL_CENTRE,
    OVAL_SHARE,
    CropTransform,
    canonical_transform,
    fit_mesh,
    mean_mesh,
    mirror_map,
)
from understudy.faces.measure import measure_faces

transforms = st.builds(
    CropTransform.from_params,
    x=st.floats(-500, 5000),
    y=st.floats(-500, 5000),
    side=st.floats(20, 4000),
    angle=st.floats(-3.1, 3.1),
)


def placed(*, scale: float = 200.0, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """The mean mesh in a plate, its middle at (400, 300), turned by degrees as :class:`Pose` has them."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    about_y = np.array([[math.cos(y), 0, -math.sin(y)], [0, 1, 0], [math.sin(y), 0, math.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    about_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    mesh = scale * mean_mesh() @ (about_y @ about_x @ about_z).T + (400, 300, 0)
    return mesh.astype(np.float32)


@given(transforms, st.integers(8, 2048))
def test_inverse_is_exact(transform, size):
    points = np.random.default_rng(1).uniform(-1000, 5000, (20, 2))
    back = transform.points_to_plate(transform.points_to_crop(points, size), size)
    np.testing.assert_allclose(back, points, atol=1e-6)
    x, y, side, angle = transform.params
    again = CropTransform.from_params(x, y, side, angle)
    np.testing.assert_allclose(again.matrix, transform.matrix, rtol=1e-6, atol=1e-9)


@given(transforms, st.integers(8, 1024))
def test_the_same_crop_at_any_size(transform, size):
    points = np.array([[0.0, 0.0], [100.0, 50.0]])
    np.testing.assert_allclose(transform.points_to_crop(points, 1) * size, transform.points_to_crop(points, size))
    np.testing.assert_allclose(transform.points_to_crop(transform.corners(), size)[2], [size, size], atol=1e-6)


def test_float32_and_depth_are_kept():
    transform = CropTransform.from_params(100, 100, 50, 0.2)
    points = np.array([[100, 100, 10]], np.float32)
    crop = transform.points_to_crop(points, 25)
    assert crop.dtype == np.float32
    np.testing.assert_allclose(crop, [[12.5, 12.5, 5]], atol=1e-5)
    np.testing.assert_allclose(transform.points_to_plate(crop, 25), points, atol=1e-4)


def test_a_neutral_face_fills_its_share():
    crop = canonical_transform(placed()).points_to_crop(placed(), 1)
    oval = crop[topology.FACE_OVAL]
    assert np.ptp(oval[:, 1]) == pytest.approx(OVAL_SHARE, abs=1e-3)
    middle = (oval[:, :2].min(axis=0) + oval[:, :2].max(axis=0)) / 2
    np.testing.assert_allclose(middle, OVAL_CENTRE, atol=2e-3)


@pytest.mark.parametrize("roll", [-120, -30, 0, 45, 179])
def test_the_crop_is_upright(roll):
    mesh = placed(roll=roll)
    crop = canonical_transform(mesh).points_to_crop(mesh, 1)
    np.testing.assert_allclose(crop, canonical_transform(placed()).points_to_crop(placed(), 1), atol=1e-4)


@pytest.mark.parametrize(("yaw", "pitch"), [(40, 0), (-40, 0), (0, 25), (30, -20)])
def test_turning_the_head_keeps_the_scale(yaw, pitch):
    side = canonical_transform(placed(yaw=yaw, pitch=pitch)).side
    assert side == pytest.approx(200 / OVAL_SHARE, rel=1e-3)


def test_opening_the_mouth_keeps_the_crop():
    mesh = placed()
    opened = mesh.copy()
    low = np.setdiff1d(np.arange(468), topology.STABLE)
    opened[low[mesh[low, 1] > 340], 1] += 40
    np.testing.assert_allclose(canonical_transform(opened).matrix, canonical_transform(mesh).matrix, atol=1e-7)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(30, 0, 0), (0, 20, 0), (0, 0, 15), (-25, -10, 20), (50, 30, -40)])
def test_pose_signs(yaw, pitch, roll):
    mesh = placed(yaw=yaw, pitch=pitch, roll=roll)
    pose = fit_mesh(mesh).pose
    np.testing.assert_allclose([pose.yaw, pose.pitch, pose.roll], [yaw, pitch, roll], atol=0.01)
    nose, between = mesh[1], mesh[[234, 454]].mean(axis=0)
    if roll == 0 and pitch == 0:
        assert np.sign(nose[0] - between[0]) == np.sign(yaw), "turning to one's own left is to the picture's right"
    if pitch and not yaw and not roll:
        assert mesh[1, 1] < placed()[1, 1], "looking up raises the tip of the nose"
    if roll and not yaw and not pitch:
        assert mesh[263, 1] > mesh[33, 1], "a clockwise roll lowers the left eye, which is on the picture's right"


def test_pose_of_rendered_faces(detector, model, pictures, truth):
    for name, picture in pictures.items():
        (face,) = measure_faces(picture, detector, model)
        yaw, pitch, roll = truth[name]["pose"]
        assert face.pose.yaw == pytest.approx(yaw, abs=6), name
        assert face.pose.pitch == pytest.approx(pitch, abs=10), name
        assert face.pose.roll == pytest.approx(roll, abs=8), name


def test_mean_mesh_is_symmetric_and_mirror_map_its_own_inverse():
    mirror = mirror_map()
    np.testing.assert_array_equal(mirror[mirror], np.arange(478))
    np.testing.assert_allclose(mean_mesh()[mirror] * (-1, 1, 1), mean_mesh(), atol=1e-6)
    assert mirror[33] == 263 and mirror[61] == 291 and mirror[468] == 473


def test_sampling_keeps_pixel_centres_at_a_half():
    ramp = np.tile(np.arange(200, dtype=np.float32) + 0.5, (200, 1))
    ramp = np.stack([ramp, ramp.T], axis=-1)
    for side, size in ((60.0, 120), (100.0, 100), (120.0, 30), (100.0, 37)):
        transform = CropTransform.from_params(100.3, 99.8, side, 0.4)
        crop = transform.to_crop(ramp, size)
        centres = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)
        expected = transform.points_to_plate(centres, size)
        # The value of the ramp is the position itself; OpenCV counts in 32nds of a pixel.
        error = (crop - expected)[2:-2, 2:-2]
        assert np.abs(error).max() < 0.05 * max(1.0, side / size)
        assert np.abs(error.mean(axis=(0, 1))).max() < 0.005


def test_shrinking_averages_areas():
    checkers = (np.indices((256, 256)).sum(axis=0) % 2).astype(np.float32)
    crop = CropTransform.from_params(128, 128, 256, 0.0).to_crop(checkers, 32)
    np.testing.assert_allclose(crop, 0.5, atol=0.02)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_the_crop_lies_where_it_came_from(kind):
    random = np.random.default_rng(0)
    smooth = np.kron(random.uniform(0, 1, (10, 10, 3)), np.ones((20, 20, 1)))
    smooth = np.stack([np.convolve(row.ravel(), np.ones(1), "same").reshape(row.shape) for row in smooth])
    plate = (smooth * (1 if kind is np.float32 else np.iinfo(kind).max)).astype(kind)
    transform = CropTransform.from_params(100, 100, 80, 0.0)
    back = transform.to_plate(transform.to_crop(plate, 80), (70, 70, 130, 130))
    assert back.dtype == plate.dtype and back.shape == (60, 60, 3)
    np.testing.assert_allclose(back, plate[70:130, 70:130], rtol=1e-4, atol=1e-4)


def test_useless_landmarks_are_refused():
    with pytest.raises(FaceError, match="478 finite landmarks"):
        canonical_transform(np.full((478, 3), np.nan, np.float32))
    with pytest.raises(FaceError, match="478 finite landmarks"):
        canonical_transform(np.zeros((68, 3), np.float32))
    with pytest.raises(FaceError, match="all in one place"):
        canonical_transform(np.full((478, 3), 5.0, np.float32))
