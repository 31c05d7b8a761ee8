from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

from understudy.errors import FaceError, OptionError, WeightsError
from understudy.faces.action_units import COUNT, ActionUnit, ActionUnitModel, RestingFace
from understudy.faces.align import mean_mesh, mirror_map
from understudy.faces.measure import measure_faces
from understudy.faces.topology import LIPS_INNER
from understudy.faces.unit_features import canonical, mesh_features, shape_features


@pytest.fixture(scope="module")
def reader() -> ActionUnitModel:
    return ActionUnitModel.packaged()


def posed(mesh: np.ndarray, *, yaw: float = 0.0, roll: float = 0.0, scale: float = 200.0) -> np.ndarray:
    """(1, 478, 3) pixels of a canonical mesh, turned by radians."""
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return (scale * mesh @ (about_z @ about_y).T + (300, 200, 10))[None]


def with_open_mouth(share: float) -> np.ndarray:
    """The mean mesh with its chin and lower lip lowered by a share of the face's height."""
    mesh = mean_mesh().copy()
    middle = float(mesh[LIPS_INNER, 1].mean())
    below = (mesh[:, 1] > middle) & (np.abs(mesh[:, 0]) < 0.25)
    mesh[below, 1] += share
    return mesh


def test_pose_size_and_place_change_nothing(reader):
    mesh = with_open_mouth(0.05)
    straight = reader.measure(posed(mesh))
    for pose in ({"yaw": 0.5}, {"roll": -0.4}, {"scale": 31.0}, {"yaw": -0.3, "roll": 0.2, "scale": 900.0}):
        np.testing.assert_allclose(reader.measure(posed(mesh, **pose)), straight, atol=2e-3)
    np.testing.assert_allclose(canonical(posed(mean_mesh(), yaw=0.4))[0], mean_mesh(), atol=1e-5)


def test_a_face_and_its_mirror_image_read_the_same(reader):
    mesh = mean_mesh() + np.random.default_rng(0).normal(0, 0.005, (478, 3))
    mirrored = mesh[mirror_map()] * (-1, 1, 1)
    np.testing.assert_allclose(mesh_features(mesh[None]), mesh_features(mirrored[None]), atol=1e-12)
    shapes = np.random.default_rng(0).uniform(0, 1, (1, 52))
    both = shape_features(shapes)[0]
    assert both[9] == both[10] and both[1] == both[2] and both[44] == both[45]  # blink, brow, smile


def test_an_opening_mouth_parts_lips_and_drops_the_jaw(reader):
    meshes = np.concatenate([posed(with_open_mouth(share)) for share in (0.0, 0.03, 0.06, 0.1)])
    units = reader.measure(meshes, rest=reader.rest_of(meshes[:1]))
    assert units.shape == (4, COUNT) and units.dtype == np.float32
    np.testing.assert_array_equal(units[0], 0)
    for unit in (ActionUnit.AU25, ActionUnit.AU26):
        assert (np.diff(units[:, unit]) >= 0).all() and units[3, unit] > 2
    assert units[3, ActionUnit.AU12] < 1.5


def test_rest_is_where_the_face_does_least(reader):
    meshes = np.concatenate([posed(with_open_mouth(share)) for share in [0.08] * 12 + [0.0] * 8])
    rest = reader.rest_of(meshes, share=0.3)
    np.testing.assert_allclose(rest.mesh, mesh_features(canonical(meshes[-1:]))[0], atol=1e-6)
    assert rest.shapes is None
    with pytest.raises(OptionError, match="at least one picture"):
        reader.rest_of(meshes[:0])


def test_blendshapes_are_used_where_both_faces_have_them(reader):
    meshes = posed(mean_mesh())
    shapes = np.zeros((1, 52), np.float32)
    smiling = shapes.copy()
    smiling[:, 44:46] = 1.0
    rest = reader.rest_of(meshes, shapes)
    assert reader.measure(meshes, smiling, rest=rest)[0, ActionUnit.AU12] > 0.3
    np.testing.assert_array_equal(reader.measure(meshes, shapes, rest=rest), 0)
    # A face at rest without them leaves them out rather than failing.
    bare = RestingFace(mesh=rest.mesh)
    np.testing.assert_array_equal(reader.measure(meshes, smiling, rest=bare), reader.measure(meshes, rest=bare))


def test_wrong_input_is_a_sentence(reader):
    broken = posed(mean_mesh())
    broken[0, 5] = np.nan
    with pytest.raises(FaceError, match="finite"):
        reader.measure(broken)
    assert reader.measure(np.zeros((0, 478, 3))).shape == (0, COUNT)
    with pytest.raises(WeightsError, match="'absolute'"):
        ActionUnitModel({})


def test_the_card_says_what_was_measured():
    card = json.loads(resources.files("understudy.faces").joinpath("data/action_units.card.json").read_text())
    figures = card["held back"]["by input"]
    assert set(figures) == {"landmarks", "landmarks of the older mesh", "landmarks and blendshapes"}
    for ways in figures.values():
        units = ways["relative to the face at rest"]["units"]
        assert set(units) == set(ActionUnit.__members__)
        assert units["AU25"]["correlation"] > 0.9 and units["AU26"]["correlation"] > 0.9


def test_pictures_read_as_they_look(reader, detector, model, pictures):
    meshes = {name: measure_faces(picture, detector, model)[0].landmarks for name, picture in pictures.items()}
    units = {name: reader.measure(mesh[None])[0] for name, mesh in meshes.items()}
    for unit in (ActionUnit.AU25, ActionUnit.AU26):
        assert units["mouth_open.jpg"][unit] > units["frontal.jpg"][unit] + 0.8
