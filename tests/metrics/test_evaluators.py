"""LPIPS and identity: what they do without their files, and with them the values of the reference preprocessing."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.transform import SimilarityTransform

from understudy.errors import InternalError, WeightsError
from understudy.metrics import identity, lpips
from understudy.metrics.evaluator import load_evaluator


@pytest.fixture
def no_models(monkeypatch, tmp_path):
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    load_evaluator.cache_clear()
    yield
    load_evaluator.cache_clear()


@pytest.mark.parametrize("missing", [lpips.missing_lpips, identity.missing_identity])
def test_without_its_file_a_measure_says_what_to_do(no_models, missing):
    assert "UNDERSTUDY_MODELS" in missing()


def test_without_its_file_a_measure_refuses(no_models):
    picture = np.zeros((32, 32, 3), np.float32)
    with pytest.raises(WeightsError):
        lpips.lpips(picture, picture)
    with pytest.raises(WeightsError):
        identity.embed(picture, landmarks_at(identity.TEMPLATE + 0.5))


def test_five_points_come_from_the_mesh_in_the_templates_order():
    landmarks = landmarks_at(identity.TEMPLATE)
    np.testing.assert_allclose(identity.five_points(landmarks), identity.TEMPLATE, atol=1e-5)


def test_the_similarity_is_umeyamas():
    random = np.random.default_rng(1)
    points = identity.TEMPLATE @ np.array([[1.9, 0.7], [-0.7, 1.9]]) + (100, 40) + random.normal(0, 3, (5, 2))
    independent = SimilarityTransform.from_estimate(points, identity.TEMPLATE)
    np.testing.assert_allclose(identity.similarity_to_template(points), independent.params[:2], atol=1e-9)


def test_points_on_one_spot_have_no_similarity():
    with pytest.raises(InternalError):
        identity.similarity_to_template(np.zeros((5, 2)))


def test_cosine_and_mean_by_hand():
    assert identity.similarity(np.array([1.0, 0]), np.array([3.0, 4.0])) == pytest.approx(0.6)
    np.testing.assert_allclose(identity.mean_embedding(np.array([[2.0, 0], [0, 2.0]])), np.sqrt([0.5, 0.5]))


@pytest.mark.real
def test_lpips_with_its_file():
    if missing := lpips.missing_lpips():
        pytest.skip(missing)
    random = np.random.default_rng(0)
    truth = np.kron(random.random((16, 16, 3)), np.ones((8, 8, 1))).astype(np.float32)
    near, far = np.clip(truth + random.normal(0, 0.02, truth.shape), 0, 1), np.roll(truth, 5, axis=1)
    near, far = near.astype(np.float32), far.astype(np.float32)
    assert lpips.lpips(truth, truth) == pytest.approx(0, abs=1e-6)
    assert 0 < lpips.lpips(near, truth) < lpips.lpips(far, truth)
    mask = np.zeros((128, 128))
    mask[:, :64] = 1
    inside_only = np.where(mask[..., None] > 0, far, truth).astype(np.float32)
    assert lpips.lpips(far, truth, mask=mask) == pytest.approx(lpips.lpips(inside_only, truth), abs=1e-6)


@pytest.mark.real
def test_lpips_is_independent_of_the_order_it_is_fed_in():
    """The onnx inputs are named; a swap of the two would go unnoticed by a symmetric distance, a swap of channels
    would not."""
    if missing := lpips.missing_lpips():
        pytest.skip(missing)
    random = np.random.default_rng(0)
    truth = random.random((64, 64, 3)).astype(np.float32)
    red = truth.copy()
    red[..., 0] = np.clip(red[..., 0] + 0.2, 0, 1)
    session = load_evaluator(lpips.WEIGHTS)
    by_hand = session.run(
        None, {name: (value * 2 - 1).transpose(2, 0, 1)[None] for name, value in (("a", red), ("b", truth))}
    )
    assert lpips.lpips(red, truth) == pytest.approx(float(by_hand[0].reshape(-1)[0]), abs=1e-6)


@pytest.mark.real
def test_identity_of_one_face_does_not_depend_on_where_it_lies_in_the_picture():
    if missing := identity.missing_identity():
        pytest.skip(missing)
    random = np.random.default_rng(0)
    small = np.kron(random.random((14, 14, 3)), np.ones((8, 8, 1))).astype(np.float32)
    plate = np.zeros((300, 300, 3), np.float32)
    plate[100:212, 60:172] = small
    there = identity.embed(plate, landmarks_at(identity.TEMPLATE + 0.5 + (60, 100)))
    here = identity.embed(small, landmarks_at(identity.TEMPLATE + 0.5))
    assert np.linalg.norm(there) == pytest.approx(1)
    assert identity.similarity(here, there) > 0.999
    assert identity.similarity(here, identity.embed(small[:, ::-1].copy(), landmarks_at(identity.TEMPLATE + 0.5))) > 0.9


def landmarks_at(five: np.ndarray) -> np.ndarray:
    """478 landmarks of which those that identity uses lie at the five points."""
    landmarks = np.zeros((478, 3))
    for corners, point in (((33, 133), five[0]), ((362, 263), five[1])):
        landmarks[corners[0], :2], landmarks[corners[1], :2] = point - (5, 1), point + (5, 1)
    landmarks[1, :2], landmarks[61, :2], landmarks[291, :2] = five[2], five[3], five[4]
    return landmarks
