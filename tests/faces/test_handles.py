"""Named points of a face, moved."""

from __future__ import annotations

import math

import numpy as np
import pytest

from understudy.errors import FaceError, OptionError
from understudy.faces import topology
from understudy.faces.align import mean_mesh, mirror_map
from understudy.faces.handles import HANDLES, _away, move_handles, parse_moves

MESH = (300 * mean_mesh() + (400, 350, 0)).astype(np.float32)


def shift(**moves):
    return (move_handles(MESH, moves) - MESH)[:, :2]


def test_handles_go_exactly_where_they_are_asked_to_whatever_else_moves():
    moves = {
        "mouth_left": (6.0, -3.0),
        "mouth_right": (-6.0, -3.0),
        "mouth_bottom": (0.0, 8.0),
        "brow_left_inner": (1.0, -4.0),
    }
    moved = shift(**moves)
    for name, wanted in moves.items():
        np.testing.assert_allclose(moved[list(HANDLES[name].points)].mean(axis=0), wanted, atol=1e-3)
    assert (move_handles(MESH, moves)[:, 2] == MESH[:, 2]).all(), "depth stays"


def test_what_does_not_move_stays_bit_for_bit():
    np.testing.assert_array_equal(move_handles(MESH, {}), MESH)
    np.testing.assert_allclose(shift(mouth_left=(0.0, 0.0)), 0, atol=0)


def test_neighbours_follow_by_a_gaussian_of_the_distance_along_the_skin():
    moved = shift(nose_tip=(0.0, 10.0))
    away = _away((4,))
    for point in (1, 5, 45, 275, 195):
        direct = np.linalg.norm(mean_mesh()[point] - mean_mesh()[4])
        assert direct - 1e-9 <= away[point] < 1.2 * direct
        assert moved[point, 1] == pytest.approx(10 * math.exp(-0.5 * (away[point] / 0.04) ** 2), abs=1e-3)
    assert np.abs(moved[[33, 263, 152, 61]]).max() < 1e-3
    wider = (move_handles(MESH, {"nose_tip": (0.0, 10.0)}, reach=2.0) - MESH)[:, 1]
    assert wider[195] > moved[195, 1]


def test_lips_and_lids_part():
    moved = shift(mouth_bottom=(0.0, 12.0))
    assert moved[14, 1] > 11 and abs(moved[13, 1]) < 0.1 and abs(moved[0, 1]) < 0.1
    moved = shift(eye_left_top=(0.0, -5.0))
    assert moved[386, 1] == pytest.approx(-5) and abs(moved[374, 1]) < 0.1
    assert np.abs(moved[topology.LEFT_IRIS]).max() < 0.1, "an eye that opens does not look up"


def test_an_eye_moves_with_its_iris_and_an_iris_alone():
    np.testing.assert_allclose(shift(eye_right=(3.0, 1.0))[topology.RIGHT_IRIS], [(3, 1)] * 5, atol=0.01)
    moved = shift(iris_right=(2.0, 0.0))
    np.testing.assert_allclose(moved[topology.RIGHT_IRIS], [(2, 0)] * 5, atol=1e-4)
    assert np.abs(np.delete(moved, topology.RIGHT_IRIS, axis=0)).max() == 0


def test_groups_keep_their_form():
    moved = shift(mouth=(5.0, 2.0))
    np.testing.assert_allclose(moved[list(HANDLES["mouth"].points)], [(5, 2)] * 40, atol=1e-3)


def test_left_and_right_are_mirror_images():
    mirror = mirror_map()
    for name, handle in HANDLES.items():
        other = name.replace("left", "right")
        if "left" in name:
            assert {int(mirror[point]) for point in handle.points} == set(HANDLES[other].points), name
            assert mean_mesh()[list(handle.points), 0].mean() > 0, "the person's own left is on the picture's right"
    assert all(np.isfinite(_away(handle.points)[:468]).all() or "iris" in name for name, handle in HANDLES.items())


def test_reading_moves():
    assert parse_moves(["mouth_left=+6,-3", "chin = 0, 2.5"]) == {"mouth_left": (6.0, -3.0), "chin": (0.0, 2.5)}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["mouth_lefy=1,2"], "no handle 'mouth_lefy'; near it are mouth_left, .*--list"),
        (["eyebrow=1,2"], "near it are eye_right.*brow_left"),
        (["xyz=1,2"], "no handle 'xyz'; `understudy edit landmarks --list`"),
        (["chin=1"], "how many pixels"),
        (["chin=1,2,3"], "how many pixels"),
        (["chin"], "how many pixels"),
        (["chin=nan,0"], "how many pixels"),
        (["chin=1,2", "chin=2,3"], "given twice"),
    ],
)
def test_moves_that_cannot_be_read_are_a_sentence(texts, said):
    with pytest.raises(OptionError, match=said):
        parse_moves(texts)


def test_moves_that_are_too_large_are_a_sentence():
    with pytest.raises(FaceError, match="over half of the face's height, which is 300 pixels"):
        move_handles(MESH, {"chin": (0.0, 200.0)})
    with pytest.raises(OptionError, match="--reach"):
        move_handles(MESH, {"chin": (0.0, 2.0)}, reach=0.0)
