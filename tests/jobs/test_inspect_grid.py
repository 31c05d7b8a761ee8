"""Appearance against structure, with a stand-in for the network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.errors import CheckpointError, OptionError
from understudy.faces.align import mean_mesh
from understudy.faces.measure import make_face
from understudy.jobs.inspect import InterpolateOptions, _with_subjects, interpolate
from understudy.jobs.inspect_grid import interpolate_grid


class Mixer:
    """Appearance is the mean colour, structure where the nose is: decoded, a column of that colour there."""

    size, oval_share = 32, 0.5

    def __init__(self):
        self.asked = []

    def encode(self, still, landmarks):
        assert still.shape == (32, 32, 3) and landmarks.shape == (478, 3) and 0 <= landmarks[4, 0] <= 1
        return still.mean(axis=(0, 1)), landmarks[4, :2].astype(np.float32)

    def decode(self, appearance, structure):
        self.asked.append((appearance.copy(), structure.copy()))
        crop = np.zeros((32, 32, 3), np.float32)
        crop[:, int(structure[0] * 32)] = appearance
        return crop


def faces():
    pair = []
    for value, at in ((0.2, 60), (0.8, 66)):
        mesh = 40 * mean_mesh() + (64, 60, 0)
        mesh[4, 0] += at - 64  # a nose out of the middle
        pair.append((np.full((120, 128, 3), value, np.float32), make_face(mesh, 0.9, (128, 120))))
    return tuple(pair)


def test_appearance_goes_down_and_structure_across(tmp_path):
    mixer = Mixer()
    options = InterpolateOptions(
        family="boundary_vae", anchors=("a.jpg", "b.jpg"), steps=5, output=tmp_path / "grid.png"
    )
    report = interpolate_grid(options, animator=mixer, faces=faces())
    colours = np.array([appearance[0] for appearance, _ in mixer.asked]).reshape(5, 5)
    np.testing.assert_allclose(colours, np.repeat(np.linspace(0.2, 0.8, 5)[:, None], 5, axis=1), atol=1e-5)
    noses = np.array([structure[0] for _, structure in mixer.asked]).reshape(5, 5)
    np.testing.assert_allclose(noses, np.repeat(np.linspace(*noses[0, [0, 4]], 5)[None], 5, axis=0), atol=1e-6)
    assert noses[0, 4] > noses[0, 0]
    assert report.smoothness["appearance"] == pytest.approx(1, abs=1e-4) and report.anchors == ("a.jpg", "b.jpg")
    assert report.steps["appearance"][0] == pytest.approx(100 * 0.15 / 32, rel=1e-3)
    assert cv2.imread(str(report.sheet)).shape[0] > 6 * 128


def test_what_cannot_be_mixed_is_a_sentence(tmp_path):
    one = InterpolateOptions(family="boundary_vae", anchors=("a.jpg",), output=tmp_path / "a.png")
    with pytest.raises(OptionError, match="mixes two pictures; name both"):
        interpolate_grid(one, animator=Mixer(), faces=faces())
    two = InterpolateOptions(family="boundary_vae", anchors=("a.jpg", "b.jpg"))
    with pytest.raises(OptionError, match="--output"):
        interpolate_grid(two, animator=Mixer(), faces=faces())
    with pytest.raises(CheckpointError, match="cannot be mixed"):
        interpolate_grid(two, animator=object(), faces=faces())
    with pytest.raises(OptionError, match="--anchors takes two pictures; 3 were given"):
        interpolate(InterpolateOptions(family="warping", subjects=("a.jpg", "b.jpg", "c.jpg")))
    with pytest.raises(OptionError, match="family paints does not exist"):
        interpolate(InterpolateOptions(family="paints", subjects=("a.jpg", "b.jpg")))


def test_an_identity_or_two_pictures_by_their_place():
    assert _with_subjects(InterpolateOptions(subjects=("anna",))).identity == "anna"
    assert _with_subjects(InterpolateOptions(subjects=("a.jpg", "b.jpg"))).anchors == ("a.jpg", "b.jpg")
    with pytest.raises(OptionError, match="name one of them"):
        _with_subjects(InterpolateOptions(subjects=("anna",), identity="ben"))
    with pytest.raises(OptionError, match="not both"):
        _with_subjects(InterpolateOptions(subjects=("a", "b"), anchors=("c", "d")))
