"""What is said of pictures that do not show one whole face."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import FaceError, WeightsError
from understudy.faces.align import mean_mesh
from understudy.faces.blendshapes import BlendshapeModel
from understudy.faces.measure import make_face, measure_faces, single_face
from understudy.faces.models import FaceModels


def test_one_face(detector, model, pictures):
    face = single_face(pictures["frontal.jpg"], detector, model, name="frontal.jpg")
    assert face.track == -1 and face.score > 0.9 and not face.is_cut and not face.is_profile
    assert 80 < face.interocular < 110
    assert (face.box[:2] < face.landmarks[:468, :2] + 0.01).all() and (
        face.box[2:] > face.landmarks[:468, :2] - 0.01
    ).all()


def test_a_picture_without_a_face(detector, model):
    with pytest.raises(FaceError, match=r"plate\.1001\.png shows no face that could be found"):
        single_face(np.full((200, 300, 3), 120, np.uint8), detector, model, name="plate.1001.png")


def test_two_faces_where_one_is_asked_for(detector, model, pictures):
    both = np.hstack([pictures["frontal.jpg"], pictures["tilted.jpg"]])
    with pytest.raises(FaceError, match=r"two\.jpg shows 2 faces, at \(.*\), where one is asked for"):
        single_face(both, detector, model, name="two.jpg")
    assert len(measure_faces(both, detector, model)) == 2


def test_a_one_pixel_picture(detector, model):
    with pytest.raises(FaceError, match="1x1 pixels is too small"):
        single_face(np.zeros((1, 1, 3), np.uint8), detector, model)


def test_a_face_half_out_of_frame_is_flagged(detector, model, pictures):
    half = np.ascontiguousarray(pictures["frontal.jpg"][:, :190])
    faces = measure_faces(half, detector, model)
    for face in faces:
        assert face.is_cut and face.visible < 0.95
    shifted = mean_mesh() * 200 + (0, 100, 0)
    face = make_face(shifted, 0.9, (200, 200))
    assert face.is_cut and 0.3 < face.visible < 0.7


def test_a_profile_is_flagged():
    turned = mean_mesh() * 200 @ np.array([[0.17, 0, 0.985], [0, 1, 0], [-0.985, 0, 0.17]]) + (100, 100, 0)
    face = make_face(turned, 0.9, (200, 200))
    assert abs(face.pose.yaw) == pytest.approx(80, abs=0.5) and face.is_profile


def test_blendshapes_need_their_model():
    models = FaceModels(detector=b"", mesh=b"", has_iris=False, origin="wheel")
    with pytest.raises(WeightsError, match=r"Blendshapes need face_landmarker\.task"):
        BlendshapeModel(models)
