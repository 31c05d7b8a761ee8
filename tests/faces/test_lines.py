"""Thin lines: found, followed and measured, against lines of known place and width."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.faces.lines import best_path, draw_lines, follow_line, line_field


def bars(size: int, *edges: tuple[float, float, float], paper: float = 0.6) -> np.ndarray:
    """A gray picture with upright bars, each from one x to another (pixels' edges) and of a colour."""
    fine = np.full((8 * size, 8 * size), paper, np.float32)
    for first, last, colour in edges:
        fine[:, round(8 * first) : round(8 * last)] = colour
    return np.repeat(cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)[..., None], 3, -1)


def test_the_best_path_is_the_one_found_by_trying_all() -> None:
    reward = np.random.default_rng(4).random((5, 4)).astype(np.float32)
    best, found = -np.inf, None
    for code in range(4**5):
        path = np.array([code // 4**row % 4 for row in range(5)])
        moves = np.abs(np.diff(path))
        if moves.max() > 2:
            continue
        total = reward[np.arange(5), path].sum() - 0.1 * (moves**2).sum()
        if total > best:
            best, found = total, path
    np.testing.assert_array_equal(best_path(reward, most=2, stiffness=0.1), found)


def test_a_closed_path_ends_where_it_began() -> None:
    reward = np.zeros((40, 9), np.float32)
    reward[np.arange(40), np.round(4 + 3 * np.sin(np.arange(40) / 40 * 2 * np.pi)).astype(int)] = 1
    path = best_path(reward, most=1, stiffness=0.05, closed=True)
    assert reward[np.arange(40), path].all() and abs(int(path[0]) - int(path[-1])) <= 1


@pytest.mark.parametrize("colour", [0.2, 1.0])
def test_lines_are_told_from_edges_and_plain_skin(colour: float) -> None:
    field = line_field(bars(96, (30, 33, colour), (70, 96, 0.3)))
    line, edge = field.strength[48, 31], field.strength[20:76, 64:76].max()
    assert line > 0.8 * abs(colour - 0.6) and edge < 0.5 * line
    assert field.strength[48, 50] < 0.02
    # The normal of an upright line is level: twice its angle is nought.
    np.testing.assert_allclose(field.double[:, 48, 31], (1, 0), atol=0.05)
    points = np.array([[[31.0, 48.0]]])
    level, upright = (field.towards(points, np.array([[way]]))[0, 0] for way in ((1.0, 0.0), (0.0, 1.0)))
    np.testing.assert_allclose(level, line, rtol=1e-3)
    assert upright < 0.1 * line


@pytest.mark.parametrize("width", [2, 4, 7])
def test_a_line_is_followed_to_its_middle_and_its_edges(width: int) -> None:
    picture = bars(96, (40, 40 + width, 0.15))
    start = np.stack([np.full(60, 42.5), np.arange(18.0, 78.0)], 1)
    line = follow_line(picture, start, closed=False)
    inner = slice(8, -8)
    # Pixels' centres are whole numbers, their edges lie half a pixel away.
    left, right = (
        (line.points - line.normals * line.reach[:, [0]])[inner, 0],
        (line.points + line.normals * line.reach[:, [1]])[inner, 0],
    )
    np.testing.assert_allclose(np.minimum(left, right), 39.5, atol=0.8)
    np.testing.assert_allclose(np.maximum(left, right), 39.5 + width, atol=0.8)
    assert line.contrast[inner].min() > 0.3
    drawn = draw_lines([line], (96, 96))
    np.testing.assert_allclose(drawn[40:56].sum(1), width, atol=1.2)


def test_a_ring_is_followed_all_round() -> None:
    y, x = np.mgrid[:120, :120].astype(np.float32)
    away = np.hypot(x - 60, y - 60)
    picture = np.repeat((0.6 - 0.4 * np.clip(2.5 - np.abs(away - 40), 0, 1))[..., None], 3, -1).astype(np.float32)
    angle = np.arange(200) / 200 * 2 * np.pi
    start = 60 + 42 * np.stack([np.cos(angle), np.sin(angle)], 1)
    line = follow_line(picture, start, closed=True)
    np.testing.assert_allclose(np.hypot(*(line.points - 60).T), 40, atol=0.6)
    drawn = draw_lines([line], (120, 120), margin=0.5)
    assert drawn[np.abs(away - 40) < 1.5].min() > 0.95 and drawn[np.abs(away - 40) > 5].max() == 0
