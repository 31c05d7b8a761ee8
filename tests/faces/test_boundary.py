"""Boundary maps against lines whose distances are plain, splines worked by hand, and topologies as files."""

from __future__ import annotations

import math

import numpy as np
import pytest

from understudy.errors import FaceError, OptionError
from understudy.faces.align import mean_mesh, mirror_map
from understudy.faces.boundary import (
    BoundaryTopology,
    Curve,
    boundary_maps,
    built_in_topologies,
    load_topology,
    opening_masks,
    spline,
    topology_of,
)

LINE = BoundaryTopology(name="line", points=2, curves=(Curve(name="line", points=(0, 1)),))

HAND = """
points = 21

[[curves]]
name = "palm"
points = [0, 1, 5, 9, 13, 17]
closed = true
""" + "".join(
    f'\n[[curves]]\nname = "{name}"\npoints = {list(range(first, first + 4))}\n'
    for name, first in zip(("thumb", "index", "middle", "ring", "little"), (1, 5, 9, 13, 17), strict=True)
)


def mesh(size: int, share: float = 0.6) -> np.ndarray:
    return (mean_mesh() * share + [0.5, 0.52, 0.0]) * size


def drawn(start: tuple[float, float], end: tuple[float, float], size: int = 24, sigma: float = 1.0) -> np.ndarray:
    return boundary_maps(np.array([[start, end]]), LINE, size, sigma=sigma)[0, 0]


def test_a_straight_line_falls_off_by_its_exact_distance():
    picture = drawn((5.5, 10.5), (16.5, 10.5))
    # Pixel (column, row) has its centre at +0.5.
    for rows in range(5):
        expected = math.exp(-(rows**2) / 2) if rows < 3 else 0.0
        np.testing.assert_allclose(picture[10 + rows, 5:17], expected, rtol=1e-6)
        np.testing.assert_allclose(picture[10 - rows, 5:17], expected, rtol=1e-6)
    # Beyond its end the end itself is nearest: two pixels on and one down.
    assert picture[11, 18] == pytest.approx(math.exp(-5 / 2), rel=1e-6)
    assert picture[10, 19] == 0.0
    assert (picture > 0).sum() == 12 * 5 + 2 * (5 + 5)


def test_a_slanting_line():
    picture = drawn((2.0, 3.0), (18.0, 15.0), sigma=2.0)  # 3 x - 4 y + 6 = 0, of length 20
    for column, row in ((9, 8), (10, 7), (6, 9), (12, 15)):
        x, y = column + 0.5, row + 0.5
        distance = abs(3 * x - 4 * y + 6) / 5
        expected = math.exp(-(distance**2) / 8) if distance < 6 else 0.0
        assert picture[row, column] == pytest.approx(expected, abs=1e-6)


def test_a_tenth_of_a_pixel_is_seen():
    still, moved = drawn((4.5, 10.5), (18.5, 10.5)), drawn((4.5, 10.6), (18.5, 10.6))
    assert moved[11, 10] == pytest.approx(math.exp(-(0.9**2) / 2), rel=1e-5)
    assert still[11, 10] < moved[11, 10]


def test_the_spline_of_three_points_worked_by_hand():
    """Chords of sqrt(2) each, natural ends: M = (0, -3/2, 0) for y, so the first chord's middle lies at 11/16."""
    samples = spline(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]), step=math.sqrt(2) / 2)
    np.testing.assert_allclose(samples, [[0, 0], [0.5, 0.6875], [1, 1], [1.5, 0.6875], [2, 0]], atol=1e-12)


def test_the_spline_of_points_on_a_line_is_the_line():
    samples = spline(np.array([[0.0, 0.0], [1.0, 2.0], [5.0, 10.0], [6.0, 12.0]]), step=0.3)
    np.testing.assert_allclose(samples[:, 1], 2 * samples[:, 0], atol=1e-12)
    assert np.linalg.norm(np.diff(samples, axis=0), axis=1).max() <= 0.3 + 1e-9


def test_a_closed_spline_of_a_circle_stays_on_it():
    angles = np.arange(8) * math.pi / 4
    circle = 10 * np.stack([np.cos(angles), np.sin(angles)], 1)
    samples = spline(circle, closed=True, step=0.25)
    np.testing.assert_allclose(np.hypot(*samples.T), 10, atol=0.03)
    np.testing.assert_array_equal(samples[0], samples[-1])
    # Periodic: a turn of the points by one changes nothing but where it begins.
    turned = spline(np.roll(circle, 1, 0), closed=True, step=0.25)[:-1]
    np.testing.assert_allclose(np.sort(turned, 0), np.sort(samples[:-1], 0), atol=1e-9)


def test_three_points_close():
    samples = spline(np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]]), closed=True, step=0.1)
    assert np.isfinite(samples).all()
    np.testing.assert_allclose(np.linalg.norm(np.diff(samples, axis=0), axis=1), 0.1, atol=0.06)


def test_points_in_one_place_do_no_harm():
    points = np.array([[[5.0, 5.0], [5.0, 5.0]]])
    picture = boundary_maps(points, LINE, 10)[0, 0]
    assert picture[5, 5] == pytest.approx(math.exp(-0.25), rel=1e-5)  # half a pixel each way


@pytest.mark.parametrize(("name", "count"), [("face13", 13), ("face15", 15), ("face17", 17)])
def test_the_built_in_faces(name: str, count: int):
    topology = load_topology(name)
    assert name in built_in_topologies()
    maps = boundary_maps(mesh(64)[None], topology, 64)
    assert maps.shape == (1, count, 64, 64)
    assert maps.dtype == np.float32
    assert maps.min() == 0 and 0.99 < maps.max() <= 1
    assert (maps.max(axis=(2, 3)) > 0.7).all(), "every line is seen"


@pytest.mark.parametrize("name", ["face13", "face15", "face17"])
def test_a_mirrored_face_gives_the_mirrored_maps_of_the_other_side(name: str):
    topology = load_topology(name)
    points = mesh(64)[:, :2] + [1.3, 0.0]
    mirrored = points[mirror_map()] * [-1, 1] + [64, 0]
    ours, theirs = (boundary_maps(p[None], topology, 64)[0] for p in (points, mirrored))
    names = [curve.name for curve in topology.curves]
    swap = {"right": "left", "left": "right"}
    other = [names.index("_".join(swap.get(word, word) for word in name.split("_"))) for name in names]
    # A line may run the other way round, which moves its samples by less than a hundredth of a pixel.
    np.testing.assert_allclose(theirs[other], ours[..., ::-1], atol=0.02)


def test_a_face_does_not_depend_on_its_neighbours():
    topology, points = load_topology("face15"), np.stack([mesh(48), mesh(48, 0.9), mesh(48, 0.2)])
    together = boundary_maps(points, topology, 48)
    for face, maps in zip(points, together, strict=True):
        np.testing.assert_array_equal(boundary_maps(face[None], topology, 48)[0], maps)


def test_lines_leave_the_map():
    whole = drawn((4.5, 10.5), (40.5, 10.5))
    assert whole[10, 23] == pytest.approx(1.0)
    assert not drawn((-9.5, -8.5), (-2.5, -3.5)).any()
    assert np.isfinite(drawn((-1e9, 3.0), (1e9, 3.0))).all()


def test_a_users_own_topology(tmp_path):
    path = tmp_path / "hand.toml"
    path.write_text(HAND)
    hand = load_topology(path)
    assert (hand.name, hand.points, len(hand.curves), hand.mirror) == ("hand", 21, 6, None)
    fan = np.array([[math.cos(a), -math.sin(a)] for a in np.linspace(0.3, 2.8, 5)])
    points = np.array([[0.0, 12.0], *(finger * (8 + 6 * joint) for finger in fan for joint in range(4))]) + [40, 44]
    maps = boundary_maps(points[None], hand, 80)[0]
    assert maps.shape == (6, 80, 80)
    tip = points[12]
    assert maps[3, int(tip[1]), int(tip[0])] > 0.7, "the middle finger's tip lies on its own line"
    assert maps[1, int(tip[1]), int(tip[0])] == 0, "and not on the thumb's"


def test_a_topology_survives_its_record(tmp_path):
    path = tmp_path / "hand.toml"
    path.write_text(HAND)
    for topology in (*map(load_topology, built_in_topologies()), load_topology(path)):
        assert topology_of(topology.as_record()) == topology


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("points = 3\n[[curves]]\nname = 'a'\npoints = [0, 3]", "names the point 3"),
        ("points = 3\n[[curves]]\nname = 'a'\npoints = [0]", "has 1 points"),
        ("points = 3\n[[curves]]\nname = 'a'\npoints = [0, 1]\nclosed = true", "a closed one three"),
        ("points = 3\nmirror = [0, 0, 1]\n[[curves]]\nname = 'a'\npoints = [0, 1]", "mirror must name"),
        ("points = 3\ncolour = 1\n[[curves]]\nname = 'a'\npoints = [0, 1]", "colour"),
        ("points = 3", "curves"),
        ("points = ", "cannot be read"),
    ],
)
def test_a_wrong_topology_is_told_in_a_sentence(tmp_path, text: str, said: str):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=said):
        load_topology(path)


def test_an_unknown_topology():
    with pytest.raises(OptionError, match=r"face13, face15, face17, or name a \.toml"):
        load_topology("face14")
    with pytest.raises(OptionError, match="cannot be read"):
        load_topology("nowhere/hand.toml")


def test_bad_points():
    with pytest.raises(FaceError, match=r"need points \(B, 478, 2\)"):
        boundary_maps(np.zeros((1, 68, 2)), load_topology("face13"), 64)
    bad = mesh(64)[None].copy()
    bad[0, 7, 1] = np.nan
    with pytest.raises(FaceError, match="finite"):
        boundary_maps(bad, load_topology("face13"), 64)
    with pytest.raises(OptionError, match="positive"):
        drawn((1, 1), (2, 2), sigma=0.0)


@pytest.mark.parametrize("lower", [(2, 3), (0, 3, 2, 1)], ids=["back", "the same way"])
def test_an_open_mouth_is_what_lies_between_the_lips(lower: tuple[int, ...]):
    lines = ({"name": "upper_lip_bottom", "points": [0, 1]}, {"name": "lower_lip_top", "points": lower})
    lips = topology_of({"name": "lips", "points": 4, "curves": lines})
    square = np.array([[4.0, 4], [12, 4], [12, 12], [4, 12]])
    mask = opening_masks(square[None], lips, 16)[0]
    assert (mask[5:11, 5:11] == 1).all()
    assert mask[:2].max() == mask[14:].max() == mask[:, :2].max() == mask[:, 14:].max() == 0
    shut = opening_masks(np.where([[False, True]], 8.0, square)[None], lips, 16)[0]
    assert (shut[7:9, 5:11].sum(0) > 0.9).all() and shut[:5].max() == shut[11:].max() == 0
    nose = topology_of({"name": "nose", "points": 4, "curves": ({"name": "bridge", "points": [0, 1]},)})
    with pytest.raises(OptionError, match="no lids and no lips"):
        opening_masks(square[None], nose, 16)


def test_the_built_in_faces_open_at_eyes_and_mouth():
    face = (mean_mesh()[:, :2] * 64 + 64)[None]
    for name in ("face13", "face15", "face17"):
        mask = opening_masks(face, load_topology(name), 128)[0]
        spread = [mask[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].max() for x, y in face[0, [13, 159, 386]]]
        assert min(spread) > 0.5
        assert 0.001 < mask.mean() < 0.02
