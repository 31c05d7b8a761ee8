"""Eyes of swaps by region: which are shut, and what their regions are then."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.faces.align import mean_mesh
from understudy.faces.gaze import EYES, opening
from understudy.faces.parse import polygon_mask
from understudy.faces.regions import Region
from understudy.jobs.regional_eyes import LookingPictures, shut_eyes, with_lids

SIDE = 256
AWAKE, ASLEEP = np.zeros(2), np.ones(2)


def mesh(right: float = 1.0, left: float = 1.0) -> np.ndarray:
    """A face whose eyes are open by these shares of a fifth of their width or so."""
    points = (0.9 * mean_mesh() + (0.5, 0.5, 0)).astype(np.float32)
    for eye, share in zip(EYES, (right, left), strict=True):
        middle = points[list(eye.corners), 1].mean()
        points[eye.ring, 1] = middle + share * (points[eye.ring, 1] - middle)
    return points


def regions(points: np.ndarray, *, eyes: bool = True) -> np.ndarray:
    labels = np.full((SIDE, SIDE), int(Region.SKIN), np.uint8)
    for eye in EYES if eyes else ():
        labels[polygon_mask(points[eye.ring, :2] * SIDE, SIDE) > 0.5] = Region.EYES
    return labels


def test_eyes_are_open_or_shut_by_their_mesh() -> None:
    assert not shut_eyes(mesh(), regions(mesh())).any()
    points = mesh(right=0.05)
    np.testing.assert_array_equal(shut_eyes(points, regions(points)), [1, 0])
    # A face that is not driven at all keeps its eyes open.
    np.testing.assert_array_equal(shut_eyes(points, regions(points), driven=mesh()), [0, 0])


def test_a_map_without_an_eye_says_that_a_narrow_one_is_shut() -> None:
    """Eyes squeezed shut have open meshes, and so do eyes that look down; wide open ones are never shut."""
    narrow = mesh(right=0.12 / opening(mesh(), EYES[0]), left=0.3 / opening(mesh(), EYES[1]))
    assert shut_eyes(narrow, regions(narrow, eyes=False)) == pytest.approx([1, 0])
    assert shut_eyes(narrow, regions(narrow)) == pytest.approx([0, 0])
    hidden = np.full((SIDE, SIDE), int(Region.GLASSES), np.uint8)
    assert shut_eyes(narrow, hidden) == pytest.approx([0, 0])


def test_shut_lids_are_skin_and_a_winks_other_eye_is_an_eye() -> None:
    points = mesh()
    right, left = (polygon_mask(points[eye.ring, :2] * SIDE, SIDE) > 0.5 for eye in EYES)
    found = with_lids(regions(points), points, shut=np.array([1.0, 0.2]), asleep=AWAKE)
    assert (found[right] == Region.SKIN).all() and (found[left] == Region.EYES).all()
    # A source asleep, of which the map knows no eyes.
    found = with_lids(regions(points, eyes=False), points, shut=np.array([1.0, 0.0]), asleep=ASLEEP)
    assert (found[right] == Region.SKIN).all() and (found[left] == Region.EYES).all()
    assert (found == Region.EYES).sum() == left.sum()


def test_pictures_that_look_aside_look_where_the_mesh_does() -> None:
    """Two pictures that look to either side: their mean looks one way, and not both."""
    meshes = []
    for sideways in (-0.02, 0.02):
        points = mesh()
        for eye in EYES:
            points[eye.iris, 0] += sideways
        meshes.append(points)

    def picture(place: int) -> np.ndarray:
        drawn = np.ones((SIDE, SIDE, 3), np.float32)
        where = (np.arange(SIDE) + 0.5) / SIDE
        for eye in EYES:
            points = meshes[place][eye.iris, :2]
            radius = np.linalg.norm(points[1] - points[0])
            drawn[np.hypot(where[None] - points[0, 0], where[:, None] - points[0, 1]) < radius] = 0.2
        return drawn

    result = LookingPictures(np.stack(meshes), picture).footage(mesh(), SIDE)
    for eye in EYES:
        x, y = (mesh()[eye.iris[0], :2] * SIDE).astype(int)
        assert result[y, x].mean() < 0.35
        inside = polygon_mask(mesh()[eye.ring, :2] * SIDE, SIDE, feather=1) > 0.95
        dark = (result.mean(-1) < 0.6) & inside
        assert np.nonzero(dark)[1].mean() == pytest.approx(x, abs=1.5)
