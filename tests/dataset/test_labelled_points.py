"""Labelled pictures by their points: these stay where they are on the picture, whatever is done to it; and pairs are chosen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.dataset.augment import AugmentSettings
from understudy.dataset.labelled import Labelled, write_folder
from understudy.dataset.labelled_batches import LabelledPictures
from understudy.dataset.labelled_mesh import MESHES, labelled_points
from understudy.errors import DatasetError
from understudy.faces.boundary import BoundaryTopology, Curve, load_topology
from understudy.families.warping.recipes import recipe
from understudy.jobs.labelled_data import with_points

SIDE = 64
MOVED = AugmentSettings(
    shift=0.05, scale=0.1, rotation=15.0, exposure=0.0, colour=0.0, gamma=0.0, shading=0.0, noise=0.0
)
PLAIN = AugmentSettings(**dict.fromkeys(vars(MOVED), 0.0))
HAND = BoundaryTopology(name="hand", points=2, curves=(Curve(name="line", points=(0, 1)),), mirror=(1, 0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three people of two set-ups with two pictures each: a red dot on the person's right, a green one on their left."""
    data, numbers, entries, points = tmp_path / "data", np.random.default_rng(0), [], []
    (data / "pictures").mkdir(parents=True)
    for number in range(12):
        person, setup = number // 4, number // 2
        picture = np.full((SIDE, SIDE, 3), 40 + 20 * (setup % 2), np.uint8)
        at = numbers.uniform(0.3, 0.45, 2), numbers.uniform([0.55, 0.3], [0.7, 0.45])
        for (x, y), colour in zip(at, ((0, 0, 255), (0, 255, 0)), strict=True):
            cv2.circle(picture, (round(x * SIDE * 16 - 8), round(y * SIDE * 16 - 8)), 48, colour, -1, cv2.LINE_AA, 4)
        path = data / "pictures" / f"{number}.png"
        cv2.imwrite(str(path), picture)
        entries.append(Labelled(picture=path, person=str(person), setup=str(setup), expression="any"))
        points.append(at)
    write_folder(data, entries)
    np.savez(data / "points.npz", pictures=[f"pictures/{n}.png" for n in range(12)], points=np.float32(points))
    return data


def by_points(folder: Path, **options: object) -> LabelledPictures:
    points = labelled_points(folder, HAND, folder.parent)
    return LabelledPictures(folder, side=SIDE, points=points, mirror=HAND.mirror, **{"augment": MOVED, **options})  # type: ignore[arg-type]


def dot(picture: np.ndarray, channel: int) -> np.ndarray:
    """(2,) centre in the unit square of what is much stronger in this channel of a (3, s, s) picture."""
    strength = np.clip(picture[channel] - picture[1 - channel] - 0.2, 0, None)
    centres = (np.arange(picture.shape[-1]) + 0.5) / picture.shape[-1]
    return np.array([(strength.sum(0) * centres).sum(), (strength.sum(1) * centres).sum()]) / strength.sum()


@pytest.mark.parametrize("answers", ["self", "setup", "person"])
def test_points_follow_their_pictures(folder: Path, answers: str) -> None:
    (portion,) = by_points(folder, answers=answers, apart=0.5).batch(0, each=12, size=SIDE)
    assert portion.points is not None and portion.target_points is not None
    pairs = ((portion.inputs, portion.points), (portion.targets, portion.target_points))
    mirrored = 0
    for pictures, points in pairs:
        for picture, (right, left) in zip(pictures.numpy(), points.numpy(), strict=True):
            # A mirrored picture shows the person's other side: its dots have changed their meaning.
            turned = right[0] < left[0] and dot(picture, 0)[0] > dot(picture, 1)[0]
            mirrored += turned
            np.testing.assert_allclose(dot(picture, int(turned)), right, atol=0.012)
            np.testing.assert_allclose(dot(picture, int(not turned)), left, atol=0.012)
    assert 4 <= mirrored <= 20


def test_without_a_mirror_nothing_is_mirrored(folder: Path) -> None:
    points = labelled_points(folder, HAND, folder.parent)
    pictures = LabelledPictures(folder, side=SIDE, points=points, augment=PLAIN, flip=1.0)
    (portion,) = pictures.batch(0, each=8, size=SIDE)
    assert all(dot(picture, 0)[0] < dot(picture, 1)[0] for picture in portion.inputs.numpy())


def test_whose_picture_answers(folder: Path) -> None:
    numbers = np.random.default_rng(0)

    def found(**options: object) -> list[tuple[int, int]]:
        pictures = by_points(folder, **options)
        return [pictures.pair(row, numbers) for row in range(12) for _ in range(8)]

    assert all(shown == answer for shown, answer in found(answers="self"))
    assert all(shown // 2 == answer // 2 and shown != answer for shown, answer in found(answers="setup"))
    near = found(answers="person", apart=0.0)
    assert all(shown // 2 == answer // 2 and shown != answer for shown, answer in near)
    far = found(answers="person", apart=1.0)
    assert all(shown // 4 == answer // 4 and shown // 2 != answer // 2 for shown, answer in far)
    mixed = found(answers="person", apart=0.5)
    assert 0.3 < np.mean([shown // 2 != answer // 2 for shown, answer in mixed]) < 0.7


def test_an_answer_from_elsewhere_is_told_and_brought_to_the_pictures_light(folder: Path) -> None:
    (portion,) = by_points(folder, answers="person", apart=1.0, augment=PLAIN, flip=0.0).batch(0, each=8, size=SIDE)
    assert portion.alike is not None and not portion.alike.any()
    weights = portion.weights / portion.weights.sum((2, 3), keepdim=True)
    ours, theirs = ((pictures * weights).sum((2, 3)) for pictures in (portion.inputs, portion.targets))
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    (portion,) = by_points(folder, answers="person", apart=0.0).batch(0, each=8, size=SIDE)
    assert portion.alike is not None and portion.alike.all()


def test_pictures_without_points_are_left_out(folder: Path) -> None:
    points = labelled_points(folder, HAND, folder.parent)
    points.pop("pictures/3.png")
    pictures = LabelledPictures(folder, side=SIDE, points=points, augment=PLAIN)
    assert len(pictures) == 11
    assert "3.png" not in {entry.picture.name for entry in pictures.entries}


def test_faces_are_measured_once(folder: Path) -> None:
    """The folder's own two points are none of the mesh: it is measured, kept with the run, and lost faces are left out."""
    seen = []

    def find(picture: np.ndarray) -> np.ndarray | None:
        seen.append(picture.shape)
        return None if len(seen) == 5 else np.full((478, 3), 160.0, np.float32)

    run = folder.parent / "run"
    points = labelled_points(folder, load_topology("face13"), run, find=find)
    assert len(seen) == 12 and set(seen) == {(320, 320, 3)}
    assert len(points) == 11 and "pictures/4.png" not in points
    np.testing.assert_allclose(points["pictures/0.png"], 0.5)
    again = labelled_points(folder, load_topology("face13"), run, find=find)
    assert len(seen) == 12 and again.keys() == points.keys()
    (run / MESHES).write_bytes(b"half a file")
    labelled_points(folder, load_topology("face13"), run, find=find)
    assert len(seen) == 24


def test_another_markup_must_be_brought(folder: Path) -> None:
    three = BoundaryTopology(name="three", points=3, curves=(Curve(name="line", points=(0, 1, 2)),))
    with pytest.raises(DatasetError, match="has 2 points a picture, and three needs 3"):
        labelled_points(folder, three, folder.parent)
    with pytest.raises(DatasetError, match="face that could be found"):
        labelled_points(folder, load_topology("face13"), folder.parent / "run", find=lambda _: None)


def test_motion_is_taught_by_the_mesh_where_the_folder_has_no_points(folder: Path) -> None:
    seen = []

    def find(picture: np.ndarray) -> np.ndarray | None:
        seen.append(picture.shape)
        return None if len(seen) == 5 else np.full((478, 3), 160.0 + 8 * len(seen), np.float32)

    preview, run = recipe("preview"), folder.parent / "run"
    assert with_points(preview, folder, run, find=find) == (preview, {}), "the folder's own points count"
    (folder / "points.npz").unlink()
    assert with_points(recipe("paper"), folder, run, find=find)[1] == {} and not seen, "no term asks for points"
    _, told = with_points(preview, folder, run, find=find)
    pictures = LabelledPictures(folder, side=SIDE, augment=PLAIN, expressions=("any", "other"), flip=0.0, **told)
    assert len(pictures) == 12, "a face that was not found is labelled all the same"
    (portion,) = pictures.batch(0, each=12, size=SIDE)
    assert portion.points is not None and portion.points.shape == (12, 478, 2)
    assert portion.signals is not None and portion.signals.shape == (12, 2)
    assert pictures.points is not None
    known = pictures.points[np.isfinite(pictures.points).all((1, 2))]
    np.testing.assert_allclose(known[:, 0, 0], [(160 + 8 * (n + 1)) / 320 for n in range(12) if n != 4], rtol=1e-5)
    assert with_points(preview, folder, folder.parent / "none", find=lambda _: None)[1] == {}, "nobody found: without"
