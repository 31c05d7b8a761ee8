"""Glasses are found on drawn faces that wear some, whole, and on none that wear none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.faces import topology
from understudy.faces.align import mean_mesh
from understudy.faces.eyewear import SURE, eyewear_matte, find_eyewear

SIDE = 512
SKIN, HAIRS = (0.8, 0.62, 0.52), (0.3, 0.22, 0.18)


def face() -> np.ndarray:
    """(478, 3) a mesh 300 pixels high."""
    mesh = mean_mesh()
    return np.asarray(300 / np.ptp(mesh[topology.FACE_OVAL, 1]) * mesh + (SIDE / 2, SIDE / 2, 0), np.float32)


def drawn(*lines: tuple[np.ndarray, bool], width: int) -> np.ndarray:
    """Lines as a mask (SIDE, SIDE) in [0, 1]."""
    fine = np.zeros((4 * SIDE, 4 * SIDE), np.uint8)
    for points, closed in lines:
        cv2.polylines(fine, [np.round(points * 4).astype(np.int32)], closed, 255, 4 * width)
    return cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def bare(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A face with brows, lids' creases and pores, and the parser's share of brows."""
    mesh, numbers = face(), np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), SKIN, np.float32)
    brows = np.zeros((SIDE, SIDE), np.uint8)
    for ring in (topology.RIGHT_BROW, topology.LEFT_BROW):
        cv2.fillPoly(brows, [np.round(mesh[ring, :2]).astype(np.int32)], 1)
    hairs = cv2.GaussianBlur(brows.astype(np.float32), (0, 0), 2)[..., None]
    picture += hairs * (np.array(HAIRS, np.float32) - picture)
    for eye in (topology.RIGHT_EYE, topology.LEFT_EYE):
        crease = drawn((mesh[eye, :2] - (0, 6), True), width=2)[..., None]
        picture -= 0.12 * crease
        cv2.fillPoly(picture, [np.round(mesh[eye, :2]).astype(np.int32)], (0.85, 0.85, 0.85))
    picture += cv2.GaussianBlur(numbers.normal(size=picture.shape).astype(np.float32), (0, 0), 1) * 0.02
    return np.clip(picture, 0, 1), brows.astype(np.float32)


def frames(width: int, power: float) -> np.ndarray:
    """Two rims, rounder or squarer, and a bridge: the mask of their lines."""
    mesh = face()[:, :2]
    right, left = (mesh[eye].mean(0) for eye in (topology.RIGHT_EYE, topology.LEFT_EYE))
    unit = float(np.linalg.norm(left - right))
    angle = np.arange(200) / 200 * 2 * np.pi
    ring = np.stack([np.sign(v) * np.abs(v) ** (2 / power) for v in (np.cos(angle), np.sin(angle))], 1)
    rings = [middle + (0, 0.1 * unit) + ring * (0.41 * unit, 0.31 * unit) for middle in (right, left)]
    middle = (right + left) / 2
    bridge = np.array([middle - (0.1 * unit, 0), middle + (0.1 * unit, 0)])
    return drawn((rings[0], True), (rings[1], True), (bridge, False), width=width)


@pytest.mark.parametrize(
    ("width", "power", "colour"), [(3, 2.0, (0.12, 0.1, 0.1)), (2, 3.5, (0.35, 0.3, 0.3)), (5, 2.5, (0.55, 0.1, 0.12))]
)
def test_rims_of_which_a_parser_sees_a_part_are_found_whole(
    width: int, power: float, colour: tuple[float, ...]
) -> None:
    picture, brows = bare()
    truth = frames(width, power)
    picture += truth[..., None] * (np.array(colour, np.float32) - picture)
    # The parser is blurred, and half sure of the upper half.
    shares = cv2.GaussianBlur(truth, (0, 0), 3)
    shares[SIDE // 2 - 30 :] *= 0.2
    found = find_eyewear(picture, shares, brows, face())
    assert found.score > SURE
    matte = eyewear_matte(picture, found)
    there, near = truth > 0.5, cv2.dilate(truth, np.ones((5, 5), np.uint8)) > 0.5
    assert (matte[there] > 0.5).mean() > (0.95 if width > 2 else 0.9)
    assert near[matte > 0.5].mean() > 0.9
    np.testing.assert_array_less(matte, 1 + 1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_bare_face_wears_none_even_if_a_parser_has_its_doubts(seed: int) -> None:
    picture, brows = bare(seed)
    nothing = np.zeros((SIDE, SIDE), np.float32)
    assert find_eyewear(picture, nothing, brows, face()).score < SURE / 2
    doubts = cv2.GaussianBlur(frames(4, 2.5), (0, 0), 4) * 0.5
    assert find_eyewear(picture, doubts, brows, face()).score < SURE


def test_the_shots_mean_holds_a_faint_rim() -> None:
    """A frame in which the lower rims fade is given those of its neighbours."""
    picture, brows = bare()
    truth = frames(2, 3.0)
    shares = cv2.GaussianBlur(truth, (0, 0), 3)
    dark = np.array((0.2, 0.2, 0.2), np.float32)
    plain = picture + truth[..., None] * (dark - picture)
    usual = find_eyewear(plain, shares, brows, face()).rims
    fading = np.clip((SIDE / 2 + 10 - np.arange(SIDE, dtype=np.float32)) / 20, 0.12, 1)[:, None]
    faint = picture + (truth * fading)[..., None] * (dark - picture)
    # A fold of the cheek, darker than the rim.
    fold = drawn((face()[[50, 101, 36], :2], False), width=3)
    faint -= 0.2 * fold[..., None]
    found = find_eyewear(faint, shares, brows, face(), usual=usual)
    assert found.score > SURE / 2
    near = cv2.dilate(truth, np.ones((7, 7), np.uint8)) > 0.5
    for path in found.paths[:2]:
        columns, rows = np.round(path).astype(int).T
        assert near[rows, columns].mean() > 0.95


def test_a_small_picture_breaks_nothing() -> None:
    """Faces that lie partly outside the crop are looked at where they are seen."""
    picture, brows = bare()
    mesh = face() - (200, 100, 0)
    found = find_eyewear(picture[100:, 200:][:160, :160], brows[100:260, 200:360] * 0, brows[100:260, 200:360], mesh)
    assert found.score < SURE and np.isfinite(found.rims).all()
