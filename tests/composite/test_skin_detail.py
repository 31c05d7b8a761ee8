"""The plate's skin detail over a soft face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.composite.skin_detail import carry_skin_detail, skin_weights
from understudy.faces.topology import LEFT_EYE, NUM_POINTS


def test_the_finest_band_becomes_the_plate_s_and_the_rest_stays() -> None:
    numbers = np.random.default_rng(0)
    face = cv2.GaussianBlur(numbers.random((64, 64, 3), np.float32), (0, 0), 6)
    plate = 0.5 + 0.01 * numbers.standard_normal((64, 64, 3)).astype(np.float32)
    change = carry_skin_detail(face, plate, np.ones((64, 64), np.float32), sigma=1.5, limit=1e3)
    band = lambda x: x - cv2.GaussianBlur(x, (0, 0), 1.5)  # noqa: E731
    assert np.allclose(change, band(plate) - band(face), atol=1e-6)


def test_an_edge_is_held_to_the_limit_and_keeps_its_colour() -> None:
    face = np.full((32, 32, 3), 0.5, np.float32)
    plate = face.copy()
    plate[:, 16:] += np.float32([0.4, 0.2, 0.1])
    change = carry_skin_detail(face, plate, np.ones((32, 32), np.float32), sigma=2.0, limit=0.03)
    assert np.abs(change).max() <= 0.03 + 1e-6
    strongest = change[16, 16]
    assert strongest[1] / strongest[0] == pytest.approx(0.5, abs=1e-3)


def test_nothing_happens_without_weight() -> None:
    numbers = np.random.default_rng(1)
    face, plate = numbers.random((2, 16, 16, 3), np.float32)
    assert not carry_skin_detail(face, plate, np.zeros((16, 16), np.float32), sigma=1.0, limit=0.1).any()


def test_eyes_are_no_skin() -> None:
    mesh = np.full((NUM_POINTS, 2), -50.0)
    turn = np.linspace(0, 2 * np.pi, len(LEFT_EYE), endpoint=False)
    mesh[LEFT_EYE] = np.stack([40 + 10 * np.cos(turn), 30 + 4 * np.sin(turn)], 1)
    weights = skin_weights([mesh], (64, 80), margin=1.0, softness=0.5)
    assert weights[30, 40] < 0.01
    assert weights[50, 40] > 0.99
    assert weights[30, 60] > 0.99
