"""Irises that are moved, on a drawn face whose every pixel is known."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.faces.align import mean_mesh
from understudy.faces.gaze import EYES, iris_of, layered_eyes, look, opening
from understudy.faces.mesh_warp import carry, mesh_map
from understudy.faces.parse import polygon_mask

SIDE = 512
SKIN, WHITE, IRIS = (0.8, 0.6, 0.5), (0.9, 0.9, 0.88), (0.2, 0.25, 0.15)


def mesh(*, sideways: float = 0.0, openness: float = 1.0) -> np.ndarray:
    """A face whose eyes look aside by so many widths of an eye, and are open so far."""
    points = (0.9 * mean_mesh() + (0.5, 0.5, 0)).astype(np.float32)
    for eye in EYES:
        width = np.linalg.norm(np.subtract(*points[list(eye.corners), :2]))
        middle = points[list(eye.corners)].mean(0)
        # An iris of a fifth of the eye, in its middle.
        points[eye.iris] = middle + (sideways * width, 0, 0)
        around = np.array([[0, 0], [1, 0], [0, -1], [-1, 0], [0, 1]])
        points[eye.iris, :2] += 0.2 * width * around
        points[eye.ring, 1] = middle[1] + openness * (points[eye.ring, 1] - middle[1])
    return points


def drawn(points: np.ndarray) -> np.ndarray:
    picture = np.broadcast_to(np.array(SKIN, np.float32), (SIDE, SIDE, 3)).copy()
    place = (np.arange(SIDE) + 0.5) / SIDE
    for eye in EYES:
        inside = polygon_mask(points[eye.ring, :2] * SIDE, SIDE)[..., None]
        iris = iris_of(points, eye)
        away = np.hypot(place[None] - iris.centre[0], place[:, None] - iris.centre[1])
        disc = np.clip((iris.radius - away) * SIDE + 0.5, 0, 1)[..., None]
        behind = np.array(WHITE, np.float32) + disc * (np.array(IRIS, np.float32) - np.array(WHITE, np.float32))
        picture += (inside * (behind - picture)).astype(np.float32)
    return picture


def turned(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    picture, places = drawn(start), mesh_map(start, end, SIDE)
    return look(carry(picture, places, sharp=True), layered_eyes(picture, start), places, end)


def darkness(picture: np.ndarray, points: np.ndarray, eye) -> tuple[np.ndarray, float]:
    """Centre (2,) in the unit square and area, pixels, of what is dark in an eye."""
    dark = np.clip((WHITE[0] - picture[..., 0]) / (WHITE[0] - IRIS[0]), 0, 1)
    dark = dark * polygon_mask(points[eye.ring, :2] * SIDE, SIDE) * (dark > 0.3)
    place = (np.arange(SIDE) + 0.5) / SIDE
    return np.array([(dark * place[None]).sum(), (dark * place[:, None]).sum()]) / dark.sum(), float(dark.sum())


@pytest.mark.parametrize("sideways", [-0.2, 0.0, 0.15])
def test_an_iris_goes_where_the_mesh_has_it(sideways: float) -> None:
    start, end = mesh(), mesh(sideways=sideways)
    answer, result = drawn(end), turned(start, end)
    for eye in EYES:
        wanted, got = (darkness(picture, end, eye) for picture in (answer, result))
        width = np.linalg.norm(np.subtract(*end[list(eye.corners), :2]))
        assert np.linalg.norm(got[0] - wanted[0]) < 0.02 * width
        assert got[1] == pytest.approx(wanted[1], rel=0.12)
        # What was dark is white now, but for the line along the lids, where lashes are.
        deep = polygon_mask(end[eye.ring, :2] * SIDE, SIDE, feather=3) > 0.9
        assert np.abs(result - answer).mean(-1)[deep].max() < 0.25
    skin = np.abs(answer - SKIN).max(-1) < 1e-3
    assert np.abs(result - SKIN)[skin].mean() < 2e-4


def test_an_iris_beneath_a_lid_is_whole_again() -> None:
    """From eyes half open to eyes wide open."""
    start, end = mesh(openness=0.7), mesh(openness=1.2, sideways=0.1)
    answer, result = drawn(end), turned(start, end)
    for eye in EYES:
        wanted, got = (darkness(picture, end, eye)[1] for picture in (answer, result))
        bent = darkness(carry(drawn(start), mesh_map(start, end, SIDE)), end, eye)[1]
        assert abs(got - wanted) < 0.15 * wanted and abs(got - wanted) < abs(bent - wanted)


def test_a_shut_eye_is_left() -> None:
    start, shut = mesh(), mesh(openness=0.15, sideways=0.2)
    assert all(opening(shut, eye) < 0.08 for eye in EYES)
    picture, places = drawn(start), mesh_map(start, shut, SIDE)
    carried = carry(picture, places)
    np.testing.assert_array_equal(look(carried, layered_eyes(picture, start), places, shut), carried)
    # An eye that is shut in the picture has no iris to move.
    layers = layered_eyes(drawn(shut), shut)
    assert layers.known == (0.0, 0.0)
    np.testing.assert_array_equal(look(carried, layers, places, start), carried)


def test_other_channels_and_eyes_out_of_sight() -> None:
    start, end = mesh(), mesh(sideways=0.2)
    picture = np.concatenate([drawn(start), np.ones((SIDE, SIDE, 1), np.float32)], -1)
    places = mesh_map(start, end, SIDE)
    result = look(carry(picture, places), layered_eyes(picture, start), places, end)
    np.testing.assert_allclose(result[..., 3], 1, atol=1e-5)
    away = start + np.array([3, 0, 0], np.float32)
    np.testing.assert_array_equal(look(picture, layered_eyes(picture, away), places, away), picture)
