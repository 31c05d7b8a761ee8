"""Measuring animations on held-back people, with a stand-in that shifts the mouth's half of a drawn face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.dataset.labelled import Labelled, write_folder
from understudy.errors import DatasetError, FaceError, OptionError
from understudy.faces.action_units import ActionUnit
from understudy.faces.align import mean_mesh
from understudy.family import AnimateResult, Drive
from understudy.jobs import measure_animation as job
from understudy.jobs.animation_pairs import Seen, choose_pairs
from understudy.jobs.measure_animation import METHODS, MeasureAnimationOptions, animate_pair, measure_animation

SIDE = 160


def draw(smile: float, person: int) -> np.ndarray:
    """A crop, uint8 RGB: fine texture, and a mouth that lies lower by ``smile`` hundredths of the side."""
    random = np.random.default_rng(person)
    picture = random.integers(110, 150, (SIDE, SIDE, 3)).astype(np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 1)
    middle = (SIDE // 2, int(SIDE * (0.62 + smile / 100)))
    cv2.ellipse(picture, middle, (26, 6), 0, 0, 360, (200, 60, 60), -1, cv2.LINE_AA)
    return picture


class Reader:
    """Reads the smile off the mouth's height; at rest it lies where ``rest`` has it."""

    def read(self, picture: np.ndarray, rest: float | None = None) -> Seen | None:
        side = picture.shape[0]
        redness = np.clip(picture[..., 0] - picture[..., 2] - 0.2, 0, None)
        if redness.sum() < 1:
            return None
        height = float((redness.sum(1) * (np.arange(side) + 0.5)).sum() / redness.sum()) / side
        units = np.zeros(17, np.float32)
        units[ActionUnit.AU12] = np.clip((height - (rest or 0.62)) * 100, 0, 5)
        points = mean_mesh() * 0.5 * side + (0.5 * side, 0.52 * side, 0)
        return Seen(landmarks=points.astype(np.float32), units=units, rest=height)


class Shifter:
    """Moves the lower half by as much as AU12 asks for; knows it exactly, or does nothing (``skill`` 0)."""

    size, signals, expressions, oval_share = 128, frozenset({"units"}), (), 0.5

    def __init__(self, skill: float) -> None:
        self.skill = skill

    def animate(self, still: np.ndarray, drive: Drive) -> AnimateResult:
        assert drive.units is not None and drive.still_units is not None
        change = (drive.units - drive.still_units)[:, ActionUnit.AU12] / 100 * drive.strength * self.skill
        motion = np.zeros((len(change), 128, 128, 2), np.float32)
        motion[:, 60:100, :, 1] = -change[:, None, None]
        at = np.stack(np.meshgrid(*[np.arange(128, dtype=np.float32)] * 2), -1)
        maps = [(at + 128 * field).astype(np.float32) for field in motion]
        crops = [cv2.remap(still, m, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for m in maps]
        return AnimateResult(crops=np.stack(crops), motion=motion)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    entries = []
    for person in range(3):
        for number, smile in enumerate((2.0, 0.0, 5.0)):
            path = tmp_path / f"{person}_{number}.png"
            cv2.imwrite(str(path), draw(smile, person)[..., ::-1])
            units = np.zeros(17, np.float32)
            units[ActionUnit.AU12] = smile
            part = "train" if person == 0 else "test"
            entries.append(Labelled(picture=path, person=str(person), setup="a", part=part, units=units))
    write_folder(tmp_path, entries)
    return tmp_path


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"able": Shifter(1.0), "lazy": Shifter(0.0)}
    monkeypatch.setattr(job, "_open", lambda options: (made, dict.fromkeys(made, "a checkpoint")))


def options(data: Path, **others) -> MeasureAnimationOptions:
    return MeasureAnimationOptions(
        data=data, size=SIDE, steps=3, sequences=others.pop("sequences", 0), output=data / "sheet.png", **others
    )


def test_the_able_model_comes_nearer_than_the_still(data: Path, models: None):
    report = measure_animation(options(data), reader=Reader())
    assert (report.pairs, report.people, report.unread) == (4, 2, 0)
    assert report.sheet.is_file()
    able, lazy = report.scores["able"]["multiscale"], report.scores["lazy"]["multiscale"]
    assert lazy["units"] == pytest.approx(report.still["units"], rel=1e-6)
    assert lazy["psnr"] == pytest.approx(report.still["psnr"], rel=1e-6)
    assert able["units"] < 0.2 * report.still["units"]
    assert able["psnr"] > report.still["psnr"] + 3
    assert report.answer["units"] < 0.3, "the answers' own units are what their labels say"
    assert set(report.scores["able"]) == set(METHODS)
    # Only the residuals bring the skin's texture back.
    assert able["ssim"] > report.scores["able"]["bicubic"]["ssim"] > report.scores["able"]["nearest"]["ssim"]
    assert report.units["able"]["AU12"]["correlation"] > 0.9


def test_the_flow_warp_error_is_taken_from_sequences(data: Path, models: None):
    report = measure_animation(options(data, sequences=1, pairs=1), reader=Reader())
    assert report.scores["lazy"]["multiscale"]["flow_warp"] == pytest.approx(0, abs=1e-9)
    assert report.scores["able"]["multiscale"]["flow_warp"] > 0
    assert "flow_warp" not in report.still


def test_measured_units_drive_as_well(data: Path, models: None):
    report = measure_animation(options(data, drive="measured"), reader=Reader())
    assert report.scores["able"]["multiscale"]["units"] < 0.2 * report.still["units"]


def test_sequences_run_from_the_still_to_the_answer(data: Path):
    from understudy.dataset.labelled import read_folder
    from understudy.jobs.animation_pairs import see_pairs

    chosen = choose_pairs(read_folder(data), 1, source=data)
    pair = next(see_pairs(chosen, SIDE, Reader()))
    assert pair is not None and pair.still_label.picture.name == "0_1.png", "the calmest is the still"
    frames = animate_pair(pair, Shifter(1.0), steps=3)["multiscale"]
    assert len(frames) == 4
    np.testing.assert_array_equal(frames[0], pair.still)
    smiles = [seen.units[ActionUnit.AU12] for frame in frames if (seen := Reader().read(frame))]
    assert smiles == sorted(smiles) and smiles[-1] > 1


def test_a_picture_that_asks_for_nothing_is_no_answer(data: Path):
    from understudy.dataset.labelled import read_folder

    entries = read_folder(data)
    twice = [replace(entry, units=entries[1].units) if entry.picture.name == "0_0.png" else entry for entry in entries]
    assert len(choose_pairs(entries, 99, source=data)) == 6
    assert len(choose_pairs(twice, 99, source=data)) == 5


def test_pairs_without_a_face_are_counted(data: Path, models: None):
    cv2.imwrite(str(data / "1_2.png"), np.full((SIDE, SIDE, 3), 90, np.uint8))
    report = measure_animation(options(data), reader=Reader())
    assert (report.pairs, report.unread) == (3, 1)
    for person in (1, 2):
        cv2.imwrite(str(data / f"{person}_1.png"), np.full((SIDE, SIDE, 3), 90, np.uint8))
    with pytest.raises(FaceError, match="no face was found in any of the 4 pairs"):
        measure_animation(options(data), reader=Reader())


def test_what_cannot_be_measured_is_said(data: Path, models: None):
    entries = [Labelled(picture=data / f"{n}_0.png", person=str(n), units=np.zeros(17, np.float32)) for n in range(3)]
    write_folder(data, entries)
    with pytest.raises(DatasetError, match="no two pictures of one person and set-up"):
        measure_animation(options(data), reader=Reader())
    write_folder(
        data, [Labelled(picture=data / f"1_{n}.png", person="1", setup="a", expression="sad") for n in range(2)]
    )
    with pytest.raises(OptionError, match="driven by units"):
        measure_animation(options(data), reader=Reader())
    for bad in ({"pairs": 0}, {"drive": "audio"}):
        with pytest.raises(OptionError):
            MeasureAnimationOptions(data=data, **bad)  # type: ignore[arg-type]
