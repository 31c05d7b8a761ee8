"""Creases of an expression, on the mean mesh pulled about by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.faces import creases
from understudy.faces.align import mean_mesh, mirror_map

RIGHT_FOLD, LEFT_FOLD, BETWEEN_BROWS, FOREHEAD, CHIN = 206, 426, 9, 151, 199


def pulled(*moves: tuple[tuple[int, ...], tuple[float, float]]) -> np.ndarray:
    """The mean mesh with points moved by (x, y)."""
    mesh = mean_mesh().copy()
    for points, (x, y) in moves:
        mesh[list(points), :2] += x, y
    return mesh


SMILE = (((61,), (-0.03, -0.04)), ((291,), (0.03, -0.04)))
RIGHT_SMILE = (SMILE[0],)
FROWN = (((107, 55), (0.01, 0.02)), ((336, 285), (-0.01, 0.02)))


def change(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    rest = creases.at_rest(start)
    return creases.pulls(end, rest) - creases.pulls(start, rest)


def test_a_pull_is_how_far_a_corner_goes_up_and_out() -> None:
    calm = pulled()
    np.testing.assert_allclose(change(calm, pulled(*SMILE)), (0.07, 0.07, 0, 0), atol=1e-5)
    np.testing.assert_allclose(change(calm, pulled(*RIGHT_SMILE)), (0.07, 0, 0, 0), atol=1e-5)
    np.testing.assert_allclose(change(calm, pulled(*FROWN)), (0, 0, 0.03, 0), atol=1e-5)
    np.testing.assert_allclose(change(pulled(*SMILE), calm), (-0.07, -0.07, 0, 0), atol=1e-5)


def test_a_dropped_jaw_is_no_frown_of_the_mouth() -> None:
    """The lower lip goes down by 0.1, the corners by half of that."""
    opened = pulled(((17,), (0, 0.1)), ((61, 291), (0, 0.05)))
    np.testing.assert_allclose(change(pulled(), opened)[:2], 0, atol=1e-5)


def test_pose_place_and_size_are_no_expression() -> None:
    turn = cv2.Rodrigues(np.array([0.15, 0.4, 0.2]))[0]
    smiling = pulled(*SMILE)
    seen = 300 * smiling @ turn.T + (640, 360, 0)
    np.testing.assert_allclose(change(pulled(), seen), change(pulled(), smiling), atol=2e-3)


def test_creases_come_and_go_by_degrees() -> None:
    """The fold from the nose is whole at 0.09: at 0.09, two thirds of it go if 0.03 is left."""
    calm, slight, wide = (np.array([pull, 0, -0.05, 0], np.float32) for pull in (0.0, 0.03, 0.09))
    fold = lambda shares: shares[0]  # noqa: E731
    assert [fold(creases.gone(wide, now)) for now in (wide, slight, calm)] == pytest.approx([0, 2 / 3, 1])
    assert [fold(creases.come(before, wide)) for before in (wide, slight, calm)] == pytest.approx([0, 2 / 3, 1])
    assert not creases.come(wide, calm).any() and not creases.gone(calm, wide).any()
    # What is hardly there goes in part, and hardly comes.
    assert fold(creases.gone(slight, calm)) == pytest.approx(1 / 3 / 0.35)
    assert fold(creases.come(calm, slight)) == pytest.approx(1 / 3 / 0.6)
    assert len(creases.gone(wide, calm)) == creases.NUM_CREASES


def test_the_mean_face_is_at_rest() -> None:
    mean = mean_mesh()
    np.testing.assert_allclose(creases.pulls(500 * mean + 3, creases.at_rest(mean)), 0, atol=1e-5)


CALM = np.array([0, 0, -0.1, 0], np.float32)


@pytest.mark.parametrize(
    ("pull", "there", "elsewhere"),
    [
        (0, RIGHT_FOLD, (LEFT_FOLD, BETWEEN_BROWS, CHIN)),
        (1, LEFT_FOLD, (RIGHT_FOLD, BETWEEN_BROWS, CHIN)),
        (2, BETWEEN_BROWS, (RIGHT_FOLD, LEFT_FOLD, CHIN)),
        (3, FOREHEAD, (RIGHT_FOLD, LEFT_FOLD, CHIN)),
    ],
)
def test_a_crease_lies_where_its_muscle_draws_it(pull: int, there: int, elsewhere: tuple[int, ...]) -> None:
    mesh = 0.6 * mean_mesh() + (0.5, 0.5, 0)
    pulls = CALM.copy()
    pulls[pull] = 0.2
    zone = creases.zones(creases.come(CALM, pulls), mesh, 128)
    assert zone.shape == (128, 128) and zone.dtype == np.float32
    at = lambda point: zone[tuple((mesh[point, 1::-1] * 128).astype(int))]  # noqa: E731
    assert at(there) > 0.9
    assert max(at(point) for point in elsewhere) < 0.05


def test_the_pits_of_a_mouth_are_at_its_corners_and_not_on_its_lips() -> None:
    mesh = (0.5 * mean_mesh()[:, :2] + 0.5).astype(np.float32)
    pits = creases.mouth_corners(mesh, 256)
    at = lambda point: pits[tuple((mesh[point, ::-1] * 256).astype(int))]  # noqa: E731
    assert min(at(61), at(291)) > 0.9
    assert max(at(0), at(17), at(37), at(267), at(1), at(152)) < 0.02
    # Nothing further than 0.06 faces from the corners.
    y, x = (np.mgrid[:256, :256] + 0.5) / 256
    away = np.min([np.hypot(x - mesh[k, 0], y - mesh[k, 1]) for k in (61, 57, 291, 287)], axis=0)
    assert pits[away > 0.5 * 0.06].max() < 0.06


def test_both_sides_are_mirror_images() -> None:
    mesh = 0.6 * mean_mesh() + (0.5, 0.5, 0)
    both = []
    for pull in (0, 1):
        pulls = CALM.copy()
        pulls[pull] = 1
        both.append(creases.zones(creases.come(CALM, pulls), mesh, 64))
    np.testing.assert_allclose(both[0], both[1][:, ::-1], atol=0.03)
    assert mirror_map()[RIGHT_FOLD] == LEFT_FOLD
