from __future__ import annotations

import numpy as np
import pytest

from understudy.faces import topology
from understudy.faces.align import mean_mesh, mirror_map
from understudy.faces.detect import FaceDetector
from understudy.faces.face import Detection
from understudy.faces.landmarks import (
    LandmarkModel,
    eight_bit,
    fill_irises,
    roi_from_detection,
    roi_from_landmarks,
    roi_matrix,
)
from understudy.faces.measure import measure_faces
from understudy.faces.warp import transform_points


def test_region_of_a_detection_is_upright_by_the_eyes():
    keypoints = np.zeros((6, 2), np.float32)
    keypoints[0], keypoints[1] = (40, 50), (60, 70)
    roi = roi_from_detection(Detection(box=np.array([0, 10, 100, 90], np.float32), keypoints=keypoints, score=1.0))
    np.testing.assert_allclose(roi, [50, 50, 150, np.pi / 4])


def test_region_matrix_turns_the_eyes_level():
    roi = np.array([300.0, 200.0, 100.0, 0.3])
    matrix = roi_matrix(roi, 256)
    np.testing.assert_allclose(transform_points(matrix, np.array([300.0, 200.0])), [128, 128])
    along = np.array([np.cos(0.3), np.sin(0.3)])
    np.testing.assert_allclose(transform_points(matrix, roi[:2] + 50 * along), [256, 128])


def test_region_of_a_mesh_turns_with_it():
    mesh = mean_mesh()[:, :2] * 100 + 500
    upright = roi_from_landmarks(mesh)
    assert upright[3] == pytest.approx(0, abs=1e-6)
    angle = 0.5
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = roi_from_landmarks((mesh - 500) @ turn.T + 500)
    np.testing.assert_allclose(turned[2:], [upright[2], angle], atol=1e-6)
    np.testing.assert_allclose(turned[:2], (upright[:2] - 500) @ turn.T + 500, atol=1e-6)


def test_filled_irises_lie_in_the_eyes():
    mesh = (mean_mesh() * 200 + 300).astype(np.float32)
    mesh[468:] = 0
    fill_irises(mesh)
    for iris, outer, inner in ((topology.RIGHT_IRIS, 33, 133), (topology.LEFT_IRIS, 263, 362)):
        low, high = sorted((mesh[outer, 0], mesh[inner, 0]))
        assert (mesh[iris, 0] > low).all() and (mesh[iris, 0] < high).all()
        assert mesh[iris[1], 0] > mesh[iris[0], 0] > mesh[iris[3], 0]
        assert mesh[iris[2], 1] < mesh[iris[0], 1] < mesh[iris[4], 1]


def test_eight_bit_clips_and_rounds():
    view = np.array([[[-1.0, 0.5, 2.0]]], np.float32)
    assert eight_bit(view).tolist() == [[[0, 128, 255]]]


def test_batches_change_no_bit(model: LandmarkModel, models, pictures):
    names = list(pictures)
    rois = np.array([[160.0 + step, 160.0 - step, 260.0, 0.02 * step] for step in range(11)])
    chosen = [pictures[names[step % len(names)]] for step in range(11)]
    together, presence = model.landmarks_of(chosen, rois)
    single = LandmarkModel(models, batch=1)
    for index in range(11):
        alone, alone_presence = single.landmarks(chosen[index], rois[index : index + 1])
        np.testing.assert_array_equal(alone[0], together[index])
        np.testing.assert_array_equal(alone_presence[0], presence[index])
    none, no_presence = model.landmarks(chosen[0], np.zeros((0, 4)))
    assert none.shape == (0, 478, 3) and no_presence.shape == (0,)


def test_pixel_centres_lie_at_a_half(model: LandmarkModel, pictures):
    """A mirrored picture must give mirrored landmarks: an offset of half a pixel would show twice over."""
    offsets = []
    for picture in pictures.values():
        roi = np.array([160.0, 165.0, 270.0, 0.0])
        straight = model.landmarks(picture, roi[None])[0][0]
        mirrored_roi = np.array([picture.shape[1] - roi[0], roi[1], roi[2], 0.0])
        mirrored = model.landmarks(np.ascontiguousarray(picture[:, ::-1]), mirrored_roi[None])[0][0]
        mirrored = mirrored[mirror_map()]
        offsets.append(((straight[:, 0] + mirrored[:, 0] - picture.shape[1]) / 2)[:468].mean())
    assert abs(np.median(offsets)) < 0.4


def test_eyes_and_lips_are_where_they_were_rendered(detector: FaceDetector, model, pictures, truth):
    for name, picture in pictures.items():
        (face,) = measure_faces(picture, detector, model)
        ours = topology.to_68(face.landmarks)[:, :2]
        true = np.array(truth[name]["landmarks"])
        distance = np.linalg.norm(true[36] - true[45])
        assert np.linalg.norm(ours[36:48] - true[36:48], axis=1).mean() < 0.07 * distance, name
        assert np.linalg.norm(ours[60:68] - true[60:68], axis=1).mean() < 0.09 * distance, name
        assert face.score > 0.9 and face.visible == 1.0 and not face.is_cut
