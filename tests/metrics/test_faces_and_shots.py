"""Pose, expression, seam, colour and coverage, each by a value worked by hand or another program."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from understudy.errors import InternalError
from understudy.faces import topology
from understudy.faces.align import mean_mesh
from understudy.faces.face import Pose
from understudy.metrics.colour_drift import colour_drift, face_colour
from understudy.metrics.coverage import coverage
from understudy.metrics.expression import blendshape_distance, mesh_distance
from understudy.metrics.head_pose import pose_distance
from understudy.metrics.seam import seam_gradient


def test_pose_distance_by_hand():
    assert pose_distance(Pose(yaw=3, pitch=0, roll=0), Pose(yaw=0, pitch=4, roll=12)) == pytest.approx(13)
    assert pose_distance(Pose(yaw=0, pitch=0, roll=179), Pose(yaw=0, pitch=0, roll=-179)) == pytest.approx(2)


def test_blendshape_distance_by_hand():
    first, second = np.zeros((2, 52)), np.zeros((2, 52))
    first[0, 5], second[0, 9] = 0.3, 0.4
    first[1, 0] = 1.0  # "neutral" says nothing
    np.testing.assert_allclose(blendshape_distance(first, second), [0.5, 0])
    with pytest.raises(InternalError):
        blendshape_distance(first, second[:1])


def turned(mesh: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return scale * mesh @ turn.T + (200, 150, 10)


def test_mesh_distance_sees_what_the_face_does_and_neither_pose_nor_person():
    rest = mean_mesh().copy()
    other_rest = rest.copy()
    other_rest[topology.LIPS_OUTER, 0] *= 1.1  # another mouth
    doing = rest.copy()
    doing[topology.LIPS_OUTER, 1] += 0.02
    other_doing = other_rest + (doing - rest)
    meshes = [
        turned(m, d, s) for m, d, s in ((doing, 20, 300), (rest, 0, 310), (other_doing, -15, 90), (other_rest, 3, 80))
    ]
    assert mesh_distance(*meshes) == pytest.approx(0, abs=1e-6)
    # Against a face that does nothing: 2 % of the height at the lips' points, diluted over all moving points.
    moving = np.unique(
        np.concatenate(
            [
                getattr(topology, n)
                for n in ("LIPS_OUTER", "LIPS_INNER", "LEFT_EYE", "RIGHT_EYE", "LEFT_BROW", "RIGHT_BROW")
            ]
        )
    )
    expected = 2 * np.sqrt(len(np.unique(topology.LIPS_OUTER)) / len(moving))
    assert mesh_distance(meshes[0], meshes[1], meshes[3], meshes[3]) == pytest.approx(expected, rel=1e-6)


def half(step: float, slope: float = 0.002) -> tuple[np.ndarray, np.ndarray]:
    """An even ramp with a step at the border of a matte that covers the right half."""
    columns = np.arange(80)
    luma = 0.2 + slope * columns + step * (columns >= 40)
    matte = np.zeros((60, 80))
    matte[:, 40:] = 1
    return np.repeat(np.tile(luma, (60, 1))[..., None], 3, axis=2), matte


def test_seam_gradient_by_hand():
    """Central differences see a step of h as h/2 in two columns; the band is four columns wide, so a + h/4 against a."""
    assert (even := seam_gradient(*half(0.0)))
    assert even.ratio == pytest.approx(1)
    assert (found := seam_gradient(*half(0.08)))
    assert found.beside == pytest.approx(0.002)
    assert found.border == pytest.approx(0.002 + 0.08 / 4)
    assert found.ratio == pytest.approx(11)


def test_seam_gradient_looks_across_the_border_only():
    """Stripes that run across the border change brightness along it alone."""
    picture = np.repeat(np.tile(np.sin(np.arange(60))[:, None] * 0.2 + 0.5, (1, 80))[..., None], 3, axis=2)
    assert (found := seam_gradient(picture, half(0)[1]))
    assert found.border == pytest.approx(0, abs=1e-9)


def test_no_border_no_seam():
    picture = half(0.1)[0]
    assert seam_gradient(picture, np.ones((60, 80))) is None
    assert seam_gradient(picture, np.zeros((60, 80))) is None
    with pytest.raises(InternalError):
        seam_gradient(picture, np.zeros((60, 79)))


def test_a_faces_colour_is_scikit_images_lab():
    random = np.random.default_rng(4)
    picture = random.random((9, 7, 3)).astype(np.float32)
    mask = random.random((9, 7))
    expected = (rgb2lab(picture) * mask[..., None]).sum((0, 1)) / mask.sum()
    np.testing.assert_allclose(face_colour(picture, mask), expected, atol=0.02)


def test_colour_drift_by_hand():
    """Always 3 and 4 off makes an offset of 5 and no drift; swinging by 2 around it makes a drift of 2."""
    light = np.array([[50.0, 0, 0], [60, 1, 1], [40, 2, 2], [55, 3, 3]])
    found = colour_drift(light + (0, 3, 4), light)
    assert (found.offset, found.drift) == (pytest.approx(5), pytest.approx(0, abs=1e-12))
    swing = np.array([[2.0, 0, 0], [-2, 0, 0], [2, 0, 0], [-2, 0, 0]])
    found = colour_drift(light + (0, 3, 4) + swing, light)
    assert (found.offset, found.drift) == (pytest.approx(5), pytest.approx(2))
    np.testing.assert_allclose(found.per_frame, 2)
    with pytest.raises(InternalError):
        colour_drift(light, light[:2])


def test_coverage_by_hand():
    face = np.array([[1.0, 1.0, 0.5, 0.0]])
    assert coverage(np.array([[1.0, 0.25, 1.0, 1.0]]), face) == pytest.approx(1.75 / 2.5)
    with pytest.raises(InternalError):
        coverage(face, np.zeros((1, 4)))
