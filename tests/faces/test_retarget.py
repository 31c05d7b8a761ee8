"""One face doing what another does: against faces made by hand from the mean mesh."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import FaceError
from understudy.faces import topology
from understudy.faces.align import canonical_transform, fit_mesh, mean_mesh
from understudy.faces.face import Pose
from understudy.faces.retarget import feature_ratios, onto, resting_head, retarget
from understudy.faces.rotate import rotation_of

LIPS = np.concatenate([topology.LIPS_OUTER, topology.LIPS_INNER])
UPPER_LID, LOWER_LID = 159, 145


def placed(mesh, *, height=200.0, at=(300.0, 240.0), turn=(0.0, 0.0, 0.0)):
    yaw, pitch, roll = turn
    rotation = rotation_of(Pose(yaw=yaw, pitch=pitch, roll=roll))
    return (height * mesh @ rotation.T + (*at, 0)).astype(np.float32)


def jaw_dropped(mesh, amount=0.06):
    """Mouth and jaw open; nothing that the alignment rests on moves."""
    mesh = mesh.copy()
    lower = [14, 15, 16, 17, 87, 178, 88, 317, 402, 318, 95, 324, 84, 181, 91, 314, 405, 321, 146, 375]
    mesh[[*lower, 152, 148, 377, 176, 400], 1] += amount
    return mesh


def smiling(mesh, amount=0.03):
    mesh = mesh.copy()
    mesh[[61, 78], :2] += (-amount, -amount)
    mesh[[291, 308], :2] += (amount, -amount)
    return mesh


def blinking(mesh, openness=0.0):
    mesh = mesh.copy()
    for upper, lower in ((159, 145), (160, 144), (158, 153), (161, 163), (157, 154), (246, 7), (173, 155)):
        mesh[upper, 1] = mesh[lower, 1] + openness * (mesh[upper, 1] - mesh[lower, 1])
    return mesh


def wide_mouthed(mesh, factor=1.2):
    mesh = mesh.copy()
    mesh[LIPS, 0] *= factor
    return mesh


def narrow_eyed(mesh, factor=0.5):
    mesh = mesh.copy()
    for ring in (topology.RIGHT_EYE, topology.LEFT_EYE):
        middle = mesh[ring, 1].mean()
        mesh[ring, 1] = middle + factor * (mesh[ring, 1] - middle)
    return mesh


@pytest.fixture
def take():
    """A performer: at rest, talking, smiling and turned, turned and moved nearer."""
    mesh = mean_mesh()
    return np.stack(
        [
            placed(mesh),
            placed(jaw_dropped(mesh), at=(303, 241)),
            placed(smiling(mesh), turn=(20, 5, -4)),
            placed(jaw_dropped(smiling(mesh)), height=230, at=(330, 250), turn=(-15, 0, 10)),
        ]
    )


def test_a_face_onto_itself_is_itself(take):
    rest = resting_head(take, [0])
    np.testing.assert_allclose(retarget(take, rest, take[0], head="follow"), take, atol=0.01)
    again = retarget(take, rest, take[0], head="follow", shape=False)
    np.testing.assert_allclose(again, take, atol=0.01)


def test_a_face_twice_as_large_elsewhere_does_the_same_twice_as_large(take):
    still = (2 * (take[0] - (300, 240, 0)) + (700, 400, 0)).astype(np.float32)
    expected = 2 * (take - np.array((300, 240, 0), np.float32)) + (700, 400, 0)
    result = retarget(take, resting_head(take, [0]), still, head="follow")
    np.testing.assert_allclose(result, expected, atol=0.02)


def test_what_of_the_head_is_taken_over(take):
    rest, still = resting_head(take, [0]), placed(mean_mesh(), height=100, at=(80, 90), turn=(0, 0, 12))
    own = fit_mesh(still)
    for head in ("turn", "still"):
        for points in retarget(take, rest, still, head=head):
            fit = fit_mesh(points)
            np.testing.assert_allclose(fit.shift[:2], own.shift[:2], atol=0.6)
            assert fit.scale == pytest.approx(own.scale, rel=0.01)
    stays = fit_mesh(retarget(take, rest, still, head="still")[2]).rotation
    np.testing.assert_allclose(stays, own.rotation, atol=0.01)
    turned = fit_mesh(retarget(take, rest, still)[2]).rotation
    np.testing.assert_allclose(turned, rotation_of(Pose(yaw=20, pitch=5, roll=-4)) @ own.rotation, atol=0.01)
    followed = fit_mesh(retarget(take, rest, still, head="follow")[3])
    assert followed.scale == pytest.approx(1.15 * own.scale, rel=0.01)
    np.testing.assert_allclose(followed.shift[:2], own.shift[:2] + np.array((30, 10)) / 2, atol=0.5)


def test_turning_is_counted_from_rest_unless_the_pose_itself_is_wanted(take):
    rest = resting_head(take, [2])  # at rest this performer looks aside
    still = placed(mean_mesh(), height=100)
    relative = fit_mesh(retarget(take, rest, still)[2]).pose
    np.testing.assert_allclose((relative.yaw, relative.pitch, relative.roll), (0, 0, 0), atol=0.3)
    absolute = fit_mesh(retarget(take, rest, still, absolute=True)[2]).pose
    np.testing.assert_allclose((absolute.yaw, absolute.pitch, absolute.roll), (20, 5, -4), atol=0.3)
    half = fit_mesh(retarget(take, resting_head(take, [0]), still, strength=0.5)[2]).pose
    assert half.yaw == pytest.approx(10, abs=0.3)


def test_the_usual_pose_of_a_clip_is_not_moved_by_a_glance_aside():
    mesh = mean_mesh()
    take = np.stack([placed(mesh, turn=(10, 0, 0))] * 7 + [placed(mesh, turn=(50, 0, 0))] * 3)
    rest = resting_head(take, range(5))
    np.testing.assert_allclose(rest.rotation, rotation_of(Pose(yaw=10, pitch=0, roll=0)), atol=1e-3)


def test_the_stills_own_shape_stays_and_its_mouth_moves_by_its_own_size(take):
    """Mouth corners of a mouth 1.2 times as wide go 1.2 times as far; at rest it is the still's own mesh."""
    still = placed(wide_mouthed(mean_mesh()))
    frames = np.stack([placed(mean_mesh()), placed(smiling(mean_mesh()))])
    result = retarget(frames, resting_head(frames, [0]), still)
    np.testing.assert_allclose(result[0], still, atol=0.01)
    moved = (result[1] - still)[[61, 291], :2]
    np.testing.assert_allclose(moved, 1.2 * 200 * 0.03 * np.array([(-1, -1), (1, -1)]), rtol=0.03)
    taken = retarget(frames, resting_head(frames, [0]), still, shape=False)
    np.testing.assert_allclose(taken, frames, atol=0.01)


@pytest.mark.parametrize("openness", [0.0, 0.5])
def test_a_blink_shuts_eyes_of_any_width(openness):
    mesh = mean_mesh()
    frames = np.stack([placed(mesh), placed(blinking(mesh, openness))])
    rest = resting_head(frames, [0])
    for still in (placed(narrow_eyed(mesh)), placed(mesh), placed(narrow_eyed(mesh, 1.4))):
        own = float(still[LOWER_LID, 1] - still[UPPER_LID, 1])
        result = retarget(frames, rest, still)[1]
        assert result[LOWER_LID, 1] - result[UPPER_LID, 1] == pytest.approx(openness * own, abs=0.12 * own)


def test_lids_and_lips_never_pass_through_one_another():
    mesh = mean_mesh()
    parted = jaw_dropped(mesh)
    frames = np.stack([placed(parted), placed(mesh)])  # the mouth shuts, from a rest with parted lips
    shut = placed(mesh)
    result = retarget(frames, resting_head(frames, [0]), shut)[1]
    for upper, lower in ((13, 14), (82, 87), (312, 317)):
        assert result[lower, 1] >= result[upper, 1] - 1e-3


def test_sizes_of_features():
    mesh = mean_mesh()
    sizes = feature_ratios(mesh, wide_mouthed(mesh)).sizes
    assert sizes[61] == pytest.approx(1.2, abs=0.01) and sizes[33] == pytest.approx(1.0, abs=0.02)
    assert sizes[10] == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(feature_ratios(mesh, mesh).sizes, 1.0, atol=1e-12)


# -- one picture as the target -----------------------------------------------------------------------------------------


def test_one_picture_of_the_same_face_is_that_face():
    mesh = mean_mesh()
    still = placed(mesh, turn=(10, -4, 0))
    np.testing.assert_allclose(onto(still, still), still, atol=0.01)
    np.testing.assert_allclose(onto(2.5 * still + 40, still), still, atol=0.02)


def test_the_expression_of_one_picture_comes_over_and_the_outline_does_not():
    mesh = mean_mesh()
    broad = mesh * (1.15, 1.0, 1.0)
    still, other = placed(mesh), placed(smiling(jaw_dropped(broad)), height=350, at=(900, 500))
    result = onto(other, still)
    assert result[14, 1] - result[13, 1] == pytest.approx(200 * 0.06, rel=0.35)
    assert result[152, 1] - still[152, 1] == pytest.approx(200 * 0.06, rel=0.35), "the jaw drops along"
    assert result[61, 1] < still[61, 1] - 3 and result[291, 1] < still[291, 1] - 3
    assert np.abs(result - still)[[234, 454, 127, 356, 4], :2].max() < 2, "the still's own outline and nose"
    whole = onto(other, still, shape=False)
    assert whole[454, 0] - whole[234, 0] > 1.05 * (still[454, 0] - still[234, 0])


def test_the_pose_of_one_picture_comes_over_without_its_tilt():
    mesh = mean_mesh()
    still, other = placed(mesh, turn=(0, 0, 15)), placed(mesh, turn=(25, 0, -20))
    poses = [
        fit_mesh(canonical_transform(upright).points_to_crop(mesh, 1)).pose
        for upright, mesh in ((still, onto(other, still)), (other, other))
    ]
    for name in ("yaw", "pitch", "roll"):
        assert getattr(poses[0], name) == pytest.approx(getattr(poses[1], name), abs=0.01)
    assert poses[0].yaw == pytest.approx(25, abs=2) and abs(poses[0].roll) < 5
    own = fit_mesh(onto(other, still, head="still")).pose
    assert own.yaw == pytest.approx(0, abs=0.5) and own.roll == pytest.approx(15, abs=0.5)


def test_bad_meshes_are_a_sentence(take):
    with pytest.raises(FaceError, match="478 finite landmarks"):
        retarget(take, resting_head(take, [0]), np.full((478, 3), np.nan))
    with pytest.raises(FaceError, match="at least one picture"):
        resting_head(take, [])
