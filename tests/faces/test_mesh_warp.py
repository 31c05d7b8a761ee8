"""A picture carried by a face's mesh."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import FaceError
from understudy.faces.align import mean_mesh
from understudy.faces.mesh_warp import carry, mesh_map, warp_points
from understudy.faces.topology import LIPS_INNER, LIPS_OUTER


def mesh(x: float = 0.5, y: float = 0.5, height: float = 0.5) -> np.ndarray:
    return height * mean_mesh() + (x, y, 0)


def test_a_mesh_in_its_place_leaves_the_picture() -> None:
    places = mesh_map(mesh(), mesh(), 32)
    own = (np.arange(32) + 0.5) / 32
    np.testing.assert_allclose(places, np.stack(np.meshgrid(own, own), -1), atol=1e-5)
    picture = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(carry(picture, places), picture, atol=1e-3)


def test_shift_and_size_are_carried_exactly_everywhere() -> None:
    """A similarity is in the spline's affine part: it holds far from the mesh, too."""
    places = mesh_map(mesh(0.4, 0.5, 0.4), mesh(0.6, 0.5, 0.8), 64)
    own = (np.arange(64) + 0.5) / 64
    x, y = np.meshgrid(own, own)
    np.testing.assert_allclose(places[..., 0], 0.4 + (x - 0.6) / 2, atol=2e-3)
    np.testing.assert_allclose(places[..., 1], 0.5 + (y - 0.5) / 2, atol=2e-3)


def test_points_go_where_they_are_asked() -> None:
    source, target = mesh(), mesh()
    lips = np.concatenate([LIPS_OUTER, LIPS_INNER])
    target[lips, 1] += 0.03
    places = mesh_map(source, target, 128)
    for point in (13, 61, 291):
        column, row = (target[point, :2] * 128).astype(int)
        np.testing.assert_allclose(places[row, column], source[point, :2], atol=0.012)
    eye = (target[33, :2] * 128).astype(int)
    np.testing.assert_allclose(places[eye[1], eye[0]], source[33, :2], atol=0.012)


def test_labels_are_carried_without_new_ones() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[20:40, 20:40] = 6
    labels[30:34, 26:34] = 1
    carried = carry(labels, mesh_map(mesh(), mesh(0.55, 0.5, 0.6), 64), nearest=True)
    assert set(np.unique(carried).tolist()) == {0, 1, 6}


def test_a_mesh_that_is_not_finite_is_refused() -> None:
    broken = mesh()
    broken[warp_points()[0]] = np.nan
    with pytest.raises(FaceError, match="not finite"):
        mesh_map(broken, mesh(), 16)
