"""Suites: read from TOML or from the names of clips, and refused where an answer could leak into training."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from understudy.dataset.suite import open_suite, write_suite
from understudy.dataset.suite_regions import read_suite_regions
from understudy.dataset.suite_units import has_units, read_suite_units
from understudy.errors import DatasetError
from understudy.faces.action_units import ActionUnit
from understudy.faces.regions import Region

TOML = """
title = "two"
[people.anna]
synthetic = true
footage = ["anna_1.mp4"]
[people.ben]
granted_by = "ben"
scope = ["train", "render"]
until = 2031-01-02
footage = ["ben_1.mp4"]
[[swap]]
plate = "ben_1.mp4"
identity = "anna"
truth = "true.mp4"
[[animate]]
still = "true.mp4"
frame = 3
person = "anna"
drive = "ben_1.mp4"
truth = "true.mp4"
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("anna_1.mp4", "ben_1.mp4", "true.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "suite.toml").write_text(TOML)
    return tmp_path


def test_a_suite_is_read_and_written(folder, tmp_path):
    suite = open_suite(folder)
    assert suite.title == "two" and list(suite.people) == ["anna", "ben"]
    (swap,), (animate,) = suite.swaps, suite.animations
    assert (swap.name, swap.identity, swap.truth.name) == ("anna_as_ben_1", "anna", "true.mp4")
    assert (animate.name, animate.frame, animate.drive.name) == ("anna_by_ben_1", 3, "ben_1.mp4")
    assert suite.people["ben"].consent.scope == ("train", "render") and suite.people["anna"].consent.synthetic
    other = tmp_path / "elsewhere"
    other.mkdir()
    write_suite(suite, other / "suite.toml")
    again = open_suite(other)
    assert [task.plate.resolve() for task in again.swaps] == [swap.plate.resolve()]
    assert again.people["ben"].consent.until == suite.people["ben"].consent.until and again.animations[0].frame == 3


def test_clips_that_say_what_they_are_make_a_suite(tmp_path):
    for name in ("anton_r1", "jun_r2", "anton_as_jun_r2", "jun_as_anton_r1", "zoe_as_nadia_r5", "readme"):
        (tmp_path / f"{name}.mp4").touch()
    (tmp_path / "anton_as_jun_r2.npz").touch()
    suite = open_suite(tmp_path)
    assert [(task.name, task.identity, task.plate.name) for task in suite.swaps] == [
        ("anton_as_jun_r2", "anton", "jun_r2.mp4"),
        ("jun_as_anton_r1", "jun", "anton_r1.mp4"),
    ]
    assert [(task.name, task.person, task.truth.name) for task in suite.regions] == [
        ("anton_as_jun_r2_regions", "anton", "anton_as_jun_r2.npz")
    ]
    assert [task.name for task in suite.animations] == [
        "anton_by_jun_r2", "anton_by_own_r1", "jun_by_anton_r1", "jun_by_own_r2",
    ]  # fmt: skip
    assert suite.people["anton"].footage == (tmp_path / "anton_r1.mp4",), "true swaps are never learnt from"


def test_the_packaged_suite_is_whole():
    suite = open_suite(Path(str(resources.files("understudy.jobs") / "demo_media")))
    assert len(suite.swaps) == 2 and len(suite.animations) == 2 and len(suite.regions) == 2
    assert len(suite.units) == 2
    units = read_suite_units(suite.units[0].truth)
    assert units.shape == (200, 17) and units[:, ActionUnit.AU45].max() == 5 and units[:, ActionUnit.AU14].max() == 0
    maps = read_suite_regions(suite.regions[0].truth)
    assert sorted(maps) == list(range(10, 201, 20)) and maps[10].shape == (512, 512)
    shares = [float((maps[10] == region).mean()) for region in (Region.SKIN, Region.HAIR, Region.GLASSES)]
    assert 0.05 < shares[0] < 0.3 and 0.01 < shares[1] < 0.2, "a face and short hair"
    assert all(person.consent.synthetic for person in suite.people.values())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('footage = ["anna_1.mp4"]', 'footage = ["true.mp4"]', "nobody may learn from it"),
        ('plate = "ben_1.mp4"', 'plate = "gone.mp4"', "gone.mp4, which is not there"),
        ('identity = "anna"', 'identity = "eve"', "'eve' is in a task"),
        ('plate = "ben_1.mp4"', "", "lacks 'plate'"),
        ("[[swap]]", "[[swop]]", "'swop' is no part"),
        ("frame = 3", 'name = "../up"', "cannot be a task's name"),
        ("frame = 3", 'name = "anna_as_ben_1"', "two tasks are called"),
        ("[people.anna]", "[people.anna", "as TOML"),
        (
            "[[swap]]",
            '[[regions]]\nclip = "true.mp4"\ntruth = "gone.npz"\nperson = "anna"\n[[swap]]',
            "gone.npz, which is",
        ),
    ],
)
def test_what_is_wrong_with_a_suite_is_said(folder, old, new, words):
    (folder / "suite.toml").write_text(TOML.replace(old, new, 1))
    with pytest.raises(DatasetError, match=words):
        open_suite(folder)


def test_region_maps_are_read_by_their_classes_names(tmp_path):
    seg = np.array([[[0, 1], [2, 1]]], np.uint8)
    np.savez(tmp_path / "named.npz", seg=seg, classes=["background", "eyebrows", "lips"], numbers=[7])
    assert read_suite_regions(tmp_path / "named.npz")[7].tolist() == [[0, Region.BROWS], [Region.LIPS, Region.BROWS]]
    np.savez(tmp_path / "plain.npz", seg=seg)
    assert read_suite_regions(tmp_path / "plain.npz")[1].tolist() == seg[0].tolist()


def test_units_are_read_and_refused(tmp_path):
    file = tmp_path / "u.npz"
    np.savez(file, au=np.array([[0.5, 0.2]]), au_names=["AU12_smile", "AU45_blink_left"])
    assert has_units(file) and read_suite_units(file)[0, [ActionUnit.AU12, ActionUnit.AU45]] == pytest.approx(
        [2.5, 0.5]
    )
    np.savez(file, units=np.full((2, 17), 3.0))
    assert read_suite_units(file).shape == (2, 17)
    for arrays, words in (
        ({"units": np.zeros((2, 3))}, "must be"),
        ({"units": np.full((1, 17), 9.0)}, "between 0 and 5"),
        ({"seg": np.zeros(3)}, "cannot be read"),
    ):
        np.savez(file, **arrays)
        with pytest.raises(DatasetError, match=words):
            read_suite_units(file)
    file.touch()
    (tmp_path / "empty.npz").touch()
    assert not has_units(tmp_path / "empty.npz")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"maps": np.zeros((1, 2, 2), np.uint8)}, "needs 'seg'"),
        ({"seg": np.zeros((2, 2), np.uint8)}, "are whole numbers"),
        ({"seg": np.zeros((2, 2, 2), np.uint8), "numbers": [1]}, "with 1 frame numbers"),
        ({"seg": np.full((1, 2, 2), 40, np.uint8)}, "holds the class 40"),
        ({"seg": np.zeros((1, 2, 2), np.uint8), "classes": ["sky"]}, "'sky' is no region"),
    ],
)
def test_region_maps_that_cannot_be_understood(tmp_path, arrays, words):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DatasetError, match=words):
        read_suite_regions(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_bytes(b"PK no zip")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_suite_regions(tmp_path / "y.npz")


def test_no_suite_at_all(tmp_path):
    with pytest.raises(DatasetError, match="is no suite"):
        open_suite(tmp_path)
    with pytest.raises(DatasetError, match="is no folder"):
        open_suite(tmp_path / "absent")


def test_who_of_a_suite_a_card_names(folder):
    suite = open_suite(folder)
    assert suite.seen_by(["people"], "pairs (folder): 1400 pictures of 35 people") == ()
    assert suite.seen_by(["Ben"], "") == ("ben",)
    assert suite.seen_by([], "anna: 200 pictures, zoe: 10 pictures") == ("anna",)
    assert suite.seen_by([], "annabel: 200 pictures") == ()


def test_suites_that_ask_for_something_else_have_another_digest(folder):
    before = open_suite(folder).sha256
    (folder / "suite.toml").write_text(TOML.replace("frame = 3", "frame = 4"))
    assert open_suite(folder).sha256 != before and len(before) == 64
