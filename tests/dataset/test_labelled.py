"""Folders of labelled pictures, and the batches that come from them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.dataset.augment import AugmentSettings
from understudy.dataset.labelled import TABLE, Labelled, held_back, read_folder, signals_of, write_folder
from understudy.errors import DatasetError
from understudy.faces.action_units import ActionUnit

STILL = AugmentSettings(shift=0.0, scale=0.0, rotation=0.0, exposure=0.0, colour=0.0, gamma=0.0, shading=0.0, noise=0.0)
COLOURS = AugmentSettings(**{**vars(STILL), "contrast": 0.2, "saturation": 0.2, "hue": 0.1})


def make_folder(folder: Path, *, people: int = 3, setups: int = 2, each: int = 3, side: int = 40) -> list[Labelled]:
    """Crops whose grey says person and set-up, and whose left half says the expression."""
    entries = []
    (folder / "pictures").mkdir(parents=True)
    for person in range(people):
        for setup in range(setups):
            for number in range(each):
                picture = np.full((side, side, 3), 20 * person + 60 * setup, np.uint8)
                picture[:, : side // 2] += np.uint8(40 * number)
                path = folder / "pictures" / f"{person}_{setup}_{number}.png"
                cv2.imwrite(str(path), picture)
                units = np.zeros(17, np.float32)
                units[ActionUnit.AU12] = 2.0 * number
                entries.append(Labelled(picture=path, person=str(person), setup=str(setup), units=units))
    write_folder(folder, entries)
    return entries


def pictures_of(folder: Path, **options: object):
    from understudy.dataset.labelled_batches import LabelledPictures

    settings = {"side": 40, "augment": STILL, **options}
    return LabelledPictures(folder, **settings)  # type: ignore[arg-type]


def test_a_folder_reads_back_as_it_was_written(tmp_path: Path):
    written = make_folder(tmp_path)
    read = read_folder(tmp_path)
    assert [entry.picture for entry in read] == [entry.picture for entry in written]
    assert [(e.person, e.setup, e.part, e.expression) for e in read] == [
        (e.person, e.setup, "train", "") for e in written
    ]
    np.testing.assert_array_equal([entry.units for entry in read], [entry.units for entry in written])


def test_openface_names_and_lacking_columns_do(tmp_path: Path):
    (tmp_path / TABLE).write_text("picture, AU12_r , AU45_r\na.png, 1.5,\nb.png,,2\n")
    first, second = read_folder(tmp_path)
    assert first.units is not None and second.units is not None
    assert first.units[ActionUnit.AU12] == 1.5 and first.units.sum() == 1.5
    assert second.units[ActionUnit.AU45] == 2.0
    assert first.person == "a" and second.person == "b", "without a person everyone is another"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("picture,AU12,AU99\na.png,1,1\n", "'AU99'"),
        ("picture,person\na.png,x\n", "no label"),
        ("picture,AU12\na.png,6\n", "numbers from 0 to 5"),
        ("picture,AU12\na.png,much\n", "AU12 is 'much'"),
        ("picture,AU12\na.png,nan\n", "numbers from 0 to 5"),
        ("picture,AU12\n../a.png,1\n", "no path below the folder"),
        ("picture,AU12,part\na.png,1,dev\n", "neither train nor test"),
        ("picture,AU12\n", "lists no picture"),
    ],
)
def test_bad_tables_say_what_is_wrong(tmp_path: Path, text: str, words: str):
    (tmp_path / TABLE).write_text(text)
    with pytest.raises(DatasetError, match=words):
        read_folder(tmp_path)


def test_a_folder_without_a_table_says_what_to_do(tmp_path: Path):
    with pytest.raises(DatasetError, match="--layout"):
        read_folder(tmp_path)


def test_expressions_become_one_hot_in_the_given_order():
    entries = [Labelled(picture=Path("a"), expression=name) for name in ("smile", "neutral")]
    np.testing.assert_array_equal(signals_of(entries, ("neutral", "smile")), [[0, 1], [1, 0]])
    with pytest.raises(DatasetError, match="'smile' is not one of neutral, sad"):
        signals_of(entries, ("neutral", "sad"))
    with pytest.raises(DatasetError, match="action units"):
        signals_of(entries)


def test_people_are_held_back_by_name_alone():
    kept = [held_back(f"person {number}", 0.1) for number in range(2000)]
    assert 150 < sum(kept) < 250
    assert kept == [held_back(f"person {number}", 0.1) for number in range(2000)]


def test_pairs_are_of_one_person_and_setup_and_another_expression(tmp_path: Path):
    make_folder(tmp_path)
    batches = pictures_of(tmp_path, flip=0.0)
    portion = batches.batch(0, each=64, size=32)[0]
    assert portion.signals is not None and portion.target_signals is not None
    assert portion.inputs.shape == portion.targets.shape == (64, 3, 32, 32)
    assert portion.weights.shape == (64, 1, 32, 32) and 0 <= portion.weights.min() < portion.weights.max()
    # The right half tells person and set-up, the left half the expression on top of it.
    right, left = ([x[:, 0, 16, column] * 255 for x in (portion.inputs, portion.targets)] for column in (28, 4))
    assert (right[0] - right[1]).abs().max() < 0.01
    units = [x[:, ActionUnit.AU12] for x in (portion.signals, portion.target_signals)]
    assert ((left[0] - right[0]) / 40 - units[0] * 5 / 2).abs().max() < 0.01
    assert ((left[1] - right[1]) / 40 - units[1] * 5 / 2).abs().max() < 0.01
    assert (units[0] != units[1]).all()
    assert (units[0] == 0).float().mean() > 0.45, "half of the pairs and more begin at rest"


def test_without_setups_the_target_is_the_picture_itself(tmp_path: Path):
    entries = make_folder(tmp_path)
    write_folder(tmp_path, [Labelled(picture=e.picture, person=e.person, units=e.units) for e in entries])
    portion = pictures_of(tmp_path, augment=AugmentSettings()).batch(3, each=16, size=32)[0]
    assert (portion.inputs == portion.targets).all()
    assert portion.signals is not None and (portion.signals == portion.target_signals).all()


def test_batches_depend_on_seed_and_step_alone(tmp_path: Path):
    make_folder(tmp_path)
    augment = AugmentSettings(contrast=0.2, saturation=0.2, hue=0.1)
    first, again, small = (pictures_of(tmp_path, augment=augment, budget=budget) for budget in (10**9, 10**9, 0))
    first.batch(0, each=4, size=32)
    expected = first.batch(7, each=4, size=32)[0]
    for other in (again, small):
        found = other.batch(7, each=4, size=32)[0]
        assert (found.inputs == expected.inputs).all() and (found.targets == expected.targets).all()
    assert (first.batch(8, each=4, size=32)[0].inputs != expected.inputs).any()
    assert (pictures_of(tmp_path, augment=augment, rank=1).batch(7, each=4, size=32)[0].inputs != expected.inputs).any()


def test_flips_show_in_pictures_and_answers_alike(tmp_path: Path):
    make_folder(tmp_path)
    portion = pictures_of(tmp_path, flip=1.0).batch(0, each=8, size=32)[0]
    brighter = portion.targets[:, 0, 16, 28] >= portion.targets[:, 0, 16, 4]
    assert brighter.all(), "the half that the expression brightens now lies on the right"


def test_test_pictures_stay_out_of_training(tmp_path: Path):
    from dataclasses import replace

    entries = make_folder(tmp_path)
    write_folder(tmp_path, [replace(e, part="test" if e.person == "2" else "train") for e in entries])
    assert pictures_of(tmp_path).people == ["0", "1"]


def test_samples_are_the_same_every_time(tmp_path: Path):
    make_folder(tmp_path)
    batches = pictures_of(tmp_path)
    first, again = (batches.sample(each=2, size=32)[0] for _ in range(2))
    assert (first.inputs == again.inputs).all() and (first.targets == again.targets).all()
    assert first.signals is not None and (first.signals[:, ActionUnit.AU12] == 0).all()


def test_colours_change_alike_and_greys_keep_their_hue(tmp_path: Path):
    import torch

    from understudy.dataset.augment import draw_jitter, jitter

    generator = torch.Generator().manual_seed(0)
    change = draw_jitter(4, COLOURS, generator)
    grey = torch.full((4, 3, 8, 8), 0.5)
    torch.testing.assert_close(jitter(grey, change), grey)
    pictures = torch.rand(4, 3, 8, 8, generator=generator) * 0.4 + 0.3
    turned = jitter(pictures, change)
    assert (turned - pictures).abs().max() > 0.01
    torch.testing.assert_close(turned.mean((1, 2, 3)), pictures.mean((1, 2, 3)), atol=1e-4, rtol=0)
    torch.testing.assert_close(jitter(pictures, draw_jitter(4, STILL, generator)), pictures, atol=1e-6, rtol=0)


def test_a_picture_that_is_not_square_is_named(tmp_path: Path):
    entries = make_folder(tmp_path)
    cv2.imwrite(str(entries[0].picture), np.zeros((40, 30, 3), np.uint8))
    with pytest.raises(DatasetError, match="0_0_0.png has 30 x 40"):
        pictures_of(tmp_path).read(0)


def test_the_weights_lie_on_the_mean_face():
    from understudy.dataset.labelled_batches import mean_weights

    weights = mean_weights(160, 0.5)
    rows, columns = np.nonzero(weights > 32)
    assert 0.4 < (rows.max() - rows.min()) / 160 < 0.6
    assert abs(columns.mean() / 160 - 0.5) < 0.02 and abs(rows.mean() / 160 - 0.52) < 0.04
    assert weights[0].max() == 0 and weights.max() > 100, "more at eyes and mouth"


def test_points_move_with_their_pictures(tmp_path: Path):
    """A white dot at every picture's point is still there after moves and flips."""
    from understudy.dataset.labelled import POINTS

    entries = make_folder(tmp_path, side=64)
    points = np.random.default_rng(0).uniform(0.35, 0.65, (len(entries), 1, 2)).astype(np.float32)
    for entry, (point,) in zip(entries, points, strict=True):
        picture = np.zeros((64, 64, 3), np.uint8)
        at = np.mgrid[:64, :64][::-1].transpose(1, 2, 0) + 0.5
        picture[:] = (255 * np.exp(-((at - point * 64) ** 2).sum(-1, keepdims=True) / 8)).astype(np.uint8)
        cv2.imwrite(str(entry.picture), picture)
    names = np.array([entry.picture.relative_to(tmp_path).as_posix() for entry in entries])
    np.savez(tmp_path / POINTS, pictures=names[::-1], points=points[::-1])
    moves = AugmentSettings(**{**vars(STILL), "shift": 0.1, "scale": 0.2, "rotation": 20.0})
    (portion,) = pictures_of(tmp_path, augment=moves, side=64).batch(3, each=8, size=64)
    for pictures, found in ((portion.inputs, portion.points), (portion.targets, portion.target_points)):
        for picture, point in zip(pictures.mean(1).numpy(), found.numpy(), strict=True):
            rows, columns = np.mgrid[:64, :64] + 0.5
            middle = np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()
            assert np.abs(middle - point[0] * 64).max() < 0.3


def test_points_that_are_lacking_are_named(tmp_path: Path):
    from understudy.dataset.labelled import POINTS, read_points

    entries = make_folder(tmp_path)
    assert read_points(tmp_path, entries) is None
    np.savez(tmp_path / POINTS, pictures=np.array(["pictures/0_0_0.png"]), points=np.zeros((1, 5, 2), np.float32))
    with pytest.raises(DatasetError, match="no points of 0_0_1.png"):
        read_points(tmp_path, entries)
    (tmp_path / POINTS).write_bytes(b"PK nothing")
    with pytest.raises(DatasetError, match="damaged"):
        read_points(tmp_path, entries)
