"""Stills driven by landmarks, the answer's own or another person's, and what a network makes of a still from its latents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.dataset.labelled import Labelled, write_folder
from understudy.errors import DatasetError, OptionError
from understudy.faces import topology
from understudy.faces.action_units import ActionUnit
from understudy.faces.align import mean_mesh
from understudy.family import AnimateResult, Drive
from understudy.jobs import measure_animation as job
from understudy.jobs.animation_drivers import (
    Driver,
    labels_apart,
    landmark_drive,
    network_rate,
    other_performers,
    reconstructed,
)
from understudy.jobs.animation_pairs import Pair, Seen
from understudy.jobs.measure_animation import MeasureAnimationOptions, measure_animation

SIDE = 160


def mesh(*, drop: float = 0.0, broad: float = 1.0) -> np.ndarray:
    """A face in a crop of SIDE pixels whose lower lip hangs lower by ``drop`` pixels, and ``broad`` times as wide."""
    points = mean_mesh() * (0.5 * SIDE * broad, 0.5 * SIDE, 0.5 * SIDE) + (0.5 * SIDE, 0.52 * SIDE, 0)
    points[[14, 17]] += (0, drop, 0)
    return points.astype(np.float32)


def label(person: str, smile: float, name: str = "a.png") -> Labelled:
    units = np.zeros(17, np.float32)
    units[ActionUnit.AU12] = smile
    return Labelled(picture=Path(name), person=person, setup="0", units=units)


def pair_of(still: np.ndarray, answer: np.ndarray) -> Pair:
    random = np.random.default_rng(1)
    pictures = [cv2.GaussianBlur(random.random((SIDE, SIDE, 3)).astype(np.float32), (0, 0), 1) for _ in range(2)]
    seen = [Seen(landmarks=points, units=np.zeros(17, np.float32)) for points in (still, answer)]
    return Pair(
        still=pictures[0],
        answer=pictures[1],
        still_label=label("1", 0.0),
        answer_label=label("1", 3.0),
        still_seen=seen[0],
        answer_seen=seen[1],
        mask=np.ones((SIDE, SIDE), np.float32),
    )


def test_the_answers_own_landmarks_drive():
    pair = pair_of(mesh(), mesh(drop=6))
    drive = landmark_drive(pair, np.array([0.5, 1.0], np.float32))
    assert drive.landmarks is not None and drive.still_landmarks is not None
    assert drive.landmarks.shape == (2, 478, 3)
    np.testing.assert_allclose(drive.landmarks[1] * SIDE, mesh(drop=6), atol=1e-3)
    np.testing.assert_allclose(drive.still_landmarks * SIDE, mesh(), atol=1e-3)


def test_another_persons_face_brings_what_it_does_and_its_shape_only_where_that_is_wanted():
    pair = pair_of(mesh(), mesh())
    driver = Driver(rest=mesh(broad=1.2), now=mesh(broad=1.2, drop=6), apart=0.0)
    kept, taken = (
        landmark_drive(pair, np.ones(1, np.float32), driver, retarget=retarget).landmarks[0] * SIDE  # type: ignore[index]
        for retarget in (True, False)
    )
    wide = [np.ptp(points[topology.FACE_OVAL, 0]) for points in (mesh(), kept, taken)]
    assert wide[1] == pytest.approx(wide[0], rel=0.01)
    assert wide[2] > 1.05 * wide[0], "fitted by size, a fifth broader is a twelfth"
    assert (kept - mesh())[17, 1] == pytest.approx(6, abs=1.5)


def test_the_nearest_labels_of_somebody_else_drive():
    pairs = [
        (label("1", 0.0, "a.png"), label("1", 3.0, "b.png")),
        (label("2", 0.0, "c.png"), label("2", 1.0, "d.png")),
        (label("2", 0.0, "c.png"), label("2", 2.5, "e.png")),
        (label("1", 0.0, "a.png"), label("1", 1.2, "f.png")),
    ]
    assert [answer.picture.name for _, answer in other_performers(pairs)] == ["e.png", "f.png", "b.png", "d.png"]
    assert labels_apart(pairs[0][1], pairs[2][1]) == pytest.approx(0.25)
    with pytest.raises(DatasetError, match="takes two people"):
        other_performers(pairs[:1])


class Mover:
    """Carries the whole still by the lower lip's way; its latents are the picture, and what it decodes is a little darker."""

    size, signals, expressions, oval_share = 128, frozenset({"landmarks"}), (), 0.5

    def animate(self, still: np.ndarray, drive: Drive) -> AnimateResult:
        assert drive.landmarks is not None and drive.still_landmarks is not None
        motion = np.zeros((len(drive.strength), 128, 128, 2), np.float32)
        motion[..., 1] = -(drive.landmarks - drive.still_landmarks)[:, 17, 1, None, None]
        return AnimateResult(crops=np.repeat(still[None], len(drive.strength), 0), motion=motion)

    def encode(self, still: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert landmarks.shape == (478, 3) and 0.4 < landmarks[17, 1] < 1
        return still, landmarks

    def decode(self, appearance: np.ndarray, structure: np.ndarray) -> np.ndarray:
        return appearance - np.float32(0.1)


def test_a_still_is_compared_with_what_its_latents_give():
    pair = pair_of(mesh(), mesh(drop=6))
    found = reconstructed(pair, Mover())
    assert found is not None
    made, with_ = found
    assert made.shape == (128, 128, 3) and with_.mask.shape == (128, 128)
    np.testing.assert_allclose(with_.answer - made, 0.1, atol=1e-6)
    assert reconstructed(pair, object()) is None
    assert network_rate(pair, Mover(), landmark_drive(pair, np.ones(1, np.float32))) > 0


def test_people_who_drive_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    entries, drops = [], {}
    for person in range(2):
        for number, smile in enumerate((0.0, 3.0)):
            path = tmp_path / f"{person}_{number}.png"
            value = 100 + 20 * person + number
            cv2.imwrite(str(path), np.full((SIDE, SIDE, 3), value, np.uint8))
            drops[value] = 6 * number
            entries.append(replace(label(str(person), smile + person * number, str(path)), picture=path))
    write_folder(tmp_path, entries)

    class Reader:
        def read(self, picture: np.ndarray, rest: float | None = None) -> Seen:
            value = round(float(picture.mean()) * 255)
            return Seen(landmarks=mesh(drop=drops.get(value, 0)), units=np.zeros(17, np.float32), rest=0.0)

    monkeypatch.setattr(job, "_open", lambda options: ({"mover": Mover()}, {"mover": "a checkpoint"}))
    given = MeasureAnimationOptions(data=tmp_path, size=SIDE, sequences=0, drive="other", output=tmp_path / "sheet.png")
    report = measure_animation(given, reader=Reader())
    assert report.pairs == 2
    assert report.drivers_apart == pytest.approx(1.0)
    assert report.frames_per_second["mover"] > 0
    assert report.reconstruction["mover"]["psnr"] == pytest.approx(20, abs=0.01), "0.1 darker is 20 dB"
    units = type("Units", (Mover,), {"signals": frozenset({"units"})})
    monkeypatch.setattr(job, "_open", lambda options: ({"units": units()}, {"units": "a checkpoint"}))
    with pytest.raises(OptionError, match="driven by landmarks"):
        measure_animation(given, reader=Reader())
