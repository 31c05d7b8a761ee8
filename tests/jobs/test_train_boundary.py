"""Training by landmarks from the folder to the answer: a data set with a markup of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from understudy import families
from understudy.checkpoint import read_card
from understudy.dataset.labelled import Labelled, write_folder
from understudy.errors import OptionError
from understudy.family import Drive, Recipe
from understudy.jobs.train import TrainOptions, train

HAND = """
points = 5
mirror = [4, 3, 2, 1, 0]

[[curves]]
name = "fan"
points = [0, 1, 2, 3, 4]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three people's four pictures of a bright fan."""
    folder, numbers, entries, points = tmp_path / "data", np.random.default_rng(0), [], []
    (folder / "pictures").mkdir(parents=True)
    angles = np.linspace(-2.6, -0.5, 5)
    for number in range(12):
        fan = 0.5 + numbers.uniform(0.2, 0.35, (5, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        picture = np.full((32, 32, 3), 30 * (number // 4), np.uint8)
        cv2.polylines(picture, [np.int32(fan * 32 * 16)], False, (200, 220, 240), 2, cv2.LINE_AA, 4)
        path = folder / "pictures" / f"{number}.png"
        cv2.imwrite(str(path), picture)
        entries.append(Labelled(picture=path, person=str(number // 4), expression="hand"))
        points.append(fan)
    write_folder(folder, entries)
    (folder / "topology.toml").write_text(HAND)
    np.savez(folder / "points.npz", pictures=[f"pictures/{n}.png" for n in range(12)], points=np.float32(points))
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preview's recipe, at a size that takes a second."""
    family = families.get("boundary_vae")

    def recipe(preset: str, **_: Any) -> Recipe:
        whole = family.recipe(preset)
        network = {**whole.network, "size": 32, "widths": (6, 8), "top_width": 6, "latent": 6, "clusters": 3}
        (stage,) = whole.stages
        return replace(whole, network=network, stages=(replace(stage, resolution=32, pictures=24, batch=6),))

    monkeypatch.setattr(families, "get", lambda _: replace(family, recipe=recipe))


def options(data: Path, run: str = "hands", **more: Any) -> TrainOptions:
    consent = data.parent / "consent.toml"
    consent.write_text("synthetic = true\n")
    return TrainOptions(family="boundary_vae", data=data, consent=consent, run=run, device="cpu", **more)


def test_a_hand_is_learned_and_answers(data: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent)
    report = train(options(data))
    assert report.finished and report.pictures == 24 and report.preview.is_file()
    assert {"l1", "kl", "memory/effective", "memory/spread"} <= report.figures.keys()
    card = read_card(report.checkpoint)
    assert card.network["settings"]["topology"]["name"] == "topology"
    assert card.network["settings"]["topology"]["mirror"] == [4, 3, 2, 1, 0]

    animator = families.get("boundary_vae").animator(report.checkpoint, device="cpu")
    still, own = np.full((32, 32, 3), 0.5, np.float32), np.random.default_rng(1).random((5, 2), np.float32)
    drive = Drive(strength=np.ones(2, np.float32), landmarks=np.stack([own, own + 0.05]), still_landmarks=own)
    crops = animator.animate(still, drive).crops
    np.testing.assert_array_equal(crops[0], still)
    assert not np.array_equal(crops[1], still)

    # The same command again finds it done; another topology is another training.
    assert train(options(data)).pictures == 24
    (data / "topology.toml").write_text(HAND.replace("[4, 3, 2, 1, 0]", "[0, 1, 2, 3, 4]"))
    with pytest.raises(OptionError, match="other settings"):
        train(options(data))


@pytest.mark.parametrize("part", ["kl", "gmm", "pixel_shuffle", "weight_norm", "motion"])
def test_parts_can_be_left_out(data: Path, small: None, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.chdir(data.parent)
    report = train(options(data, run=part, pictures=6, without=(part,)))
    settings = read_card(report.checkpoint).network["settings"]
    switched = {name for name in ("gmm", "pixel_shuffle", "weight_norm", "motion") if not settings[name]}
    assert switched == {part} - {"kl"}
    assert ("kl" in report.figures) == (part != "kl")
    assert ("memory/effective" in report.figures) == (part != "gmm")


def test_an_unknown_part(data: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent)
    with pytest.raises(OptionError, match="its network motion, gmm, pixel_shuffle, weight_norm"):
        train(options(data, without=("wn",)))
