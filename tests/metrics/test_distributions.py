"""FID, Inception Score and retrieval: closed forms, values worked by hand, and scipy's matrix square root."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import InternalError
from understudy.metrics.fid import fid, frechet_distance
from understudy.metrics.inception_score import inception_score
from understudy.metrics.retrieval import retrieve


def test_the_distance_of_diagonal_gaussians_is_the_closed_form():
    """|m1 - m2|² + sum (s1 - s2)²: 9 + (2 - 1)² + (0 - 5)² + 0."""
    first, second = np.diag([4.0, 0.0, 2.25]), np.diag([1.0, 25.0, 2.25])
    mean = np.array([1.0, 2.0, 3.0])
    assert frechet_distance(mean, first, mean + (0, 0, 3), second) == pytest.approx(9 + 1 + 25)
    assert frechet_distance(mean, first, mean, first) == pytest.approx(0, abs=1e-12)


def test_the_distance_is_the_published_formula_with_scipys_root():
    linalg = pytest.importorskip("scipy.linalg", reason="scipy is not installed here")
    random = np.random.default_rng(2)
    rows = [random.normal(size=(200, 7)) @ random.normal(size=(7, 7)) + shift for shift in (0.0, 0.7)]
    (m1, c1), (m2, c2) = ((part.mean(0), np.cov(part.T)) for part in rows)
    expected = np.square(m1 - m2).sum() + np.trace(c1 + c2 - 2 * linalg.sqrtm(c1 @ c2).real)
    found = fid(*rows, network="numbers")
    assert found.distance == pytest.approx(expected, rel=1e-9)
    assert (found.pictures, found.truths, found.features, found.network) == (200, 200, 7, "numbers")


def test_fewer_pictures_than_features_are_no_trouble():
    """Singular covariances: two one-dimensional sets of spread 1 and 3 at right angles and distance 5 -> 25 + 1 + 9."""
    along, across = np.zeros((2, 40)), np.zeros((2, 40))
    along[:, 0] = np.array([1, -1]) / np.sqrt(2)
    across[:, 1] = np.array([3, -3]) / np.sqrt(2)
    across[:, 2] = 5
    assert fid(along, across, network="numbers").distance == pytest.approx(35)


def test_what_has_no_distance_is_our_bug():
    with pytest.raises(InternalError):
        fid(np.zeros((1, 3)), np.zeros((5, 3)), network="")
    with pytest.raises(InternalError):
        fid(np.zeros((5, 2)), np.zeros((5, 3)), network="")


def test_inception_score_by_hand():
    sure = np.tile(np.eye(4), (10, 1))
    assert inception_score(sure, splits=5).score == pytest.approx(4)
    assert inception_score(np.full((20, 4), 0.25)).score == pytest.approx(1)
    # p = (0.9, 0.1) and (0.1, 0.9): KL to (0.5, 0.5) is 0.9 ln 1.8 + 0.1 ln 0.2 for both.
    rows = np.tile([[0.9, 0.1], [0.1, 0.9]], (3, 1))
    found = inception_score(rows, splits=3)
    assert found.score == pytest.approx(np.exp(0.9 * np.log(1.8) + 0.1 * np.log(0.2)))
    assert (found.deviation, found.pictures) == (pytest.approx(0), 6)


def test_parts_are_cut_in_order():
    """The first half is all one answer (score 1), the second half two sure ones (score 2)."""
    rows = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], float)
    found = inception_score(rows, splits=2)
    assert (found.score, found.deviation) == (pytest.approx(1.5), pytest.approx(0.5))


def test_what_is_no_probability_is_our_bug():
    for rows in (np.ones((3, 2)), np.zeros((0, 2)), np.array([[1.5, -0.5]])):
        with pytest.raises(InternalError):
            inception_score(rows)


def test_retrieval_by_hand():
    gallery = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0, 0.8]])
    people = ["anna", "ben", "cleo", "anna"]
    queries = np.array(
        [
            [5.0, 1, 0],  # anna is nearest, whatever the length
            [1.0, 0.9, 0],  # ben was wanted, anna is nearer
            [0.5, 0, 0.9],  # cleo was wanted; anna's second picture is nearer
        ]
    )
    found = retrieve(queries, ["anna", "ben", "cleo"], gallery, people)
    assert (found.top1, found.top5, found.queries, found.people) == (pytest.approx(1 / 3), 1, 3, 3)


def test_top5_looks_at_people_not_at_pictures():
    """Seven people on a fan; the wanted one is the fifth, then the sixth, most alike."""
    angles = np.linspace(0, 1.2, 7)
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    names = list("abcdefg")
    found = retrieve(np.array([[1.0, 0], [1.0, 0]]), ["e", "f"], gallery, names)
    assert (found.top1, found.top5) == (0, 0.5)


def test_a_stranger_cannot_be_retrieved():
    with pytest.raises(InternalError, match="zoe"):
        retrieve(np.ones((1, 2)), ["zoe"], np.ones((1, 2)), ["anna"])
