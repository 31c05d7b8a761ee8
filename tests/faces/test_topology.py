from __future__ import annotations

import numpy as np

from understudy.faces import topology
from understudy.faces.align import mean_mesh, mirror_map
from understudy.faces.regions import FROM_BISENET, FROM_CELEBAMASK, Region, to_regions

MIRROR_68 = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)


def test_the_68_are_symmetric():
    np.testing.assert_array_equal(mirror_map()[topology.TO_68], topology.TO_68[MIRROR_68])
    assert len(set(topology.TO_68.tolist())) == 68


def test_parts_are_symmetric():
    mirror = mirror_map()
    for right, left in (
        (topology.RIGHT_EYE, topology.LEFT_EYE),
        (topology.RIGHT_BROW, topology.LEFT_BROW),
        (topology.RIGHT_IRIS, topology.LEFT_IRIS),
    ):
        assert set(mirror[right].tolist()) == set(left.tolist())
    for own in (
        *(topology.FACE_OVAL, topology.LIPS_OUTER, topology.LIPS_INNER, topology.STABLE, topology.JAW_LINE),
        topology.NOSE_OUTLINE,
    ):
        assert set(mirror[own].tolist()) == set(own.tolist())
        assert len(set(own.tolist())) == len(own)


def test_the_98_go_along_the_jaw_in_even_steps():
    points = topology.to_98(mean_mesh())
    assert points.shape == (98, 3)
    np.testing.assert_allclose(points[16], mean_mesh()[152])
    np.testing.assert_allclose(points[[0, 32]], mean_mesh()[[127, 356]])
    steps = np.linalg.norm(np.diff(points[:33], axis=0), axis=1)
    assert steps.max() / steps.min() < 1.5
    np.testing.assert_allclose(points[[60, 72, 96, 97]], mean_mesh()[[33, 263, 468, 473]])
    batch = topology.to_98(np.stack([mean_mesh(), 2 * mean_mesh()])[None].astype(np.float32))
    assert batch.shape == (1, 2, 98, 3) and batch.dtype == np.float32
    np.testing.assert_allclose(batch[0, 1], 2 * points, rtol=1e-5, atol=1e-6)


def test_regions_of_published_labels():
    assert [region.name for region in Region] == [
        *("BACKGROUND", "LIPS", "BROWS", "EYES", "HAIR", "NOSE", "SKIN", "EARS", "NECK", "MOUTH", "GLASSES", "EARRINGS")
    ]
    names = [
        "skin",
        "nose",
        "eye_g",
        "l_eye",
        "r_eye",
        "l_brow",
        "r_brow",
        "l_ear",
        "r_ear",
        "mouth",
        "u_lip",
        "l_lip",
        "hair",
        "hat",
        "ear_r",
        "neck_l",
        "neck",
        "cloth",
    ]
    celeba = {name: Region(FROM_CELEBAMASK[label]) for label, name in enumerate(names, 1)}
    names = [
        "skin",
        "l_brow",
        "r_brow",
        "l_eye",
        "r_eye",
        "eye_g",
        "l_ear",
        "r_ear",
        "ear_r",
        "nose",
        "mouth",
        "u_lip",
        "l_lip",
        "neck",
        "neck_l",
        "cloth",
        "hair",
        "hat",
    ]
    bisenet = {name: Region(FROM_BISENET[label]) for label, name in enumerate(names, 1)}
    assert celeba == bisenet
    assert celeba["u_lip"] is Region.LIPS and celeba["mouth"] is Region.MOUTH and celeba["hat"] is Region.BACKGROUND
    assert to_regions(np.array([[13, 200]]), FROM_CELEBAMASK).tolist() == [[Region.HAIR, 0]]
