"""Turning a face's own mesh."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.faces.align import fit_mesh, mean_mesh, pose_of
from understudy.faces.face import Pose
from understudy.faces.rotate import parse_rotation, rotate_landmarks, rotation_of

NOSE_TIP, LEFT_EAR, RIGHT_EAR = 4, 454, 234


def frontal(height=200.0, x=300.0, y=240.0):
    return (height * mean_mesh() + (x, y, 0)).astype(np.float32)


def test_points_by_hand():
    """The mean mesh is symmetric about its origin, which is what it turns about: x' = x cos + z sin(-yaw), depth likewise."""
    mesh = frontal()
    turned = rotate_landmarks(mesh, Pose(yaw=30.0, pitch=0.0, roll=0.0))
    for point in (NOSE_TIP, LEFT_EAR, RIGHT_EAR, 152):
        x, y, z = 200 * mean_mesh()[point]
        expected = (300 + x * np.sqrt(3) / 2 - z / 2, 240 + y, x / 2 + z * np.sqrt(3) / 2)
        np.testing.assert_allclose(turned[point], expected, atol=1e-3)
    assert turned[NOSE_TIP, 0] > mesh[NOSE_TIP, 0] + 30, "to the person's own left, which is the picture's right"


@pytest.mark.parametrize(
    ("turn", "axis", "sign"),
    [
        (Pose(yaw=0, pitch=20, roll=0), 1, -1),  # up
        (Pose(yaw=-20, pitch=0, roll=0), 0, -1),  # to their own right
    ],
)
def test_where_the_nose_goes(turn, axis, sign):
    mesh = frontal()
    moved = (rotate_landmarks(mesh, turn) - mesh)[NOSE_TIP]
    assert sign * moved[axis] > 10 and abs(moved[1 - axis]) < 1e-3


def test_a_roll_is_clockwise_in_the_picture_and_moves_no_depth():
    mesh = frontal()
    turned = rotate_landmarks(mesh, Pose(yaw=0, pitch=0, roll=90))
    np.testing.assert_allclose(turned[:, 2], mesh[:, 2], atol=1e-3)
    np.testing.assert_allclose(turned[10, :2] - (300, 240), (100, 0), atol=3)  # the forehead's top goes to the right


@pytest.mark.parametrize("yaw", [-50.0, 0.0, 35.0])
@pytest.mark.parametrize("pitch", [-30.0, 12.0])
@pytest.mark.parametrize("roll", [-170.0, 0.0, 25.0])
def test_a_pose_and_its_rotation_are_the_same(yaw, pitch, roll):
    rotation = rotation_of(Pose(yaw=yaw, pitch=pitch, roll=roll))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    found = pose_of(rotation)
    np.testing.assert_allclose((found.yaw, found.pitch, found.roll), (yaw, pitch, roll), atol=1e-9)
    measured = fit_mesh(rotate_landmarks(frontal(), Pose(yaw=yaw, pitch=pitch, roll=roll))).pose
    np.testing.assert_allclose((measured.yaw, measured.pitch, measured.roll), (yaw, pitch, roll), atol=1e-3)


def test_a_turned_and_tilted_head_turns_on_in_its_own_axes():
    tilted = rotate_landmarks(frontal(), Pose(yaw=0, pitch=0, roll=40))
    both = rotate_landmarks(tilted, Pose(yaw=25, pitch=0, roll=0))
    middle = np.array((300, 240))
    sideways = (both - tilted)[NOSE_TIP, :2]
    along = np.array([np.cos(np.radians(40)), np.sin(np.radians(40))])  # the tilted face's own left
    assert sideways @ along == pytest.approx(np.linalg.norm(sideways), rel=1e-4)
    back = rotate_landmarks(both, Pose(yaw=-25, pitch=0, roll=0))
    np.testing.assert_allclose(back, tilted, atol=1e-3)
    assert np.abs(fit_mesh(both).shift[:2] - middle).max() < 1e-3, "the head's middle stays"


def test_turned_by_nothing_nothing_moves():
    mesh = rotate_landmarks(frontal(), Pose(yaw=10, pitch=5, roll=-8))
    np.testing.assert_allclose(rotate_landmarks(mesh, Pose(yaw=0, pitch=0, roll=0)), mesh, atol=1e-4)


def test_reading_a_turn():
    assert parse_rotation("yaw=30") == Pose(yaw=30, pitch=0, roll=0)
    assert parse_rotation(" roll=-5.5, yaw=+2 ") == Pose(yaw=2, pitch=0, roll=-5.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yaw=61", "yaw must lie between -60 and 60"),
        ("pitch=-90", "pitch must lie between"),
        ("yav=30", "no angle 'yav'.*did you mean yaw"),
        ("yaw", "yaw must be a number of degrees"),
        ("yaw=left", "yaw must be a number"),
        ("yaw=nan", "yaw must be a number"),
        ("yaw=1,yaw=2", "yaw is given twice"),
        ("", "no angle ''"),
    ],
)
def test_turns_that_cannot_be_are_a_sentence(text, said):
    with pytest.raises(OptionError, match=said):
        parse_rotation(text)
